"""Whole replays: the standard line-up as shipped, a hundred symbols interleaved, and a recorded
book."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from engine.config import RunConfig, load_config, spec_of, standard_lineup
from engine.config.settings import BookConfig
from engine.engine import Engine, EngineSpec
from engine.market import MarketSpec
from engine.product import ProductSpec
from engine.rundir import RunWriter
from engine.ticks import Kind, Marks, Step
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from feeds.recording import open_recording, write_parquet
from feeds.synthetic import Synthetic
from strategies import LeverageBand
from tests.bench.clock import once
from tests.bench.navs import product_navs
from tests.bench.table import Row, Scale
from tests.bench.walk import generate, generate_rows

__all__ = ["Drive", "drive", "recorded_book", "shipped", "shipped_spec", "symbols"]

SHIPPED: Final = 20e6
SYMBOLS: Final = 20e6
BOOK: Final = 1e6
BLOCK: Final = 65_536
CAPTURE: Final = (
    Path(__file__).parents[3] / "shared/data/ticks/binance-usdm-btcusdt-20240808.raw.gz"
)


class Drive(Struct):
    """One replay: seconds in the engine and making NAV rows, seconds in all, and what it came
    to."""

    rows: int = 0
    engine: float = 0.0
    navs: float = 0.0
    whole: float = 0.0
    wakes: int = 0
    wakes_empty: int = 0
    rebalances: int = 0
    digest: str = ""


def drive(spec: EngineSpec, steps: Iterable[Step], writer: RunWriter | None = None) -> Drive:
    """Replay the steps; ``whole`` includes what it takes to make them, and the writer."""
    done, engine = Drive(), Engine(spec)
    began = time.process_time()
    for step in _and_none(steps):
        at = time.process_time()
        outputs = engine.finish() if step is None else engine.process(step)
        between = time.process_time()
        product_navs(outputs.nav)
        done.navs += time.process_time() - between
        done.engine += between - at
        if writer is not None:
            writer.collect(outputs)
    if writer is not None:
        writer.close()
    done.whole = time.process_time() - began
    done.rows = engine.sequence
    done.wakes, done.wakes_empty = engine.state.wakes, engine.state.wakes_empty
    done.rebalances = sum(handler.state.rebalances for handler in engine.handlers)
    done.digest = engine.digest()
    return done


def _and_none(steps: Iterable[Step]) -> Iterator[Step | None]:
    yield from steps
    yield None


def _figure(runs: list[Drive]) -> tuple[float, str]:
    """Ticks a second of the heart with its NAV rows, and a line about it."""
    first = runs[0]
    heart = median(run.engine + run.navs for run in runs)
    whole = median(run.whole for run in runs)
    rate = first.rows / max(heart, 1e-9)
    in_all = first.rows / whole
    line = f"{rate / 1e6:.1f}M/s in the engine ({heart:.3f} s), {in_all / 1e6:.1f}M/s in all"
    return rate, f"{line}\n{first.rebalances} rebalances, {first.wakes} wakes"


def _details(runs: list[Drive]) -> dict[str, Any]:
    for run in runs:
        assert run.digest == runs[0].digest, "two runs of the same rows came to different digests"
    return {
        "wakes": runs[0].wakes,
        "wakes_empty": runs[0].wakes_empty,
        "runs": [structs.asdict(run) for run in runs],
    }


def shipped_spec() -> EngineSpec:
    """The standard line-up on one perpetual, everything at its default."""
    market = Synthetic().symbols
    return spec_of(load_config(None, symbols=market), market)


def shipped(scale: Scale) -> list[Row]:
    """What a user gets who configures nothing: five products, samples every second, no report."""
    tapes: list[tuple[str, int, int]] = [] if scale.smoke else [("the sample", 0, 15)]
    tapes += [(f"{rows // 1_000:,}k rows", rows, rounds) for rows, rounds in scale.each()]
    return [_shipped(name, rows, rounds, scale) for name, rows, rounds in tapes]


def _shipped(name: str, rows: int, rounds: int, scale: Scale) -> Row:
    spec = shipped_spec()
    runs = [drive(spec, generate_rows(rows) if rows else generate()) for _ in range(rounds)]
    rate, figure = _figure(runs)
    details = _details(runs)
    if not scale.smoke:
        process = once("shipped", rows)
        figure += f"\nwhole process, run directory written: {process.cpu:.2f} s"
        details["process"] = structs.asdict(process)
    return Row(
        name="shipped",
        work=f"standard line-up ({len(spec.products)} products), default cadences, {name}",
        target=f">= {SHIPPED / 1e6:g}M ticks/s",
        figure=figure,
        met=rate >= SHIPPED,
        note="trades, book tops and marks; in all: with making the rows, without files",
        details=details,
    )


def write_shipped(rows: int) -> dict[str, Any]:
    """A run as shipped with its files, without the report."""
    with tempfile.TemporaryDirectory() as folder:
        spec = shipped_spec()
        writer = RunWriter(Path(folder) / "run", Engine(spec))
        return structs.asdict(drive(spec, generate_rows(rows) if rows else generate(), writer))


def symbols(scale: Scale) -> list[Row]:
    """A hundred symbols whose rows are interleaved at random, three products on each."""
    count, rows = 100, scale.of(2_000_000)
    spec = _symbols_spec(count)
    steps = list(_interleaved(count, rows))
    runs = [drive(spec, steps) for _ in range(1 if scale.smoke else 5)]
    rate, figure = _figure(runs)
    return [
        Row(
            name="symbols",
            work=f"{count} symbols interleaved, {len(spec.products)} products, "
            f"{rows // 1_000:,}k marks",
            target=f">= {SYMBOLS / 1e6:g}M ticks/s",
            figure=figure,
            met=rate >= SYMBOLS,
            note=f"10k ticks/s, samples every second, blocks of {BLOCK:,}",
            details=_details(runs),
        )
    ]


def _symbols_spec(count: int) -> EngineSpec:
    names = tuple(f"S{number:02}USDT" for number in range(count))
    return EngineSpec(
        symbols=names,
        markets=tuple(
            MarketSpec(
                symbol=number,
                contract=ContractSpec(symbol=name, base=name[:3], quote="USDT", taker_fee=0.0004),
                book=BookSpec(model="flat"),
                mark_source="mark",
            )
            for number, name in enumerate(names)
        ),
        products=tuple(
            ProductSpec(id=f"{name}-{place}", market=number, seed_atoms=10**12)
            for number, name in enumerate(names)
            for place in range(3)
        ),
        policies=(
            (LeverageBand(target=3.0, low=2.25, high=4.125),),
            (LeverageBand(target=-3.0, low=1.5, high=5.25),),
            (LeverageBand(target=2.0, low=1.5, high=2.5),),
        )
        * count,
    )


def _interleaved(count: int, rows: int) -> Iterator[Step]:
    """Each symbol walks on its own, 2 bps a tick; whose turn it is is chance."""
    chance = np.random.default_rng(7)
    whose = chance.integers(0, count, rows).astype(np.int32)
    order = whose.argsort(kind="stable")
    walk = np.cumsum(chance.normal(0.0, 2e-4, rows))
    starts = np.flatnonzero(np.diff(whose[order], prepend=-1))
    offsets = np.repeat(walk[starts], np.diff(np.append(starts, rows)))
    price = np.empty(rows)
    price[order] = 100.0 * np.exp(walk - offsets)
    price *= 1.0 + whose
    ts_ns = 1_700_000_000_000_000_000 + np.arange(rows) * 100_000
    for first in range(0, rows, BLOCK):
        part = slice(first, min(first + BLOCK, rows))
        marks = Marks(
            sequence=np.arange(part.start, part.stop),
            symbol=whose[part],
            ts_ns=ts_ns[part],
            price=price[part],
        )
        yield Step(first=part.start, end=part.stop, tables=(marks,))


def recorded_book(scale: Scale) -> list[Row]:
    """The capture of 2024-08-08 with all its levels, read from Parquet, judged and folded, one
    product that trades on them."""
    target = f">= {BOOK / 1e6:g}M messages/s"
    work = "recorded L2 of 2024-08-08 from Parquet, one product"
    if scale.smoke:
        return [Row("l2", work, target, "not in a smoke run")]
    if not CAPTURE.exists():
        return [Row("l2", work, target, "../shared/data is absent")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.parquet"
        captured = open_recording([CAPTURE])
        write_parquet(captured, path)
        recording = open_recording([path])
        spec, formula = (_one_product(recording.symbols, model) for model in ("recorded", "depth"))
        runs = [drive(spec, recording.steps()) for _ in range(5)]
        without = [drive(formula, recording.steps()) for _ in range(5)]
        levels = sum(_levels(step) for step in recording.steps())
    messages = runs[0].rows - levels + _updates(captured.steps())
    whole = median(run.whole for run in runs)
    rate, rows_rate = messages / whole, runs[0].rows / whole
    figure = (
        f"{rate / 1e6:.2f}M messages/s, {rows_rate / 1e6:.1f}M rows/s in all ({whole:.3f} s)\n"
        f"engine alone {median(run.engine + run.navs for run in runs):.3f} s; with a formula for "
        f"a book {median(run.engine + run.navs for run in without):.3f} s of "
        f"{median(run.whole for run in without):.3f} s"
    )
    return [
        Row(
            name="l2",
            work=f"{work}: {messages:,} messages, {runs[0].rows:,} rows, {levels:,} of them levels",
            target=target,
            figure=figure,
            met=rate >= BOOK,
            note="all levels read, judged and kept; in all: with reading the file",
            details={"messages": messages, "levels": levels, **_details(runs)},
        )
    ]


def _one_product(symbols_: Sequence[Any], model: Any) -> EngineSpec:
    whole = standard_lineup(symbols_)
    book = BookConfig(model=model)
    markets = tuple(structs.replace(market, book=book) for market in whole.markets)
    return spec_of(RunConfig(markets=markets, products=whole.products[:1]), symbols_)


def _levels(step: Step) -> int:
    table = step.table(Kind.LEVEL)
    return 0 if table is None else len(table)


def _updates(steps: Iterable[Step]) -> int:
    """How many messages the levels came in: levels of one update share their time of receipt."""
    seen: set[int] = set()
    for step in steps:
        table = step.table(Kind.LEVEL)
        if table is not None:
            assert table.ingest_ns is not None
            seen.update(np.unique(table.ingest_ns).tolist())
    return len(seen)
