"""A run directory, read: summary, configuration, the events that pictures show, thinned curves."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InputError
from engine.first_units import in_first_units
from engine.report.thinning import F64, Curve, thinned

__all__ = [
    "CHARTED",
    "Run",
    "events_of",
    "holdings_of",
    "quotes_of",
    "read_run",
    "readable",
    "summary_of",
]

Object = dict[str, Any]

_NEEDED: Final = ("digest", "end_ns", "markets", "products", "verdict")

CHARTED: Final = 24
"""Products with pictures; the others are in the table."""
COLUMNS: Final = 960
"""Pixel columns of the curves, as long as the page does not grow too big."""

SHOWN_EVENTS: Final = ("rebalanced", "deleveraged", "product_closed", "policy_faulted")


class Run(Struct, eq=False):
    """What a report is made of.

    Attributes:
        summary: the object of ``summary.json``.
        config: the resolved configuration without its provenance.
        provenance: versions, input hashes.
        events: by product, those that show in a picture, in order.
        markets: events of markets, in order (``market_stale``, ``market_resumed``).
        marks: events of scenarios, in order.
        curves: by product, the pictures' points: ``value``, ``leverage``, ``underwater``.
        scales: by product, quote money in one atom.
        columns: pixel columns of the curves.
        whatif: the object of ``whatif.json``, where something was changed.
    """

    summary: Object
    config: Object
    provenance: Object
    events: dict[str, list[Object]]
    markets: list[Object]
    curves: dict[str, dict[str, Curve]]
    scales: dict[str, float]
    columns: int = COLUMNS
    marks: list[Object] = []
    whatif: Object | None = None

    def currency(self, product: str) -> str:
        """The quote asset of a product; nothing where the configuration does not say."""
        symbol = self.summary["products"][product]["symbol"]
        for market in self.config.get("markets", ()):
            if market["symbol"] == symbol:
                return str(market.get("contract", {}).get("quote", ""))
        return ""

    def scale(self, product: str) -> float:
        """Quote money in one of the atoms that events count in."""
        return self.scales.get(product, 1e-6)

    def thinner(self) -> Run:
        """With curves of half the pixel columns."""
        return replace(
            self,
            columns=self.columns // 2,
            curves={
                name: {kind: self._halved(name, curve) for kind, curve in curves.items()}
                for name, curves in self.curves.items()
            },
        )

    def _halved(self, product: str, curve: Curve) -> Curve:
        start_ns = self.summary["products"][product]["launched_ns"]
        return thinned(curve, start_ns, self.summary["end_ns"], self.columns // 2)


def summary_of(run_dir: Path) -> Object:
    """The object of ``summary.json``.

    Raises:
        InputError: if there is none, or it is not what a run writes.
    """
    try:
        found = json.loads((run_dir / "summary.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{run_dir} is no run directory: it has no summary.json") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{run_dir}/summary.json:{error.lineno}: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError):
        raise InputError(f"{run_dir}/summary.json is no JSON text") from None
    lacking = [name for name in _NEEDED if not isinstance(found, dict) or name not in found]
    if lacking:
        raise InputError(f"{run_dir}/summary.json is not of a run: it lacks {', '.join(lacking)}")
    summary: Object = found
    return summary


@contextmanager
def readable(run_dir: Path, *names: str) -> Iterator[None]:
    """Outputs that are gone, or are not as a run writes them, become a sentence.

    Args:
        names: files that are needed.
    """
    gone = [name for name in names if not (run_dir / name).is_file()]
    if gone:
        raise InputError(f"{run_dir}: {' and '.join(gone)} missing; run again")
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"{run_dir}: its outputs cannot be read ({said}); levsim verify shows what was changed"
        ) from None


def events_of(run_dir: Path) -> Iterator[Object]:
    """The events of a run in order, read as they are asked for."""
    with (run_dir / "events.jsonl").open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def holdings_of(run_dir: Path, user: str) -> list[Object]:
    """The rows of ``user_nav.parquet`` that are the user's, in order."""
    table = pq.read_table(
        run_dir / "user_nav.parquet",
        filters=[("user", "=", user)],
        page_checksum_verification=True,
    )
    rows: list[Object] = table.to_pylist()
    return rows


def read_run(run_dir: Path) -> Run:
    """All that a report shows of a run.

    Raises:
        InputError: if the directory is none of a run.
    """
    summary = summary_of(run_dir)
    with readable(run_dir, "events.jsonl", "nav.parquet"):
        return _read(run_dir, summary)


