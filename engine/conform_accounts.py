"""Margin accounts of known answers: rows go through an engine whose venue has customers, and what
the venue says of them comes out.

Every market is launched by a product that holds next to nothing; the accounts are the venue's other
customers. Books are flat: they fill at their best prices, or at the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf, nextafter
from typing import Any, Final, TypeVar

import numpy as np
from msgspec import Struct

from engine.engine import Engine, EngineSpec
from engine.events import Output
from engine.market import MarketSpec
from engine.product import ProductSpec
from engine.ticks import Bbo, Marks, Step, Table
from engine.units import DAY_NS, SECOND_NS, decimal
from engine.venue.accounts import PositionSpec, Trader, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from engine.venue.rules import Tier, VenueRules
from engine.venue.standing import Listing, opening_fault
from engine.venue.tiers import deductions
from strategies import LeverageBand

__all__ = [
    "MICROS",
    "SIDES",
    "START_NS",
    "Inputs",
    "Play",
    "a_market",
    "edge",
    "flat",
    "held_at",
    "lots_of",
    "number",
    "play",
    "quotes_at",
    "table",
    "tiers_of",
    "toward",
]

Inputs = Mapping[str, Any]
SIDES: Final = {"long": 1, "short": -1}
MICROS: Final = 10**6
"""Atoms of a quote."""
START_NS: Final = 20_000 * DAY_NS
_FOREVER_NS: Final = 100_000 * DAY_NS
_NEAR: Final = 1e-13
"""Of a price: as near as two edges are told apart."""
_FAR: Final = 2.0**20
"""Times its entry, a price beyond every edge of a vector."""
_HALVINGS_MAX: Final = 200
_ANY_SIZE: Final = 1e30
_NO_DEDUCTION: Final = 1e-9
"""Share of a rate that stands for none, in a table that must begin with one."""

Kind = TypeVar("Kind")


class Play(Struct):
    """What an engine said, and the accounts as it left them."""

    engine: Engine
    events: list[Output]

    def of(self, kind: type[Kind], account: str = "") -> list[Kind]:
        """Events of a kind, of all accounts or of the trader ``account``."""
        name = f"trader:{account}"
        found = [event for event in self.events if isinstance(event, kind)]
        return [e for e in found if not account or getattr(e, "account", name) == name]

    def first(self, kind: type[Kind], account: str = "") -> Kind:
        """The first of them.

        Raises:
            ArithmeticError: if there is none.
        """
        found = self.of(kind, account)
        if not found:
            raise ArithmeticError(f"the engine said no {kind.__name__}")
        return found[0]

    def trader(self, name: str) -> Trader:
        """An account by its name."""
        margins = self.engine.margins
        assert margins is not None
        (found,) = [each for each in margins.traders.accounts if each.id == name]
        return found


def number(value: float | str) -> float:
    """Also ``"8/3"`` and ``">=10100"``."""
    return float(Fraction(value.lstrip("<>= "))) if isinstance(value, str) else float(value)


def lots_of(size: float | str, lot: float = 1.0, scale: int = 1) -> int:
    """Whole lots of a size, the nearest."""
    exact = Fraction(size) if isinstance(size, str) else decimal(float(size))
    return round(exact * scale / decimal(lot))


def flat(rate: float) -> tuple[Tier, ...]:
    """A table of one tier."""
    return (Tier(cap=_ANY_SIZE, max_leverage=1.0, rate=rate, initial_rate=rate),)


def tiers_of(rate: float, deduction: float) -> tuple[Tier, ...]:
    """A table in which all but the smallest positions have a rate and a deduction."""
    if deduction <= 0.0:
        return flat(rate)
    low = rate * _NO_DEDUCTION
    return table((deduction / (rate - low), _ANY_SIZE), (low, rate))


def table(caps: Sequence[float], rates: Sequence[float]) -> tuple[Tier, ...]:
    """A table by its caps and rates, the last tier without end; a position may be opened with its
    maintenance."""
    rows = zip([*caps[:-1], _ANY_SIZE], rates, deductions(caps, rates), strict=True)
    return tuple(
        Tier(cap=cap, max_leverage=1.0, rate=rate, deduction=less, initial_rate=rate)
        for cap, rate, less in rows
    )


def a_market(
    rules: VenueRules,
    place: int = 0,
    *,
    lot: float = 1e-6,
    inverse: bool = False,
    taker_fee: float = 0.0,
    half_spread: float = 0.0,
    fund: float = 0.0,
    instants: tuple[tuple[int, float], ...] = (),
) -> MarketSpec:
    """A market by a venue's rules; ``fund`` is its insurance fund in quote."""
    shape: dict[str, Any] = {"base": "BASE", "quote": "USD", "lot_size": lot}
    if inverse:
        shape |= {"kind": "inverse", "base": "BTC"}
    return MarketSpec(
        symbol=place,
        contract=ContractSpec(
            symbol=f"CONFORM{place}", price_step=1e-12, taker_fee=taker_fee, **shape
        ),
        book=BookSpec(model="flat", half_spread_bps=half_spread * 1e4),
        funding=FundingSpec(recorded=False, instants=instants),
        mark_source="mark",
        venue=rules,
        insurance_atoms=round(decimal(fund) * MICROS),
        stale_after_ns=_FOREVER_NS,
        frozen_after_ns=_FOREVER_NS,
    )


