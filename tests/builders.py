"""Builders with valid defaults: a test states only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from engine.engine import Engine, EngineSpec
from engine.events import Malformed
from engine.market import MarketSpec
from engine.nav import nav_columns
from engine.outputs import Outputs
from engine.product import HedgeTerms, ProductSpec, Terms
from engine.sampler import Sampling
from engine.shares import value_users
from engine.signals import SignalSpec
from engine.ticks import TABLES, Kind, Step, Table
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand

__all__ = [
    "T0",
    "Run",
    "a_contract",
    "a_market",
    "a_product",
    "a_row",
    "a_spec",
    "a_tape",
    "cut",
    "run",
]

T0 = 1_700_000_000 * SECOND_NS
"""When generated tapes begin: 2023-11-14 22:13:20 UTC, 106 minutes before a funding instant."""


def a_contract(symbol: str = "BTCUSDT", *, inverse: bool = False, **fields: Any) -> ContractSpec:
    """A contract; lots of one dollar where inverse, of a micro-coin where linear."""
    if inverse:
        shape: dict[str, Any] = {"kind": "inverse", "base": "BTC", "quote": "USD", "lot_size": 1.0}
    else:
        shape = {"kind": "linear", "base": "BTC", "quote": "USDT"}
    return ContractSpec(**{"symbol": symbol, "taker_fee": 0.0004, **shape, **fields})


def a_market(symbol: int = 0, **fields: Any) -> MarketSpec:
    """A market valued at recorded marks, with a flat book and no funding."""
    defaults: dict[str, Any] = {
        "contract": a_contract(),
        "book": BookSpec(model="flat", half_spread_bps=1.0),
        "funding": FundingSpec(recorded=False),
        "signals": SignalSpec(
            every_ns=10 * SECOND_NS, vol_half_life=6, trend_half_life=6, window=8
        ),
        "mark_source": "mark",
    }
    return MarketSpec(symbol=symbol, **{**defaults, **fields})


def a_product(name: str = "BTC3L", market: int = 0, **fields: Any) -> ProductSpec:
    """A product of a million; ``latency_ns``, ``plan``, ``reserve_atoms`` and the like go to its
    hedge, ``management_fee``, ``fee_every_ns``, ``while_rebalancing`` to its terms."""
    hedge = {n: fields.pop(n) for n in list(fields) if n in HedgeTerms.__struct_fields__}
    terms = {n: fields.pop(n) for n in list(fields) if n in Terms.__struct_fields__}
    defaults: dict[str, Any] = {"seed_atoms": 10**12}
    own = {"hedge": HedgeTerms(**hedge), "terms": Terms(**terms)}
    return ProductSpec(id=name, market=market, **{**defaults, **own, **fields})


def a_spec(
    *products: tuple[ProductSpec, Sequence[Any]], markets: Sequence[MarketSpec] = (), **fields: Any
) -> EngineSpec:
    """A run; without products one 3x product with a band of 2.4 to 3.6."""
    chosen = products or ((a_product(), (LeverageBand(target=3.0, low=2.4, high=3.6),)),)
    known = tuple(markets) or (a_market(),)
    symbols = tuple(m.contract.symbol for m in sorted(known, key=lambda m: m.symbol))
    defaults: dict[str, Any] = {"sampling": Sampling(nav_every_ns=SECOND_NS)}
    return EngineSpec(
        symbols=symbols,
        markets=known,
        products=tuple(product for product, _ in chosen),
        policies=tuple(tuple(policies) for _, policies in chosen),
        **{**defaults, **fields},
    )


def a_row(kind: Kind, ts_ns: int, *values: float, symbol: int = 0) -> tuple[Any, ...]:
    """A row for ``a_tape``: values in the order of the kind's columns."""
    return kind, symbol, ts_ns, values


