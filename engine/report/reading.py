"""A run directory, read: summary, configuration, the events that pictures show, thinned curves."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InputError
from engine.report.moments import Moments
from engine.report.sampling import CHARTED, COLUMNS, samples_of
from engine.report.statement import Deal, Mile
from engine.report.thinning import Curve, thinned
from engine.report.trading import Trading, trading_of
from engine.report.turns import turns_of
from engine.report.waves import WAVE_EVENTS, Waves, assets_of, waves_of
from engine.units import asset_decimals

__all__ = [
    "CHARTED",
    "MARKS_MAX",
    "Run",
    "events_of",
    "holdings_of",
    "read_run",
    "readable",
    "summary_of",
]

Object = dict[str, Any]
MARKS_MAX: Final = 60
"""Events of scenarios that show."""

_NEEDED: Final = ("digest", "end_ns", "markets", "products", "verdict")

_PATHS: Final = {
    *("symbol", "move", "seed", "steps", "days", "end", "vols"),
    *("as_it_was", "order", "volatility", "theory"),
}

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
        columns: pixel columns of the curves.
        whatif: the object of ``whatif.json``, where something was changed.
        moments: by product, where it stood at even times.
        turns: by product, what turned its price profit.
        trading: by fund, what its hedges traded.
        paths: the object of ``paths.json``, where paths were drawn of the run.
        waves: by market, what was liquidated of its populations.
    """

    summary: Object
    config: Object
    provenance: Object
    events: dict[str, list[Object]]
    markets: list[Object]
    curves: dict[str, dict[str, Curve]]
    columns: int = COLUMNS
    marks: list[Object] = []
    whatif: Object | None = None
    moments: dict[str, Moments] = {}
    turns: dict[str, list[Mile | Deal]] = {}
    trading: dict[str, Trading] = {}
    paths: Object | None = None
    waves: dict[str, Waves] = {}

    @property
    def happened(self) -> list[tuple[int, str]]:
        """When scenarios' events began, as many as show, and what each is."""
        return [(m["ts_ns"], f"{m['name']}: {m['detail']}") for m in self.marks[:MARKS_MAX]]

    def currency(self, product: str) -> str:
        """The quote asset of a product."""
        return str(self.summary["products"][product]["quote"])

    def scale(self, product: str) -> float:
        """Quote money in one of its atoms."""
        return 10.0 ** -asset_decimals(self.currency(product))

    def settled_in(self, product: str) -> str:
        """The asset in whose atoms fills and what they cost are told."""
        symbol = self.summary["products"][product]["symbol"]
        return assets_of(self.config).get(symbol) or self.currency(product)

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
    with readable(run_dir, "events.jsonl", "nav.parquet", "fills.parquet", "milestones.parquet"):
        return _read(run_dir, summary)


def _read(run_dir: Path, summary: Object) -> Run:
    config: Object = {}
    if (run_dir / "run.toml").exists():
        config = tomllib.loads((run_dir / "run.toml").read_text(encoding="utf-8"))
    provenance = config.pop("provenance", {})
    events: dict[str, list[Object]] = {name: [] for name in summary["products"]}
    markets, marks = [], []
    settles, waves = assets_of(config), {}
    for event in events_of(run_dir):
        if event["event"] in SHOWN_EVENTS:
            events[event["product"]].append(event)
        elif event["event"].startswith("market_"):
            markets.append(event)
        elif event["event"] == "scenario_mark":
            marks.append(event)
        elif event["event"] in WAVE_EVENTS:
            symbol = event["symbol"]
            if symbol not in waves:
                waves[symbol] = waves_of(settles.get(symbol, "USDT"))
            waves[symbol].note(event)
    samples = samples_of(run_dir / "nav.parquet", summary)
    curves = {name: one.curves() for name, one in samples.items()}
    whatif, paths = (
        json.loads(file.read_bytes()) if file.exists() else None
        for file in (run_dir / "whatif.json", run_dir / "paths.json")
    )
    if paths is not None and not set(paths) >= _PATHS:
        raise ValueError(f"paths.json lacks {', '.join(sorted(_PATHS - set(paths)))}")
    return Run(
        summary,
        config,
        provenance,
        events,
        markets,
        curves,
        whatif=whatif,
        marks=marks,
        moments={name: one.taking.moments() for name, one in samples.items()},
        turns=turns_of(run_dir, summary["products"]),
        trading=trading_of(run_dir, _contracts(config, summary)),
        paths=paths,
        waves=waves,
    )


def _contracts(config: Object, summary: Object) -> dict[str, Object]:
    """Of each product, as far as the configuration says."""
    known = {market["symbol"]: market["contract"] for market in config.get("markets", ())}
    symbols = {name: product["symbol"] for name, product in summary["products"].items()}
    return {name: known[symbol] for name, symbol in symbols.items() if symbol in known}
