"""freqtrade's feather files: klines, 8h funding (the rate stands in ``open``) and 8h mark prices.

All three have the columns ``date, open, high, low, close, volume``; the content tells which it is:
a funding file has nothing but ``open``, a mark file has prices and no volume. A mark bar becomes
one row, its open at its start: the mark of the funding instant. What the mark did inside 8 hours is
not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from msgspec import Struct, structs
from pyarrow import ipc

from engine.errors import InputError
from engine.ticks import Kind
from feeds.bars import Bars
from feeds.formats.format import (
    FUNDING_PRIORITY,
    PRICE_PRIORITY,
    Block,
    Content,
    Contract,
    table_block,
)
from feeds.formats.names import file_contract, file_symbol, market
from feeds.gauge import Gauge

__all__ = ["Freqtrade"]

_COLUMNS: Final = ("date", "open", "high", "low", "close", "volume")
_PRICES: Final = _COLUMNS[1:]


class Detail(Struct, frozen=True):
    what: Literal["bars", "funding", "mark"]
    step_ns: int


class Freqtrade:
    """See the module."""

    name = "freqtrade feather"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether it is an Arrow file whose schema has a date and an open."""
        return head.startswith(b"ARROW1") and b"date" in head and b"open" in head

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream of bars, funding rates or marks of one symbol, which the file's name tells."""
        first = next(_batches(path), None)
        if first is None or not len(first["date"]):
            raise InputError(f"{path}: holds no rows")
        dates = first["date"]
        steps = np.diff(dates)
        if not (steps > 0).any():
            raise InputError(f"{path}: one row does not tell the length of the bars")
        detail = Detail(_what(first), int(steps[steps > 0].min()))
        if detail.what != "bars":
            # Funding times jitter by some ms.
            detail = structs.replace(detail, step_ns=int(np.median(steps)))
        kind = {"bars": Kind.TRADE, "funding": Kind.FUNDING, "mark": Kind.MARK}[detail.what]
        found = market(path, file_symbol(path) or symbol, _contract(path, detail))
        one = structs.replace(
            found,
            kinds=(kind,),
            bar_ns=detail.step_ns if detail.what == "bars" else None,
            mark_ns=detail.step_ns if detail.what == "mark" else None,
        )
        priority = FUNDING_PRIORITY if detail.what == "funding" else PRICE_PRIORITY
        return [
            Content(
                path=path, markets=(one,), first_ns=int(dates[0]), priority=priority, detail=detail
            )
        ]

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The file's rows in order."""
        (content,) = chain
        detail: Detail = content.detail
        for columns in _batches(content.path, gauge):
            dates = columns["date"]
            if detail.what == "funding":
                yield table_block(Kind.FUNDING, dates, rate=columns["open"], next_ns=dates)
            elif detail.what == "mark":
                yield table_block(Kind.MARK, dates, price=columns["open"])
            else:
                yield Bars(
                    symbol=0,
                    start_ns=dates,
                    end_ns=dates + detail.step_ns,
                    trades=np.where(columns["volume"] == 0, 0, -1),
                    **{name: columns[name] for name in _PRICES},
                )


def _what(columns: dict[str, Any]) -> Literal["bars", "funding", "mark"]:
    if not any((columns[name] != 0).any() for name in ("high", "low", "close", "volume")):
        return "funding"
    return "bars" if (columns["volume"] != 0).any() else "mark"


def _contract(path: str, detail: Detail) -> Contract:
    """Spot pairs are named ``BTC_USDT-1m``, contracts ``BTC_USDT_USDT-1m-futures``; only contracts
    have the others."""
    told = file_contract(path)
    if told is not None:
        return told
    return "linear" if detail.what != "bars" or "_USDT_USDT" in path else "spot"


def _batches(path: str, gauge: Gauge | None = None) -> Iterator[dict[str, Any]]:
    try:
        with pa.memory_map(path) as source, ipc.open_file(source) as reader:
            missing = [name for name in _COLUMNS if name not in reader.schema.names]
            if missing:
                raise InputError(f"{path}: the column {missing[0]} is missing")
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                columns = {
                    name: batch.column(name)
                    .cast(pa.float64())
                    .to_numpy(zero_copy_only=False)
                    .copy()
                    for name in _PRICES
                }
                dates = batch.column("date").cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
                if gauge is not None:
                    gauge.reach_part(path, number + 1, reader.num_record_batches)
                yield {"date": dates.to_numpy(zero_copy_only=False).copy(), **columns}
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise InputError(f"{path}: is damaged or cut off ({error}); copy it again") from None
