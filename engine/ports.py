"""The two sides of the heart: where steps come from and where outputs go.

``Source`` and ``Sink`` are what files, the in-memory log and Kafka look like to the service. The
heart never sees them. A batch names the inputs it was made of, so that the order of inputs can be
journalled with the outputs.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from engine.ticks import Step

__all__ = ["Batch", "DeadLetter", "Range", "Sink", "Source"]


class Range(Struct, frozen=True, array_like=True, gc=False):
    """Rows ``[start, end)`` of one input, in processing order: a run-length of the journal."""

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
    offsets."""

    step: Step
    ranges: tuple[Range, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()


@runtime_checkable
class Source(Protocol):
    """Steps in order."""

    async def read(self, sequence: int) -> Batch | None:
        """The next batch, its rows numbered from ``sequence``; ``None`` at the end of a finite
        input."""

    async def close(self) -> None:
        """Let go of the input."""


@runtime_checkable
class Sink(Protocol):
    """Outputs in order; what it accepted is durable or will be re-sent."""

    async def write(self, outputs: Any, batch: Batch) -> None:
        """Take the outputs of one batch, with the batch that caused them."""

    async def close(self) -> None:
        """Flush and let go."""
