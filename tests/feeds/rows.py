"""Rows of steps as plain values, so that tests can compare and count them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.ticks import NOT_RECORDED_NS, Kind, Step
from feeds.recording import open_recording

START_MS = 1_723_161_256_000


def rows(steps: Iterable[Step]) -> list[tuple[Any, ...]]:
    """``(sequence, kind, symbol, ts_ns, ingest_ns, *values)`` of every row, in order."""
    found: list[tuple[Any, ...]] = []
    for step in steps:
        for table in step.tables:
            stamps = table.received_ns().tolist()
            ingest = [None if each == NOT_RECORDED_NS else each for each in stamps]
            columns = [column.tolist() for _, column in table.values()]
            own = zip(*columns, strict=True) if columns else [()] * len(table)
            found += [
                (sequence, table.KIND.name, symbol, ts_ns, ingest_ns, *map(repr, values))
                for sequence, symbol, ts_ns, ingest_ns, values in zip(
                    table.sequence.tolist(),
                    table.symbols().tolist(),
                    table.ts_ns.tolist(),
                    ingest,
                    own,
                    strict=True,
                )
            ]
        found += [(s, "MESSAGE", -1, m.ts_ns, None, repr(m)) for s, m in step.messages]
    return sorted(found, key=lambda row: row[0])


def numbered(steps: Iterable[Step]) -> bool:
    """Whether the steps follow one another from 0 and each holds just the rows it says."""
    expected = 0
    for step in steps:
        held = [table.sequence for table in step.tables]
        held.append(np.array([s for s, _ in step.messages], np.int64))
        if sorted(np.concatenate(held).tolist()) != list(range(step.first, step.end)):
            return False
        if step.first != expected:
            return False
        expected = step.end
    return True


def column(steps: Iterable[Step], kind: Kind, name: str) -> np.ndarray[Any, Any]:
    """All values of one column of one kind."""
    parts = [getattr(t, name) for step in steps if (t := step.table(kind)) is not None]
    return np.concatenate(parts) if parts else np.empty(0)


def opened(folder: Path, name: str, text: str | bytes, **options: Any) -> Any:
    """The recording of one file with this text; names that end in .gz are compressed."""
    path = folder / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return open_recording([path], **options)


def line(at_ms: int, event: str) -> str:
    """A captured line, received 5 ms after ``at_ms`` after the start."""
    return f"{(START_MS + at_ms + 5) * 1_000_000} {event}\n"


def trade(at_ms: int, price: object = "100.5", **fields: object) -> str:
    """A captured trade of USDM's BTCUSDT."""
    more = {"t": at_ms, "q": '"0.5"', "X": '"MARKET"', "m": "false", **fields}
    rest = ",".join(f'"{name}":{value}' for name, value in more.items())
    time = START_MS + at_ms
    event = f'{{"e":"trade","E":{time + 1},"T":{time},"s":"BTCUSDT","p":"{price}",{rest}}}'
    return line(at_ms, f'{{"stream":"btcusdt@trade","data":{event}}}')


def ticker(at_ms: int, bid: object = "100.0", ask: object = "101.0") -> str:
    """A captured bookTicker of USDM's BTCUSDT."""
    time = START_MS + at_ms
    event = f'{{"e":"bookTicker","u":{at_ms},"s":"BTCUSDT","b":"{bid}","B":"1.0","a":"{ask}",'
    return line(at_ms, f'{event}"A":"2.0","T":{time},"E":{time + 1}}}')


def pairs(levels: Sequence[tuple[float, float]]) -> str:
    """Levels as Binance writes them."""
    return "[" + ",".join(f'["{price}","{size}"]' for price, size in levels) + "]"


def depth(
    at_ms: int,
    first: int,
    last: int,
    before: int | None,
    bids: Sequence[tuple[float, float]] = (),
    asks: Sequence[tuple[float, float]] = (),
) -> str:
    """A captured depthUpdate; without ``before`` it is spot's."""
    time = START_MS + at_ms
    futures = "" if before is None else f'"T":{time},"pu":{before},'
    return line(
        at_ms,
        f'{{"e":"depthUpdate","E":{time},"s":"BTCUSDT","U":{first},"u":{last},{futures}'
        f'"b":{pairs(bids)},"a":{pairs(asks)}}}',
    )


def snapshot(
    at_ms: int,
    update: int,
    bids: Sequence[tuple[float, float]],
    asks: Sequence[tuple[float, float]],
) -> str:
    """A REST snapshot of futures, which names its time and no symbol."""
    time = START_MS + at_ms
    return line(
        at_ms,
        f'{{"lastUpdateId":{update},"E":{time + 1},"T":{time},'
        f'"bids":{pairs(bids)},"asks":{pairs(asks)}}}',
    )
