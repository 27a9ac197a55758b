"""What runs add up to, whatever order they come in: integer sums, minima, and histograms.

Two tallies merge by adding integers, so a sweep of a million paths that a hundred workers finished
in any order has one result to the last bit. NAVs are counted in millionths of a unit's price at the
start, money in the cents of its quote asset, or in atoms where that is a coin. A histogram has 64
bins to a doubling, 1.1 % wide, and knows the sum in each: means are exact, quantiles and tails to
the width of one bin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from engine.exact import exp2
from engine.sweep.measures import FAULT

__all__ = ["COUNTED", "MONEY", "NAV_STEPS", "Histogram", "Tallies", "Tally", "merged", "tallied"]

NAV_STEPS: Final = 1_000_000
"""Of a NAV per unit of 1.0."""
_PER_DOUBLING: Final = 64
_DOUBLINGS: Final = 50
MONEY: Final = (
    *("equity_start", "hedge_cost", "funding", "holding_cost", "issuer_loss", "issuer_profit"),
    *("insurance_paid", "adl_loss"),
)
COUNTED: Final = (*("rebalances", "deleveragings", "liquidations", "adl_events", "policy_faults"),)

I64 = np.ndarray[Any, np.dtype[np.int64]]


@cache
def _edges() -> I64:
    """Lower edges of the bins: 0, 1, and on by a 64th of a doubling, each an integer of its own."""
    places = range(_PER_DOUBLING * _DOUBLINGS)
    return np.array(sorted({0, *(math.ceil(exp2(n / _PER_DOUBLING)) for n in places)}))


class Histogram(Struct):
    """Counts and sums by bin; bins that nothing fell into are left out."""

    bins: dict[int, tuple[int, int]] = {}

    def add(self, values: I64) -> None:
        """Take values, not negative."""
        places = np.searchsorted(_edges(), values, "right") - 1
        order = np.argsort(places, kind="stable")
        found, first = np.unique(places[order], return_index=True)
        sums = np.add.reduceat(values[order], first) if len(values) else values
        counts = np.diff([*first.tolist(), len(values)])
        for place, count, total in zip(found.tolist(), counts.tolist(), sums.tolist(), strict=True):
            self._count(place, count, total)

    def merge(self, other: Histogram) -> None:
        """Take what another one counted."""
        for place, (count, total) in other.bins.items():
            self._count(place, count, total)

    def _count(self, place: int, count: int, total: int) -> None:
        known = self.bins.get(place, (0, 0))
        self.bins[place] = (known[0] + count, known[1] + total)

    def ascending(self) -> Iterator[tuple[int, int, int]]:
        """``(lower edge, count, sum)`` by bin."""
        edges = _edges()
        for place, (count, total) in sorted(self.bins.items()):
            yield int(edges[place]), count, total

    def quantile(self, share: float) -> float:
        """The value below which that share lies; ``nan`` of nothing. Within a bin: its mean."""
        rank, passed, mean = share * sum(count for count, _ in self.bins.values()), 0, math.nan
        for _, count, total in self.ascending():
            mean, passed = total / count, passed + count
            if passed >= rank:
                break
        return mean

    def shortfall(self, share: float) -> float:
        """The mean of the lowest ``share`` of all values: the expected shortfall's NAV."""
        wanted = share * sum(count for count, _ in self.bins.values())
        if not wanted:
            return math.nan
        left, total = wanted, 0.0
        for _, count, summed in self.ascending():
            taken = min(left, count)
            total += summed * (taken / count)
            left -= taken
            if left <= 0:
                break
        return total / wanted


