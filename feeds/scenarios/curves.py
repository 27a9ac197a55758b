"""Curves of many points with the same bits everywhere: shapes, swings, noise."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from feeds.chance import normals, raw_words
from feeds.elementary import exps, logs
from feeds.scenarios.moves import Shape

__all__ = ["noise", "pinned", "shaped", "swings"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_LN2: Final = 0.6931471805599453
_STAIRS: Final = 8
_HALF_LIVES: Final = 6.0
"""An exponential shape has come to 63/64 of its way before it is scaled to arrive."""
_WORDS: Final = 1 << 16


def shaped(share: F64, shape: Shape) -> F64:
    """Shape of ``share``: how much of a move is done after that share of its time, 0 to 1."""
    if shape == "linear":
        return share
    if shape == "staircase":
        stairs: F64 = np.floor(share * _STAIRS) / _STAIRS
        return stairs
    left = 2.0**-_HALF_LIVES
    done: F64 = (1.0 - exps(-_HALF_LIVES * _LN2 * share)) / (1.0 - left)
    return done


def swings(share: F64, count: int) -> F64:
    """Shape of ``share``: ``count`` times from 0 to 1, to -1 and back to 0, in straight lines."""
    phase = share * count
    phase = (phase - np.floor(phase)) * 4.0
    wave: F64 = np.where(phase <= 1.0, phase, np.where(phase <= 3.0, 2.0 - phase, phase - 4.0))
    return wave


def noise(seed: int, stream: int, cells: int, deviation: float) -> F64:
    """Shape (cells + 1,): a product of ``1 + deviation x normal``, from 1.0 on."""
    path = np.ones(cells + 1)
    for place, first in enumerate(range(0, cells, _WORDS)):
        count = min(_WORDS, cells - first)
        drawn = normals(raw_words(seed, stream, place, count), 0)
        path[first + 1 : first + 1 + count] = 1.0 + deviation * drawn
    product: F64 = np.multiply.accumulate(path)
    return product


def pinned(path: F64, every: int) -> F64:
    """Shape of ``path``, which begins at 1: bent so that it is 1 at every so manieth place and at
    its end, its moves but for that as they were."""
    bent, places = logs(path), np.arange(len(path))
    pins = np.append(np.arange(0, len(path) - 1, every), len(path) - 1)
    before = np.minimum(places // every, len(pins) - 2)
    begin, end = pins[before], pins[before + 1]
    along = (places - begin) / (end - begin)
    result: F64 = exps(bent - (bent[begin] + (bent[end] - bent[begin]) * along))
    return result
