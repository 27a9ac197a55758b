"""Random words from integers: Philox 4x64-10, for the few rules of a venue that draw lots.

A draw is a function of its key and its place and of nothing else, so a replay, a restored snapshot
and a stream that was cut otherwise draw the same. The words are those of numpy's ``Philox``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["below", "word"]

_MASK: Final = (1 << 64) - 1
_MULTIPLIERS: Final = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL: Final = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS: Final = 10


def word(seed: int, path: int, sequence: int) -> int:
    """64 uniform bits for ``(seed, path, sequence)``, each from 0 up to 2**64 - 1.

    Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
    """
    low, high = seed & _MASK, path & _MASK
    # numpy counts up before it draws, and so does this: the first block of a place is number 1.
    a, b, c, d = 1, sequence & _MASK, 0, 0
    for _ in range(_ROUNDS):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (second >> 64) ^ b ^ low,
            second & _MASK,
            (first >> 64) ^ d ^ high,
            first & _MASK,
        )
        low, high = (low + _WEYL[0]) & _MASK, (high + _WEYL[1]) & _MASK
    return a


def below(count: int, seed: int, path: int, sequence: int) -> int:
    """A uniform number from 0 up to ``count - 1``; off by less than ``count / 2**64`` in share.

    Raises:
        ValueError: if ``count`` is not positive.
    """
    if count < 1:
        raise ValueError(f"a draw needs something to draw from, was {count}")
    return word(seed, path, sequence) * count >> 64
