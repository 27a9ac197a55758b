"""The asyncio skin: batches from a source, through the heart, to a sink, exactly once.

A reader runs ahead by a bounded queue; the heart computes between two awaits; one step is committed
while the next one is computed, never two at a time. A slow sink therefore slows the source, and
nothing is held without a bound. After any error of the world the state is dropped and comes back
from the journal: whether a commit happened is never guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

import structlog
from msgspec import Struct, field
from msgspec.structs import asdict

from engine.beats import Beats
from engine.endings import expect, taken_down
from engine.engine import Engine, EngineSpec
from engine.errors import FeedError, ReplayMismatchError
from engine.fact import Output
from engine.ports import Batch, Mark, Range, Session, Taken
from engine.snapshot import restore, state_digest
from engine.steps import End, Observer, Pace, Steps

__all__ = [
    "QUEUE_BATCHES_MAX",
    "Progress",
    "serve",
    "stop_on_signals",
]

QUEUE_BATCHES_MAX: Final = 4
"""Batches read ahead of the heart."""

_Done = TypeVar("_Done")

_GRAVITY: Final = "level"
"""A log line's own word for how grave it is; an event's level is one of NAV per unit."""

log = structlog.get_logger("levsim.service")


class Progress(Struct):
    """How far the service came.

    Attributes:
        mark: the last committed step.
        positions: next offset of each input.
        events: how many were committed by this process.
        replayed: steps whose outputs were suppressed, since they were in the log already.
        sessions: how often the shard was taken over.
    """

    mark: Mark = Mark()
    positions: dict[str, int] = field(default_factory=dict)
    events: int = 0
    replayed: int = 0
    sessions: int = 0


async def serve(
    spec: EngineSpec,
    open_session: Callable[[], Awaitable[Session]],
    *,
    pace: Pace | None = None,
    stop: asyncio.Event | None = None,
    hung: Callable[[], None] | None = None,
    observer: Observer | None = None,
    beats: Beats | None = None,
) -> tuple[Engine, Progress]:
    """Run until the source ends, ``stop`` is set or an error stops it.

    Args:
        spec: what the engine consists of.
        open_session: takes the shard over; called again after each error.
        stop: set to end after the step in hand.
        hung: called when a commit, or taking the shard over, takes too long, to end the process: a
            client that hangs cannot be closed either. Without it the service stops with an error.
        observer: is told what happens.
        beats: tells the time in a quiet market; nobody does without.

    Returns:
        The engine where it stopped, and how far the shard came.

    Raises:
        FeedError: the last one, when attempts are used up or it is not retriable.
        ReplayMismatchError: if the journal and the engine disagree.
        InvariantError: from the heart; nothing of its step was written.
    """
    service = _Service(
        spec,
        pace or Pace(),
        stop or asyncio.Event(),
        hung or _stop_hung,
        observer or Observer(),
        beats or Beats(),
    )
    failures = 0
    while True:
        before = service.progress.mark.step
        try:
            return await service.run(open_session), service.progress
        except FeedError as error:
            service.observer.failed(error)
            failures = 1 if service.progress.mark.step > before else failures + 1
            if (
                not error.retriable
                or service.stop.is_set()
                or failures >= service.pace.attempts_max
            ):
                raise
            log.warning("service.recovers", attempt=failures, error=str(error))
            with contextlib.suppress(TimeoutError):
                pause = service.pace.retry_seconds * 2 ** (failures - 1)
                await asyncio.wait_for(service.stop.wait(), pause)


def _stop_hung() -> None:
    raise FeedError("the log hangs: is the broker there?", retriable=False)


class _Service:
    def __init__(
        self,
        spec: EngineSpec,
        pace: Pace,
        stop: asyncio.Event,
        hung: Callable[[], None],
        observer: Observer,
        beats: Beats,
    ) -> None:
        self._spec = spec
        self.pace = pace
        self.stop = stop
        self._hung = hung
        self.observer = observer
        self._beats = beats
        self.progress = Progress()

    async def run(self, open_session: Callable[[], Awaitable[Session]]) -> Engine:
        """One session, from taking over to the end or to an error."""
        session = await self._bounded(open_session(), self.pace.open_seconds_max)
        self.progress.sessions += 1
        try:
            engine = await self._recover(session)
            if not self.progress.mark.finished:
                await self._live(engine, session)
        except BaseExceptionGroup as group:
            raise _cause(group) from None
        else:
            return engine
        finally:
            await session.close()
            log.info("service.stopped", **_told(self.progress.mark))

    async def _recover(self, session: Session) -> Engine:
        """The engine as it was after the last committed step, without saying anything twice."""
        recovered = session.recovered
        kept = recovered.snapshot
        engine = Engine(self._spec) if kept is None else restore(self._spec, kept)
        self.progress.mark = recovered.mark
        self.observer.recovering(len(recovered.steps))
        for step in recovered.steps:
            expect(self._spec.policies, step.endings, of_present=True)
            async for batch in session.source.again(engine.sequence, step.ranges):
                engine.process(batch.step)
            if step.mark.finished:
                engine.finish()
            _compare(step.mark, engine)
            self._accept(step.mark, step.ranges)
            self.progress.replayed += 1
            self.observer.replayed(step)
            await asyncio.sleep(0)
        taken_down(self._spec.policies)  # they are in the journal already
        log.info("service.started", replayed=len(recovered.steps), **_told(self.progress.mark))
        return engine

    async def _live(self, engine: Engine, session: Session) -> None:
        queue: asyncio.Queue[Batch | End] = asyncio.Queue(QUEUE_BATCHES_MAX)
        commit = partial(self._commit, session)
        async with asyncio.TaskGroup() as tasks:
            number, kept = self.progress.mark.step, session.recovered.mark.sequence
            steps = Steps(engine, number, kept, self.pace, self.observer, commit, tasks)
            reading = self._read(engine, session, queue, steps.unhurried)
            reader = tasks.create_task(reading)
            await steps.run(queue)
            reader.cancel()

    async def _read(
        self,
        engine: Engine,
        session: Session,
        queue: asyncio.Queue[Batch | End],
        unhurried: asyncio.Event,
    ) -> None:
        """Read ahead until the end of the input, or until told to stop."""
        sequence = engine.sequence
        while not self.stop.is_set():
            await unhurried.wait()
            batch = await session.source.read(sequence)
            if batch is None:
                await queue.put(End.FINISHED)
                return
            await queue.put(batch)
            beat = self._beats.after(batch, engine.time_ns)
            if beat is not None:
                await queue.put(beat)
            sequence = (beat or batch).step.end
        await queue.put(End.STOPPED)

    async def _commit(self, session: Session, taken: Taken) -> None:
        """Make a step durable, within bounded time."""
        began = perf_counter()
        await self._bounded(session.sink.commit(taken), self.pace.commit_seconds_max)
        self._accept(taken.mark, taken.ranges)
        seconds = perf_counter() - began
        self.observer.committed(taken, seconds)
        self._tell(taken, seconds)

    async def _bounded(self, work: Awaitable[_Done], seconds_max: float) -> _Done:
        """What the broker may never answer to; the watchdog barks after that time."""
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=seconds_max)
        if not done:
            log.critical("service.hangs", seconds=seconds_max, **_told(self.progress.mark))
            self._hung()
        return await task

    def _accept(self, mark: Mark, ranges: tuple[Range, ...]) -> None:
        self.progress.mark = mark
        self.progress.positions.update({run.input: run.end for run in ranges})

    def _tell(self, taken: Taken, seconds: float) -> None:
        said = [event for _, outputs in taken.parts for event in outputs.events]
        self.progress.events += len(said)
        if log.is_enabled_for(logging.INFO):
            for event in said:
                log.info(str(event.__struct_config__.tag), **_fields(event))
        rows, milliseconds = sum(len(batch.step) for batch, _ in taken.parts), seconds * 1_000
        counts = {"rows": rows, "events": len(said), "commit_ms": round(milliseconds, 3)}
        log.debug("step", **_told(taken.mark), **counts)


def _fields(event: Output) -> dict[str, Any]:
    """An event's own, in a log line."""
    fields = asdict(event)
    if _GRAVITY in fields:
        fields["nav_level"] = fields.pop(_GRAVITY)
    return fields


def _compare(mark: Mark, engine: Engine) -> None:
    """A replay that is not what was committed is never repaired."""
    found = Mark(mark.step, engine.sequence, engine.time_ns, state_digest(engine), mark.finished)
    if found != mark:
        raise ReplayMismatchError(
            f"step {mark.step}: the journal says sequence {mark.sequence}, clock {mark.clock_ns}, "
            f"state {mark.digest}; the replay came to sequence {found.sequence}, clock "
            f"{found.clock_ns}, state {found.digest}. Another version of the code, another input, "
            "or a damaged topic: nothing was written"
        )


def _told(mark: Mark) -> dict[str, Any]:
    return {"step": mark.step, "sequence": mark.sequence, "clock_ns": mark.clock_ns}


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that ended the group, or the group where there were several."""
    only = group.exceptions[0]
    if len(group.exceptions) > 1:
        return group
    return _cause(only) if isinstance(only, BaseExceptionGroup) else only


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT set ``stop``; for the main thread's loop."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
