"""Leverage policies, one a module. The union is the registry: a configuration file decodes straight
into it."""

from __future__ import annotations

from strategies.leverage_band import LeverageBand
from strategies.margin_floor import MarginFloor
from strategies.margin_level import MarginLevel
from strategies.schedule import Schedule
from strategies.trend_vol import TrendVol

__all__ = ["BuiltIn", "LeverageBand", "MarginFloor", "MarginLevel", "Schedule", "TrendVol"]

BuiltIn = LeverageBand | Schedule | MarginFloor | MarginLevel | TrendVol
