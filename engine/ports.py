"""The two sides of the heart: where steps come from, where outputs go, and what is kept between.

``Source`` and ``Sink`` are what the log in memory and Kafka look like to the service; the heart
never sees them. A batch names the inputs it was made of, so that their order can be journalled in
one transaction with the outputs. A ``Session`` is one engine's hold on its shard: whoever opens the
next one takes over, and finds in it how far the last one came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from engine.endings import Ending
from engine.outputs import Outputs
from engine.ticks import Kind, Step, Tick

__all__ = [
    "CLOCK",
    "Batch",
    "DeadLetter",
    "JournalledStep",
    "Mark",
    "Range",
    "Recovered",
    "Session",
    "Sink",
    "Source",
    "Taken",
    "beat",
]

CLOCK = "clock"
"""The input that is in no topic: beats of the service's own clock; its offsets are times."""


def beat(sequence: int, ts_ns: int) -> Step:
    """A beat of that clock: a heartbeat row, which offset and place tell whole."""
    return Tick(int(Kind.HEARTBEAT), 0, ts_ns, ()).step(sequence)


class Range(Struct, frozen=True, array_like=True, gc=False):
    """Offsets ``[start, end)`` of one input, in processing order: a run-length of the journal."""

    input: str
    start: int
    end: int


class DeadLetter(Struct, frozen=True, gc=False):
    """A record that could not be decoded, as it came, with the reason."""

    input: str
    offset: int
    value: bytes
    reason: str


class Batch(Struct, frozen=True):
    """What a source hands over at once; bounded in rows. ``ranges`` are counted in the input's own
    offsets. A batch without ranges says that nothing came for a while; ``ended`` names the inputs
    that will bring no more. For metrics only: ``written_ms`` is when the last record of each range
    was written, ``decode_seconds`` what it took to make rows of them."""

    step: Step
    ranges: tuple[Range, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    ended: tuple[str, ...] = ()
    written_ms: tuple[int, ...] = ()
    decode_seconds: float = 0.0


class Mark(Struct, frozen=True, array_like=True, gc=False):
    """The engine after a step, as the journal tells it: a replay that differs is found out.

    Attributes:
        step: how many steps there were; 0 before the first.
        sequence: of the next row.
        clock_ns: engine time.
        digest: of the engine's state, hexadecimal.
        finished: whether a finite input came to its end with this step.
    """

    step: int = 0
    sequence: int = 0
    clock_ns: int = 0
    digest: str = ""
    finished: bool = False


class JournalledStep(Struct, frozen=True):
    """A committed step: which inputs it took, in which order, how isolated policies ended in it,
    and the engine after it."""

    mark: Mark
    ranges: tuple[Range, ...]
    endings: tuple[Ending, ...] = ()


class Taken(Struct, frozen=True):
    """What one transaction makes durable: a step of one or more batches, whole or not at all.

    Attributes:
        mark, ranges: what the journal says of it.
        parts: each batch with what it caused.
        user_name: a user's name by index, as the engine knows it.
        snapshot: the engine's state at ``mark``, now and then.
        endings: how isolated policies came to their end in it.
    """

    mark: Mark
    ranges: tuple[Range, ...]
    parts: Sequence[tuple[Batch, Outputs]]
    user_name: Callable[[int], str]
    snapshot: bytes | None = None
    endings: tuple[Ending, ...] = ()


class Recovered(Struct, frozen=True):
    """How far the shard came: a state, and the steps committed after it.

    Attributes:
        snapshot: the engine's state at ``mark``; ``None`` before the first snapshot.
        mark: where ``steps`` go on.
        steps: in order; those whose outputs are in the log already.
    """

    snapshot: bytes | None = None
    mark: Mark = Mark()
    steps: tuple[JournalledStep, ...] = ()


class Source(Protocol):
    """Steps in order."""

    async def read(self, sequence: int) -> Batch | None:
        """The next batch, its rows numbered from ``sequence``; ``None`` at the end of a finite
        input.

        Raises:
            FeedError: if the world is away.
        """

    def again(self, sequence: int, ranges: Sequence[Range]) -> AsyncIterator[Batch]:
        """The rows of a journalled step once more, numbered from ``sequence``; ``read`` goes on
        behind them."""

    async def close(self) -> None:
        """Let go of the input."""


class Sink(Protocol):
    """Steps made durable, in order."""

    async def commit(self, taken: Taken) -> None:
        """Returns when outputs and journal are in the log, all at once.

        Raises:
            FeedError: when it is not known whether they are; the next session will know.
        """

    async def close(self) -> None:
        """Let go, finishing nothing."""


class Session(Protocol):
    """One engine's hold on its shard."""

    @property
    def recovered(self) -> Recovered:
        """How far the sessions before it came."""

    @property
    def source(self) -> Source:
        """Where to read on."""

    @property
    def sink(self) -> Sink:
        """Where to write on."""

    async def close(self) -> None:
        """Let go of both."""
