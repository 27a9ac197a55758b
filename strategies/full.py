"""The full interface for users: a class of their own with ``watch`` and ``decide``, as the built-in
policies have them, and what it answers looked at before the engine relies on it."""

from __future__ import annotations

import math
from time import perf_counter_ns
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import PolicyError
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
)
from engine.watch import Watch
from strategies.answers import Spent, bounded, raised

__all__ = ["FullPolicy", "full_policy"]

_DECISIONS: Final = (SetLeverage, Deleverage, Quote, Close, Warn)
_PAIR: Final = 2


class FullPolicy(Struct, frozen=True, kw_only=True):
    """A user's policy behind the same door as a small one: timed, bounded, and its faults told with
    their place.

    Attributes:
        name: of the class.
        model: the user's object.
        limit, clamp: as of a small policy.
        spent: how long the answers took.
    """

    name: str
    model: Any
    limit: float
    clamp: bool
    spent: Spent
    uses_signals: bool
    uses_high_water: bool
    de_risking: bool

    def initial_state(self) -> Any:
        return self.model.initial_state()

    def watch(self, view: View, state: Any) -> Watch:
        try:
            watch = self.model.watch(view, state)
        except (Exception, SystemExit) as error:
            raise raised(f"{self.name}.watch", error, view.market) from error
        if not isinstance(watch, Watch):
            raise self._wrong("watch", watch, "a Watch", view.market)
        if math.isnan(watch.low) or math.isnan(watch.high):
            raise PolicyAnswerError(f"{self.name}.watch returned {watch}; its edges must be prices")
        return watch

    def decide(self, view: View, state: Any) -> tuple[Decision | None, Any]:
        began = perf_counter_ns()
        try:
            answer = self.model.decide(view, state)
        except (Exception, SystemExit) as error:
            raise raised(f"{self.name}.decide", error, view.market) from error
        if not isinstance(answer, tuple) or len(answer) != _PAIR:
            pair = "a pair: a decision or None, and the state"
            raise self._wrong("decide", answer, pair, view.market)
        decision, kept = answer
        if decision is not None:
            decision = self._checked(decision, view)
        self.spent.asked += 1
        self.spent.ns += perf_counter_ns() - began
        return decision, kept

    def _checked(self, decision: Any, view: View) -> Decision:
        if not isinstance(decision, _DECISIONS):
            names = ", ".join(each.__name__ for each in _DECISIONS)
            raise self._wrong("decide", decision, f"one of {names}, or None", view.market)
        if isinstance(decision, SetLeverage | Deleverage):
            what, limit = f"{self.name}.decide", self.limit
            target = bounded(what, decision.target, view.market, limit, clamp=self.clamp)
            if target is not decision.target:
                return replace(decision, target=target)
        return decision

    def _wrong(self, method: str, answer: Any, wanted: str, market: MarketView) -> Exception:
        shown = f" {answer!r}" if isinstance(answer, str | int | float | None) else ""
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
        msgspec.msgpack.encode(model.initial_state())
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's class may raise anything
        raise PolicyError(
            f"{name}.initial_state must return what a snapshot can hold, a frozen struct of "
            f"numbers and texts for instance ({type(error).__name__}: {error})"
        ) from None
    return cast(
        "Policy",
        FullPolicy(
            name=name,
            model=model,
            limit=limit,
            clamp=clamp,
            spent=Spent(),
            uses_signals=bool(model.uses_signals),
            uses_high_water=bool(model.uses_high_water),
            de_risking=bool(model.de_risking),
        ),
    )
