"""Known answers about products: bands, paths and a year's drag.

Each group of vectors is a market of its own with products that trade without costs, in tiny lots
and with much capital, so that nothing but the rules decides. Money scales: what a vector says of
100 quote is read off a product of ten thousand million.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.engine import Engine, EngineSpec
from engine.errors import OutOfRangeError
from engine.events import (
    InputRejected,
    OrderFilled,
    Output,
    PolicyFaulted,
    ProductClosed,
    Rebalanced,
)
from engine.market import MarketSpec
from engine.nav import nav_columns
from engine.outputs import NavBlock
from engine.policy import Policy
from engine.product import ProductSpec, Terms
from engine.sampler import Sampling
from engine.ticks import Marks, Step
from engine.units import DAY_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, Schedule

__all__ = ["BAND_TICKS", "SEC_STEPS", "band", "lev", "limits", "path", "sec", "trial"]

BAND_TICKS: Final = 120_000
"""Ticks through which a band vector's path is seen."""
SEC_STEPS: Final = 20_000
"""Rebalances in a year's path; the closed form is met to 0.01 points from about 16,000 on."""

_SEEDS: Final = (10**10, 10**7, 10**4)
"""Quote; every rounding is 1e-16 of the first. A product that grows out of 64 bits begins with the
next."""
_START: Final = 100.0
_LOT_DIGITS: Final = -8
_CHEAP: Final = 10.0
_PRICE_MIN: Final = 1e-9
_START_NS: Final = 1_700_000_000 * SECOND_NS
_FOREVER_NS: Final = 100_000 * DAY_NS
_BLOCK: Final = 65_536
_IDENTITY: Final = 1e-9
_LIMIT: Final = 1e9
_BASKET: Final = Terms()
_STEP: Final = 2
"""Prices of a path that has no halves."""
_STEEP: Final = 1e-3
_STRIDE: Final = 1.25
_STRIDES_MAX: Final = 100
"""Price ratios by which an edge is looked for, to 5e9."""

Values = dict[str, float]
Inputs = Mapping[str, Any]


class Trial(Struct):
    """What one product did on a path that began with so much quote."""

    seed: int
    events: list[Output]
    nav: np.ndarray[Any, np.dtype[np.float64]]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def rebalances(self) -> list[Rebalanced]:
        """Without the opening trade."""
        return [event for event in self.of(Rebalanced) if not event.opening]

    @property
    def factor(self) -> float:
        """NAV at the end over NAV at the start, of the samples."""
        return float(self.nav[-1] / self.nav[0])


def trial(
    policy: Policy, prices: np.ndarray[Any, np.dtype[np.float64]], terms: Terms = _BASKET
) -> Trial:
    """Send a path, one price a second, through an engine with one product and no costs.

    Raises:
        ArithmeticError: if the engine refuses a price, or the policy, of the least seed.
        OutOfRangeError: if what grows of the least seed fits no 64 bits.
    """
    *larger, least = _SEEDS
    for seed in larger:
        try:
            done = _tried(policy, prices, terms, seed)
        except OutOfRangeError:
            continue
        if not done.of(PolicyFaulted):
            return _sound(done)
    return _sound(_tried(policy, prices, terms, least))


def _sound(done: Trial) -> Trial:
    for event in done.of(InputRejected):
        raise ArithmeticError(f"price {event.sequence} is refused: {event.reason} {event.detail}")
    for event in done.of(PolicyFaulted):
        raise ArithmeticError(event.error)
    return done


def _tried(
    policy: Policy, prices: np.ndarray[Any, np.dtype[np.float64]], terms: Terms, seed: int
) -> Trial:
    spec = EngineSpec(
        symbols=("CONFORM",),
        markets=(
            MarketSpec(
                symbol=0,
                contract=ContractSpec(
                    symbol="CONFORM", base="BASE", quote="USD", lot_size=_lot_size(prices)
                ),
                book=BookSpec(model="flat"),
                funding=FundingSpec(recorded=False),
                mark_source="mark",
                stale_after_ns=_FOREVER_NS,
                frozen_after_ns=_FOREVER_NS,
            ),
        ),
        products=(
            ProductSpec(id="P", market=0, seed_atoms=seed * 10**6, limit=_LIMIT, terms=terms),
        ),
        policies=((policy,),),
        sampling=Sampling(nav_every_ns=SECOND_NS),
    )
    engine = Engine(spec)
    events: list[Output] = []
    blocks: list[NavBlock] = []
    for first in range(0, len(prices), _BLOCK):
        end = min(first + _BLOCK, len(prices))
        sequence = np.arange(first, end)
        ts_ns = _START_NS + sequence * SECOND_NS
        marks = Marks(sequence=sequence, symbol=0, ts_ns=ts_ns, price=prices[first:end])
        outputs = engine.process(Step(first=first, end=end, tables=(marks,)))
        events += outputs.events
        blocks += outputs.nav
    outputs = engine.finish()
    nav = nav_columns([*blocks, *outputs.nav])
    return Trial(seed, [*events, *outputs.events], nav["nav_atoms"])


