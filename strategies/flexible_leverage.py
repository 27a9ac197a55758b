"""``flexible_leverage``: slowly back to target, in chunks, and fast where it becomes dangerous."""

from __future__ import annotations

import math
from typing import ClassVar, Final, Literal

from msgspec import Struct

from engine.plans import Now, Plan
from engine.policy import Decision, Deleverage, SetLeverage, View, leverage_watch
from engine.units import SECOND_NS
from engine.watch import ALWAYS, Watch
from strategies.collateral import ONE, Collateral, fixed, recentred

__all__ = ["FlexibleLeverage", "FlexibleLeverageState"]

_HAIR: Final = 1e-9
"""A rebalance may end on an edge; only beyond it is outside."""

_CHUNKS_MAX: Final = 8.0
"""Above it no margin is left for going slowly: the cut is whole."""

_REST: Final = 1_000
"""A trade that was capped is done where less than such a part of the collateral is missing."""

_SETTLED_NS: Final = SECOND_NS
"""So long after it was sent a capped trade is looked at."""

Action = Literal["none", "rebalance", "iterate", "ripcord"]


class FlexibleLeverageState(Struct, frozen=True):
    """When it last traded, 0 before the first look, and the leverage to which chunks are still
    under way; 0 where none are. ``looked``: after a capped trade, how far it came."""

    last_ns: int = 0
    twap: float = 0.0
    looked: bool = False


