"""The cases: a configuration each, the tape it was written for, and what must happen on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.engine import EngineSpec
from engine.events import CreationRequest, RedemptionRequest
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec

__all__ = ["CASES", "Case"]

MINUTE_NS = 60 * SECOND_NS
_SAMPLES = Sampling(nav_every_ns=MINUTE_NS, user_nav_every_ns=2 * MINUTE_NS)
_BAND = LeverageBand(target=3.0, low=2.4, high=3.6)


@dataclass(frozen=True)
class Case:
    """Attributes:
    spec: the configuration.
    rows: generates the tape; only for writing it anew.
    happens: what the log must hold, as ``tests.properties.rich.happened`` counts it;
        ``traded again``: a rebalance or deleveraging after the opening.
    """

    spec: EngineSpec
    rows: Callable[[], Iterator[Any]]
    happens: tuple[str, ...]


def _path(
    random: Random, start: float, *legs: tuple[int, float], noise: float
) -> Iterator[tuple[int, float]]:
    """Seconds and prices: legs of ``(seconds, price at the end)``, straight but for noise."""
    at, price = 0, start
    for seconds, end in legs:
        for second in range(seconds):
            there = price + (end - price) * (second + 1) / seconds
            yield at + second, round(there * (1.0 + random.uniform(-noise, noise)), 1)
        at, price = at + seconds, end


def _mark(second: int, price: float) -> Any:
    return a_row(Kind.MARK, T0 + second * SECOND_NS, price)


def _quote(second: int, price: float, half: float) -> Any:
    after = T0 + second * SECOND_NS + 400_000_000
    bid, ask = round(price - half, 1), round(price + half, 1)
    return a_row(Kind.BBO, after, bid, 2.0, ask, 2.0)


# Down through the band and up again, slowly filled ------------------------------------------------


def _crash() -> Iterator[Any]:
    random = Random(1)
    legs = ((20, 60_000.0), (40, 49_000.0), (20, 47_500.0), (40, 55_000.0), (30, 56_000.0))
    for second, price in _path(random, 60_000.0, *legs, noise=2e-4):
        yield _mark(second, price)
        if second % 3 == 0:
            yield _quote(second, price, 5.0 if second < 20 else 20.0)
        if second % 10 == 5:
            yield a_row(
                Kind.TRADE, T0 + second * SECOND_NS + 5 * 10**8, price, 0.25, -1, 1_000 + second
            )


_LATE = {"latency_ns": 250_000_000, "retry_ns": 2 * SECOND_NS}
_CRASH = a_spec(
    (a_product("BTC3L", seed_atoms=2 * 10**11, **_LATE), (_BAND,)),
    (
        a_product("BTC3S", seed_atoms=2 * 10**11, **_LATE),
        (LeverageBand(target=-3.0, low=2.4, high=3.6),),
    ),
    (
        a_product("BTCFLOOR", seed_atoms=10**11, **_LATE),
        (Schedule(target=3.0, every_s=1e6), MarginFloor(max_leverage=5.0, cut_to=2.0)),
    ),
    markets=[a_market(book=BookSpec(model="depth", depth_at_1pct=4e4, half_life_s=4.0))],
    sampling=_SAMPLES,
)

# A contract paid in coin --------------------------------------------------------------------------


def _coin() -> Iterator[Any]:
    random = Random(2)
    legs = ((30, 30_200.0), (60, 34_000.0), (50, 27_500.0), (60, 29_000.0))
    for second, price in _path(random, 30_000.0, *legs, noise=5e-4):
        yield _mark(second, price)
        if second % 5 == 0:
            yield _quote(second, price, 2.5)


_COIN = a_spec(
    (a_product("BTC3L", seed_atoms=10**11), (_BAND,)),
    (
        a_product("BTC2S", seed_atoms=10**11, latency_ns=SECOND_NS),
        (LeverageBand(target=-2.0, low=1.7, high=2.3), MarginFloor(max_leverage=2.2, cut_to=1.8)),
    ),
    (
        a_product("BTC-SMART-L", seed_atoms=10**11),
        (TrendVol(review_s=20.0, fast_move=0.02, step=0.1),),
    ),
    markets=[
        a_market(
            contract=a_contract("BTCUSD", inverse=True),
            funding=FundingSpec(
                recorded=False,
                instants=((T0 + 70 * SECOND_NS, 0.0005), (T0 + 130 * SECOND_NS, -0.0003)),
            ),
        )
    ],
    sampling=_SAMPLES,
)

# Units come and go --------------------------------------------------------------------------------


def _dealing() -> Iterator[Any]:
    random = Random(3)
    asks = {
        2: ("alice", "BTC3L", 5_000.0),
        5: ("dora", "LATE", 2_500.5),
        8: ("bob", "BTC3L", -400.0),
        12: ("bob", "BTC3L", -1e6),
        15: ("nobody", "BTC3L", -1.0),
        20: ("alice", "GONE", 10.0),
        34: ("dora", "LATE", 800.0),
        35: ("carl", "LATE", 1_200.0),
        36: ("alice", "LATE", -250.0),
        50: ("dora", "LATE", -100.0),
        56: ("alice", "BTC3L", 1e-7),
        70: ("alice", "BTC3L", -99.5),
    }
    for second, price in _path(random, 100.0, (30, 101.0), (20, 92.0), (40, 97.0), noise=1e-3):
        yield _mark(second, price)
        if second in asks:
            user, product, amount = asks[second]
            named: Any = {
                "ts_ns": T0 + second * SECOND_NS + 10**6,
                "id": f"{user}-{second}",
                "user": user,
                "product": product,
            }
            if amount > 0:
                yield CreationRequest(quote=amount, **named)
            else:
                yield RedemptionRequest(units=-amount, **named)
            if second == 8:
                yield RedemptionRequest(units=-amount, **named)


_HELD = {"seed_atoms": 10**10, "holdings": ((0, 10**9), (1, 2 * 10**9))}
_TIGHT = LeverageBand(target=3.0, low=2.85, high=3.15)
_DEALING = a_spec(
    (a_product("BTC3L", **_HELD), (_TIGHT,)),
    (
        a_product("LATE", **_HELD, latency_ns=3 * SECOND_NS, while_rebalancing="queue"),
        (_TIGHT,),
    ),
    markets=[a_market(book=BookSpec(model="depth", depth_at_1pct=2e6, half_life_s=30.0))],
    users=("alice", "bob"),
    sampling=_SAMPLES,
)

# What it costs to hold ----------------------------------------------------------------------------


def _carry() -> Iterator[Any]:
    random = Random(4)
    for second, price in _path(random, 50_000.0, (60, 50_500.0), (60, 43_000.0), noise=2e-4):
        if second % 30 == 10:
            instant = T0 + (second // 40 + 1) * 40 * SECOND_NS
            yield a_row(Kind.FUNDING, T0 + second * SECOND_NS, 0.0004 - 0.00001 * second, instant)
        yield _mark(second, price)


_FEES = {"management_fee": 0.0002, "fee_every_ns": 30 * SECOND_NS}
_CARRY = a_spec(
    (
        a_product("BTC3L", seed_atoms=10**11, **_FEES),
        (Schedule(target=3.0, every_s=50.0), MarginFloor(max_leverage=3.6, cut_to=2.5)),
    ),
    (a_product("BTC1S", seed_atoms=10**11, **_FEES), (Schedule(target=-1.0, every_s=30.0),)),
    (a_product("BTC-SPOT", kind="spot", seed_atoms=10**11), ()),
    markets=[a_market(funding=FundingSpec(recorded=True))],
    sampling=_SAMPLES,
)

# Below zero ---------------------------------------------------------------------------------------


def _ruin() -> Iterator[Any]:
    prices = [100.0, 100.5, 99.0, 98.0, 97.0, 84.0, 83.0, 82.5, 82.0, 82.5, 83.0, 90.0, 60.0, 61.0]
    for second, price in enumerate(prices):
        yield _mark(5 * second, price)
        yield _quote(5 * second, price, 0.1)


_RUINOUS = LeverageBand(target=9.0, low=0.0, high=1e6)
_RUIN = a_spec(
    (
        a_product("BTC9L", seed_atoms=10**10, reserve_atoms=10**9, holdings=((0, 10**9),)),
        (_RUINOUS,),
    ),
    (
        a_product("LATE", seed_atoms=10**10, **_LATE, reserve_atoms=10**6, holdings=((1, 10**9),)),
        (_RUINOUS,),
    ),
    (a_product("BTC2L", seed_atoms=10**10), (LeverageBand(target=2.0, low=1.5, high=2.4),)),
    markets=[
        a_market(
            book=BookSpec(model="depth", depth_at_1pct=6e3, half_life_s=3.0),
            insurance_atoms=3 * 10**9,
        )
    ],
    users=("alice", "bob"),
    sampling=Sampling(nav_every_ns=20 * SECOND_NS, users_on_trade=True),
)


def _traded(spec: EngineSpec) -> tuple[str, ...]:
    return tuple(f"traded again {one.id}" for one in spec.products if one.kind == "fund")


CASES = {
    "crash": Case(
        _CRASH,
        _crash,
        (*_traded(_CRASH), "rebalanced", "deleveraged", "order_unfilled no_depth"),
    ),
    "coin": Case(
        _COIN,
        _coin,
        (*_traded(_COIN), "rebalanced", "deleveraged", "funding_settled BTC3L"),
    ),
    "dealing": Case(
        _DEALING,
        _dealing,
        (
            *_traded(_DEALING),
            *("units_created", "units_redeemed", "request_queued", "order_filled creation"),
            *("redemption_refused insufficient_units", "redemption_refused unknown_user"),
            *("redemption_refused duplicate", "creation_refused unknown_product"),
            *("creation_refused too_small", "order_filled redemption"),
        ),
    ),
    "carry": Case(
        _CARRY,
        _carry,
        (
            *_traded(_CARRY),
            *("funding_settled BTC3L", "funding_settled BTC1S", "deleveraged"),
            *("management_fee_charged BTC3L", "management_fee_charged BTC1S"),
        ),
    ),
    "ruin": Case(
        _RUIN,
        _ruin,
        (
            "traded again BTC2L",
            *("product_closed nav_not_positive", "order_unfilled no_depth"),
            *("deficit_paid insurance", "deficit_paid reserve", "deficit_paid issuer"),
        ),
    ),
}
