"""A user's policy in a process of its own, behind the same door as any other.

One exchange a review: the answer to ``decide`` brings the watch along. Whoever does not answer in
time, answers what is no answer, or is gone, has come to its end: the product is told why, its safe
mode follows, and the ending is kept, so that it can be journalled and a replay repeats it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from engine.errors import PolicyError
from engine.policy import Decision, PolicyAnswerError, View
from engine.watch import Watch
from strategies.answers import Spent
from strategies.questions import (
    FRAME_MAX,
    Answer,
    Hello,
    Question,
    Wanted,
    unpacked_decision,
    write_frame,
)

__all__ = ["CellState", "IsolatedPolicy", "Isolation", "isolated_policy"]

START_SECONDS_MAX: Final = 20.0
_LENGTH_BYTES: Final = 4
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What a policy sees of ours: no secrets are among it."""

_Message = TypeVar("_Message", Hello, Answer)


class Isolation(Struct, frozen=True):
    """How long an answer may take, and how much memory beyond what loading needed."""

    answer_seconds: float = 1.0
    memory_mb: int = 512


_USUAL: Final = Isolation()


class CellState(Struct, frozen=True):
    """What the policy remembers (msgpack of its own state), and when it is asked next where it is
    asked by the clock of the market alone."""

    memory: bytes
    alarm_ns: int = 0


class _GoneError(Exception):
    """The process came to its end; the message says how."""


class IsolatedPolicy:
    """Asks a policy in another process.

    Attributes:
        endings: ``(engine, due_ns, method, error)`` of questions that were not answered.
        spent: how long the answers took, as seen from here.
    """

    def __init__(self, wanted: Wanted, isolation: Isolation) -> None:
        self._wanted = wanted
        self._isolation = isolation
        self._engine = -1
        self._expected: dict[tuple[int, int, str], str] = {}
        self._cell: _Cell | None = None
        self._seen: tuple[View, bytes, Watch] | None = None
        self.endings: list[tuple[int, int, str, str]] = []
        self.spent = Spent()
        hello = self._started().hello
        self.name = hello.name
        self.uses_signals = hello.uses_signals
        self.uses_high_water = hello.uses_high_water
        self.de_risking = hello.de_risking
        self._timed = hello.timed
        self._first = hello.state

    @property
    def engine(self) -> int:
        """How many engines had asked it before the present one."""
        return self._engine

    def initial_state(self) -> CellState:
        self._engine += 1
        return CellState(self._first)

    def watch(self, view: View, state: CellState) -> Watch:
        seen = self._seen
        if seen is not None and seen[1] == state.memory and (self._timed or seen[0] == view):
            return seen[2]
        answer = self._ask("watch", view, state)
        assert answer.watch is not None
        self._seen = (view, state.memory, answer.watch)
        return answer.watch

    def decide(self, view: View, state: CellState) -> tuple[Decision | None, CellState]:
        if self._timed and state.alarm_ns and view.due_ns < state.alarm_ns:
            return None, state
        began = perf_counter_ns()
        answer = self._ask("decide", view, state)
        self.spent.asked += 1
        self.spent.ns += perf_counter_ns() - began
        assert answer.watch is not None
        self._seen = (view, answer.state, answer.watch)
        alarm_ns = answer.watch.alarm_ns if self._timed else 0
        kept = CellState(answer.state, alarm_ns)
        return unpacked_decision(answer.decision), state if kept == state else kept

    def expect(self, engine: int, due_ns: int, method: str, error: str) -> None:
        """End at that question, as it did before, without asking it."""
        self._expected[engine, due_ns, method] = error

    def close(self) -> None:
        """End the process."""
        if self._cell is not None:
            self._cell.end()
            self._cell = None

    def _ask(self, method: str, view: View, state: CellState) -> Answer:
        known = self._expected.get((self._engine, view.due_ns, method))
        if known is not None:
            self.endings.append((self._engine, view.due_ns, method, known))
            raise PolicyAnswerError(known)
        try:
            answer = self._started().ask(Question(method, view, state.memory))
        except _GoneError as error:
            self.close()
            said = f"{self.name}.{method} {error}"
            self.endings.append((self._engine, view.due_ns, method, said))
            raise PolicyAnswerError(said) from None
        if answer.error:
            raise PolicyAnswerError(answer.error)
        return answer

    def _started(self) -> _Cell:
        if self._cell is None:
            self._cell = _Cell(self._wanted, self._isolation)
        return self._cell


class _Cell:
    """The process."""

    def __init__(self, wanted: Wanted, isolation: Isolation) -> None:
        self._isolation = isolation
        root = str(Path(__file__).resolve().parents[1])
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "strategies.cell"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self._finish = weakref.finalize(self, _kill, self._process)
        self._buffer = b""
        try:
            self.hello = self._exchange(wanted, Hello, START_SECONDS_MAX)
        except _GoneError as error:
            raise PolicyError(f"{wanted.name}, in a process of its own, {error}") from None
        if self.hello.error:
            self.end()
            raise PolicyError(self.hello.error)

    def ask(self, question: Question) -> Answer:
        answer = self._exchange(question, Answer, self._isolation.answer_seconds)
        if answer.spent:
            raise _GoneError(f"took more than {self._isolation.memory_mb} MB of memory")
        return answer

    def end(self) -> None:
        self._finish()

    def _exchange(self, message: Struct, kind: type[_Message], seconds: float) -> _Message:
        pipe, until = self._process.stdin, perf_counter() + seconds
        assert pipe is not None
        try:
            write_frame(pipe, message)  # type: ignore[arg-type]  # a buffered pipe of bytes
        except OSError:
            raise _GoneError(self._how_it_ended()) from None
        length = int.from_bytes(self._read(_LENGTH_BYTES, until, seconds), "little")
        if length > FRAME_MAX:
            raise _GoneError(f"answered {length:,} bytes, {FRAME_MAX:,} at most")
        try:
            return msgspec.msgpack.decode(self._read(length, until, seconds), type=kind)
        except msgspec.MsgspecError:
            raise _GoneError("answered what is no message") from None

    def _read(self, length: int, until: float, seconds: float) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        while len(self._buffer) < length:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - perf_counter()))
            if not ready:
                raise _GoneError(f"did not answer within {seconds:g} s")
            got = os.read(pipe.fileno(), 65_536)
            if not got:
                raise _GoneError(self._how_it_ended())
            self._buffer += got
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"ended its process, exit code {code}"
        with contextlib.suppress(ValueError):
            return f"died of {signal.Signals(-code).name}"
        return f"died of signal {-code}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Its whole session, whatever it is about."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def isolated_policy(
    name: str,
    params: Mapping[str, Any],
    *,
    review_ns: int | None = None,
    limit: float = 10.0,
    clamp: bool = False,
    isolation: Isolation = _USUAL,
) -> IsolatedPolicy:
    """``load_policy`` in a process of its own; our own process never runs the user's code.

    Raises:
        PolicyError: as ``load_policy``, and where the process did not come up.
    """
    wanted = Wanted(name, dict(params), review_ns, limit, clamp, isolation.memory_mb)
    return IsolatedPolicy(wanted, isolation)
