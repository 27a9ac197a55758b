"""What happened to the crowd of a market, minute by minute: what was liquidated, who took it, and
how near the market was to feeding its own fall."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from engine.units import MINUTE_NS, asset_decimals

__all__ = ["WAVE_EVENTS", "Minute", "Waves", "assets_of", "waves_of"]

Object = dict[str, Any]

WAVE_EVENTS: Final = frozenset({"population_liquidated", "cascade_ratio"})
"""Tags of the events that ``Waves.note`` wants."""


class Minute(Struct):
    """Of one minute, in the asset the contract settles in.

    Attributes:
        longs, shorts: notional that was liquidated.
        unpaid: notional of it that neither book nor insurance fund took.
        positions: how many were liquidated.
        instants: at how many times.
        repeats: waves that followed another one at the same instant.
        fund: what the insurance fund got, less what it paid.
        low, high: marks at which it happened.
    """

    longs: float = 0.0
    shorts: float = 0.0
    unpaid: float = 0.0
    positions: int = 0
    instants: int = 0
    repeats: int = 0
    fund: float = 0.0
    low: float = 0.0
    high: float = 0.0


class Waves(Struct):
    """Of one market: minutes by their beginning; cascade ratios as they were told."""

    decimals: int
    minutes: dict[int, Minute] = {}
    ratios: list[Object] = []
    last: tuple[int, str, str] = (0, "", "")

    def note(self, event: Object) -> None:
        """One of ``WAVE_EVENTS``, of this market."""
        if event["event"] == "cascade_ratio":
            self.ratios.append(event)
            return
        start_ns, mark = event["ts_ns"] // MINUTE_NS * MINUTE_NS, event["mark_price"]
        minute = self.minutes.setdefault(start_ns, Minute(low=mark, high=mark))
        notional = event["notional_atoms"] / 10**self.decimals
        if event["side"] == "long":
            minute.longs += notional
        else:
            minute.shorts += notional
        minute.unpaid += notional * event["unpaid_lots"] / (event["lots"] or 1)
        minute.positions += event["positions"]
        minute.fund += (event["fund_atoms"] - event["fund_paid_atoms"]) / 10**self.decimals
        minute.low, minute.high = min(minute.low, mark), max(minute.high, mark)
        now = (event["ts_ns"], event["side"], event["population"])
        minute.repeats += now == self.last
        minute.instants += now[0] != self.last[0]
        self.last = now

    @property
    def liquidated(self) -> float:
        """Notional of all of it."""
        return sum(each.longs + each.shorts for each in self.minutes.values())

    @property
    def unpaid(self) -> float:
        """Of that, what was left to counterparties."""
        return sum(each.unpaid for each in self.minutes.values())


def assets_of(config: Object) -> dict[str, str]:
    """In which asset each market of a configuration settles."""
    found = {}
    for market in config.get("markets", ()):
        contract = market.get("contract", {})
        settled = "base" if contract.get("kind") == "inverse" else "quote"
        found[market["symbol"]] = str(contract.get(settled) or "USDT")
    return found


def waves_of(asset: str) -> Waves:
    """None yet, of a market that settles in it."""
    return Waves(asset_decimals(asset))
