"""BitMEX's one-minute bars: each line a JSON array of bars (one day).

The timestamp is the END of the bar by BitMEX's convention; ``open`` is the close before, so it may
lie outside [low, high]; a bar of zero trades is a market that stood still and makes no tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, structs

from engine.errors import InputError
from engine.ticks import Kind
from engine.units import MINUTE_NS
from feeds.bars import Bars
from feeds.formats.files import line_batches
from feeds.formats.format import Block, Content, line_of, malformed_block
from feeds.formats.names import market
from feeds.gauge import Gauge

__all__ = ["BitmexBars"]

_SHOWN: Final = 120
_TIME_SIZES: Final = (len("2020-03-13T02:22:00Z"), len("2020-03-13T02:22:00.000Z"))


class Bar(Struct, gc=False):
    """One bar; prices are null before the first trade ever."""

    timestamp: str
    symbol: str
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    trades: int
    volume: float | None = None


_DECODER: Final = msgspec.json.Decoder(list[Bar])


class BitmexBars:
    """See the module."""

    name = "BitMEX bars JSON lines"

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether it begins with an array of objects that have BitMEX's own columns."""
        start = head.lstrip()[:2_000]
        return start.startswith(b"[{") and b'"timestamp"' in start and b'"open"' in start

    def open(self, path: str, _symbol: str | None, /) -> list[Content]:
        """One stream of bars; the symbol stands in every bar."""
        for _, lines in line_batches(path):
            for line in lines:
                try:
                    bars = _DECODER.decode(line)
                    end_ns = _times(bars)
                except ValueError:
                    continue
                if bars:
                    return [_content(path, bars[0].symbol, end_ns)]
            break
        raise InputError(f"{path}: none of the first lines is an array of BitMEX bars")

    def blocks(self, chain: Sequence[Content], _rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The bars in file order; a line that cannot be read is one malformed row."""
        (content,) = chain
        found = content.markets[0]
        last_ns = content.first_ns
        for number, lines in line_batches(content.path, gauge):
            for offset, line in enumerate(lines):
                try:
                    bars = _bars(line, found.symbol, found.bar_ns or MINUTE_NS)
                except (ValueError, OverflowError) as error:
                    if line.strip():
                        shown = line[:_SHOWN].decode("ascii", "backslashreplace")
                        where = line_of(content.path, number + offset)
                        yield malformed_block(last_ns, f"{where}: {error}: {shown}")
                    continue
                if len(bars):
                    last_ns = int(bars.start_ns[-1])
                    yield bars


def _content(path: str, symbol: str, end_ns: Any) -> Content:
    found = market(path, symbol, None)
    if found.contract != "inverse" and found.quote != "USDT":
        raise InputError(
            f"{path}: {symbol} is a contract paid in another coin (quanto), which is not "
            "simulated; use XBTUSD or a USDT contract"
        )
    bar_ns = int(end_ns[1] - end_ns[0]) if len(end_ns) > 1 else MINUTE_NS
    return Content(
        path=path,
        markets=(structs.replace(found, kinds=(Kind.TRADE,), bar_ns=bar_ns),),
        first_ns=int(end_ns[0]) - bar_ns,
    )


def _times(bars: list[Bar]) -> Any:
    if not all(bar.timestamp.endswith("Z") and len(bar.timestamp) in _TIME_SIZES for bar in bars):
        raise ValueError("a timestamp is not like 2020-03-13T02:22:00.000Z")
    return np.array([bar.timestamp.removesuffix("Z") for bar in bars], "M8[ns]").astype(np.int64)


def _bars(line: bytes, symbol: str, bar_ns: int) -> Bars:
    bars = _DECODER.decode(line)
    if any(bar.symbol != symbol for bar in bars):
        raise ValueError(f"a bar is not of {symbol}")
    end_ns = _times(bars)
    prices = {
        name: np.array([getattr(bar, name) for bar in bars], np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    return Bars(
        symbol=0,
        start_ns=end_ns - bar_ns,
        end_ns=end_ns,
        trades=np.array([bar.trades for bar in bars], np.int64),
        **prices,
    )