def held_at(
    name: str, cash: int, lots: Sequence[int], marks: Sequence[float], markets: Sequence[MarketSpec]
) -> TraderSpec:
    """A trader with this cash (atoms, after what its positions cost), whatever its equity is:
    entries are chosen so far from the marks that the venue once let it open them.

    Raises:
        ArithmeticError: if no entries do.
    """
    listings = [Listing(Contract(market.contract), market.venue) for market in markets]
    entries = list(marks)
    for _ in range(_HALVINGS_MAX):
        paid_in = cash
        for held, entry, listing in zip(lots, entries, listings, strict=True):
            paid_in -= listing.contract.trade_cash(held, entry)
        positions = tuple(
            PositionSpec(market=place, lots=held, entry=entry)
            for place, (held, entry) in enumerate(zip(lots, entries, strict=True))
            if held
        )
        trader = TraderSpec(id=name, wallet_atoms=paid_in, positions=positions)
        if paid_in > 0 and opening_fault(trader, listings) is None:
            return trader
        entries = [e * 2.0 if n > 0 else e * 0.5 for n, e in zip(lots, entries, strict=True)]
    raise ArithmeticError(f"{name}: no entry prices leave {cash} atoms of cash and {lots} lots")


def play(
    markets: Sequence[MarketSpec],
    traders: Sequence[TraderSpec],
    rows: Sequence[tuple[int, float]],
    *,
    quotes: Mapping[int, tuple[float, float]] | None = None,
    at_ns: Sequence[int] = (),
    seed: int = 0,
) -> Play:
    """Send marks, ``(market, price)``, through an engine, one a second.

    Args:
        quotes: best bid and ask, by market; they stay where they are.
        at_ns: instants of the rows, where they are not a second apart.
    """
    products = [
        ProductSpec(id=f"P{place}", market=place, kind="spot", seed_atoms=MICROS)
        for place in range(len(markets))
    ]
    engine = Engine(
        EngineSpec(
            symbols=tuple(market.contract.symbol for market in markets),
            markets=tuple(markets),
            products=tuple(products),
            policies=tuple((LeverageBand(target=1.0, low=0.0, high=inf),) for _ in products),
            traders=tuple(traders),
            seed=seed,
        )
    )
    first = len(quotes or {})
    tables = [_bbo(quotes)] if quotes else []
    times = at_ns or [START_NS + place * SECOND_NS for place in range(len(rows))]
    tables.append(
        Marks(
            sequence=np.arange(first, first + len(rows)),
            symbol=np.array([market for market, _ in rows], np.int32),
            ts_ns=np.array(times, np.int64),
            price=np.array([price for _, price in rows]),
        )
    )
    said = engine.process(Step(first=0, end=first + len(rows), tables=tuple(tables)))
    events = [*said.events, *engine.finish().events]
    engine.ledger.check()
    assert engine.margins is not None
    engine.margins.check()
    return Play(engine, events)


def _bbo(quotes: Mapping[int, tuple[float, float]]) -> Table:
    count = len(quotes)
    bids, asks = zip(*quotes.values(), strict=True)
    return Bbo(
        sequence=np.arange(count),
        symbol=np.array(list(quotes), np.int32),
        ts_ns=np.full(count, START_NS - SECOND_NS),
        bid=np.array(bids),
        ask=np.array(asks),
        bid_size=np.ones(count),
        ask_size=np.ones(count),
    )


def quotes_at(side: int, price: float) -> tuple[float, float]:
    """Bid and ask that fill who closes a long (+1) or a short at ``price``: in the last bit it may
    be in his favour, never against him."""
    if side > 0:
        bid = nextafter(price, inf)
        return bid, nextafter(bid, inf)
    return nextafter(price, 0.0), price


def edge(dies: Callable[[float], bool], side: int, entry: float) -> float:
    """The price at which a long (+1) dies falling, a short rising, of two neighbours of which it
    dies at one; 0 where a long never does.

    Raises:
        ArithmeticError: if a short survives every price.
    """
    alive, dead = (entry * _FAR, entry / _FAR) if side > 0 else (entry / _FAR, entry * _FAR)
    if not dies(dead):
        if side > 0:
            return 0.0
        raise ArithmeticError(f"a short from {entry!r} lives at {dead!r}")
    while abs(alive - dead) > _NEAR * dead:
        middle = (alive + dead) * 0.5
        if dies(middle):
            dead = middle
        else:
            alive = middle
    return dead


def toward(side: int, price: float) -> tuple[tuple[int, float], ...]:
    """Rows of the first market that bring a price from where a long (+1) or a short is better off:
    a move within what a feed is believed."""
    return (0, price * 2.0**side), (0, price)
