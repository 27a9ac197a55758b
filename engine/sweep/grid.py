"""The grid of a sweep: ``--set KEY=1.5:2.5:11`` and ``--set KEY=a,b,c`` as axes, and their points.

A range ``a:b:n`` has ``n`` values from ``a`` to ``b``, both included, worked out in decimals: the
second of ``1.5:2.5:11`` is 1.6 and no other float. A list is parted at commas outside of brackets
and quotes. One value alone is no axis: it changes every point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from math import prod
from typing import Final

from msgspec import Struct

from engine.errors import ConfigError

__all__ = ["POINTS_MAX", "Axis", "axes_of", "points_of"]

POINTS_MAX: Final = 10_000
"""Points of a grid: each is a configuration that is resolved and checked before anything runs."""

_NUMBER: Final = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(rf"({_NUMBER})\s*:\s*({_NUMBER})\s*:\s*([-+]?\d+)")
_PAIRS: Final = {"]": "[", "}": "{"}


class Axis(Struct, frozen=True):
    """A key and the values that it takes, as texts like those of ``KEY=VALUE``."""

    key: str
    values: tuple[str, ...]

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(re.fullmatch(_NUMBER, value) for value in self.values)


def axes_of(sets: Sequence[str], policies: Sequence[str] = ()) -> tuple[list[str], list[Axis]]:
    """``(sets that hold everywhere, axes)``.

    Args:
        sets: ``KEY=VALUE``, ``KEY=a,b,c`` or ``KEY=a:b:n``.
        policies: two or more are an axis of their own, named ``policy``.

    Raises:
        ConfigError: for a range that is none, a key that is given twice, or too many points.
    """
    plain: dict[str, str] = {}
    texts: dict[str, str] = {}
    for given in sets:
        key, equals, text = (part.strip() for part in given.partition("="))
        if not equals or not key:
            raise ConfigError(
                f"--set {given}: expected KEY=VALUE, KEY=1.5:2.5:11 (a range and how many values) "
                "or KEY=a,b,c"
            )
        count = _count(text, given)
        if key in texts:
            raise ConfigError(f"--set {given}: {key} is an axis already, --set {key}={texts[key]}")
        if key in plain:
            raise ConfigError(f"--set {given}: {key} is given already, --set {plain[key]}")
        if count == 1:
            plain[key] = given
        else:
            texts[key] = text
    counts = [_count(text, key) for key, text in texts.items()]
    points = prod(counts) * max(1, len(policies))
    if points > POINTS_MAX:
        made = " x ".join(f"{count:,}" for count in (*counts, *[len(policies)] * bool(policies)))
        raise ConfigError(
            f"a grid of {points:,} points ({made}), {POINTS_MAX:,} at most; take fewer values"
        )
    axes = [Axis(key, tuple(_values(text))) for key, text in texts.items()]
    if len(policies) > 1:
        axes.insert(0, Axis("policy", tuple(policies)))
    for axis in axes:
        if len(set(axis.values)) < len(axis.values):
            twice = next(value for value in axis.values if axis.values.count(value) > 1)
            raise ConfigError(f"--set {axis.key}: {twice} is given twice")
    return list(plain.values()), axes


def points_of(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    """The values of each point, the last axis running fastest; one empty point without axes."""
    return product(*(axis.values for axis in axes))


def _count(text: str, given: str) -> int:
    match = _RANGE.fullmatch(text)
    if match is None:
        parts = _parted(text)
        if len(parts) > 1 and not all(parts):
            raise ConfigError(f"--set {given}: a value of the list is empty")
        return len(parts)
    low, high, count = Decimal(match[1]), Decimal(match[2]), int(match[3])
    if count < 1 or (count == 1 and low != high) or (count > 1 and low == high):
        raise ConfigError(
            f"--set {given}: a range is FROM:TO:COUNT with two different ends and a count of 2 or "
            f"more, was {match[1]}:{match[2]}:{match[3]}"
        )
    return count


def _values(text: str) -> Iterator[str]:
    match = _RANGE.fullmatch(text)
    if match is None:
        yield from _parted(text)
        return
    low, high, count = Decimal(match[1]), Decimal(match[2]), int(match[3])
    whole = low == int(low) and high == int(high) and not (int(high) - int(low)) % (count - 1)
    whole = whole and not set(".eE") & set(match[1] + match[2])
    for place in range(count):
        value = low + (high - low) * place / (count - 1)
        yield str(int(value)) if whole else repr(float(value))


def _parted(text: str) -> list[str]:
    """A text at its commas, but for those within brackets and quotes."""
    parts, depth, quote, start = [], [], "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth.append(letter)
        elif letter in "]}":
            if depth[-1:] == [_PAIRS[letter]]:
                depth.pop()
        elif letter == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
