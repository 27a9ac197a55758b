"""What all events of a scenario have in common: a name, a time, whom they concern.

``at`` is a time after the first row (``"2h"``, ``"+2h4m"``), a share of the data's span (``"50%"``)
or a date (``"2020-03-12T10:45:00Z"``, UTC without a zone); with ``after``, a time after that
event's end. Lengths (``over``, ``duration``) are times or shares of the span; a ``duration`` left
out lasts to the end of the data. ``symbols`` are those concerned, all where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

__all__ = ["LENGTH_PATTERN", "WHEN_PATTERN", "BaseEvent", "Bounds", "Length", "When"]

_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"
_TIMES: Final = rf"({_NUMBER}(ns|us|ms|s|m|h|d))+"
LENGTH_PATTERN: Final = rf"^({_NUMBER}%|{_TIMES})(?!\n)$"
WHEN_PATTERN: Final = rf"^(\+?{_NUMBER}%|\+?{_TIMES}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}.*)(?!\n)$"
Length = Annotated[str, Meta(pattern=LENGTH_PATTERN)]
When = Annotated[str, Meta(pattern=WHEN_PATTERN)]
Bounds = dict[str, tuple[float, float]]


class BaseEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all events.

    Attributes:
        name: for ``after`` and ``of``; the kind where it is left out.
        at, after: when it begins.
        symbols: whom it concerns; all where empty.
    """

    BOUNDS: ClassVar[Bounds] = {}
    NOT_ZERO: ClassVar[tuple[str, ...]] = ()

    name: str = ""
    at: When | None = None
    after: str = ""
    symbols: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name of its class in a file."""
        return str(self.__struct_config__.tag)

    @property
    def called(self) -> str:
        """The name under which others speak of it."""
        return self.name or self.kind

    @property
    def length(self) -> str | None:
        """How long it takes or lasts; nothing where it is an instant, ``None`` to the end."""
        return getattr(self, "over", getattr(self, "duration", ""))

    @property
    def words(self) -> str:
        """What it does, in a few words."""
        return ""

    def flaws(self) -> Iterator[tuple[str, str]]:
        """``(field, what is wrong)`` of what the types let pass."""
        for name, (low, high) in self.BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                yield name, f"must be from {low:g} to {high:g}, was {value!r}"
        for name in self.NOT_ZERO:
            if not getattr(self, name):
                yield name, "is 0: the event would do nothing"
