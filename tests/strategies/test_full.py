"""Tests of ``strategies.full``: what a hostile class of the full interface may do, and what becomes
of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import PolicyError
from engine.events import PolicyFaulted, Rebalanced
from engine.policy import Policy
from engine.snapshot import restore, snapshot
from engine.ticks import Kind
from engine.units import SECOND_NS
from strategies.user import load_policy
from tests import builders
from tests.builders import T0, Run, a_product, a_row, a_tape, run
from tests.properties.agreement import agree
from tests.strategies.test_user import (
    TWO,
    _numbers,
    a_file,
    a_spec,
    loaded,
    refusal,
    replayed,
    steps,
)

CLASS = """
import datetime, decimal, fractions, math
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from engine.plans import LimitThenMarket, Now, Restrike, Twap
from engine.policy import Close, Deleverage, Nothing, Quote, SetLeverage, Warn
from engine.watch import Watch

S = 10**9

class Odd(float):
    def __float__(self):
        raise OSError("no number today")

class Loud(Exception):
    def __str__(self):
        raise self

class Text(str):
    def encode(self, *given):
        raise OSError("no text today")

class State(Struct):
    next_ns: int = 0
    kept: Any = None

class Other(Struct):
    next_ns: int = 0

class Mine:
    uses_signals = uses_high_water = de_risking = False

    def initial_state(self):
        return {first}

    def watch(self, view, state):
        {watch}

    def decide(self, view, state):
        {decide}
