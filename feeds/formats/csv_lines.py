"""Lines of CSV files that are read one by one, as captures are: many symbols in one file, values
that are missing."""

from __future__ import annotations

from feeds.formats.numbers import parse_float, parse_int

__all__ = ["fields_of", "micros_ns", "number", "optional"]


def fields_of(line: bytes, count: int) -> list[str]:
    """The fields of a line; of more than ``count`` the first ones.

    Raises:
        ValueError: if there are fewer.
    """
    fields = line.rstrip(b"\r\n").decode("ascii").split(",")
    if len(fields) < count:
        raise ValueError(f"expected {count} fields, was {len(fields)}")
    return fields


def number(text: str) -> float:
    """A number that must be there."""
    return parse_float(text)


def optional(text: str) -> float | None:
    """A number, or nothing."""
    return parse_float(text) if text else None


def micros_ns(text: str) -> int:
    """A time in us as ns.

    Raises:
        ValueError: if it is none of this era.
    """
    time = parse_int(text)
    if not 10**14 <= time < 9 * 10**15:
        raise ValueError(f"{text[:40]!r} is no time in us")
    return time * 1_000
