"""Tests of ``strategies.isolated``: policies that mean harm, each in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import PolicyError
from engine.policy import PolicyAnswerError, SetLeverage
from engine.units import MINUTE_NS
from strategies.isolated import IsolatedPolicy, Isolation, isolated_policy
from strategies.user import load_policy
from tests.strategies.seen import a_view

BOUNDS = Isolation(answer_seconds=2.0, memory_mb=128)
CLASS = """import os, random, signal, sys, time
class P:
    def __init__(self, scale=1.0):
        self.scale, self.asked = scale, 0
    def target(self, market, position):
        self.asked += 1
        {body}
"""
HARMFUL = {
    "hang": ("while True: pass", "P.decide did not answer within 0.5 s"),
    "endless output": ("while True: print('x' * 1000)", "P.decide did not answer within 0.5 s"),
    "leak": ("keep = [bytearray(1 << 26) for _ in range(16)]", "took more than 128 MB of memory"),
    "exit": ("os._exit(3)", "P.decide ended its process, exit code 3"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "P.decide died of SIGSEGV"),
    "fork": ("os.fork()", "tried to start a process (os.fork)"),
    "spawn": ("os.system('true')", "tried to start a process (os.system)"),
    "kill": ("os.kill(os.getppid(), signal.SIGTERM)", "tried to send a signal (os.kill)"),
    "clock": ("return 1.0 + 0.0 * time.time()", "tried to read the clock (time.time)"),
    "today": (
        "from datetime import datetime; return datetime.now().day",
        "tried to read the clock (datetime.now)",
    ),
    "sleep": ("time.sleep(0.01)", "tried to wait by the clock (time.sleep)"),
    "network": ("import socket; socket.socket()", "tried to use the network (socket.__new__)"),
    "file": ("open('left.txt', 'w')", "tried to write a file (left.txt)"),
    "entropy": ("return os.urandom(1)[0]", "tried to draw true randomness (os.urandom)"),
    "long answer": ("self.scale = 'x' * (1 << 21); return 1.0", "answered 2,"),
    "raise": ("raise SystemExit(4)", "P.target raised SystemExit: 4"),
    "hidden": (
        "try: time.time()\n        except BaseException: pass\n        return 2.0",
        "tried to read the clock (time.time)",
    ),
}


@pytest.fixture
def isolated(tmp_path: Path) -> Iterator[Callable[..., IsolatedPolicy]]:
    """A policy with that body, alone."""
    made = []

    def policy(body: str, bounds: Isolation = BOUNDS, **params: Any) -> IsolatedPolicy:
        (tmp_path / "p.py").write_text(CLASS.format(body=body))
        made.append(isolated_policy(f"{tmp_path / 'p.py'}:P", params, isolation=bounds))
        return made[-1]

    yield policy
    for each in made:
        each.close()


@pytest.mark.parametrize("harm", HARMFUL)
def test_harm_ends_in_a_fault_that_says_why(
    harm: str, isolated: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does, we are told, and live; nothing is left of it. Catches a wall with a hole in
    one of these places."""
    monkeypatch.chdir(tmp_path)
    body, message = HARMFUL[harm]
    timed = harm in ("hang", "endless output")
    policy = isolated(body, Isolation(0.5, 128) if timed else BOUNDS)
    with pytest.raises(PolicyAnswerError) as fault:
        policy.decide(a_view(), policy.initial_state())
    assert message in str(fault.value)
    assert not (tmp_path / "left.txt").exists()


def test_behind_the_wall_it_answers_as_before_it(isolated: Any, tmp_path: Path) -> None:
    """Parameters, memory, reviews, watches. Catches a state that does not come back."""
    body = "return self.scale * self.asked"
    alone = isolated(body, scale=0.5)
    near = load_policy(f"{tmp_path / 'p.py'}:P", {"scale": 0.5})
    state, own = alone.initial_state(), near.initial_state()
    for minute in range(5):
        for offset in (-1, 0, 7):
            view = a_view(due_ns=1_700_000_040 * 10**9 + minute * MINUTE_NS + offset)
            decision, state = alone.decide(view, state)
            expected, own = near.decide(view, own)
            assert decision == expected
            assert alone.watch(view, state) == near.watch(view, own)
    assert isinstance(decision, SetLeverage) or own.next_ns
    assert alone.spent.asked == near.spent.asked


def test_what_it_remembers_lies_with_us(isolated: Any) -> None:
    """Asked again from an older state it answers as then, in another process, too. Catches a
    memory that lives on behind the wall."""
    policy = isolated("return float(self.asked)")
    first = policy.initial_state()
    one, second = policy.decide(a_view(), first)
    two, _ = policy.decide(a_view(due_ns=second.alarm_ns), second)
    policy.close()
    again, _ = policy.decide(a_view(), first)
    assert (one.target, two.target, again.target) == (1.0, 2.0, 1.0)


def test_random_numbers_are_a_function_of_the_question(isolated: Any) -> None:
    """Catches a generator whose place depends on how often it was asked."""
    policy = isolated("return random.random()")
    state = policy.initial_state()
    drawn = {policy.decide(a_view(due_ns=10**18), state)[0].target for _ in range(3)}
    other = policy.decide(a_view(due_ns=10**18 + 1), state)[0].target
    assert len(drawn) == 1
    assert other not in drawn


def test_an_ending_is_kept_and_repeated_without_asking(isolated: Any) -> None:
    """A replay tells the same at the same question, even where the policy would answer now.
    Catches a replay that waits for the clock again."""
    policy = isolated("return 2.0")
    policy.expect(0, a_view().due_ns, "decide", "P.decide did not answer within 1 s")
    with pytest.raises(PolicyAnswerError, match="did not answer within 1 s"):
        policy.decide(a_view(), policy.initial_state())
    assert policy.endings == [(0, a_view().due_ns, "decide", "P.decide did not answer within 1 s")]
    another_engine = policy.initial_state()
    assert policy.decide(a_view(), another_engine)[0] is not None


def test_a_process_that_is_killed_from_outside_is_told(isolated: Any) -> None:
    """As by the system when memory is short. Catches an answer that is awaited for ever."""
    policy = isolated("return 2.0")
    os.kill(policy._cell._process.pid, signal.SIGKILL)
    with pytest.raises(PolicyAnswerError, match=r"P.decide died of SIGKILL"):
        policy.decide(a_view(), policy.initial_state())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Q: pass", "has no class 'P'"),
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("class P:\n    def target(self): pass", "target"),
        (
            "import socket\nsocket.socket()\nclass P: pass",
            "while it was loaded, to use the network",
        ),
        ("import os\nos._exit(0)", "ended its process, exit code 0"),
    ],
)
def test_what_cannot_be_loaded_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """In the sentence of ``load_policy``, and without a process left behind. Catches a traceback
    out of the other process."""
    (tmp_path / "p.py").write_text(text)
    with pytest.raises(PolicyError) as refused:
        isolated_policy(f"{tmp_path / 'p.py'}:P", {}, isolation=BOUNDS)
    assert message in str(refused.value)