class FlexibleLeverage(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="flexible_leverage",
    tag_field="type",
):
    """Index Coop's flexible leverage indices, long.

    - Every ``interval_s`` leverage goes a share ``recentring`` of its way to ``target``, at once
      where it lies outside ``[low, high]``, and never farther than into that range: from 2.25x to
      2.2375x; from 2.43x to 2.3x.
    - What is more than ``max_trade`` goes in chunks, one every ``cooldown_s``. Chunks end without a
      trade when the price has carried leverage past where they led, towards ``target``.
    - A trade goes no farther than ``slippage`` from the mid of when it is sent (of the ripcord,
      ``ripcord_slippage``), as far as the book has it there. What is missing is tried again after a
      cooldown, until less than a thousandth of the collateral is. From 1,000, capped at 1 %, it
      buys up to 1,010.
    - At or above ``ripcord``, every ``ripcord_cooldown_s``: a chunk of up to ``ripcord_max_trade``
      towards ``high``; whatever was under way is given up. Nothing is traded sooner than that
      after a trade.

    Left alone, half of a deviation is gone after 13.5 intervals. Speed in trouble: a chunk ``q`` of
    a collateral ``C`` takes ``l q / C`` off the leverage ``l``.

    Args:
        target, low, high, ripcord: leverage, ``1 < low <= target <= high <= ripcord``.
        recentring: share of the way, above 0 and at most 1.
        max_trade, ripcord_max_trade: base in a chunk; 0 is no limit.
        slippage, ripcord_slippage: shares of the price; 0 is no cap.
        collateral_factor, unutilised: a lender's: what he lends of the collateral's value, and what
            of that is left aside. 0 is no lender, as with perpetual contracts.

    Its contracts give a trade up whole where the average price is beyond the cap; a book is taken
    as far as it goes. The cap of supply is a product's (``terms.offering.units_max``), the keeper's
    reward nobody's here. It does badly where the market falls faster than its chunks sell, in a
    book so thin that its caps keep it from selling at all, and between intervals, in which it lets
    leverage drift.

    Source: ``products.md`` 1.6, 3.4 and 4.1.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    target: float = 2.0
    low: float = 1.7
    high: float = 2.3
    recentring: float = 0.05
    interval_s: float = 86_400.0
    max_trade: float = 0.0
    cooldown_s: float = 3_000.0
    ripcord: float = 2.6
    ripcord_max_trade: float = 0.0
    ripcord_cooldown_s: float = 60.0
    slippage: float = 0.0
    ripcord_slippage: float = 0.0
    collateral_factor: float = 0.0
    unutilised: float = 0.0

    def __post_init__(self) -> None:
        if not 1.0 < self.low <= self.target <= self.high <= self.ripcord < math.inf:
            raise ValueError("flexible_leverage wants 1 < low <= target <= high <= ripcord")
        if not self.low < self.high:
            raise ValueError("flexible_leverage wants low < high")
        if not 0.0 < self.recentring <= 1.0:
            raise ValueError(f"flexible_leverage wants 0 < recentring <= 1, was {self.recentring}")
        if not 1.0 <= self.ripcord_cooldown_s <= self.cooldown_s <= self.interval_s <= 1e9:
            raise ValueError(
                "flexible_leverage wants 1 <= ripcord_cooldown_s <= cooldown_s <= interval_s <= 1e9"
            )
        if not (0.0 <= self.max_trade < math.inf and 0.0 <= self.ripcord_max_trade < math.inf):
            raise ValueError("flexible_leverage wants max_trade and ripcord_max_trade >= 0")
        if not (0.0 <= self.collateral_factor <= 1.0 and 0.0 <= self.unutilised < 1.0):
            raise ValueError("flexible_leverage wants shares as collateral_factor and unutilised")

        if not (0.0 <= self.slippage <= 0.5 and 0.0 <= self.ripcord_slippage <= 0.5):
            raise ValueError("flexible_leverage wants slippage and ripcord_slippage up to 0.5")

    def initial_state(self) -> FlexibleLeverageState:
        return FlexibleLeverageState()

    def watch(self, view: View, state: FlexibleLeverageState) -> Watch:
        if not state.last_ns:
            return ALWAYS
        if self._asks_what_came(state):
            settled_ns = state.last_ns + _SETTLED_NS
            return Watch(alarm_ns=settled_ns) if view.due_ns < settled_ns else ALWAYS
        rested_ns = state.last_ns + _ns(self.ripcord_cooldown_s)
        wait_s = self.cooldown_s if state.twap else self.interval_s
        alarm_ns, low, high = state.last_ns + _ns(wait_s), *self._band()
        if state.twap:
            low, high = 0.0, self.ripcord
        if low < view.position.leverage < high:
            edges = leverage_watch(view, low, high, 1.0)
            return Watch(edges.low, edges.high, alarm_ns)
        if view.due_ns < rested_ns:
            return Watch(alarm_ns=rested_ns)
        return Watch(alarm_ns=alarm_ns) if state.twap and view.position.leverage <= 0.0 else ALWAYS

    def decide(
        self, view: View, state: FlexibleLeverageState
    ) -> tuple[Decision | None, FlexibleLeverageState]:
        if not state.last_ns:
            if view.position.target:  # others had it until now: their rules were not these
                return None, FlexibleLeverageState(view.due_ns)
            return self._towards(view, fixed(self.target), self.max_trade, "engage")
        if self._asks_what_came(state) and view.due_ns >= state.last_ns + _SETTLED_NS:
            left = 0.0 if self._is_there(view, state) else state.twap
            state = FlexibleLeverageState(state.last_ns, left, looked=True)
        action = self._due(view, state)
        if action == "none":
            return None, state
        held = _seen(view)
        if action == "ripcord":
            high, most = fixed(self.high), self.ripcord_max_trade
            decision, kept = self._towards(view, high, most, "ripcord")
            return decision, FlexibleLeverageState(kept.last_ns)
        if action == "rebalance":
            speed, low, high = fixed(self.recentring), fixed(self.low), fixed(self.high)
            goal = recentred(held.leverage, fixed(self.target), speed, low, high)
            return self._towards(view, goal, self.max_trade, "recentring")
        goal, target = fixed(state.twap), fixed(self.target)
        past = goal <= held.leverage if goal < target else held.leverage <= goal
        if goal != target and past:
            return None, FlexibleLeverageState(view.due_ns)
        return self._towards(view, goal, self.max_trade, "chunk")

    def _due(self, view: View, state: FlexibleLeverageState) -> Action:
        since, held = view.due_ns - state.last_ns, view.position.leverage
        if since < _ns(self.ripcord_cooldown_s):
            return "none"
        if held >= self.ripcord:
            return "ripcord"
        if state.twap:
            return "iterate" if since >= _ns(self.cooldown_s) else "none"
        low, high = self._band()
        return "none" if low < held < high and since < _ns(self.interval_s) else "rebalance"

    def _asks_what_came(self, state: FlexibleLeverageState) -> bool:
        """Whether a trade was capped, and nobody has looked yet how far it came."""
        return bool(state.twap and self.slippage) and not state.looked

    def _is_there(self, view: View, state: FlexibleLeverageState) -> bool:
        if view.position.leverage <= 0.0:
            return False
        held = _seen(view)
        return held.total(fixed(state.twap)) < held.collateral // _REST

    def _band(self) -> tuple[float, float]:
        return self.low * (1.0 - _HAIR), self.high * (1.0 + _HAIR)

    def _towards(
        self, view: View, goal: int, most: float, what: str
    ) -> tuple[Decision | None, FlexibleLeverageState]:
        """A chunk on the way to ``goal``, and what is left to do after it."""
        held = _seen(view)
        total = held.total(goal)
        factor, unutilised = fixed(self.collateral_factor), fixed(self.unutilised)
        chunk = held.chunk(goal, fixed(most) if most else None, factor, unutilised)
        whole = chunk == total
        sure = whole and not self.slippage  # with a cap nobody knows before it is filled
        kept = FlexibleLeverageState(view.due_ns, 0.0 if sure else goal / ONE)
        if not chunk:
            return None, kept
        before = held.leverage / ONE
        share = chunk / held.collateral * before
        after = goal / ONE if whole else before + (share if goal > held.leverage else -share)
        if after > _CHUNKS_MAX:
            after, kept = goal / ONE, FlexibleLeverageState(view.due_ns)
        why = f"{what}: {before:.4f} to {goal / ONE:.4f}"
        why += "" if whole else f", {chunk / total:.1%} of it now"
        if what == "ripcord":
            return Deleverage(after, why, _capped(self.ripcord_slippage)), kept
        return SetLeverage(after, why, _capped(self.slippage)), kept


def _capped(slippage: float) -> Plan | None:
    return Now(slippage_bps=slippage * 1e4) if slippage else None


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)


def _seen(view: View) -> Collateral:
    """The product as collateral and debt; one without debt is its NAV, all in coins."""
    mark, position = view.market.mark, view.position
    held = position.exposure if position.exposure > position.nav else position.nav
    return Collateral(fixed(mark), fixed(held / mark), fixed(held - position.nav))