def a_tape(rows: Iterable[Any]) -> Step:
    """One step from rows (``a_row``), bare mark prices (one a second from ``T0``) and messages,
    numbered from 0."""
    columns: dict[Kind, list[tuple[Any, ...]]] = {kind: [] for kind in Kind}
    messages = []
    sequence = -1
    for sequence, row in enumerate(rows):
        if isinstance(row, float):
            columns[Kind.MARK].append((sequence, 0, T0 + sequence * SECOND_NS, row))
        elif isinstance(row, tuple):
            kind, symbol, ts_ns, values = row
            columns[kind].append((sequence, symbol, ts_ns, *values))
        else:
            messages.append((sequence, row))
    tables = tuple(_table(TABLES[kind], found) for kind, found in columns.items() if found)
    return Step(first=0, end=sequence + 1, tables=tables, messages=tuple(messages))


def _table(cls: type[Table], rows: list[tuple[Any, ...]]) -> Table:
    sequence, symbol, ts_ns, *values = zip(*rows, strict=True)
    one = len(set(symbol)) == 1
    named = zip(cls.VALUES.items(), values, strict=True)
    return cls(
        sequence=np.array(sequence, np.int64),
        symbol=int(symbol[0]) if one else np.array(symbol, np.int32),
        ts_ns=np.array(ts_ns, np.int64),
        **{name: np.array(column, dtype) for (name, dtype), column in named},
    )


def cut(tape: Step, places: Iterable[int]) -> list[Step]:
    """The tape in steps that begin at the given sequences."""
    bounds = sorted({0, tape.end, *(place for place in places if place < tape.end)})
    return [tape.between(a, b) for a, b in pairwise(bounds)]


class Run:
    """What an engine said about a tape.

    Attributes:
        engine: after the last step.
        events, lines: of the output log.
        milestones: where the parts of price profits turn.
        nav: columns of the product samples, in order of ``(sequence, ordinal)``.
        user_nav: ``(sequence, ordinal, ts_ns, product, reason, user, units, atoms)`` of every
            holder's record.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.events: list[Any] = []
        self.lines: list[bytes] = []
        self.blocks: list[Any] = []
        self.milestones: list[Any] = []
        self.user_nav: list[tuple[Any, ...]] = []
        self._nav: dict[str, Any] | None = None

    def take(self, outputs: Outputs) -> None:
        """Add what one call said."""
        self._nav = None
        self.events += outputs.events
        self.lines += outputs.lines
        self.blocks += outputs.nav
        self.milestones += outputs.milestones
        for block in outputs.user_nav:
            nav, total = block.product_nav_atoms, block.units_total
            worth = value_users(np.ascontiguousarray(block.units), nav, total).tolist()
            users = range(len(worth)) if block.users is None else block.users.tolist()
            place = (block.ts_ns, block.product, block.reason)
            rows = zip(users, block.units.tolist(), worth, strict=True)
            for rank, row in enumerate(rows):
                self.user_nav.append((block.sequence, block.ordinal + rank, *place, *row))

    @property
    def nav(self) -> dict[str, Any]:
        """Columns of the product samples in order."""
        if self._nav is None:
            columns = nav_columns(self.blocks)
            order = np.lexsort((columns["ordinal"], columns["sequence"]))
            self._nav = {name: column[order] for name, column in columns.items()}
        return self._nav

    def named(self, *tags: str) -> list[Any]:
        """Events of these tags."""
        return [e for e in self.events if e.__struct_config__.tag in tags]


def run(
    spec: EngineSpec,
    tape: Step,
    places: Iterable[int] = (),
    *,
    check: bool = False,
    finish: bool = True,
) -> Run:
    """The heart on a tape, cut at the given sequences; ``check`` scans the ledger after every
    step."""
    engine = Engine(spec)
    said = Run(engine)
    for step in cut(tape, places):
        said.take(engine.process(step))
        if check:
            engine.ledger.check()
    if finish:
        said.take(engine.finish())
    return said


def a_malformed(detail: str = "not JSON", ts_ns: int = 0) -> Malformed:
    """A row that could not be read."""
    return Malformed(ts_ns=ts_ns, detail=detail)
