"""How much it takes to break a product, and how large it may be: bisection over short runs of the
engine itself, with the closed form beside it.

A product whose leverage is now ``l`` loses all at a gap of ``1 / l``, whatever it is meant to have:
a 3x product that has fallen to 3.4x survives 29 %, not 33 %.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from engine.engine import Engine, EngineSpec
from engine.errors import ConfigError, OutOfRangeError
from engine.events import DeficitPaid, OrderFilled, OrderSent, Output, ProductClosed
from engine.market import MarketSpec
from engine.ticks import Bbo, Marks, Step, Table, Trades
from engine.units import SECOND_NS, asset_decimals
from engine.venue.contract import Contract
from engine.venue.rules import VenueRules
from engine.venue_events import HedgeLiquidated, LiquidationStarted, MarginCalled

__all__ = ["Break", "Capacity", "Shape", "capacities", "survived"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

START_NS: Final = 1_735_689_600 * SECOND_NS
_QUIET: Final = 10
_AFTER: Final = 40
_STEPS: Final = 15
"""Halvings: a gap to a part in thirty thousand."""
_AUM_STEPS: Final = 40
_AUM: Final = (1e3, 1e10)
_WIDE: Final = {1: (0.9999, 0.95, 0.85, 0.7, 0.5, 0.3), -1: (20.0, 6.0, 2.0, 0.8, 0.4)}
"""Gaps that are tried first, falls for longs and rises for shorts."""
_CALLS: Final = MarginCalled | LiquidationStarted | HedgeLiquidated


class Shape(Struct, frozen=True, kw_only=True):
    """What a product meets.

    Attributes:
        depth: share of the book's depth that is there.
        latency_ns: of its orders; ``None``: as configured.
        over_ns: in which the price goes; 0: from one tick to the next.
        outage_ns: of which so much is not seen.
        before: what the price did before, a share; its leverage is then no longer the target.
        loss: of the issuer, as a share of the assets, that counts as one.
        price: at the start.
    """

    depth: float = 1.0
    latency_ns: int | None = None
    over_ns: int = 0
    outage_ns: int = 0
    before: float = 0.0
    loss: float = 0.01
    price: float = 50_000.0


class Break(Struct, frozen=True, kw_only=True):
    """The smallest adverse gaps, as shares of the price; ``None`` where none does it.

    Attributes:
        leverage: before it; 0 where NAV was gone by then.
        survives: ``1 / l``: the closed form without costs.
        zero: at which NAV is gone.
        issuer: at which the issuer loses more than he may, beside what he had lost before.
        margin: at which the venue calls or liquidates.
    """

    product: str
    leverage: float
    survives: float
    zero: float | None
    issuer: float | None
    margin: float | None


class Capacity(Struct, frozen=True, kw_only=True):
    """The largest assets with which a crash costs no more than it may; quote.

    Attributes:
        assets: ``None`` where no size is too large; 0 where 1,000 is, or the least that trades a
            lot: the rest is of that then; the largest that 64 bits count where that is not.
        traded: what it trades in the crash at that size.
        seconds: until NAV would be gone at the crash's speed, had it not traded.
        speed: what it must trade a second to be done before.
        cost: of the crash at that size, as a share of its assets; infinite where no book takes it.
    """

    product: str
    assets: float | None
    traded: float
    seconds: float
    speed: float
    cost: float


def survived(spec: EngineSpec, place: int, shape: Shape) -> Break:
    """The gaps that break one product of a run."""
    alone = _alone(spec, place, shape)
    product = alone.products[0]
    engine, before = _run(alone, shape, 0.0)
    most, known = shape.loss * product.seed_atoms, _lost(engine, before)
    if _is_gone(engine, before):
        lost = 0.0 if known > most else None
        at_once = dict.fromkeys(("leverage", "survives", "zero"), 0.0)
        return Break(product=product.id, issuer=lost, margin=None, **at_once)
    leverage = _leverage(engine)
    if not leverage:
        raise ConfigError(f"{product.id}: the book has not what it is to open; more depth, or less")
    side = 1 if leverage > 0.0 else -1

    def breaks(happened: Callable[[Engine, list[Output]], bool]) -> float | None:
        # A price that is too far from the last one is refused as a misprint: nearer ones, too.
        wide = [gap for gap in _WIDE[side] if happened(*_run(alone, shape, -side * gap))]
        if not wide:
            return None
        fits, fails = 0.0, min(wide)
        for _ in range(_STEPS):
            middle = (fits + fails) / 2.0
            broke = happened(*_run(alone, shape, -side * middle))
            fits, fails = (fits, middle) if broke else (middle, fails)
        return fails

    return Break(
        product=product.id,
        leverage=leverage,
        survives=1.0 / abs(leverage),
        zero=breaks(_is_gone),
        issuer=breaks(lambda engine, said: _lost(engine, said) - known > most),
        margin=breaks(lambda _, said: any(isinstance(e, _CALLS) for e in said)),
    )


def _is_gone(engine: Engine, said: list[Output]) -> bool:
    """NAV is zero or less, sold or not."""
    return _nav(engine) <= 0 or any(isinstance(e, ProductClosed) for e in said)


def _lost(engine: Engine, said: list[Output]) -> int:
    """What the issuer paid, and would pay for what the book did not take; what holders were
    promised, besides, and its hedge does not hold; quote atoms."""
    paid = sum(e.paid_atoms for e in said if isinstance(e, DeficitPaid) and e.payer == "issuer")
    account = engine.handlers[0].account
    owed = max(account.nav(_mark(engine)), 0) if account.formula else 0
    return paid + max(owed - account.book.nav(_mark(engine)), 0)


def _nav(engine: Engine) -> int:
    return engine.handlers[0].account.nav(_mark(engine))


def _mark(engine: Engine) -> float:
    return engine.markets[engine.spec.products[0].market].state.mark


def capacities(spec: EngineSpec, place: int, shape: Shape, gap: float, limit: float) -> Capacity:
    """The largest assets of a product with which a crash of ``gap`` (unsigned, against it) costs at
    most the share ``limit`` of them in spread and impact; risk limits are another bound.

    Raises:
        ConfigError: if the book has not even what the smallest product is to open.
    """
    alone = _alone(spec, place, shape)
    (product,) = alone.products
    free = structs.replace(alone.markets[product.market], venue=VenueRules())
    alone = structs.replace(alone, markets=_with(alone, product.market, free))
    contract = Contract(free.contract)
    quote = 10.0 ** asset_decimals(contract.quote_asset)

    def crash(assets: float) -> tuple[float, float, float]:
        own = structs.replace(product, seed_atoms=int(assets * quote))
        sized = structs.replace(alone, products=(own,))
        engine, said = _run(sized, shape, 0.0)
        leverage, nav = _leverage(engine), _nav(engine)
        if not any(isinstance(each, OrderSent) for each in said):
            return 0.0, 0.0, 0.0  # less than a lot
        engine, said = _run(sized, shape, -gap if leverage > 0.0 else gap)
        fall_ns = START_NS + 2 * _quiet(sized) * SECOND_NS
        fills = [e for e in said if isinstance(e, OrderFilled) and e.ts_ns >= fall_ns]
        if not leverage or engine.handlers[0].desk.state.plan is not None:
            return np.inf, 0.0, leverage  # the book has not so much, now or at the opening
        lost = -sum(contract.to_quote(e.spread_impact_atoms, e.mark_price) for e in fills)
        traded = sum(contract.quote_notional(e.lots, e.mid_price) for e in fills)
        return lost / max(nav, 1), traded, leverage

    low, high = _AUM
    while not _fits(crash, high):
        high /= 10.0
        if high < low:
            raise ConfigError(f"{product.id}: 64 bits count no 1,000 in its lots; larger ones do")
    found = None if high == _AUM[1] else high
    if crash(high)[0] > limit:
        for _ in range(_AUM_STEPS):
            middle = float(np.sqrt(low * high))
            low, high = (low, middle) if crash(middle)[0] > limit else (middle, high)
        found = low
    cost, traded, leverage = crash(found or high)
    if not leverage and cost <= limit:
        cost, traded, leverage = crash(high)  # of all that trades the least
    if not leverage:
        raise ConfigError(f"{product.id}: the book has not what it is to open; more depth, or less")
    seconds = shape.over_ns / SECOND_NS / gap / abs(leverage)
    return Capacity(
        product=product.id,
        assets=found if found is None or cost <= limit else 0.0,
        traded=traded,
        seconds=seconds,
        speed=traded / seconds if seconds else np.inf,
        cost=cost,
    )


def _fits(crash: Callable[[float], Any], assets: float) -> bool:
    """Whether so much money, in lots, fits 64 bits."""
    try:
        crash(assets)
    except OutOfRangeError:
        return False
    return True


def _alone(spec: EngineSpec, place: int, shape: Shape) -> EngineSpec:
    """One product, without users, in its market with so much depth."""
    product = spec.products[place]
    market = spec.markets[product.market]
    if market.mark_source == "venue":
        raise ConfigError(
            f"{product.id}: its venue makes the mark of an index, which a short run has not; set "
            'mark = "mark"'
        )
    book = structs.replace(market.book, depth_at_1pct=market.book.depth_at_1pct * shape.depth)
    if book.model == "recorded":
        raise ConfigError(f"{product.id}: a short run has no recorded book; choose model depth")
    latency = product.hedge.latency_ns if shape.latency_ns is None else shape.latency_ns
    hedge = structs.replace(product.hedge, latency_ns=latency)
    chosen = structs.replace(product, hedge=hedge, holdings=(), population=(0, 0))
    return structs.replace(
        spec,
        markets=_with(spec, product.market, structs.replace(market, book=book)),
        products=(chosen,),
        policies=(spec.policies[place],),
        users=(),
        population=0,
        traders=(),
        crowds=(),
    )


def _with(spec: EngineSpec, place: int, market: MarketSpec) -> tuple[MarketSpec, ...]:
    return (*spec.markets[:place], market, *spec.markets[place + 1 :])


def _quiet(spec: EngineSpec) -> int:
    """Seconds in which the orders of its product arrive, twice before the price goes."""
    return _QUIET - -spec.products[0].hedge.latency_ns // SECOND_NS


def _run(spec: EngineSpec, shape: Shape, gap: float) -> tuple[Engine, list[Output]]:
    """Quiet, what was before, quiet, the gap, and then quiet until orders have arrived."""
    over = max(shape.over_ns // SECOND_NS, 1)
    moved = shape.price * (1.0 + shape.before)
    falling = moved * (1.0 + gap * np.arange(1, over + 1) / over)
    quiet, fall = _quiet(spec), 2 * _quiet(spec)
    rest = falling[-1:].repeat(_AFTER + fall - 2 * _QUIET if gap else 0)
    falling = falling if gap else falling[:0]
    prices = np.concatenate((np.full(quiet, shape.price), np.full(quiet, moved), falling, rest))
    times = START_NS + np.arange(len(prices)) * SECOND_NS
    unseen = min(shape.outage_ns // SECOND_NS, len(falling) - 1) if len(falling) else 0
    seen = np.ones(len(prices), np.bool_)
    seen[fall : fall + unseen] = False
    engine = Engine(spec)
    said = engine.process(_step(spec, times[seen], prices[seen])).events
    return engine, [*said, *engine.finish().events]


def _step(spec: EngineSpec, times: Any, prices: F64) -> Step:
    market = spec.markets[spec.products[0].market]
    columns = {"sequence": np.arange(len(times)), "symbol": market.symbol, "ts_ns": times}
    ones = np.ones(len(times))
    table: Table
    if market.mark_source == "mark":
        table = Marks(**columns, price=prices)
    elif market.mark_source == "mid":
        table = Bbo(**columns, bid=prices, bid_size=ones, ask=prices, ask_size=ones)
    else:
        sides, numbers = ones.astype(np.int8), columns["sequence"]
        table = Trades(**columns, price=prices, size=ones, aggressor=sides, trade_id=numbers)
    return Step(first=0, end=len(times), tables=(table,))


def _leverage(engine: Engine) -> float:
    intercept, slope = engine.handlers[0].account.line()
    exposure = slope * _mark(engine)
    return float(exposure / (intercept + exposure))
