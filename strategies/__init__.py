"""Leverage policies, one a module. The union is the registry: a configuration file decodes straight
into it."""

from __future__ import annotations

from strategies.constant import Constant
from strategies.cppi import Cppi
from strategies.deviation import Deviation
from strategies.drawdown_control import DrawdownControl
from strategies.fixed_term import FixedTerm
from strategies.flexible_leverage import FlexibleLeverage
from strategies.hidden_band import HiddenBand
from strategies.kelly_capped import KellyCapped
from strategies.leverage_band import LeverageBand
from strategies.margin_floor import MarginFloor
from strategies.margin_level import MarginLevel
from strategies.one_sided_guard import OneSidedGuard
from strategies.restrike import Restrike
from strategies.schedule import Schedule
from strategies.time_series_momentum import TimeSeriesMomentum
from strategies.trend_vol import TrendVol
from strategies.vol_target import VolTarget

__all__ = [
    "BuiltIn",
    "Constant",
    "Cppi",
    "Deviation",
    "DrawdownControl",
    "FixedTerm",
    "FlexibleLeverage",
    "HiddenBand",
    "KellyCapped",
    "LeverageBand",
    "MarginFloor",
    "MarginLevel",
    "OneSidedGuard",
    "Restrike",
    "Schedule",
    "TimeSeriesMomentum",
    "TrendVol",
    "VolTarget",
]

BuiltIn = (
    LeverageBand
    | Schedule
    | MarginFloor
    | MarginLevel
    | TrendVol
    | Constant
    | VolTarget
    | TimeSeriesMomentum
    | Cppi
    | DrawdownControl
    | KellyCapped
    | OneSidedGuard
    | Deviation
    | HiddenBand
    | FlexibleLeverage
    | Restrike
    | FixedTerm
)
