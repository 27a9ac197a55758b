"""Tests of ``engine.digest``."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import msgspec
import numpy as np
import pytest

from engine.digest import LINK_ITEMS, Chain, ChainState, SampleChain


def lines(count: int) -> list[bytes]:
    return [b'{"event":%d}' % n for n in range(count)]


def plain(items: list[bytes]) -> bytes:
    """The chain as its definition says it: a link per 4,096 items."""
    link = b""
    while len(items) >= LINK_ITEMS:
        head, items = items[:LINK_ITEMS], items[LINK_ITEMS:]
        link = sha256(link + b"".join(head)).digest()
    return sha256(link + b"".join(items)).digest()


def take(chain: Chain, items: list[bytes]) -> None:
    """As the engine has them: one text."""
    chain.lines(b"".join(item + b"\n" for item in items), len(items))


def chain_of(items: list[bytes], places: list[int]) -> Chain:
    chain = Chain()
    for a, b in zip([0, *places], [*places, len(items)], strict=True):
        take(chain, items[a:b])
    return chain


@pytest.mark.parametrize("count", [0, 1, 4_095, 4_096, 4_097, 8_192, 8_193, 12_288])
def test_a_chain_is_its_definition(count: int) -> None:
    """Catches a link made one item early or late, and a tail that is counted twice."""
    items = lines(count)
    assert chain_of(items, []).digest() == plain([item + b"\n" for item in items])


def test_the_digest_does_not_know_how_the_items_came() -> None:
    """Any cuts give the same digest. Catches a link that is made at the end of a call."""
    random, items = Random(1), lines(10_000)
    whole = chain_of(items, []).digest()
    for _ in range(8):
        places = sorted(random.choices(range(10_001), k=random.randint(1, 20)))
        chain = chain_of(items, places)
        assert chain.digest() == whole
        assert chain.state.items == 10_000


def test_every_item_counts() -> None:
    """One changed, dropped, repeated or exchanged item changes the digest, whether its link is
    closed or not. Catches items that are hashed without their ends."""
    items = lines(5_000)
    whole = chain_of(items, []).digest()
    for place in (0, 4_095, 4_096, 4_999):
        other = [*items[:place], b"x", *items[place + 1 :]]
        assert chain_of(other, []).digest() != whole
        assert chain_of(items[:place] + items[place + 1 :], []).digest() != whole
    assert chain_of([b"ab", b"c"], []).digest() != chain_of([b"a", b"bc"], []).digest()


def test_records_of_a_fixed_size_are_items_too() -> None:
    """The same bytes as records give a chain that does not know the cuts. Catches a link inside a
    record."""
    random, size, count = Random(2), 24, 9_000
    data = random.randbytes(size * count)
    whole = Chain()
    whole.records(data, size)
    items = [data[n * size : (n + 1) * size] for n in range(count)]
    assert whole.digest() == plain(items)
    assert whole.state.items == count
    parts, place = Chain(), 0
    while place < count:
        end = min(count, place + random.randint(1, 5_000))
        parts.records(data[place * size : end * size], size)
        place = end
    assert parts.digest() == whole.digest()


def test_a_note_counts_for_the_digest_only() -> None:
    """Catches a remark that moves the links of the items after it."""
    chain = Chain()
    take(chain, lines(10))
    before = chain.digest()
    chain.note(b"remark")
    assert chain.digest() != before
    assert (chain.state.items, chain.state.open) == (10, 10)


def test_a_chain_goes_on_from_a_snapshot() -> None:
    """Its state through msgpack, and the tail of the items, give the digest of the whole. Catches
    an open tail that is not part of the snapshot."""
    items = lines(6_000)
    whole = chain_of(items, []).digest()
    for place in (0, 100, 4_096, 5_999):
        first = Chain()
        take(first, items[:place])
        rest = Chain()
        rest.state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state), type=ChainState)
        assert rest.digest() == first.digest()
        take(rest, items[place:])
        assert rest.digest() == whole


@pytest.mark.parametrize("every", [1, 7, 4_096, 5_000])
def test_samples_may_wait_but_leave_no_trace_of_it(every: int) -> None:
    """Catches samples that are chained in another order, lost, or left out of a look at the
    chain."""
    times, marks = np.arange(9_000) * 10, np.arange(9_000) + 0.5
    packed = np.column_stack([times, marks.view(np.int64), times + 1]).tobytes()
    items = [packed[at : at + 24] for at in range(0, len(packed), 24)]
    chain = SampleChain()
    for start in range(0, 9_000, every):
        part = slice(start, start + every)
        chain.samples(times[part], marks[part], times[part] + 1)
    assert chain.digest() == plain(items)
    chain.samples(times[:3], marks[:3], times[:3] + 1)
    chain.settle()
    assert chain.state.items == 9_003
