"""The worst drawdown of each product, from the lines that its NAV lies on.

A sample of ``nav.parquet`` has 28 columns, and a path of a day at one second has a third of a
million of them. A sweep wants one number of them all, so it reads NAV per unit off the lines, piece
by piece between two trades, and keeps the peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.first_units import in_first_units
from engine.outputs import NavBlock

__all__ = ["Drawdowns"]

F64 = np.ndarray[Any, np.dtype[np.float64]]


class Drawdowns:
    """By product, over the samples; the same figures as ``engine.rundir.Samples`` keeps.

    Attributes:
        peak: highest NAV per unit of the start so far, quote; such a unit starts at one.
        splits: ``(when, new, old)`` of those so far, in order of time.
        worst: the lowest ratio to the peak before it, less one; <= 0.
    """

    def __init__(self, unit_scales: list[float]) -> None:
        """``unit_scales``: by product, quote per (quote atom per unit step)."""
        self._scales = unit_scales
        self.peak = [1.0] * len(unit_scales)
        self.splits: list[list[tuple[int, int, int]]] = [[] for _ in unit_scales]
        self.worst = [0.0] * len(unit_scales)

    def add(self, blocks: Sequence[NavBlock]) -> None:
        """Take the samples of a step, in time order."""
        for block in blocks:
            if len(block):
                for place, product in enumerate(block.products):
                    per_unit = self._per_unit(block, place, self._scales[product])
                    splits = self.splits[product]
                    self._take(product, in_first_units(block.ts_ns, per_unit, splits))

    def _per_unit(self, block: NavBlock, place: int, scale: float) -> F64:
        """Shape (samples,): NAV per unit of one product; 0 where it has no units."""
        follows = block.index is not None and place in block.followers
        mark = block.prices()[:, place] if follows else block.mark
        found, changes = np.empty(len(mark)), block.changes
        pieces = [(0, block.line[place].tolist(), int(block.parts[place, 0]))]
        if changes is not None:
            own = np.flatnonzero(changes.place == place)
            samples, lines = changes.sample[own].tolist(), changes.line[own].tolist()
            units = changes.parts[own, 0].tolist()
            pieces += zip(samples, lines, units, strict=True)
        ends = [*(begin for begin, _, _ in pieces[1:]), len(mark)]
        for (begin, line, count), end in zip(pieces, ends, strict=True):
            if end > begin:
                piece = found[begin:end]
                np.multiply(mark[begin:end], line[1], out=piece)
                piece += line[0]
                piece *= scale / count if count else 0.0
        return found

    def _take(self, product: int, per_unit: F64) -> None:
        peak = self.peak[product]
        peaks = np.maximum.accumulate(per_unit)
        highest = float(peaks[-1])
        if peak >= highest:
            worst = float(per_unit.min()) / peak - 1.0
        else:
            np.maximum(peaks, peak, out=peaks)
            worst = float((per_unit / peaks).min()) - 1.0
            self.peak[product] = highest
        if worst < self.worst[product]:
            self.worst[product] = worst

    def at_the_end(self, product: int, per_unit: float | None) -> float:
        """The worst, with the end of the run counted in where there still are units; ``per_unit``
        of the start."""
        if per_unit is None:
            return self.worst[product]
        return min(self.worst[product], per_unit / self.peak[product] - 1.0)