class Tally(Struct):
    """One product at one point of the grid, over paths.

    Attributes:
        runs, ruined, faults: how many; of those with a fault nothing else is known.
        nav, nav_squares: sums, of NAV per unit at the end in ``NAV_STEPS``.
        navs, drawdowns: histograms; a drawdown is counted positive, in ``NAV_STEPS``.
        lossy: runs in which the issuer paid a deficit.
        sums: of ``MONEY`` in steps of its asset and of ``COUNTED``.
        worst_drawdown: in ``NAV_STEPS``, positive.
        unhedged_ms: sum.
    """

    runs: int = 0
    ruined: int = 0
    faults: int = 0
    nav: int = 0
    nav_squares: int = 0
    lossy: int = 0
    worst_drawdown: int = 0
    unhedged_ms: int = 0
    sums: dict[str, int] = {}
    navs: Histogram = msgspec.field(default_factory=Histogram)
    drawdowns: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: Tally) -> None:
        """Take what another one counted: in any order the same."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_drawdown = max(self.worst_drawdown, other.worst_drawdown)
        for name, amount in other.sums.items():
            self.sums[name] = self.sums.get(name, 0) + amount
        self.navs.merge(other.navs)
        self.drawdowns.merge(other.drawdowns)

    def mean(self) -> float:
        """Of NAV per unit at the end."""
        return self.nav / self.runs / NAV_STEPS if self.runs else math.nan

    def deviation(self) -> float:
        """Standard deviation of NAV per unit at the end."""
        if self.runs < 2:
            return math.nan
        spread = self.runs * self.nav_squares - self.nav * self.nav
        return math.sqrt(spread / (self.runs * (self.runs - 1))) / NAV_STEPS


_ADDED: Final = (*("runs", "ruined", "faults", "nav", "nav_squares", "lossy", "unhedged_ms"),)
Key = tuple[int, str]
Tallies = dict[Key, Tally]
"""By point and product; a run with a fault is counted at the product ``""``."""


def merged(many: Iterable[Tallies]) -> Tallies:
    """All of them as one."""
    found: Tallies = {}
    for tallies in many:
        for key, tally in tallies.items():
            found.setdefault(key, Tally()).merge(tally)
    return found


def tallied(table: pa.Table, cents: Mapping[str, int]) -> Tallies:
    """What the rows of a table add up to; ``cents`` of each product's money in one quote."""
    products = table["product"].combine_chunks().dictionary_decode().fill_null("")
    coded = products.dictionary_encode()
    names, place = coded.dictionary.to_pylist(), coded.indices.to_numpy()
    point = table["point"].to_numpy()
    order = np.lexsort((place, point))
    changes = np.diff(point[order]).astype(bool) | np.diff(place[order]).astype(bool)
    found: Tallies = {}
    for rows in np.split(order, np.flatnonzero(changes) + 1) if len(order) else ():
        key = int(point[rows[0]]), str(names[place[rows[0]]])
        found[key] = _tally(table.take(pa.array(rows)), cents.get(key[1], 1))
    return found


def _tally(rows: pa.Table, cents: int) -> Tally:
    """Of the rows of one product at one point."""
    faults = len(rows) - rows[FAULT].null_count
    known = rows.filter(pc.is_valid(rows["nav_end"]))
    nav = _steps(known["nav_end"], NAV_STEPS)
    down = -_steps(known["max_drawdown"], NAV_STEPS)
    tally = Tally(
        runs=len(known),
        ruined=int(known["ruined"].to_numpy().sum()),
        faults=faults,
        nav=int(nav.sum()),
        nav_squares=sum(each * each for each in nav.tolist()),
        lossy=int((known["issuer_loss"].to_numpy() > 0.0).sum()),
        worst_drawdown=int(down.max(initial=0)),
        unhedged_ms=int(_steps(known["unhedged_seconds"], 1_000).sum()),
        sums={
            **{name: sum(_steps(known[name], cents).tolist()) for name in MONEY},
            **{name: int(known[name].to_numpy().sum()) for name in COUNTED},
        },
    )
    # A product may owe more than it has where nobody has paid for it yet: it is counted as nothing.
    tally.navs.add(np.maximum(nav, 0))
    tally.drawdowns.add(np.maximum(down, 0))
    return tally


def _steps(column: Any, steps: int) -> I64:
    """A column in whole steps, halves upwards."""
    whole: I64 = np.floor(column.to_numpy() * steps + 0.5).astype(np.int64)
    return whole