def _read(run_dir: Path, summary: Object) -> Run:
    config: Object = {}
    if (run_dir / "run.toml").exists():
        config = tomllib.loads((run_dir / "run.toml").read_text(encoding="utf-8"))
    provenance = config.pop("provenance", {})
    events: dict[str, list[Object]] = {name: [] for name in summary["products"]}
    markets, marks, scales = [], [], {}
    for event in events_of(run_dir):
        if event["event"] in SHOWN_EVENTS:
            events[event["product"]].append(event)
        elif event["event"] == "product_launched":
            start = summary["products"][event["product"]]["equity_start"]
            scales[event["product"]] = start / event["equity_atoms"]
        elif event["event"].startswith("market_"):
            markets.append(event)
        elif event["event"] == "scenario_mark":
            marks.append(event)
    curves = _curves(run_dir / "nav.parquet", summary)
    changed = run_dir / "whatif.json"
    whatif = json.loads(changed.read_bytes()) if changed.exists() else None
    return Run(
        summary,
        config,
        provenance,
        events,
        markets,
        curves,
        scales,
        whatif=whatif,
        marks=marks,
    )


def quotes_of(run_dir: Path) -> dict[str, str]:
    """The quote asset of each symbol that a run configures; none where it has no ``run.toml``."""
    if not (run_dir / "run.toml").exists():
        return {}
    config = tomllib.loads((run_dir / "run.toml").read_text(encoding="utf-8"))
    return {
        market["symbol"]: str(market.get("contract", {}).get("quote", ""))
        for market in config.get("markets", ())
    }


class _Samples:
    """The samples of one product as they are read, thinned batch by batch."""

    def __init__(self, product: Object, mark_end: float, end_ns: int) -> None:
        self.product = product
        self.start_ns, self.end_ns = product["launched_ns"], end_ns
        self.first_mark = mark_end / (1.0 + product["underlying_return"])
        self.peak, self.mark_peak = 0.0, 0.0
        self.parts: dict[str, list[Curve]] = {"value": [], "leverage": [], "underwater": []}

    def add(self, ts: Any, per_unit: F64, leverage: F64, mark: F64) -> None:
        per_unit = in_first_units(ts, per_unit, self.product.get("splits", ()))
        moves = mark / self.first_mark - 1.0
        peaks = np.maximum.accumulate(np.maximum(per_unit, self.peak))
        mark_peaks = np.maximum.accumulate(np.maximum(mark, self.mark_peak))
        self.peak, self.mark_peak = float(peaks[-1]), float(mark_peaks[-1])
        value = {
            "got": per_unit - 1.0,
            "myth": self.product["target"] * moves,
        }
        under = {"product": per_unit / peaks - 1.0, "underlying": mark / mark_peaks - 1.0}
        self._keep("value", ts, value)
        self._keep("leverage", ts, {"leverage": leverage})
        self._keep("underwater", ts, under)

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


def _curves(path: Path, summary: Object) -> dict[str, dict[str, Curve]]:
    names = list(summary["products"])[:CHARTED]
    if not names:
        return {}
    samples = {}
    for name in names:
        product = summary["products"][name]
        mark_end = summary["markets"][product["symbol"]]["mark_end"]
        samples[name] = _Samples(product, mark_end, summary["end_ns"])
    wanted = ["ts_ns", "product", "nav_per_unit", "leverage", "mark_price"]
    file = pq.ParquetFile(path, page_checksum_verification=True)
    for batch in file.iter_batches(1 << 18, columns=wanted):
        _take(batch, samples)
    return {name: one.curves() for name, one in samples.items()}


def _take(batch: pa.RecordBatch, samples: dict[str, _Samples]) -> None:
    product = batch.column("product")
    if not pa.types.is_dictionary(product.type):
        product = product.dictionary_encode()
    ids = product.dictionary.to_pylist()
    place = product.indices.to_numpy(zero_copy_only=False)
    columns = [
        batch.column(name).to_numpy(zero_copy_only=False)
        for name in ("ts_ns", "nav_per_unit", "leverage", "mark_price")
    ]
    for number, name in enumerate(ids):
        own = np.flatnonzero(place == number)
        if name in samples and len(own):
            ts, per_unit, leverage, mark = (column[own] for column in columns)
            samples[name].add(ts, per_unit, leverage.astype(np.float64), mark)
