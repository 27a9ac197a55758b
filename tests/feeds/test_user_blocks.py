"""Packed user NAVs come out as they went in; whatever was damaged on the way is refused."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from engine.units import UNITS_MAX
from feeds.codec import BadRecord
from feeds.user_blocks import (
    BLOCK_USERS_MAX,
    NAMES_BYTES_MAX,
    UserBlock,
    decode_user_block,
    encode_user_block,
    number_of,
)

I64_MAX = 2**63 - 1


def a_block(**changes: Any) -> UserBlock:
    """Three numbered users and two named ones."""
    block = UserBlock(
        product="BTC3L",
        shard=3,
        sequence=41,
        ordinal=7,
        ts_ns=1_700_000_000_000_000_000,
        population=1_000,
        units_total=10**14,
        product_nav_atoms=-5,
        users=np.array([0, 4, 999, 1_000, 1_007]),
        units=np.array([1, 2, 3, 0, UNITS_MAX]),
        nav_atoms=np.array([5, 6, 7, 0, I64_MAX]),
        names=("alice", "bob"),
    )
    return replace(block, **changes)


def same(one: UserBlock, other: UserBlock) -> bool:
    """Whether every field is equal."""
    mine, theirs = asdict(one), asdict(other)
    mine["names"], theirs["names"] = list(one.names), list(other.names)
    return all(np.array_equal(mine[name], theirs[name]) for name in mine)


@st.composite
def blocks(draw: st.DrawFn) -> UserBlock:
    """Any block that an engine could make."""
    index = st.integers(0, 2**32 - 1)
    users = sorted(draw(st.sets(index, min_size=1, max_size=30)))
    population = draw(st.sampled_from([0, users[0], users[-1], users[-1] + 1, 1_000]))
    named = sum(user >= population for user in users)
    each = st.lists(st.integers(0, I64_MAX), min_size=len(users), max_size=len(users))
    text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
    place = st.integers(0, I64_MAX)
    return UserBlock(
        product=draw(text),
        shard=draw(st.integers(0, 2**32 - 1)),
        sequence=draw(place),
        ordinal=draw(place),
        ts_ns=draw(st.integers(-(2**63), I64_MAX)),
        population=population,
        units_total=draw(st.integers(1, UNITS_MAX)),
        product_nav_atoms=draw(st.integers(-(2**63), I64_MAX)),
        users=np.array(users, np.int64),
        units=np.array(draw(each), np.int64),
        nav_atoms=np.array(draw(each), np.int64),
        names=draw(st.lists(text, min_size=named, max_size=named)),
    )


@given(blocks())
def test_round_trip(block: UserBlock) -> None:
    """What was packed is unpacked: every column, every name, every field of the header."""
    value = encode_user_block(block)
    assert len(value) % 8 == 0
    assert same(decode_user_block(value), block)


def test_names() -> None:
    """Users of the population are named by their number, the others as the block says."""
    assert a_block().user_names() == ["u1", "u5", "u1000", "alice", "bob"]
    assert [number_of(name) for name in ("u1", "u1000", "u0", "u01", "u", "x1", "u1 ", "u²")] == [
        *(0, 999),
        *[None] * 6,
    ]


@settings(max_examples=300)
@given(blocks(), st.data())
def test_damage_is_refused(block: UserBlock, data: st.DataObject) -> None:
    """A flipped bit anywhere, a missing tail and a tail too many are refused, not read."""
    value = encode_user_block(block)
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    flipped = bytearray(value)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = data.draw(st.integers(0, len(value) - 1))
    for bad in (bytes(flipped), value[:cut], value + bytes(8)):
        with pytest.raises(BadRecord):
            decode_user_block(bad)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"users": np.array([0, 4, 4, 1_000, 1_007])}, "do not rise"),
        ({"users": np.array([0, 999, 4, 1_000, 1_007])}, "do not rise"),
        ({"names": ("alice",)}, "1 names for 2"),
        ({"names": ("alice", "bob", "eve")}, "3 names for 2"),
        ({"population": -1}, "population -1"),
        ({"sequence": -1}, "place -1"),
        ({"ordinal": -1}, "population"),
        ({"units_total": 0}, "units of 0"),
        ({"units": np.array([1, 2, -3, 0, 1])}, "negative"),
        ({"nav_atoms": np.array([1, 2, -3, 0, 1])}, "negative"),
    ],
)
def test_nonsense_with_a_good_checksum_is_refused(changes: dict[str, Any], reason: str) -> None:
    """A checksum says that nothing was damaged, not that it ever made sense."""
    with pytest.raises(BadRecord, match=reason):
        decode_user_block(encode_user_block(a_block(**changes)))


def sealed(value: bytearray) -> bytes:
    """The bytes with the checksum that belongs to them."""
    crc = zlib.crc32(memoryview(value)[24:], zlib.crc32(value[:20]))
    struct.pack_into("<I", value, 20, crc)
    return bytes(value)


@pytest.mark.parametrize(
    ("place", "reason"), [(0, "magic"), (2, "version 2"), (3, "magic"), (4, "bytes, expected")]
)
def test_another_header_is_refused(place: int, reason: str) -> None:
    """Another magic, version or count is refused before a column is looked at."""
    value = bytearray(encode_user_block(a_block()))
    value[place] += 1
    with pytest.raises(BadRecord, match=reason):
        decode_user_block(sealed(value))


def test_texts_that_are_none_are_refused() -> None:
    """Names must be UTF-8, and an array of texts."""
    value = bytearray(encode_user_block(a_block()))
    value[72] = 0xFF
    with pytest.raises(BadRecord, match="UTF-8"):
        decode_user_block(sealed(value))
    value = bytearray(encode_user_block(a_block()))
    value[value.index(b"\x92\xa5alice")] = 0xC1
    with pytest.raises(BadRecord, match="names"):
        decode_user_block(sealed(value))


def test_a_block_is_bounded() -> None:
    """As many users as a block may have fit a record of every broker; one more is refused."""
    users = np.arange(BLOCK_USERS_MAX + 1)
    full = a_block(users=users[1:], units=users[1:], nav_atoms=users[1:], population=0)
    names = ["x" * 25] * BLOCK_USERS_MAX
    assert len(encode_user_block(replace(full, names=names))) < 900_000
    for bad in (
        replace(full, users=users, units=users, nav_atoms=users, population=10**6, names=()),
        replace(full, users=users[:0], units=users[:0], nav_atoms=users[:0], names=()),
        a_block(names=("x" * NAMES_BYTES_MAX, "y" * 100)),
    ):
        with pytest.raises(ValueError, match="a block holds"):
            encode_user_block(bad)
