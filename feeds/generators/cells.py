"""Volatility that changes from cell to cell: the part that Heston, GARCH and regimes share."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from feeds.generators.draws import whole
from feeds.generators.grid import FIXED, Grid

__all__ = ["cell_shocks", "shaped"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]
_UNITS: Final = float(1 << 40)
"""Normal draws are added up in integers of one part of this many."""


def cell_shocks(drawn: F64, grid: Grid) -> F64:
    """Shape (symbols, cells of a chunk): standard normal, what the steps of a cell add up to."""
    exact = whole(drawn * _UNITS).reshape(len(drawn), grid.chunk_cells, grid.cell_steps)
    total: F64 = exact.sum(axis=2) / (_UNITS * math.sqrt(grid.cell_steps))
    return total


def shaped(grid: Grid, drawn: F64, variance: F64, drift: F64 | float) -> I64:
    """The moves of a chunk whose variance per year holds for a cell.

    Args:
        drawn: shape (symbols, steps of a chunk), standard normal.
        variance: shape (symbols, cells of a chunk).
        drift: of the expected price, per year; of that shape or one for all.
    """
    years = grid.step_years
    mean = np.repeat((drift - variance / 2.0) * years, grid.cell_steps, axis=1)
    width = np.repeat(np.sqrt(variance * years), grid.cell_steps, axis=1)
    return whole((mean + width * drawn) * FIXED)
