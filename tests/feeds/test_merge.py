"""``feeds/merge.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import CreationRequest, Malformed
from engine.ticks import Kind, Step
from feeds.formats.format import malformed_block, table_block
from feeds.merge import MergeSource, merge, merge_requests, rechunked
from tests.feeds.rows import numbered, rows

Times = list[int]


def blocks(times: Sequence[int], symbol: int, size: int) -> Iterator[Step]:
    """Trades at these times, ``size`` a block; a negative time is a row that cannot be read."""
    ids = np.arange(len(times))
    for start in range(0, len(times), size):
        part = list(times[start : start + size])
        if part[0] < 0:
            for at in part:
                yield malformed_block(abs(at), f"bad {symbol}")
            continue
        part = [abs(at) for at in part]
        count = len(part)
        yield table_block(
            Kind.TRADE,
            part,
            symbol=symbol,
            price=np.full(count, 1.0),
            size=np.full(count, 1.0),
            aggressor=np.zeros(count),
            trade_id=ids[start : start + count],
        )


def merged(inputs: Sequence[Times], size: int, chunk: int) -> list[Step]:
    """All inputs merged, read ``size`` rows at a time and handed on in steps of ``chunk``."""
    sources = [
        MergeSource(abs(times[0]) if times else 0, partial(blocks, times, place, size))
        for place, times in enumerate(inputs)
    ]
    return list(rechunked(merge(sources), chunk))


def naive(inputs: Sequence[Times]) -> list[tuple[int, int]]:
    """``(input, place in it)`` in the order that the rule says, one row at a time."""
    keyed = []
    for place, times in enumerate(inputs):
        reached = -(2**62)
        for offset, at in enumerate(times):
            reached = max(reached, abs(at))
            keyed.append((reached, place, offset))
    return [(place, offset) for _, place, offset in sorted(keyed)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=25), min_size=1, max_size=5),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_order(inputs: list[Times], size: int, chunk: int) -> None:
    """The order is (running maximum of time, input, place), whatever the blocks.

    Catches ties broken by the block's end, late rows that overtake, and rows lost at an edge.
    """
    steps = merged(inputs, size, chunk)
    assert numbered(steps)
    assert all(len(step) == chunk for step in steps[:-1])
    found = [(row[2], int(row[-1])) for row in rows(steps)]
    assert found == naive(inputs)


def test_malformed_rows_keep_their_place() -> None:
    """A malformed row takes its sequence among the others. Catches messages moved to the end."""
    steps = merged([[1, 3, 5], [-2, -4]], 1, 10)
    assert [row[3] for row in rows(steps)] == [1, 2, 3, 4, 5]
    assert isinstance(steps[0].messages[0][1], Malformed)


def test_followers_open_late() -> None:
    """An input opens when the merge reaches its first row, and is let go at its end.

    Catches twelve months of files held open at once.
    """
    events: list[str] = []

    def watched(name: str, times: Times) -> Iterator[Step]:
        events.append(f"open {name}")
        yield from blocks(times, 0, 2)
        events.append(f"close {name}")

    months = {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8]}
    sources = [MergeSource(t[0], partial(watched, n, t)) for n, t in months.items()]
    assert sum(len(step) for step in merge(sources)) == 8
    assert events == [f"{what} {name}" for name in "abc" for what in ("open", "close")]


def request(ts_ns: int, name: str = "r") -> CreationRequest:
    return CreationRequest(ts_ns=ts_ns, id=name, user="u", product="p", quote=1.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 20), max_size=20),
    st.lists(st.integers(0, 22), max_size=6),
    st.integers(1, 9),
)
def test_requests(times: Times, asked: Times, chunk: int) -> None:
    """A request comes after every row whose running maximum is not later, and before the next.

    Catches a request that sees a later price, and places that depend on where steps end.
    """
    steps = merged([times], 3, chunk)
    requests = [request(at, str(place)) for place, at in enumerate(asked)]
    result = list(merge_requests(iter(steps), requests))
    assert numbered(result)
    expected = [
        (key, 0, place) for place, key in enumerate(np.maximum.accumulate(times or [0]).tolist())
    ][: len(times)]
    expected += [(at, 1, place) for place, at in enumerate(asked)]
    found = []
    for row in rows(result):
        is_request = row[1] == "MESSAGE"
        name = int(row[-1].split("id='")[1].split("'")[0]) if is_request else int(row[-1])
        found.append((1 if is_request else 0, name))
    assert found == [(kind, place) for _, kind, place in sorted(expected)]
