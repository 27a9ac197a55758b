"""Known answers about the book: what depth two figures make, and what a sweep of it costs.

Orders go through an engine with one product: one at market tells the average price, and
fill-or-kill orders at limits ever nearer tell how far the book must be walked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.engine import Engine, EngineSpec
from engine.events import OrderFilled, Output
from engine.exact import log2, power
from engine.market import MarketSpec
from engine.plans import LimitThenMarket
from engine.product import HedgeTerms, ProductSpec
from engine.ticks import Marks, Step
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand

__all__ = ["depth"]

_MARK: Final = 100.0
_START_NS: Final = 1_700_000_000 * SECOND_NS
_FAR_BP: Final = 1_000.0
_SAME: Final = 1e-9
_DEPTH: Final = re.compile(r"depth_(\d+(?:\.\d+)?)bp_usd")


def depth(inputs: Mapping[str, Any]) -> dict[str, float]:
    """The power of a depth known at two distances, or what a sweep of ``Q`` reaches and costs."""
    if "Q" in inputs:
        book = (float(inputs["A_usd_at_100bp"]), float(inputs["beta"]))
        size = float(inputs["Q"])
        (fill,) = _fills(size, *book)
        return {"u_star_bp": _reach(size, *book), "avg_slip_bp": (fill.price / _MARK - 1.0) * 1e4}
    known = sorted(
        (float(match[1]), float(quote))
        for name, quote in inputs.items()
        if (match := _DEPTH.fullmatch(name))
    )
    (near, less), (far, more) = known
    beta = log2(more / less) / log2(far / near)
    reached = _reach(less, more * power(100.0 / far, beta), beta)
    if not abs(reached / near - 1.0) <= _SAME:
        raise ArithmeticError(f"a sweep of {less:g} reaches {reached!r} bp, not {near!r}")
    return {"beta": beta}


def _reach(size: float, at_1pct: float, beta: float) -> float:
    """The nearest limit, bp from mid, at which the whole order is filled: two neighbours, of which
    one is too near."""
    low, high = 0.0, _FAR_BP
    if not _fills(size, at_1pct, beta, high):
        raise ArithmeticError(f"the book holds no {size:g} within {_FAR_BP:g} bp")
    while (middle := (low + high) * 0.5) not in (low, high) and high - low > high * _SAME / 8.0:
        if _fills(size, at_1pct, beta, middle):
            high = middle
        else:
            low = middle
    return high


def _fills(
    size: float, at_1pct: float, beta: float, limit_bp: float | None = None
) -> list[OrderFilled]:
    """What a purchase of ``size`` quote got at once: at market, or all or nothing at a limit."""
    hedge = HedgeTerms()
    if limit_bp is not None:
        hedge = HedgeTerms(plan=LimitThenMarket(offset_bps=-limit_bp, time_in_force="fok"))
    book = BookSpec(model="depth", depth_at_1pct=at_1pct, beta_near=beta, beta_far=beta)
    market = MarketSpec(
        symbol=0,
        contract=ContractSpec(
            symbol="CONFORM", base="BASE", quote="USD", lot_size=1e-9, price_step=1e-12
        ),
        book=book,
        funding=FundingSpec(recorded=False),
        mark_source="mark",
    )
    product = ProductSpec(id="P", market=0, seed_atoms=round(size * 1e6), hedge=hedge)
    engine = Engine(
        EngineSpec(
            symbols=("CONFORM",),
            markets=(market,),
            products=(product,),
            policies=((LeverageBand(target=1.0, low=0.5, high=2.0),),),
        )
    )
    marks = Marks(
        sequence=np.array([0]), symbol=0, ts_ns=np.array([_START_NS]), price=np.array([_MARK])
    )
    said: Sequence[Output] = engine.process(Step(first=0, end=1, tables=(marks,))).events
    return [event for event in said if isinstance(event, OrderFilled)]
