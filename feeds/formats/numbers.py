"""Numbers and times as venues write them."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

__all__ = ["parse_float", "parse_int", "times_to_ns"]

_FLOAT: Final = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?|[+-]?(?:nan|inf)", re.ASCII
)
_INT: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def parse_float(text: str) -> float:
    """A number written in plain ASCII; NaN and infinities pass, the engine refuses them row by row.

    Raises:
        ValueError: for anything else that ``float`` would take: blanks, underscores, other scripts'
            digits.
    """
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text)


def parse_int(text: str) -> int:
    """A whole number of at most 19 digits in plain ASCII.

    Raises:
        ValueError: for anything else.
    """
    if _INT.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text)


def times_to_ns(times: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Epoch times as ns, each by its own magnitude: s below 1e11, ms below 1e14, us below 1e17,
    else ns.

    So seconds up to the year 5138 and milliseconds from 1973 on are told apart; Binance's spot
    files changed from ms to us on 2025-01-01, and a file's date says nothing about it.

    Raises:
        ValueError: for a time after 2262, which ns in 64 bits cannot say.
    """
    values = np.asarray(times, np.int64)
    factor = np.where(
        values < 10**11,
        10**9,
        np.where(values < 10**14, 10**6, np.where(values < 10**17, 10**3, 1)),
    )
    times_ns = values * factor
    if (times_ns // factor != values).any():
        raise ValueError("a time lies after the year 2262")
    return times_ns
