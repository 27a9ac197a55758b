"""The full interface for users: a class of their own with ``watch`` and ``decide``, as the built-in
policies have them, and what it answers looked at before the engine relies on it.

What it remembers is what a snapshot gives back: the class is shown a copy each time, so that it
cannot change what the engine keeps, and a run that was restored goes on as one that was not.
"""

from __future__ import annotations

import math
from copy import copy
from numbers import Real
from operator import index
from time import perf_counter_ns
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import PolicyError
from engine.plans import Plan
from engine.policy import (
    Close,
    Decision,
    Deleverage,
    MarketView,
    Policy,
    PolicyAnswerError,
    Quote,
    SetLeverage,
    View,
    Warn,
    is_text,
)
from engine.units import NEVER_NS
from engine.watch import Watch
from strategies.answers import REASON_MAX, Spent, bounded, explained, finite, raised
from strategies.user_class import place_line

__all__ = ["FullPolicy", "full_policy"]

_DECISIONS: Final = (SetLeverage, Deleverage, Quote, Close, Warn)
_PAIR: Final = 2
_SHORT: Final = (str, float, bool, type(None))
_LOOKS: Final = ("uses_signals", "uses_high_water", "de_risking")
_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")


class FullPolicy(Struct, frozen=True, kw_only=True):
    """A user's policy behind the same door as a small one: timed, bounded, and its faults told with
    their place.

    Attributes:
        name: of the class.
        model: the user's object.
        kind, first: what its state is an object of, and its first state (msgpack).
        limit, clamp: as of a small policy.
        spent: how long the answers took.
    """

    name: str
    model: Any
    kind: Any
    first: bytes
    limit: float
    clamp: bool
    spent: Spent
    uses_signals: bool
    uses_high_water: bool
    de_risking: bool

    def initial_state(self) -> Any:
        return _recalled(self.first, self.kind)

    def watch(self, view: View, state: Any) -> Watch:
        known = _recalled(_ENCODER.encode(state), self.kind)
        try:
            watch = self.model.watch(_shown(view), known)
        except BaseException as error:
            raise raised(f"{self.name}.watch", error, view.market) from error
        if type(watch) is not Watch:
            raise self._wrong("watch", watch, "a Watch", view.market)
        return self._checked_watch(watch, view.market)

    def decide(self, view: View, state: Any) -> tuple[Decision | None, Any]:
        began = perf_counter_ns()
        known = _ENCODER.encode(state)
        mine = _recalled(known, self.kind)
        try:
            answer = self.model.decide(_shown(view), mine)
        except BaseException as error:
            raise raised(f"{self.name}.decide", error, view.market) from error
        if not isinstance(answer, tuple) or len(answer) != _PAIR:
            pair = "a pair: a decision or None, and the state"
            raise self._wrong("decide", answer, pair, view.market)
        decision, remembered = answer
        if decision is not None:
            decision = self._checked(decision, view)
        image, kept = self._kept(remembered, view.market)
        self.spent.asked += 1
        self.spent.ns += perf_counter_ns() - began
        return decision, state if image == known else kept

    def _checked_watch(self, watch: Watch, market: MarketView) -> Watch:
        low, high, alarm_ns = watch.low, watch.high, watch.alarm_ns
        if type(low) is not float or type(high) is not float or type(alarm_ns) is not int:
            try:
                low, high, alarm_ns = _price(low), _price(high), index(alarm_ns)
            except Exception as error:
                raise raised(f"{self.name}.watch: its Watch", error, market) from error
        if math.isnan(low) or math.isnan(high):
            shown = f"Watch(low={low}, high={high})"
            raise PolicyAnswerError(f"{self.name}.watch returned {shown}; its edges must be prices")
        return Watch(low, high, min(alarm_ns, NEVER_NS))

    def _kept(self, state: Any, market: MarketView) -> tuple[bytes, Any]:
        """What a snapshot would hold of a state, and what it would give back."""
        try:
            image = _ENCODER.encode(state)
            kept = _recalled(image, self.kind)
            same = _ENCODER.encode(kept) == image
        except Exception as error:
            what = f"{self.name}.decide: its state, which a snapshot cannot hold,"
            raise raised(what, error, market) from error
        if not same:
            wanted = f"a state that a snapshot gives back as {self.kind.__name__}"
            raise self._wrong("decide", state, wanted, market)
        return image, kept

    def _checked(self, decision: Any, view: View) -> Decision:
        market = view.market
        if type(decision) not in _DECISIONS:
            names = ", ".join(each.__name__ for each in _DECISIONS)
            raise self._wrong("decide", decision, f"one of {names}, or None", market)
        reason = self._checked_reason(decision.reason, market)
        if isinstance(decision, Close | Warn):
            return replace(decision, reason=reason)
        plan = self._checked_plan(decision.plan, market)
        if isinstance(decision, Quote):
            what, number = f"{self.name}.decide: its quote", "numbers"
            worth = finite(what, decision.nav_per_unit, market, number)
            target = finite(what, decision.target, market, number)
            settles: Any = decision.settles
            if type(settles) is not bool:
                wanted = "a quote whose settles is True or False"
                raise self._wrong("decide", settles, wanted, market)
            return Quote(worth, target, reason, settles, plan)
        what, limit = f"{self.name}.decide", self.limit
        target = bounded(what, decision.target, market, limit, clamp=self.clamp)
        checked: Decision = replace(decision, target=target, reason=reason, plan=plan)
        return checked

    def _checked_reason(self, reason: Any, market: MarketView) -> str:
        """What a decision says, as much of it as stands beside every rebalance."""
        if type(reason) is not str:
            raise self._wrong("decide", reason, "a decision whose reason is a text", market)
        if not is_text(reason):
            said = f"{self.name}.decide gave {reason[:REASON_MAX]!r} as reason"
            raise PolicyAnswerError(f"{said}; it cannot be written")
        return reason[:REASON_MAX]

    def _checked_plan(self, plan: Any, market: MarketView) -> Plan | None:
        """A plan whose numbers are what its fields say."""
        if plan is None:
            return None
        if not isinstance(plan, Plan):
            raise self._wrong("decide", plan, "a decision whose plan is one, or None", market)
        try:
            checked: Plan = msgspec.convert(msgspec.to_builtins(plan), Plan)
        except Exception as error:
            raise raised(f"{self.name}.decide: its plan", error, market) from error
        return checked

    def _wrong(self, method: str, answer: Any, wanted: str, market: MarketView) -> Exception:
        short = type(answer) in _SHORT or (type(answer) is int and answer.bit_length() < 64)
        shown = f" {answer!r}" if short else ""
        return PolicyAnswerError(
            f"{self.name}.{method} returned {type(answer).__name__}{shown} at {market.ts_ns}; it "
            f"must return {wanted}"
        )


