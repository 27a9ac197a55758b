"""The asyncio skin: batches from a source, through the heart, to a sink, in one task group.

A reader runs ahead by a bounded queue; the heart computes between two awaits; the position moves
only when the sink has accepted. A slow sink therefore slows the source, and nothing is held without
a bound. Whether to try again is decided here alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog
from msgspec import Struct, field

from engine.errors import FeedError
from engine.events import Deleveraged, Rebalanced
from engine.outputs import Outputs
from engine.ports import Batch, Sink, Source
from engine.ticks import Step

__all__ = [
    "ATTEMPTS_MAX",
    "QUEUE_BATCHES_MAX",
    "Heart",
    "Progress",
    "run_service",
    "stop_on_signals",
]

QUEUE_BATCHES_MAX: Final = 4
"""Batches read ahead of the heart."""
ATTEMPTS_MAX: Final = 6
"""Times that a retriable error of the world is met before the service stops."""
RETRY_SECONDS: Final = 0.1
"""Pause before the second attempt; doubled before each further one."""

log = structlog.get_logger("levsim.service")
T = TypeVar("T")


class Heart(Protocol):
    """What the service needs of an engine."""

    @property
    def sequence(self) -> int:
        """Of the next row."""

    def process(self, step: Step) -> Outputs:
        """Everything that the rows cause."""

    def finish(self) -> Outputs:
        """The input ended: let its last instant pass."""


class Progress(Struct):
    """How far the sink has accepted.

    Attributes:
        sequence: of the next row.
        positions: next offset of each input.
        steps, events: how many were accepted.
        finished: whether the input came to its end.
    """

    sequence: int
    positions: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    events: int = 0
    finished: bool = False

    def accept(self, batch: Batch, outputs: Outputs) -> None:
        """The sink has taken everything that the batch caused."""
        self.sequence = batch.step.end
        self.positions.update({run.input: run.end for run in batch.ranges})
        self.steps += 1
        self.events += len(outputs.events)


async def run_service(
    engine: Heart,
    source: Source,
    sink: Sink,
    *,
    stop: asyncio.Event | None = None,
    attempts_max: int = ATTEMPTS_MAX,
    retry_seconds: float = RETRY_SECONDS,
) -> Progress:
    """Run until the source ends, ``stop`` is set or an error stops it; closes source and sink.

    Args:
        engine: at the sequence where the source begins.
        stop: set to end after the step in hand.
        attempts_max: attempts at one read or write while its error is retriable.
        retry_seconds: first pause between attempts.

    Returns:
        How far the sink accepted.

    Raises:
        FeedError: the last one, when attempts are used up or it is not retriable.
        InvariantError: from the heart; nothing of its step was written.
    """
    stopping = stop or asyncio.Event()
    service = _Service(engine, source, sink, stopping, attempts_max, retry_seconds)
    log.info("service.started", sequence=engine.sequence)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(sink.close)
        stack.push_async_callback(source.close)
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(service.read())
                halt = tasks.create_task(stopping.wait())
                await service.work(halt)
                reader.cancel()
                halt.cancel()
        except BaseExceptionGroup as group:
            raise _cause(group) from None
        finally:
            progress = service.progress
            log.info("service.stopped", sequence=progress.sequence, steps=progress.steps)
    return service.progress


class _Service:
    def __init__(
        self,
        engine: Heart,
        source: Source,
        sink: Sink,
        stop: asyncio.Event,
        attempts_max: int,
        retry_seconds: float,
    ) -> None:
        self._engine = engine
        self._source = source
        self._sink = sink
        self._stop = stop
        self._attempts_max = attempts_max
        self._retry_seconds = retry_seconds
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue(QUEUE_BATCHES_MAX)
        self.progress = Progress(engine.sequence)

    async def read(self) -> None:
        """Read ahead until the end of the input."""
        sequence = self._engine.sequence
        while True:
            try:
                batch = await self._attempt("read", partial(self._source.read, sequence))
            except FeedError:
                if self._stop.is_set():
                    return
                raise
            await self._queue.put(batch)
            if batch is None:
                return
            sequence = batch.step.end

    async def work(self, halt: asyncio.Task[Any]) -> None:
        """Process what was read, until its end or until ``halt`` is done."""
        while not self._stop.is_set():
            get = asyncio.ensure_future(self._queue.get())
            try:
                await asyncio.wait((get, halt), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not get.done():
                    get.cancel()
            if not get.done():
                return
            batch = get.result()
            if batch is None:
                await self._finish()
                return
            await self._write(self._engine.process(batch.step), batch)

    async def _finish(self) -> None:
        sequence = self._engine.sequence
        await self._write(self._engine.finish(), Batch(Step(first=sequence, end=sequence)))
        self.progress.finished = True

    async def _write(self, outputs: Outputs, batch: Batch) -> None:
        await self._attempt("write", partial(self._sink.write, outputs, batch))
        self.progress.accept(batch, outputs)
        for event in outputs.events:
            if isinstance(event, Rebalanced | Deleveraged):
                log.info(
                    "deleveraged" if isinstance(event, Deleveraged) else "rebalanced",
                    product=event.product,
                    reason=event.reason,
                    leverage_before=event.leverage_before,
                    leverage_after=event.leverage_after,
                    sequence=event.sequence,
                    ts_ns=event.ts_ns,
                )
        log.debug(
            "step",
            sequence=batch.step.first,
            rows=len(batch.step),
            events=len(outputs.events),
            dead_letters=len(batch.dead_letters),
        )

    async def _attempt(self, what: str, act: Callable[[], Awaitable[T]]) -> T:
        """Try again while the world is away, a bounded number of times."""
        pause = self._retry_seconds
        for attempt in range(1, self._attempts_max):
            try:
                return await act()
            except FeedError as error:
                if not error.retriable or self._stop.is_set():
                    raise
                log.warning("service.retry", what=what, attempt=attempt, error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause *= 2
        return await act()


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
