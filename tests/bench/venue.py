"""What the full venue costs: a rebalance under its rules, and a move that liquidates everybody."""

from __future__ import annotations

import time
from statistics import median
from typing import Final

import numpy as np
from msgspec import structs

from engine.config.settings import ContractConfig
from engine.config.venue_settings import VenueConfig
from engine.config.venues import venue_rules
from engine.crowd_events import PopulationLiquidated
from engine.engine import Engine, EngineSpec
from engine.market import MarketSpec
from engine.outputs import Outputs
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.crowd import CrowdSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from tests.bench.contest import Ours, play
from tests.bench.table import Row, Scale
from tests.bench.tapes import WORK, Lineup, heart_spec, tape

__all__ = ["crowd", "venue"]

PER_REBALANCE_US: Final = 45.0
CROWD: Final = 100_000
CROWD_SECONDS: Final = 1.0
T0: Final = 1_700_000_000 * SECOND_NS


class AtVenue(Ours):
    """The engine, with tiers, order rules and a depth book."""

    def __init__(self, lineup: Lineup) -> None:
        spec = heart_spec(lineup)
        contract = ContractConfig(kind="linear", base="BTC", quote="USDT")
        rules = venue_rules(VenueConfig(preset="binance"), contract)
        book = BookSpec(model="depth", depth_at_1pct=1e12)
        (market,) = spec.markets
        self.engine = Engine(
            structs.replace(spec, markets=(structs.replace(market, venue=rules, book=book),))
        )
        self.process = self.engine.process
        self.finish = self.engine.finish


def venue(scale: Scale) -> list[Row]:
    """W2's rebalances at a venue that asks for margin, less the same without rebalances."""
    ticks, rounds = scale.each()[0]
    busy, idle = WORK["w2"], WORK["w2"].idle()
    costs, count = [], 0
    for _ in range(rounds):
        at_work = play(AtVenue(busy), busy, tape(ticks), 1_000)
        at_rest = play(AtVenue(idle), idle, tape(ticks), 1_000)
        count = at_work.tally.rebalances
        costs.append((at_work.cpu - at_rest.cpu) / count * 1e6)
    cost = median(costs)
    return [
        Row(
            name="venue",
            work=f"a rebalance with tiers, order rules and a depth book ({count:,} of them)",
            target=f"<= {PER_REBALANCE_US:g} us",
            figure=f"{cost:.1f} us",
            met=cost <= PER_REBALANCE_US,
            note="W2 less W2 without rebalances, both at the venue",
            details={"microseconds": costs},
        )
    ]


def crowd(scale: Scale) -> list[Row]:
    """Accounts that one price liquidates, all of them at once."""
    count = scale.of(CROWD, least=500)
    rows = []
    for name, note, spec in (
        ("crowd", "a background population: one event, totals as of single accounts", _population),
        ("traders", "each with its events, its orders to the book and its postings", _crowded),
    ):
        seconds = []
        for _ in range(1 if scale.smoke else 3):
            engine = Engine(spec(count))
            engine.process(_tick(0, 10_000.0))
            began = time.process_time()
            outputs = engine.process(_tick(1, 9_000.0))
            seconds.append(time.process_time() - began)
            assert _ended(outputs) == count, f"{_ended(outputs)} of {count} were liquidated"
        spent = median(seconds)
        goal = name == "crowd"
        rows.append(
            Row(
                name=name,
                work=f"{count:,} accounts liquidated by one price",
                target=f"< {CROWD_SECONDS:g} s of 100,000" if goal else "",
                figure=f"{spent:.2f} s, {spent / count * 1e6:.1f} us each",
                met=spent < CROWD_SECONDS if goal and not scale.smoke else None,
                note=note,
                details={"seconds": seconds},
            )
        )
    return rows


def _ended(outputs: Outputs) -> int:
    """How many were liquidated."""
    waves = [e for e in outputs.events if isinstance(e, PopulationLiquidated)]
    single = sum(line.startswith(b'{"event":"liquidation_ended"') for line in outputs.lines)
    return single + sum(wave.positions for wave in waves)


def _population(count: int) -> EngineSpec:
    """The same accounts as one background population."""
    wallets = (1_000 + np.arange(count) % 37) * 10**6
    crowd = CrowdSpec(
        id="crowd",
        market=0,
        absolute=True,
        sizes=np.full(count, 1_000).tobytes(),
        entries=np.full(count, 10_000.0).tobytes(),
        wallets=wallets.tobytes(),
        leverages=np.zeros(count).tobytes(),
    )
    return structs.replace(_crowded(0), crowds=(crowd,))


def _crowded(count: int) -> EngineSpec:
    """A coin long each, bought for ten times their wallets or a little less."""
    contract = ContractSpec(
        symbol="BTCUSDT", base="BTC", quote="USDT", taker_fee=0.0, lot_size=1e-3
    )
    rules = VenueRules(
        margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
    )
    held = (PositionSpec(market=0, lots=1_000, entry=10_000.0),)
    traders = tuple(
        TraderSpec(id=f"t{n}", wallet_atoms=(1_000 + n % 37) * 10**6, positions=held)
        for n in range(count)
    )
    market = MarketSpec(
        symbol=0,
        contract=contract,
        venue=rules,
        book=BookSpec(model="flat"),
        mark_source="mark",
    )
    idle = heart_spec(WORK["w1"].idle())
    return structs.replace(idle, markets=(market,), traders=traders)


def _tick(sequence: int, price: float) -> Step:
    table = Marks(
        sequence=np.array([sequence]),
        symbol=0,
        ts_ns=np.array([T0 + sequence * SECOND_NS]),
        price=np.array([price]),
    )
    return Step(first=sequence, end=sequence + 1, tables=(table,))