def full_policy(model: Any, *, limit: float, clamp: bool) -> Policy:
    """A user's object as the engine asks it.

    Raises:
        PolicyError: if its first state is none, or none that a snapshot can hold.
    """
    name = type(model).__name__
    try:
        state = model.initial_state()
        first, kind = _ENCODER.encode(state), type(state)
        comes_back = _ENCODER.encode(_recalled(first, kind)) == first
    except BaseException as error:  # noqa: BLE001  # a user's class may raise anything
        said = f"({explained(error)}){place_line(error)}"
        raise PolicyError(
            f"{name}.initial_state must return what a snapshot can hold, a frozen struct of "
            f"numbers and texts for instance {said}"
        ) from None
    if not comes_back:
        raise PolicyError(f"{name}.initial_state: a snapshot gives {kind.__name__} back as another")
    try:
        looks = [bool(getattr(model, what)) for what in _LOOKS]
    except BaseException as error:  # noqa: BLE001  # the same
        said = f"{explained(error)}{place_line(error)}"
        raise PolicyError(f"{name}: {', '.join(_LOOKS)} must be True or False; {said}") from None
    return cast(
        "Policy",
        FullPolicy(
            name=name,
            model=model,
            kind=kind,
            first=first,
            limit=limit,
            clamp=clamp,
            spent=Spent(),
            uses_signals=looks[0],
            uses_high_water=looks[1],
            de_risking=looks[2],
        ),
    )


def _recalled(image: bytes, kind: Any) -> Any:
    """A state as a snapshot gives it back."""
    return msgspec.convert(msgspec.msgpack.decode(image), kind)


def _shown(view: View) -> View:
    """A view of his own: a frozen struct can be written to with some effort."""
    return View(copy(view.market), copy(view.position), view.due_ns)


def _price(edge: Any) -> float:
    if not isinstance(edge, Real):
        raise TypeError(f"an edge is {type(edge).__name__}; it must be a price")
    return float(edge)
