"""Steps: what came is computed at once, and committed in portions, one at a time.

A step that has something to say goes at once where the last one went long enough ago, and one that
has nothing to say waits for more: nobody waits for it, and whoever has something to say meanwhile
finds no commit under way. A step is closed too when it is full, or when something in it must be
known at once. While one is being committed the next one is collected, and no more than that: a slow
sink slows the source. Whoever keeps up with the market wants each step soon; whoever is behind
takes more at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from math import inf
from time import perf_counter, time
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from engine.conflation import USER_NAVS_MAX, conflate, count_user_navs
from engine.endings import taken_down
from engine.engine import Engine
from engine.errors import FeedError
from engine.events import Deleveraged, InputRejected
from engine.outputs import Outputs
from engine.ports import Batch, JournalledStep, Mark, Range, Taken
from engine.snapshot import snapshot, state_digest
from engine.ticks import Step
from engine.venue_events import HedgeAutoDeleveraged, HedgeLiquidated, LiquidationStarted

__all__ = ["LATE_MS", "End", "Observer", "Pace", "Steps"]

LATE_MS: Final = 100.0
"""Between writing and reading, by two clocks: whoever is later than this is behind, or looks it,
and loses no more than a few milliseconds by being thought so."""

_FORCED: Final = (Deleveraged, LiquidationStarted, HedgeLiquidated, HedgeAutoDeleveraged)
"""Cuts that nobody chose, ours and the venue's: whoever holds what was cut must know at once."""


class End(Enum):
    """Why no more batches come."""

    FINISHED = auto()
    STOPPED = auto()


class Pace(Struct, frozen=True, kw_only=True):
    """How much goes into one step, and how long the world is waited for.

    Attributes:
        step_ms: from one step to the next, unless the commit of the first is still under way then.
        behind_ms: the same while the input is read later than ``LATE_MS`` after it was written.
        silent_ms: how long a step without outputs waits from its first row on; no less than that.
        rows_max: a step goes as soon as it has this many rows; bounds a transaction.
        outputs_max: the same of events and product NAVs; bounds what is in memory.
        user_navs_max: user NAVs that a step holds; beyond, older samples give way to newer ones.
        snapshot_steps: steps between two snapshots.
        snapshot_rows: rows behind a snapshot after which there is one sooner; bounds what whoever
            takes the shard over replays.
        commit_seconds_max: a commit that takes longer hangs, and the process must end.
        open_seconds_max: the same of taking the shard over, which reads what lies behind the last
            snapshot.
        attempts_max: sessions that may fail in a row without committing a step.
        retry_seconds: pause before the second attempt; doubled before each further one.
    """

    step_ms: float = 20.0
    behind_ms: float = 100.0
    silent_ms: float = 200.0
    rows_max: int = 1_048_576
    outputs_max: int = 262_144
    user_navs_max: int = USER_NAVS_MAX
    snapshot_steps: int = 500
    snapshot_rows: int = 134_217_728
    commit_seconds_max: float = 30.0
    open_seconds_max: float = 120.0
    attempts_max: int = 8
    retry_seconds: float = 0.25


class Observer:
    """Is told what happens, for metrics; what it does must not block."""

    def recovering(self, steps: int) -> None:
        """So many steps are to be replayed."""

    def replayed(self, step: JournalledStep) -> None:
        """One of them was, and the digests agree."""

    def processed(self, batch: Batch, outputs: Outputs, seconds: float) -> None:
        """A batch went through the heart."""

    def conflated(self, user_navs: int) -> None:
        """So many user NAVs gave way to newer ones."""

    def committed(self, taken: Taken, seconds: float) -> None:
        """A step is in the log."""

    def failed(self, error: FeedError) -> None:
        """A session ended with an error of the world."""