"""
WATCH = "return Watch(alarm_ns=state.next_ns or (view.due_ns // (60 * S) + 1) * 60 * S)"
MINUTES = """if view.due_ns < state.next_ns:
            return None, state
        next_ns = (view.due_ns // (60 * S) + 1) * 60 * S
        n = next_ns // (60 * S)
        """


def a_class(first: str = "State()", watch: str = WATCH, decide: str = "return None, state") -> str:
    return CLASS.format(first=first, watch=watch, decide=decide)


def error_of(folder: Path, body: str) -> str:
    """What its fault says; the run goes to its end, and a snapshot of that can be taken."""
    policy = loaded(folder, body)
    events, engine = replayed(a_spec(policy))
    (event,) = (e for e in events if isinstance(e, PolicyFaulted))
    again, _ = replayed(a_spec(policy))
    assert again == events
    snapshot(engine)
    return event.error


STATES = {
    "object()": "Encoding objects of type object is unsupported",
    "2**70": "OverflowError",
    "np.float64(1.0)": "Encoding objects of type numpy.float64 is unsupported",
    "np.arange(3)": "Encoding objects of type numpy.ndarray is unsupported",
    "fractions.Fraction(1, 3)": "Encoding objects of type Fraction is unsupported",
    "'\\ud800'": "UnicodeEncodeError",
    "lambda: 1": "Encoding objects of type function is unsupported",
}


@pytest.mark.parametrize("kept", STATES)
def test_a_state_that_no_snapshot_holds_is_a_fault(kept: str, tmp_path: Path) -> None:
    """It is told when it is returned. Catches a run that ends at its next snapshot."""
    said = error_of(tmp_path, a_class(decide=f"return SetLeverage(1.0, 'x'), State(1, {kept})"))
    assert said.startswith("Mine.decide: its state, which a snapshot cannot hold, raised ")
    assert STATES[kept] in said


@pytest.mark.parametrize("state", ["Other(5)", "State('soon')", "None", "(1, 2)", "State(1.5)"])
def test_a_state_of_another_kind_is_a_fault(state: str, tmp_path: Path) -> None:
    """A snapshot would not give it back. Catches a run that cannot be restored."""
    said = error_of(tmp_path, a_class(decide=f"return SetLeverage(1.0, 'x'), {state}"))
    assert "which a snapshot cannot hold" in said or "gives back as State" in said


HELD = {
    "nan": ("math.nan", "math.isnan(state.kept)"),
    "set": ("set((n, n + 1))", "isinstance(state.kept, list)"),
    "tuple": ("(1, (2, n))", "state.kept == [1, [2, n - 1]]"),
    "bytes": ("bytes((n % 7,))", "state.kept[0] % 2"),
    "order": ("{'b': n, 'a': 1}", "list(state.kept)[0] == 'a'"),
    "date": ("datetime.date(2026, 1, 1 + n % 7)", "int(state.kept[-1]) % 2"),
    "decimal": ("decimal.Decimal(n % 7)", "state.kept in '135'"),
}


@pytest.mark.parametrize("held", HELD)
def test_a_restored_run_goes_on_as_one_that_was_not(held: str, tmp_path: Path) -> None:
    """What it is shown of its state is what a snapshot gives back, from the second question on.
    Catches a set that is a list after a restore, and a dict in another order."""
    kept, seen = HELD[held]
    body = MINUTES + (
        f"more = n % 3 * ({seen}) if state.next_ns else 0\n        "
        f"return SetLeverage(1.0 + more, 'review'), State(next_ns, {kept})"
    )
    spec = a_spec(loaded(tmp_path, a_class(decide=body)))
    whole, first = replayed(spec)
    assert not [e for e in whole if isinstance(e, PolicyFaulted)]
    assert sum(isinstance(e, Rebalanced) for e in whole) > 20
    engine, events = Engine(spec), []
    for step in steps():
        events += engine.process(step).events
        engine = restore(spec, snapshot(engine))
    events += engine.finish().events
    assert [_numbers(e) for e in events] == [_numbers(e) for e in whole]
    assert engine.digest() == first.digest()


def test_a_view_is_its_own(tmp_path: Path) -> None:
    """Frozen structs are written to with some effort; nobody else sees that. Catches a leverage
    before a trade, and the market of another product, that a policy made up."""
    ruin = "".join(
        f"msgspec.structs.force_setattr(view.{part}, '{name}', 1e9)\n        "
        for part, name in (("position", "leverage"), ("position", "nav"), ("market", "mark"))
    )
    decide = MINUTES + "{}return SetLeverage(1.0 + n % 3, 'x'), State(next_ns)"
    honest, _ = replayed(a_spec(loaded(tmp_path, a_class(decide=decide.format("")))))
    events, _ = replayed(a_spec(loaded(tmp_path, a_class(decide=decide.format(ruin)))))
    assert events == honest


ANSWERS = {
    "SetLeverage(Odd(2.0), 'x')": "raised OSError: no number today",
    "SetLeverage(decimal.Decimal(2), 'x')": "Mine.decide returned Decimal",
    "SetLeverage(10**400, 'x')": "Mine.decide returned inf",
    "SetLeverage(True, 'x')": "Mine.decide returned bool True",
    "SetLeverage(object(), 'x')": "Mine.decide returned object at",
    "SetLeverage(2.0, 'a\\ud800')": "as reason; it cannot be written",
    "SetLeverage(2.0, Text('x'))": "Mine.decide returned Text at",
    "SetLeverage(2.0, None)": "Mine.decide returned NoneType None at",
    "Close('\\udcff')": "as reason; it cannot be written",
    "SetLeverage(2.0, 'x', Twap(chunks=2.5))": "Mine.decide: its plan raised ValidationError",
    "SetLeverage(2.0, 'x', Twap(every_s=math.nan))": "every_s must be from 0.001 to a day, was nan",
    "SetLeverage(2.0, 'x', Now(slippage_bps=math.nan))": "slippage_bps must be from 0",
    "SetLeverage(2.0, 'x', LimitThenMarket(time_in_force='x'))": "its plan raised ValidationError",
    "SetLeverage(2.0, 'x', Restrike(window_s=np.float64(5)))": "its plan raised",
    "SetLeverage(2.0, 'x', 'twap')": "Mine.decide returned str 'twap'",
    "Quote(1.0, 1.0, 'x')": "quotes a worth of units",
    "3.0": "it must return one of SetLeverage",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_wrong_answers_are_faults(answer: str, tmp_path: Path) -> None:
    """Each in a sentence that is the same in every run, and the run goes on."""
    assert ANSWERS[answer] in error_of(tmp_path, a_class(decide=f"return {answer}, State(1)"))


@pytest.mark.parametrize(
    "number",
    ["np.float64(2)", "np.float32(2)", "np.int64(2)", "2", "fractions.Fraction(2)"],
)
def test_numbers_of_any_kind_are_leverages(number: str, tmp_path: Path) -> None:
    """They do what 2.0 does. Catches an answer that is kept as it is."""
    decide = f"{MINUTES}return SetLeverage({number}, 'x'), State(next_ns)"
    wanted, _ = replayed(a_spec(loaded(tmp_path, a_class(decide=decide.replace(number, "2.0")))))
    assert replayed(a_spec(loaded(tmp_path, a_class(decide=decide))))[0] == wanted


WATCHES = {
    "Watch(alarm_ns=math.nan)": "Mine.watch: its Watch raised TypeError",
    "Watch(alarm_ns=1.7e18)": "Mine.watch: its Watch raised TypeError",
    "Watch(alarm_ns=None)": "Mine.watch: its Watch raised TypeError",
    "Watch(low='1')": "an edge is str; it must be a price",
    "Watch(low=10**400)": "raised OverflowError",
    "Watch(high=np.float64('nan'))": "its edges must be prices",
    "Watch(alarm_ns=-5)": "alarm -5 is not after",
    "type('W', (Watch,), {})()": "Mine.watch returned W at",
}


@pytest.mark.parametrize("watch", WATCHES)
def test_wrong_watches_are_faults(watch: str, tmp_path: Path) -> None:
    """An alarm is whole nanoseconds, an edge a price. Catches one that the engine would carry into
    its agenda and its snapshot."""
    assert WATCHES[watch] in error_of(tmp_path, a_class(watch=f"return {watch}"))


def test_watches_of_other_numbers_are_watches(tmp_path: Path) -> None:
    """Numbers of numpy, whole prices, and an alarm beyond all time."""
    far = "return Watch(np.float64(1), 10**9, np.int64(state.next_ns or view.due_ns + S))"
    decide = f"{MINUTES}return SetLeverage(1.0 + n % 2, 'x'), State(next_ns)"
    events, engine = replayed(a_spec(loaded(tmp_path, a_class(watch=far, decide=decide))))
    assert sum(isinstance(e, Rebalanced) for e in events) > 20
    assert not [e for e in events if isinstance(e, PolicyFaulted)]
    assert restore(engine.spec, snapshot(engine)).digest() == engine.digest()
    never = loaded(tmp_path, a_class(watch="return Watch(alarm_ns=2**80)"))
    events, engine = replayed(a_spec(never))
    assert not [e for e in events if isinstance(e, PolicyFaulted)]
    snapshot(engine)


RAISED = {
    "raise Loud()": "Mine.decide raised Loud: its message raised Loud",
    "raise ValueError('a\\ud800b')": "Mine.decide raised ValueError: a\\ud800b",
    "raise ValueError(object())": "Mine.decide raised ValueError: <object object>",
    "raise type('Deep', (BaseException,), {})('x')": "Mine.decide raised Deep: x",
    "raise GeneratorExit": "Mine.decide raised GeneratorExit",
    "return self.decide(view, state)": "Mine.decide raised RecursionError",
    "raise ValueError('x' * 10**6)": "Mine.decide raised ValueError: xxx",
    "import statistics; statistics.mean([])": "Mine.decide raised StatisticsError",
}


@pytest.mark.parametrize("body", RAISED)
def test_whatever_it_raises_is_a_fault(body: str, tmp_path: Path) -> None:
    """Its message may raise in its turn, hold what cannot be written, or be a book; the place is
    the user's line, also where a library raised. Catches an exception that ends the run, and a
    fault that differs from run to run."""
    said = error_of(tmp_path, a_class(decide=body))
    assert said.startswith(RAISED[body])
    assert len(said) <= 2_000
    assert "(at p1.py:" in said or "10**6" in body


def test_a_reason_is_no_book(tmp_path: Path) -> None:
    """The first 500 characters of it, as of a small class. Catches an answer that is longer than
    another process may give."""
    policy = loaded(tmp_path, a_class(decide="return SetLeverage(1.0, 'x' * 10**6), State(1)"))
    events, _ = replayed(a_spec(policy))
    assert next(e.reason for e in events if isinstance(e, Rebalanced)) == "x" * 500


def test_who_wants_the_run_to_end_is_heard(tmp_path: Path) -> None:
    """Ctrl-C while a policy is asked. Catches an interrupt that is taken for a fault."""
    with pytest.raises(KeyboardInterrupt):
        replayed(a_spec(loaded(tmp_path, a_class(decide="raise KeyboardInterrupt"))))


def test_a_first_state_is_asked_for_once(tmp_path: Path) -> None:
    """Another one each time would be another run; one that is changed in place, too. Catches two
    engines that begin otherwise."""
    body = a_class(
        first="State(kept=[]) if not hasattr(self, 'asked') and not setattr(self, 'asked', 1) "
        "else object()",
        decide=MINUTES + "state.kept.append(n)\n        state.next_ns = next_ns\n        "
        "return SetLeverage(1.0 + len(state.kept) % 3, 'x'), state",
    )
    spec = a_spec(loaded(tmp_path, body))
    assert replayed(spec)[0] == replayed(spec)[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return State()", "return 2**70", "must return what a snapshot can hold"),
        ("return State()", "raise BaseException('x')", "(BaseException: x)"),
        ("uses_signals =", "uses_signals = np.arange(3); x =", "must be True or False; ValueError"),
    ],
)
def test_what_cannot_be_begun_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    """Before the run, in a sentence."""
    file = a_file(tmp_path, a_class().replace(old, new))
    assert said in refusal(f"{file}:Mine")


def test_a_class_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Whatever its constructor or its module raises. Catches a traceback."""
    for body in (
        TWO.replace("    def", "    def __init__(self): raise BaseException('a\\ud800')\n    def"),
        "raise type('Deep', (BaseException,), {})('x')\n",
    ):
        file = tmp_path / "deep.py"
        file.write_text(body)
        with pytest.raises(PolicyError, match=r"deep\.py:\d"):
            load_policy(f"{file}:Mine", {})


# Quotes -------------------------------------------------------------------------------------------

QUOTED = MINUTES + "return {}, State(next_ns)"
QUOTES = {
    "Quote(1e308, 0.0, 'x')": "of all units that is more than 1152921504606846976 atoms or lots",
    "Quote(1152921.6, 1.0, 'x')": "quoted 1152921.6 a unit at 1.0x",
    "Quote(1.0, 1e7, 'x')": "quoted 1.0 a unit at 10000000.0x",
    "Quote(1.0, -1e300, 'x')": "quoted 1.0 a unit at -1e+300x",
    "Quote(10**400, 1.0, 'x')": "its quote returned inf",
    "Quote(1.0, math.nan, 'x')": "its quote returned nan",
    "Quote(-1.0, 1.0, 'x')": "quoted -1.0 a unit; it must be >= 0",
    "Quote('1', 1.0, 'x')": "its quote returned str '1'",
    "Quote(object(), 1.0, 'x')": "its quote returned object at",
    "Quote(1.0, 1.0, 'x', settles=1)": "Mine.decide returned int 1 at",
    "Quote(1e308, 0.0, 'x', settles=True)": "more than 1152921504606846976 atoms",
    "SetLeverage(1.0, 'x')": "decides a leverage",
}


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quote_that_cannot_be_counted_is_a_fault(quote: str, tmp_path: Path) -> None:
    """Of all units together, with the hedge that it asks for. Catches a run that ends with it."""
    policy = loaded(tmp_path, a_class(decide=QUOTED.format(quote)))
    # The slow engine takes a bool for a bool.
    said = quoted(policy, by=run if "settles=1" in quote or "Set" in quote else agree)
    (event,) = said.named("policy_faulted")
    assert QUOTES[quote] in event.error
    snapshot(said.engine)


def test_quotes_of_any_number_are_quotes(tmp_path: Path) -> None:
    """What numpy says is what a float says, and a quote up to the bound is one."""
    number = "Quote(np.float64(1.0) + n % 3, np.int64(2), 'x')"
    said = quoted(loaded(tmp_path, a_class(decide=QUOTED.format(number))))
    assert not said.named("policy_faulted")
    plain = quoted(loaded(tmp_path, a_class(decide=QUOTED.format("Quote(1.0 + n % 3, 2.0, 'x')"))))
    assert said.lines == plain.lines
    large = quoted(loaded(tmp_path, a_class(decide=QUOTED.format("Quote(9e5, 1.0, 'x')"))))
    assert not large.named("policy_faulted")


def quoted(policy: Policy, *, by: Any = agree) -> Run:
    """A claim of a million on a price that moves; heart and slow engine agree."""
    rows = [a_row(Kind.MARK, T0 + n * 30 * SECOND_NS, 100.0 + n % 5) for n in range(20)]
    product = a_product(nav="quoted")
    said: Run = by(builders.a_spec((product, (policy,))), a_tape(rows))
    return said
