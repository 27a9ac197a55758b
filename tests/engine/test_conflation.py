"""Of users' NAVs the newest stay, of everything else everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.conflation import conflate, count_user_navs
from engine.outputs import Outputs, UserNavBlock

Sample = tuple[int, int, bool]
"""Product, users, and whether it is of all holders."""


def said(samples: list[list[Sample]]) -> list[Outputs]:
    """What several calls of the heart said; a sample's number is its sequence."""
    number = 0
    parts = []
    for part in samples:
        blocks = []
        for product, users, whole in part:
            units = np.ones(users, np.int64)
            listed = None if whole else np.arange(users)
            blocks.append(
                UserNavBlock(number, 0, number, product, "cadence", listed, units, 10, users)
            )
            number += 1
        parts.append(Outputs(user_nav=blocks))
    return parts


def left(parts: list[Outputs]) -> list[int]:
    """Numbers of the samples that are there."""
    return [block.sequence for part in parts for block in part.user_nav]


def test_the_oldest_give_way() -> None:
    """Two products in turn: what is dropped is old, and no more than is needed."""
    parts = said([[(0, 10, True), (1, 5, True)], [(0, 10, True), (1, 5, True)], [(0, 10, True)]])
    assert conflate(parts, 30) == 30
    assert left(parts) == [1, 2, 3, 4]
    assert conflate(parts, 15) == 15
    assert left(parts) == [3, 4]
    assert conflate(parts, 1) == 15
    assert left(parts) == [3, 4]


def test_single_holders_give_way_to_all() -> None:
    """Whose units changed is told at once; a later sample of everybody tells it too. One after the
    last sample of everybody stays, and so does one of another product."""
    parts = said([[(0, 1, False), (0, 9, True), (0, 1, False), (1, 1, False)]])
    assert conflate(parts, 0) == 11
    assert left(parts) == [1, 2, 3]


samples = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans()), max_size=6), max_size=6
)


@given(samples, st.integers(0, 120))
def test_nobody_loses_his_newest(samples: list[list[Sample]], most: int) -> None:
    """Whatever is dropped, some later sample of all holders of its product is left; nothing is
    dropped without need, and as much as can be where there is."""
    whole, parts = said(samples), said(samples)
    blocks = {block.sequence: block for part in whole for block in part.user_nav}
    count = conflate(parts, most)
    assert count == sum(map(count_user_navs, parts))
    kept = set(left(parts))
    replaceable = []
    for number, block in blocks.items():
        newer = [n for n in kept if n > number and blocks[n].product == block.product]
        replaced = any(blocks[n].users is None for n in newer)
        assert number in kept or replaced
        if replaced:
            replaceable.append(number)
    dropped = [number for number in blocks if number not in kept]
    if dropped:
        assert count + len(blocks[max(dropped)].units) > most
        assert dropped == replaceable[: len(dropped)]
    if count > most:
        assert dropped == replaceable