class _Open:
    """The step that is being collected."""

    def __init__(self) -> None:
        self.parts: list[tuple[Batch, Outputs]] = []
        self.ranges: list[Range] = []
        self.rows = 0
        self.outputs = 0
        self.user_navs = 0
        self.began = inf
        self.said = False
        self.urgent = False

    def take(self, batch: Batch, outputs: Outputs, samples: int = 0) -> None:
        """Take what a batch caused; of its rows no more than their refusal may need."""
        refused = any(isinstance(event, InputRejected) for event in outputs.events)
        rows = batch.step if refused else Step(first=batch.step.first, end=batch.step.end)
        self.parts.append((replace(batch, step=rows), outputs))
        self.outputs += len(outputs.events) + samples
        self.rows += len(batch.step)
        self.user_navs += count_user_navs(outputs)
        self.said = self.said or bool(outputs)
        self.urgent = self.urgent or any(isinstance(e, _FORCED) for e in outputs.events)
        for run in batch.ranges:
            last = self.ranges[-1] if self.ranges else None
            if last is not None and (last.input, last.end) == (run.input, run.start):
                self.ranges[-1] = Range(run.input, last.start, run.end)
            else:
                self.ranges.append(run)

    def is_full(self, pace: Pace) -> bool:
        """Whether it goes at once."""
        return self.urgent or self.rows >= pace.rows_max or self.outputs >= pace.outputs_max

    def conflate(self, most: int) -> int:
        """Keep the newest half of the user NAVs that a step may hold; how many gave way."""
        before = self.user_navs
        self.user_navs = conflate([outputs for _, outputs in self.parts], most // 2)
        return before - self.user_navs


class Steps:
    """Collects batches into steps and commits them, one commit under way at a time.

    Args:
        engine: computes while a commit is under way.
        number: of the last step.
        kept: up to which row the last snapshot goes.
        pace: how much goes into a step.
        observer: is told what happens.
        commit: makes a step durable.
        tasks: where the commit under way runs; its error ends the others.

    Attributes:
        unhurried: whether more may be read. Whoever keeps up with the market reads nothing during a
            commit: one thread serves both, each answer of the broker would wait behind the rows
            that came meanwhile, and what they say could not be committed any earlier.
    """

    def __init__(
        self,
        engine: Engine,
        number: int,
        kept: int,
        pace: Pace,
        observer: Observer,
        commit: Callable[[Taken], Coroutine[Any, Any, None]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._engine = engine
        self._pace = pace
        self._observer = observer
        self._commit = commit
        self._tasks = tasks
        self._open = _Open()
        self._closed = asyncio.get_running_loop().time()
        self._number = number
        self._kept = kept
        self._committing: asyncio.Task[None] | None = None
        self._behind = True
        self.unhurried = asyncio.Event()
        self.unhurried.set()

    async def run(self, queue: asyncio.Queue[Batch | End]) -> None:
        """Take batches until their end; returns when all of them are committed."""
        clock, pace = asyncio.get_running_loop().time, self._pace
        while not isinstance(batch := await self._next(queue), End):
            if batch.ranges:
                self._open.began = min(self._open.began, clock())
                self._process(batch)
            full = self._open.is_full(pace)
            # Before any sample of users gives way to another one, a step goes early where it can.
            many = 2 * self._open.user_navs >= pace.user_navs_max
            if full or ((many or clock() >= self._due()) and not self._busy()):
                await self._close()
        await self._close(finished=batch is End.FINISHED)
        await self._settled()

    async def _next(self, queue: asyncio.Queue[Batch | End]) -> Batch | End:
        """The next batch, or one without rows when the open step may be committed before it."""
        if not queue.empty():
            return queue.get_nowait()
        get = asyncio.ensure_future(queue.get())
        awaited: set[asyncio.Future[Any]] = {get}
        timeout = None
        if self._open.parts and self._committing is not None and self._busy():
            awaited.add(self._committing)
        elif self._open.parts:
            timeout = max(0.0, self._due() - asyncio.get_running_loop().time())
        try:
            await asyncio.wait(awaited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not get.done():
                get.cancel()
        if get.done() and not get.cancelled():
            return get.result()
        return Batch(Step(first=self._engine.sequence, end=self._engine.sequence))

    def _due(self) -> float:
        """When the open step is to go, by the loop's clock; never, as long as nothing is in it."""
        pace, step = self._pace, self._open
        pause_ms = max(pace.step_ms, pace.behind_ms) if self._behind else pace.step_ms
        if step.said:
            return self._closed + pause_ms / 1_000
        return step.began + max(pace.silent_ms, pause_ms) / 1_000

    def _busy(self) -> bool:
        return self._committing is not None and not self._committing.done()

    def _process(self, batch: Batch) -> None:
        if batch.written_ms:
            self._behind = time() * 1_000 - max(batch.written_ms) > LATE_MS
        began, began_ns = perf_counter(), self._engine.time_ns
        outputs = self._engine.process(batch.step)
        self._observer.processed(batch, outputs, perf_counter() - began)
        self._open.take(batch, outputs, self._samples(began_ns))
        if self._open.user_navs > self._pace.user_navs_max:
            self._observer.conflated(self._open.conflate(self._pace.user_navs_max))

    def _samples(self, since_ns: int) -> int:
        """No fewer than the product NAVs since then; to count them themselves is to value them."""
        engine = self._engine
        every_ns = engine.spec.sampling.nav_every_ns
        if not every_ns or not since_ns:
            return 0
        return (engine.time_ns // every_ns - since_ns // every_ns) * len(engine.handlers)

    async def _close(self, *, finished: bool = False) -> None:
        """Commit what was collected, once the commit before it is done."""
        await self._settled()
        if finished:
            sequence = self._engine.sequence
            self._open.take(Batch(Step(first=sequence, end=sequence)), self._engine.finish())
        step, self._open = self._open, _Open()
        if not step.parts:
            return
        self._number += 1
        self._closed = asyncio.get_running_loop().time()
        engine = self._engine
        mark = Mark(self._number, engine.sequence, engine.time_ns, state_digest(engine), finished)
        state = snapshot(engine) if self._wants_snapshot() else None
        endings = taken_down(engine.spec.policies)
        taken = Taken(mark, tuple(step.ranges), step.parts, engine.users.name, state, endings)
        if not self._behind:
            self.unhurried.clear()
        self._committing = self._tasks.create_task(self._undisturbed(taken))

    def _wants_snapshot(self) -> bool:
        pace, sequence = self._pace, self._engine.sequence
        many = sequence - self._kept >= pace.snapshot_rows
        wanted = many or self._number % pace.snapshot_steps == 0
        if wanted:
            self._kept = sequence
        return wanted

    async def _undisturbed(self, taken: Taken) -> None:
        await self._commit(taken)
        self.unhurried.set()

    async def _settled(self) -> None:
        if self._committing is not None:
            await self._committing
            self._committing = None
