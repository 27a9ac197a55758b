"""``nav.parquet``, read once: the curves of the pictures and the moments of the drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.first_units import in_first_units
from engine.report import moments
from engine.report.moments import Taking
from engine.report.thinning import F64, Curve, thinned

__all__ = ["CHARTED", "COLUMNS", "Samples", "samples_of"]

Object = dict[str, Any]

CHARTED: Final = 24
"""Products with pictures; the others are in the table."""
COLUMNS: Final = 960
"""Pixel columns of the curves, as long as the page does not grow too big."""


class Samples:
    """The samples of one product as they are read, thinned batch by batch; of one that follows the
    index the mark, too."""

    def __init__(self, product: Object, mark_end: float, end_ns: int) -> None:
        self.product = product
        self.start_ns, self.end_ns = product["launched_ns"], end_ns
        self.peak, self.price_peak = 0.0, 0.0
        self.parts: dict[str, list[Curve]] = {"value": [], "leverage": [], "underwater": []}
        self.follows_index = product["follows"] == "index"
        if self.follows_index:
            self.parts["mark"] = []
        self.taking = Taking(product, mark_end, end_ns)

    def add(self, columns: dict[str, Any]) -> None:
        self.taking.add(columns)
        followed = "index_price" if self.follows_index else "mark_price"
        ts, price, leverage = (columns[name] for name in ("ts_ns", followed, "leverage"))
        per_unit = in_first_units(ts, columns["nav_per_unit"], self.product["splits"])
        moves = price / self.product["price_start"] - 1.0
        peaks = np.maximum.accumulate(np.maximum(per_unit, self.peak))
        price_peaks = np.maximum.accumulate(np.maximum(price, self.price_peak))
        self.peak, self.price_peak = float(peaks[-1]), float(price_peaks[-1])
        value = {
            "got": per_unit - 1.0,
            "myth": self.product["target"] * moves,
        }
        under = {"product": per_unit / peaks - 1.0, "underlying": price / price_peaks - 1.0}
        self._keep("value", ts, value)
        self._keep("leverage", ts, {"leverage": leverage})
        self._keep("underwater", ts, under)
        if self.follows_index:
            self._keep("mark", ts, {"mark": columns["mark_price"]})

    def _keep(self, name: str, ts: Any, series: dict[str, F64]) -> None:
        self.parts[name].append(self._thin(Curve(ts, series)))

    def _thin(self, curve: Curve) -> Curve:
        return thinned(curve, self.start_ns, self.end_ns, COLUMNS)

    def curves(self) -> dict[str, Curve]:
        """The pictures' points; value and leverage end where the summary does."""
        joined = {n: self._thin(Curve.joined(parts)) for n, parts in self.parts.items() if parts}
        product = self.product
        start = {"got": 0.0, "myth": 0.0}
        end = {"got": product["return"], "myth": product["multiple_return"]}
        held = product["leverage"]["end"]
        joined["value"] = joined.get("value", Curve.empty(start)).within(
            (self.start_ns, start), (self.end_ns, end)
        )
        last = None if held is None else (self.end_ns, {"leverage": held})
        joined["leverage"] = joined.get("leverage", Curve.empty(["leverage"])).within(None, last)
        joined.setdefault("underwater", Curve.empty(["product", "underlying"]))
        return joined


def samples_of(path: Path, summary: Object) -> dict[str, Samples]:
    """By product, of the first ``CHARTED``."""
    samples = {}
    for name in list(summary["products"])[:CHARTED]:
        product = summary["products"][name]
        mark_end = summary["markets"][product["symbol"]]["mark_end"]
        samples[name] = Samples(product, mark_end, summary["end_ns"])
    if samples:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for batch in file.iter_batches(1 << 18, columns=["product", *moments.COLUMNS]):
            _take(batch, samples)
    return samples


def _take(batch: pa.RecordBatch, samples: dict[str, Samples]) -> None:
    product = batch.column("product")
    if not pa.types.is_dictionary(product.type):
        product = product.dictionary_encode()
    ids = product.dictionary.to_pylist()
    place = product.indices.to_numpy(zero_copy_only=False)
    columns = {n: batch.column(n).to_numpy(zero_copy_only=False) for n in moments.COLUMNS}
    for number, name in enumerate(ids):
        own = np.flatnonzero(place == number)
        if name in samples and len(own):
            found = {each: column[own] for each, column in columns.items()}
            found["leverage"] = found["leverage"].astype(np.float64)
            samples[name].add(found)
