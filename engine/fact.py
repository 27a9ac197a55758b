"""The base of everything the engine says."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Output"]


class Output(Struct, frozen=True, gc=False, kw_only=True, tag_field="event"):
    """Base of all facts: which input caused it, its place among that input's outputs, and when it
    was."""

    sequence: int
    ordinal: int
    ts_ns: int
