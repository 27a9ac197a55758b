"""Where each product stood at moments spread evenly over a run, and how long at which leverage.

The curves keep extremes and are thinned; what is compared between two times needs the samples of
these times, with every cause.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.first_units import in_first_units
from engine.outputs import ATTRIBUTION
from engine.report.thinning import F64, I64

__all__ = ["COLUMNS", "PARTS", "STRIDE", "Moments", "Taking"]

PARTS: Final = 192
"""So many equal parts has the time from a product's launch to the end of the run."""
STRIDE: Final = 16
"""So many of them make one column of the tables and of the map."""
COLUMNS: Final = (
    *("ts_ns", "nav_per_unit", "leverage", "mark_price", "index_price"),
    *ATTRIBUTION,
)
"""Of ``nav.parquet``."""
_BINS: Final = 2400


class Moments(Struct, frozen=True, eq=False):
    """A product at ``PARTS + 1`` times, the launch first and the end of the run last.

    Attributes:
        ts_ns: shape (n,).
        sampled_ns: shape (n,) of the sample that is told: the last up to then.
        per_unit: shape (n,) NAV of a unit of the start; 1 at the launch, 0 once it is closed
            without anything left.
        mark: shape (n,) of its market.
        price: shape (n,) what its NAV follows: the mark, or the index.
        leverage: shape (n,); ``nan`` where there is none.
        causes: shape (n, causes), quote since the launch, in ``ATTRIBUTION`` order.
        counts: shape (bins,), NAV samples by leverage between the lowest and the highest.
    """

    ts_ns: I64
    sampled_ns: I64
    per_unit: F64
    mark: F64
    price: F64
    leverage: F64
    causes: F64
    counts: I64


class Taking:
    """Takes the moments of one product from its samples as they are read."""

    def __init__(self, product: dict[str, Any], mark_end: float, end_ns: int) -> None:
        self._product, self._mark_end = product, mark_end
        start_ns = product["launched_ns"]
        way = end_ns - start_ns
        self._ts = np.array([start_ns + way * n // PARTS for n in range(PARTS + 1)], np.int64)
        self._rows = np.full((PARTS + 1, len(COLUMNS) - 1), np.nan)
        self._sampled = np.full(PARTS + 1, start_ns, np.int64)
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, columns: dict[str, Any]) -> None:
        """Samples in time order, later than those before; a column a name of ``COLUMNS``."""
        ts = columns["ts_ns"]
        row = np.searchsorted(ts, self._ts, side="right") - 1
        hit = np.flatnonzero(row >= 0)
        self._sampled[hit] = ts[row[hit]]
        for place, name in enumerate(COLUMNS[1:]):
            self._rows[hit, place] = columns[name][row[hit]]
        held = self._product["leverage"]
        if held["min"] is not None and held["min"] < held["max"]:
            known = columns["leverage"][np.isfinite(columns["leverage"])]
            within = np.clip(known, held["min"], held["max"])
            self._counts += np.histogram(within, _BINS, (held["min"], held["max"]))[0]

    def moments(self) -> Moments:
        """What was taken; it begins and ends as the summary says."""
        product, rows = self._product, self._rows
        followed = 3 if product["follows"] == "index" else 2
        per_unit = in_first_units(self._sampled, rows[:, 0], product["splits"])
        leverage, mark, price = rows[:, 1], rows[:, 2].copy(), rows[:, followed].copy()
        causes = np.nan_to_num(rows[:, 4:])
        known = mark[np.isfinite(mark)]
        mark[np.isnan(mark)] = known[0] if len(known) else self._mark_end
        price[np.isnan(price)] = product["price_start"]
        per_unit[np.isnan(per_unit)] = 1.0
        per_unit[0], price[0] = 1.0, product["price_start"]
        causes[0] = 0.0
        per_unit[-1], price[-1] = 1.0 + product["return"], product["price_end"]
        mark[-1] = self._mark_end
        causes[-1] = [product["attribution"][name] for name in ATTRIBUTION]
        end = product["leverage"]["end"]
        leverage[-1] = np.nan if end is None else end
        self._sampled[-1] = self._ts[-1]
        return Moments(
            self._ts, self._sampled, per_unit, mark, price, leverage, causes, self._counts.copy()
        )
