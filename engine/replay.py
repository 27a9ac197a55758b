"""The same engine fed from a recording, with the order of its inputs kept as a journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.endings import Ending
from engine.engine import Engine
from engine.errors import InputError
from engine.events import Dated, InputRejected
from engine.outputs import Outputs
from engine.ticks import Step
from engine.turnover import Turnover

__all__ = ["Journal", "Replayed", "endings_of", "replay"]

DATA: Final = "data"
REQUESTS: Final = "requests"


class Journal:
    """The order in which the inputs were processed, as run-lengths ``[input, from, to]`` of their
    own rows."""

    __slots__ = ("_counts", "ranges", "turnover")

    def __init__(self) -> None:
        self.ranges: list[list[Any]] = []
        self._counts = {DATA: 0, REQUESTS: 0}
        self.turnover = Turnover()

    def step(self, step: Step) -> None:
        """Take down whose rows the step's are."""
        at = step.first
        for sequence, message in step.messages:
            if isinstance(message, Dated):
                self._rows(DATA, sequence - at)
                self._rows(REQUESTS, 1)
                at = sequence + 1
        self._rows(DATA, step.end - at)

    def _rows(self, name: str, count: int) -> None:
        if count:
            start = self._counts[name]
            self._counts[name] = start + count
            if self.ranges and self.ranges[-1][0] == name:
                self.ranges[-1][2] += count
            else:
                self.ranges.append([name, start, start + count])

    def encode(self, engine: Engine, endings: Sequence[Ending] = ()) -> bytes:
        """The journal of a finished run: its ranges, the engine's clock and its digest, and how
        isolated policies ended where any did."""
        told: dict[str, Any] = {
            "schema": "levsim-journal/1",
            "ranges": self.ranges,
            "end": engine.sequence,
            "clock_ns": engine.time_ns,
            "digest": engine.digest(),
        }
        if endings:
            told["endings"] = endings
        return msgspec.msgpack.encode(told)


class _Endings(Struct):
    """What of a journal tells of isolated policies."""

    endings: tuple[Ending, ...] = ()


def endings_of(journal: bytes) -> tuple[Ending, ...]:
    """How isolated policies ended in the run that the journal is of.

    Raises:
        InputError: if it is no journal.
    """
    try:
        return msgspec.msgpack.decode(journal, type=_Endings).endings
    except msgspec.MsgspecError as error:
        raise InputError(f"journal.bin is no journal: {error}") from None


class Replayed(Struct, frozen=True):
    """How a replay went: seconds within the heart, and the journal."""

    engine_seconds: float
    journal: Journal


def replay(
    engine: Engine,
    steps: Iterable[Step],
    collect: Callable[[Outputs], None],
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Feed all steps, then let the last instant pass.

    Args:
        steps: in order, from the engine's sequence.
        collect: takes the outputs of each step.
        progress: told ``(rows done, event time)`` after each step.
    """
    journal, seconds = Journal(), 0.0
    for step in steps:
        journal.step(step)
        began = time.perf_counter()
        outputs = engine.process(step)
        seconds += time.perf_counter() - began
        refused = [e.sequence for e in outputs.events if isinstance(e, InputRejected)]
        journal.turnover.step(step, refused)
        collect(outputs)
        if progress is not None:
            progress(engine.sequence, engine.time_ns)
    began = time.perf_counter()
    outputs = engine.finish()
    seconds += time.perf_counter() - began
    collect(outputs)
    return Replayed(seconds, journal)
