"""The NAVs of samples and nothing beside them: what the yardsticks make of a sample, too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np

from engine.outputs import NavBlock

__all__ = ["product_navs"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_MANY: Final = 256
"""Samples that are worth turning round, so that products come first."""


def product_navs(blocks: Sequence[NavBlock]) -> list[F64]:
    """Shape (rows, products) each: NAVs of the samples of blocks in order, quote atoms; blocks of
    as many products that follow one another are valued at once."""
    found: list[F64] = []
    for (changes, _), run in groupby(blocks, _kind):
        alike = list(run)
        found += map(_changing, alike) if changes else [_still(alike)]
    return found


def _kind(block: NavBlock) -> tuple[bool, int]:
    return block.changes is not None, len(block.products)


def _still(blocks: list[NavBlock]) -> F64:  # short arrays are joined fastest as bytes
    lines = np.frombuffer(b"".join([each.line.data for each in blocks])).reshape(len(blocks), -1, 3)
    marks = np.frombuffer(b"".join([each.mark.data for each in blocks]))
    return _read(lines, [len(block.mark) for block in blocks], marks)


def _changing(block: NavBlock) -> F64:
    changes = block.changes
    assert changes is not None
    version, samples = changes.stretches(len(block.ts_ns), len(block.products))
    lines = np.concatenate([block.line, changes.line]).take(version, axis=0)
    return _read(lines, samples, block.mark)


def _read(lines: F64, samples: Any, marks: F64) -> F64:
    """Lines of the mark, each of which holds for so many samples of every product."""
    if len(marks) < _MANY:
        lines = lines.repeat(samples, axis=0)
        return lines[:, :, 0] + lines[:, :, 1] * marks[:, None]
    intercept, navs = lines[:, :, :2].T.repeat(samples, axis=2)  # each product's in one go
    navs *= marks
    navs += intercept
    return navs.T
