"""The built-in policies with parameters that try the suite of ``strategies.checking``."""

from __future__ import annotations

from typing import Final

from engine.policy import Policy
from strategies import (
    Constant,
    Cppi,
    Deviation,
    DrawdownControl,
    FixedTerm,
    FlexibleLeverage,
    HiddenBand,
    KellyCapped,
    LeverageBand,
    MarginFloor,
    MarginLevel,
    OneSidedGuard,
    Restrike,
    Schedule,
    TimeSeriesMomentum,
    TrendVol,
    VolTarget,
)
from strategies.checking import check_policy

__all__ = ["EXAMPLES", "check_policy"]

EXAMPLES: Final[dict[str, tuple[Policy, ...]]] = {
    "leverage_band": (
        LeverageBand(target=3.0, low=2.25, high=4.125),
        LeverageBand(target=-3.0, low=1.5, high=5.25),
        LeverageBand(target=5.0, low=4.99, high=5.01),
        LeverageBand(target=-5.0, low=3.5, high=7.0),
        LeverageBand(target=0.5, low=0.4, high=0.6),
        LeverageBand(target=1.0, low=0.5, high=2.0),
        LeverageBand(target=-1.0, low=0.0, high=1.5),
        LeverageBand(target=3.0, low=2.7, high=3.3, rebalance_to="edge"),
        LeverageBand(target=-2.0, low=1.8, high=2.2, rebalance_to="edge", inset=0.001),
    ),
    "schedule": (
        Schedule(target=3.0, every_s=60.0),
        Schedule(target=-2.0, times=("09:30", "16:00:01"), timezone="America/New_York"),
        Schedule(target=2.0, times=("00:00",), timezone="Asia/Shanghai"),
    ),
    "margin_floor": (
        MarginFloor(),
        MarginFloor(max_leverage=3.2, cut_to=2.5),
        MarginFloor(max_leverage=3.0, cut_to=0.5),
    ),
    "margin_level": (
        MarginLevel(),
        MarginLevel(call=1.45, sell=1.02),
    ),
    "trend_vol": (
        TrendVol(),
        TrendVol(direction=-1),
        TrendVol(review_s=10.0, fast_move=0.002, step=0.0),
        TrendVol(direction=-1, review_s=30.0, fast_move=0.005, low=0.5, base=0.5, high=3.0),
    ),
    "constant": (
        Constant(target=2.0),
        Constant(target=-3.0, review_s=7.0, step=0.05),
        Constant(target=0.0),
    ),
    "vol_target": (
        VolTarget(),
        VolTarget(direction=-1, scaled_by="variance", estimator="parkinson", review_s=30.0),
        VolTarget(estimator="realised", step=0.0, review_s=10.0, low=0.5, high=3.0),
    ),
    "time_series_momentum": (
        TimeSeriesMomentum(),
        TimeSeriesMomentum(lookback=3, review_s=30.0, step=0.0),
        TimeSeriesMomentum(lookback=1, review_s=10.0, allow_short=False),
    ),
    "cppi": (
        Cppi(),
        Cppi(direction=-1, multiplier=3.0, guard=3.3, review_s=60.0),
        Cppi(ratchet=0.85, floor=0.7, multiplier=6.0, guard=6.1, high=8.0, review_s=30.0, step=0.0),
        Cppi(floor=0.0, multiplier=1.5, guard=1.6),
    ),
    "drawdown_control": (
        DrawdownControl(),
        DrawdownControl(direction=-1, base=2.0, max_drawdown=0.1, review_s=10.0, step=0.0),
        DrawdownControl(base=5.0, max_drawdown=0.2, low=1.0),
    ),
    "kelly_capped": (
        KellyCapped(),
        KellyCapped(expected_return=-0.5, low=-2.0, review_s=30.0, step=0.0),
        KellyCapped(fraction=2.0, high=8.0),
    ),
    "one_sided_guard": (
        OneSidedGuard(target=3.0, move=0.15),
        OneSidedGuard(target=-3.0, high=4.0),
        OneSidedGuard(target=0.5, high=0.75),
    ),
    "deviation": (
        Deviation(target=2.0),
        Deviation(target=5.0, threshold=0.01),
        Deviation(target=-1.0, threshold=0.03),
        Deviation(target=0.5, threshold=0.002),
    ),
    "hidden_band": (
        HiddenBand(),
        HiddenBand(direction=-1),
        HiddenBand(low=1.5, high=3.0, home=1.6),
    ),
    "flexible_leverage": (
        FlexibleLeverage(),
        FlexibleLeverage(
            interval_s=600.0, cooldown_s=60.0, ripcord_cooldown_s=10.0, max_trade=0.02
        ),
        FlexibleLeverage(
            target=3.0,
            low=2.9,
            high=3.1,
            ripcord=3.2,
            recentring=1.0,
            interval_s=60.0,
            cooldown_s=30.0,
            ripcord_cooldown_s=1.0,
            max_trade=0.3,
            ripcord_max_trade=0.05,
            slippage=0.01,
            ripcord_slippage=0.05,
            collateral_factor=0.8,
            unutilised=0.01,
        ),
    ),
    "fixed_term": (
        FixedTerm(leverage=50.0, term_s=700.0, settle_over_s=120, review_s=30.0),
        FixedTerm(side="short", leverage=20.0, term_s=900.0, settle_over_s=0, fee=0.01),
        FixedTerm(leverage=1.0, term_s=400.0, settle_over_s=400, review_s=10.0),
    ),
    "restrike": (
        Restrike(target=3.0),
        Restrike(target=-3.0, loss=0.1, delay_s=5.0, window_s=30.0),
        Restrike(target=2.0, loss=0.02, window_s=0.0),
    ),
}
"""Built-in policies to be checked, by the name that a configuration uses."""