def _lot_size(prices: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A hundred-millionth of the base; where a price is below 10, so much more that the seed's lots
    can be counted, and above 100 so much less that they are as many."""
    lowest = max(float(prices.min()), _PRICE_MIN)
    digits = math.ceil(math.log10(_CHEAP / lowest))
    return float(f"1e{_LOT_DIGITS + (digits if digits > 0 else min(0, digits + 1))}")


# Groups -------------------------------------------------------------------------------


def lev(inputs: Inputs) -> Values:
    """Band algebra: a rebalance after a move (what it buys; negative: it sells), or the price at
    which leverage reaches an edge."""
    if "leverage" in inputs:
        return _edge(float(inputs["target"]), abs(float(inputs["leverage"])))
    prices = np.array([_START, _START * (1.0 + float(inputs["price_return"]))])
    done = trial(Schedule(target=float(inputs["target"]), every_s=1.0), prices)
    scale = float(inputs["nav"]) / done.seed
    if not done.rebalances:
        held = float(inputs["target"])
        return {
            "nav_after": float(done.nav[-1]) / 10**6 * scale,
            "leverage_before_rebalance": held,
            "trade_notional": 0.0,
        }
    rebalanced = done.rebalances[-1]
    fill: OrderFilled = done.of(OrderFilled)[-1]
    return {
        "nav_after": rebalanced.nav_atoms / 10**6 * scale,
        "leverage_before_rebalance": rebalanced.leverage_before,
        "trade_notional": -fill.hedge_atoms / 10**6 * scale,
    }


def _edge(target: float, edge: float) -> Values:
    """Bisect on the engine: two neighbouring prices, at one of which it trades and at the other
    not.

    Raises:
        ArithmeticError: if no price far away brings it there.
    """
    against = edge > abs(target)
    low, high = (0.0, edge) if against else (edge, math.inf)
    policy = LeverageBand(target=target, low=low, high=high)
    falls = (target > 1.0) == against  # below 1x there is cash: a rise brings leverage up
    stride, quiet = 1.0 / _STRIDE if falls else _STRIDE, _START
    for _ in range(_STRIDES_MAX):
        moved = quiet * stride
        if _acts(policy, moved):
            break
        quiet = moved
    else:
        raise ArithmeticError(f"no price brings {target:g}x to {edge:g}x")
    while (middle := (quiet + moved) * 0.5) not in (quiet, moved):
        if _acts(policy, middle):
            moved = middle
        else:
            quiet = middle
    acted = trial(policy, np.array([_START, moved]))
    nav = acted.rebalances[-1].nav_atoms
    return {"price_ratio": moved / _START, "nav_factor": nav / (acted.seed * 10**6)}


def _acts(policy: Policy, price: float) -> bool:
    try:
        done = trial(policy, np.array([_START, price]))
    except ArithmeticError:  # so far away that no price is believed
        return False
    return bool(done.rebalances or done.of(ProductClosed))


def limits(inputs: Inputs) -> tuple[float, float]:
    """The edges of a band, magnitudes: a file may give those of a short product with its sign, or
    leave one out."""
    low, high = (inputs.get(name) for name in ("low", "high"))
    given = sorted(abs(float(each)) for each in (low, high) if each is not None)
    if len(given) == 2:
        return given[0], given[1]
    return (0.0 if low is None else given[0], math.inf if high is None else given[0])


def path(inputs: Inputs) -> Values:
    """A fixed multiple rebalanced at every price."""
    prices = np.array(inputs["path"], np.float64)
    return {"nav_factor": _factor(Schedule(target=float(inputs["target"]), every_s=1.0), prices)}


def _factor(policy: Policy, prices: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """NAV over NAV at the start of who begins anew at every price: of a steep path that of its
    halves, since what is left of a product, or what it has become, has too few digits."""
    try:
        factor = trial(policy, prices).factor
    except OutOfRangeError:
        if len(prices) <= _STEP:
            raise
        factor = math.inf
    if len(prices) <= _STEP or _STEEP < factor < 1.0 / _STEEP:
        return factor
    middle = len(prices) // 2
    first = _factor(policy, prices[: middle + 1])
    return first * _factor(policy, prices[middle:]) if first > 0.0 else 0.0


def band(inputs: Inputs, ticks: int = BAND_TICKS) -> Values:
    """A band product on the straight lines between the path's points, seen through ``ticks``
    ticks."""
    points = np.array(inputs["path"], np.float64)
    places = np.linspace(0.0, len(points) - 1.0, ticks)
    prices = np.interp(places, np.arange(len(points)), points)
    low, high = limits(inputs)
    done = trial(LeverageBand(target=float(inputs["target"]), low=low, high=high), prices)
    return {"nav_factor": done.factor, "rebalances": len(done.rebalances)}


def sec(inputs: Inputs, steps: int = SEC_STEPS) -> Values:
    """A fund rebalanced ``steps`` times on a path with exactly the index return and realised
    volatility.

    Log returns are ``m + a`` and ``m - a`` in turn, with ``n m = log(1 + R)`` and ``n (m^2 + a^2) =
    sigma^2``: the closed form is the limit, the error falls as ``1 / n``. A trend alone has the
    volatility ``m sqrt(n)``, which counts as none.

    Raises:
        ArithmeticError: if the fund's NAV is not ``prod(1 + L r)`` of its own path to 1e-9.
    """
    target = float(inputs["target"])
    drift = math.log1p(float(inputs["index_return"])) / steps
    swing = math.sqrt(max(float(inputs["volatility"]) ** 2 / steps - drift * drift, 0.0))
    places = np.arange(steps + 1)
    prices = _START * np.exp(places * drift + (places % 2) * swing)
    factor = trial(Schedule(target=target, every_s=1.0), prices).factor
    identity = float(np.prod(1.0 + target * (prices[1:] / prices[:-1] - 1.0)))
    if not abs(factor / identity - 1.0) <= _IDENTITY:
        raise ArithmeticError(f"NAV factor {factor!r} is not prod(1 + L r) = {identity!r}")
    return {"fund_return_pct": (factor - 1.0) * 100.0}
