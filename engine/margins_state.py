"""What the venue's risk desk remembers between steps."""

from __future__ import annotations

from msgspec import Struct

from engine.venue.accounts import Trader
from engine.venue.desk import Stage
from engine.venue.insurance import InsuranceFund
from engine.venue.margined import Lots

__all__ = ["MarginsState"]


class MarginsState(Struct):
    """What the risk desk remembers: who is on the way through liquidation or was called, the other
    customers' accounts, the funds' peaks by asset, the markets that have a price, when owners last
    acted (``Acting``), and when accounts were last closed in part."""

    stages: dict[str, Stage] = {}
    called: dict[str, tuple[Lots, int]] = {}
    traders: list[Trader] = []
    funds: dict[str, InsuranceFund] = {}
    launched: list[int] = []
    acted: dict[str, tuple[int, Lots, int]] = {}
    parted: dict[str, int] = {}
