"""What the service is told of itself, as numbers that Prometheus collects.

Nothing here waits for anybody: an observer adds to counters, and a reader takes what is there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine.errors import FeedError
from engine.events import InputRejected
from engine.outputs import Outputs
from engine.ports import Batch, JournalledStep, Taken
from engine.steps import Observer

__all__ = ["Metrics"]

_SECONDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_NS: Final = 1e9
_MS: Final = 1e3


class Metrics(Observer):
    """Counts what happens.

    Args:
        shard: label of every number.
        fenced: the error of an engine whose shard another one took over.
        clock: seconds since the epoch.
        stopwatch: seconds.
    """

    def __init__(
        self,
        shard: int = 0,
        *,
        fenced: type[FeedError] | None = None,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.registry = CollectorRegistry()
        self.live = False
        self._fenced_by = fenced
        self._clock = clock
        self._stopwatch = stopwatch
        self._began: deque[float] = deque()
        self._left = 0
        self._ends: dict[str, int] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._snapshot_at: float | None = None
        self._name(str(shard))

    def _name(self, shard: str) -> None:
        def labels(*names: str) -> dict[str, Any]:
            return {"labelnames": ("shard", *names), "registry": self.registry}

        def histogram(name: str, told: str) -> Histogram:
            made = Histogram(f"levsim_{name}_seconds", told, buckets=_SECONDS, **labels())
            return made.labels(shard)

        def counter(name: str, told: str) -> Counter:
            return Counter(f"levsim_{name}", told, **labels()).labels(shard)

        def gauge(name: str, told: str) -> Gauge:
            return Gauge(f"levsim_{name}", told, **labels()).labels(shard)

        self._shard = shard
        self._step = histogram("step", "From a step's first row to its commit.")
        self._decode = histogram("decode", "Records into rows, a batch.")
        self._compute = histogram("compute", "A batch through the heart.")
        self._commit = histogram("commit", "A transaction, from begin to acknowledged.")
        self._rows = counter("rows", "Rows that went through the heart.")
        self._steps = counter("steps", "Steps committed.")
        self._sessions = counter("sessions", "How often the shard was taken over by this process.")
        self._fenced = counter("fenced", "How often another engine took the shard over.")
        self._conflated = counter("conflated_user_navs", "User NAVs that gave way to newer ones.")
        self._replayed = counter("replayed_steps", "Steps replayed with output suppressed.")
        self._to_replay = gauge("steps_to_replay", "Steps of the journal still to be replayed.")
        self._engine_time = gauge("engine_time_seconds", "Event time of the engine.")
        self._since = gauge("snapshot_age_steps", "Steps since the last snapshot.")
        age = gauge("snapshot_age_seconds", "Since this process wrote a snapshot; NaN before.")
        age.set_function(self._snapshot_age)
        gauge("live", "1 when recovered and serving.").set_function(lambda: float(self.live))
        self._events = Counter("levsim_events", "Events committed.", **labels("event"))
        self._rejects = Counter("levsim_rejects", "Inputs refused.", **labels("reason"))
        self._failures = Counter("levsim_failures", "Sessions ended.", **labels("error"))
        self._lag = Gauge("levsim_lag_records", "Records not yet committed.", **labels("input"))
        self._late = Gauge(
            "levsim_lag_seconds",
            "Age of the newest record committed, while there are newer ones.",
            **labels("input"),
        )

    def recovering(self, steps: int) -> None:
        """A session began."""
        self._sessions.inc()
        self._began.clear()
        self._left = steps
        self._to_replay.set(steps)
        self._since.set(steps)
        self.live = steps == 0

    def replayed(self, step: JournalledStep) -> None:
        """One of its steps."""
        self._replayed.inc()
        self._left -= 1
        self._to_replay.set(self._left)
        self._engine_time.set(step.mark.clock_ns / _NS)
        for run in step.ranges:
            self._taken[run.input] = (run.end, 0)
        self.live = self._left == 0

    def processed(
        self,
        batch: Batch,
        outputs: Outputs,  # noqa: ARG002  # as Observer has it
        seconds: float,
    ) -> None:
        """A batch."""
        self._began.append(self._stopwatch() - seconds)
        self._compute.observe(seconds)
        self._decode.observe(batch.decode_seconds)
        self._rows.inc(len(batch.step))

    def conflated(self, user_navs: int) -> None:
        """Samples that nobody will see."""
        self._conflated.inc(user_navs)

    def committed(self, taken: Taken, seconds: float) -> None:
        """A step."""
        self._commit.observe(seconds)
        self._steps.inc()
        batches = [batch for batch, _ in taken.parts if batch.ranges]
        began = [self._began.popleft() for _ in batches if self._began]
        if began:
            self._step.observe(self._stopwatch() - began[0])
        self._engine_time.set(taken.mark.clock_ns / _NS)
        for batch in batches:
            stamps = batch.written_ms or (0,) * len(batch.ranges)
            for run, written_ms in zip(batch.ranges, stamps, strict=True):
                self._taken[run.input] = (run.end, written_ms)
        for _, outputs in taken.parts:
            self._count(outputs)
        self._since.inc()
        if taken.snapshot is not None:
            self._snapshot_at = self._clock()
            self._since.set(0)
        self._tell_lag()

    def _count(self, outputs: Outputs) -> None:
        for event in outputs.events:
            self._events.labels(self._shard, str(type(event).__struct_config__.tag)).inc()
            if isinstance(event, InputRejected):
                self._rejects.labels(self._shard, event.reason).inc()

    def failed(self, error: FeedError) -> None:
        """A session ended; the next one will tell of itself."""
        self.live = False
        self._failures.labels(self._shard, type(error).__name__).inc()
        if self._fenced_by is not None and isinstance(error, self._fenced_by):
            self._fenced.inc()

    def ends(self, ends: Mapping[str, int]) -> None:
        """Where the inputs end now."""
        self._ends.update(ends)
        self._tell_lag()

    def _tell_lag(self) -> None:
        for name, end in self._ends.items():
            position, written_ms = self._taken.get(name, (0, 0))
            behind = max(0, end - position)
            self._lag.labels(self._shard, name).set(behind)
            late = self._clock() - written_ms / _MS if behind and written_ms else 0.0
            self._late.labels(self._shard, name).set(max(0.0, late))

    def _snapshot_age(self) -> float:
        return float("nan") if self._snapshot_at is None else self._clock() - self._snapshot_at
