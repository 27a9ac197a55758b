"""The suite for policies: every built-in passes it, and each kind of fault is found by it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from engine.policy import Nothing, Policy, SetLeverage, View, leverage_watch
from engine.units import MINUTE_NS
from engine.watch import NEVER, Watch
from strategies.checking import BrokenPromiseError
from strategies.small import SmallPolicy
from strategies.user import BUILT_IN
from tests.strategies.check_policy import EXAMPLES, check_policy


@pytest.mark.parametrize(
    "policy", [p for each in EXAMPLES.values() for p in each], ids=lambda p: repr(p)[:60]
)
def test_a_built_in_policy_keeps_its_promises(policy: Policy) -> None:
    """Catches an edge on the wrong side, a timer that compares with the wrong time, a state that
    no snapshot can hold."""
    check_policy(policy)


def test_no_built_in_policy_is_left_out() -> None:
    """Whoever adds one adds its examples. Catches a policy that nobody holds to anything."""
    assert set(EXAMPLES) == set(BUILT_IN)
    for name, policies in EXAMPLES.items():
        assert all(type(policy) is BUILT_IN[name] for policy in policies)


class Alternating:
    """A user's own policy with a memory."""

    def __init__(self) -> None:
        self.turns = 0

    def target(self, market: Any, position: Any) -> float:
        self.turns += 1
        return 2.0 if self.turns % 2 else 1.0


def test_a_policy_of_the_small_interface_keeps_them_too() -> None:
    """Catches an object whose attributes live on between two questions instead of in the state."""
    check_policy(SmallPolicy.around(Alternating(), review_ns=MINUTE_NS, limit=10.0))


class Turns(Struct, frozen=True):
    """How often it was asked."""

    asked: int = 0


class Faulty:
    """A sound 3x band from 2 to 4, of which one method can be replaced."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    def __init__(
        self,
        watch: Callable[[View, Any], Watch] | None = None,
        decide: Callable[[View, Any], Any] | None = None,
        state: Any = None,
    ) -> None:
        self._watch, self._decide, self._state = watch, decide, state or Nothing()

    def initial_state(self) -> Any:
        return self._state

    def watch(self, view: View, state: Any) -> Watch:
        return self._watch(view, state) if self._watch else leverage_watch(view, 2.0, 4.0, 1.0)

    def decide(self, view: View, state: Any) -> Any:
        return self._decide(view, state) if self._decide else sound(view, state)


def sound(view: View, state: Any) -> Any:
    inside = 2.0 < view.position.leverage < 4.0
    return (None if inside and view.position.target else SetLeverage(3.0, "band")), state


def late(view: View, state: Any) -> Watch:
    watch = leverage_watch(view, 2.0, 4.0, 1.0)
    return Watch(watch.low * (1 - 1e-9), watch.high)


def undrawn(view: View, state: Any) -> Watch:
    watch = leverage_watch(view, 2.0, 4.0, 1.0)
    return Watch(watch.low / (1 + 1e-12), watch.high / (1 - 1e-12))


def there_and_back(view: View, state: Any) -> Any:
    """Sells everything where its own costs took it out of a hair's band, and buys it all again."""
    held = view.position.leverage
    if held == 0.0:
        return (SetLeverage(3.0, "in") if view.due_ns >= state.asked else None), state
    if 2.999 < held < 3.001:
        return None, state
    return SetLeverage(0.0, "out"), Turns(view.due_ns + 1)


def soon(view: View, state: Any) -> Watch:
    if view.position.leverage == 0.0:
        return Watch(alarm_ns=max(state.asked, view.due_ns + 1))
    return leverage_watch(view, 2.999, 3.001, 1.0)


def slowly(view: View, state: Any) -> Any:
    for _ in range(200_000):
        pass
    return sound(view, state)


class Flipping:
    """Long, short, long."""

    def __init__(self) -> None:
        self.up = False

    def target(self, market: Any, position: Any) -> float:
        self.up = not self.up
        return 4.0 if self.up else -4.0


counter = itertools.count()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Faulty(watch=lambda view, state: NEVER), "its watch says nothing"),
        (Faulty(watch=late), "its watch says nothing"),
        (Faulty(watch=undrawn), "its watch says nothing"),
        (Faulty(watch=lambda view, state: Watch(alarm_ns=view.due_ns)), "rings in the past"),
        (Faulty(watch=lambda view, state: Watch(low=float("nan"))), "is no number"),
        (
            Faulty(
                decide=lambda view, state: (sound(view, state)[0], Turns(state.asked + 1)),
                state=Turns(),
            ),
            "leaves a trace",
        ),
        (
            Faulty(
                decide=lambda view, state: (
                    sound(view, state)[0] and SetLeverage(5.0, "more"),
                    state,
                )
            ),
            "the price is outside",
        ),
        (
            Faulty(decide=lambda view, state: (SetLeverage(3.0, str(next(counter))), state)),
            "asked twice",
        ),
        (Faulty(state=Exception("no data")), "no snapshot can hold"),
        (
            Faulty(decide=lambda view, state: (SetLeverage(float("inf"), "up"), state)),
            "asks for inf",
        ),
        (Faulty(watch=soon, decide=there_and_back, state=Turns()), "a storm"),
        (
            SmallPolicy.around(Flipping(), review_ns=MINUTE_NS, limit=10.0),
            "a storm: it trades 4[67]. times NAV in 60 reviews",
        ),
        (Faulty(decide=slowly), "on average"),
        (
            Faulty(decide=lambda view, state: (SetLeverage(30.0, "all"), state)),
            "takes up to 10",
        ),
        (
            Faulty(
                decide=lambda view, state: sound(view, state)[
                    int(not 1.0 / max(view.market.ewma_vol, -1.0))
                ]
            ),
            r"raises ZeroDivisionError: .*: odd view 0 of .* ewma_vol 0",
        ),
    ],
)
def test_a_faulty_policy_is_found(policy: Any, message: str) -> None:
    """One fault each: a watch that wakes late, by any price or by a billionth, an alarm in the
    past, a trace, a decision that leaves it outside its own watch, a mood, a state that cannot be
    kept. Catches a suite that passes everything."""
    with pytest.raises(BrokenPromiseError, match=message):
        check_policy(policy)


def test_the_sound_one_passes() -> None:
    """Catches a suite that finds fault with everything."""
    check_policy(Faulty())
