"""A user has one slot for ever, however he is named and whenever his population is heard of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feeds import directory
from feeds.directory import Directory
from feeds.user_blocks import UserBlock

FAR = directory.NUMBERS_MAX
names = st.one_of(
    st.sampled_from(["alice", "u0", "u01", "u", "", "u1x"]),
    st.sampled_from([1, 2, 3, 50, FAR - 1, FAR, FAR + 1, FAR + 7]).map(lambda n: f"u{n}"),
)
heard = st.lists(st.one_of(st.lists(names, min_size=1, max_size=4), st.integers(1, 9)), max_size=8)


def a_block(size: int) -> UserBlock:
    """Each second user of a population, those around the edge of the array, and a named one."""
    numbers = [*range(0, 2 * size, 2), FAR - 1, FAR, FAR + 6]
    users = np.array([*numbers, FAR + 50])
    values = np.ones(len(users), np.int64)
    return UserBlock("P", 0, 0, 0, 0, FAR + 50, 1, 1, users, values, values, ("bob",))


@given(heard)
def test_one_slot_a_user(heard: list[list[str] | int]) -> None:
    """By name or by block, in any order: equal slots are equal names, and names come back."""
    known = Directory()
    slot_of: dict[str, int] = {}
    for part in heard:
        if isinstance(part, int):
            block = a_block(part)
            told, slots = block.user_names(), known.slots_of_block(block)
        else:
            told, slots = part, known.slots_of_names(part)
        for name, slot in zip(told, slots.tolist(), strict=True):
            assert slot_of.setdefault(name, slot) == slot
            assert known.name(slot) == name
    assert sorted(slot_of.values()) == list(range(len(known)))


def test_a_name_of_many_digits_is_a_name() -> None:
    """More digits than any index has are no index. Catches a fan-out that ends at a user's name."""
    known, told = Directory(), [f"u{2**32}", "u" + 5_000 * "1", "u1"]
    slots = known.slots_of_names(told)
    assert [known.name(slot) for slot in slots.tolist()] == told
    assert known.slots_of_names(told).tolist() == slots.tolist()
