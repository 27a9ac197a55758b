"""What goes to a policy in a process of its own, and what comes back.

Frames go both ways over two pipes: four bytes of length, then msgpack. The first tells which policy
is wanted, each later one is a question.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

from engine.plans import Plan
from engine.policy import Close, Decision, Deleverage, Quote, SetLeverage, View, Warn
from engine.watch import Watch

__all__ = [
    "FRAME_MAX",
    "Answer",
    "Hello",
    "Question",
    "Wanted",
    "packed_decision",
    "read_frame",
    "unpacked_decision",
    "write_frame",
]

FRAME_MAX: Final = 1 << 20
"""Bytes of an answer: a decision with its reason and what the policy remembers."""
_LENGTH: Final = struct.Struct("<I")
_DECISIONS: Final = (SetLeverage, Deleverage, Quote, Close, Warn)


class Wanted(Struct, frozen=True):
    """The policy to load, as ``load_policy`` takes it, and ``memory_mb`` beyond what loading it
    needs."""

    name: str
    params: dict[str, Any]
    review_ns: int | None
    limit: float
    clamp: bool
    memory_mb: int


class Hello(Struct, frozen=True):
    """The policy is there, or ``error`` says why it is not. ``timed``: nothing but an alarm of its
    own ever wakes it, so its watch is the same for every view."""

    error: str = ""
    name: str = ""
    uses_signals: bool = False
    uses_high_water: bool = False
    de_risking: bool = False
    timed: bool = False
    state: bytes = b""


class Question(Struct, frozen=True):
    """``decide`` or ``watch``."""

    method: str
    view: View
    state: bytes


class Answer(Struct, frozen=True):
    """What ``decide`` answered, and what ``watch`` answers on the same view with the new state; an
    ``error`` in its place. ``spent``: the memory was."""

    decision: tuple[int, list[Any]] | None = None
    state: bytes = b""
    watch: Watch | None = None
    error: str = ""
    spent: bool = False


def packed_decision(decision: Decision | None) -> tuple[int, list[Any]] | None:
    """A decision as its kind and its fields."""
    if decision is None:
        return None
    fields = [getattr(decision, name) for name in decision.__struct_fields__]
    return _DECISIONS.index(type(decision)), fields


def unpacked_decision(packed: tuple[int, list[Any]] | None) -> Decision | None:
    """The decision that ``packed_decision`` was given."""
    if packed is None:
        return None
    kind = _DECISIONS[packed[0]]
    fields = dict(zip(kind.__struct_fields__, packed[1], strict=True))
    if fields.get("plan") is not None:
        fields["plan"] = msgspec.convert(fields["plan"], Plan)
    return kind(**fields)


def write_frame(pipe: BinaryIO, message: Struct) -> None:
    """Send one message."""
    payload = msgspec.msgpack.encode(message)
    pipe.write(_LENGTH.pack(len(payload)) + payload)
    pipe.flush()


def read_frame(pipe: BinaryIO) -> bytes:
    """One message; empty where the other side is gone."""
    head = pipe.read(_LENGTH.size)
    return pipe.read(*_LENGTH.unpack(head)) if len(head) == _LENGTH.size else b""
