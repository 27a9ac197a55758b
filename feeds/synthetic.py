"""Generated markets, called synthetic wherever they show.

``Synthetic`` is a day in the shape of a recording, for who has no recording at hand: the same bits
on every machine and in blocks of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.ticks import Kind, Step
from feeds.recording import SymbolInfo
from feeds.synthetic_day import DAY_STEPS, START_NS, day
from feeds.unrecorded import Unrecorded

__all__ = ["SEED", "Synthetic"]

SEED: Final = 7
"""Of the sample."""

_KINDS: Final = (Kind.TRADE, Kind.BBO, Kind.MARK, Kind.INDEX, Kind.FUNDING)


class Synthetic(Unrecorded):
    """The sample, used like a recording; attributes and methods as in ``feeds.recording``."""

    def __init__(self, seed: int = SEED) -> None:
        symbol = SymbolInfo("BTCUSDT", "BTC", "USDT", "linear", 1.0, _KINDS, decade=10_000.0)
        super().__init__(f"synthetic:{seed}", "synthetic", (symbol,), START_NS, self._day)
        self.seed = seed

    def _day(self) -> Iterator[tuple[Step, float]]:
        shares = (made / DAY_STEPS for made in range(1, DAY_STEPS + 1))
        return zip(day(self.seed), shares, strict=True)
