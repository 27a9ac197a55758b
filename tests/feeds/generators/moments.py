"""Log returns of generated paths, and their moments against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from feeds.generators.draws import Draws
from feeds.generators.grid import FIXED
from feeds.generators.model import Model

F64 = np.ndarray[Any, np.dtype[np.float64]]
SEED = 11
ERRORS = 4.0
"""Standard errors within which a sample must lie: 1 of 16,000 right ones does not."""


def returns(model: Model, path: int = 0) -> F64:
    """Shape (symbols, steps): log returns of one path."""
    grid = model.grid()
    drawn = [chunk.moves for chunk in model.chunks(grid, Draws(SEED, path))]
    result: F64 = np.concatenate(drawn, axis=1)[:, : grid.steps] / FIXED
    return result


def near(sample: F64, expected: float) -> bool:
    """Whether the mean of independent draws lies within ``ERRORS`` standard errors."""
    error = sample.std(ddof=1) / np.sqrt(sample.size)
    return bool(abs(sample.mean() - expected) <= ERRORS * error)


def kurtosis(sample: F64) -> float:
    """Fourth moment over the square of the second, around the mean."""
    away = sample - sample.mean()
    return float((away**4).mean() / (away**2).mean() ** 2)


def autocorrelation(sample: F64, lag: int) -> float:
    """Of a series with itself, so much later."""
    away = sample - sample.mean()
    return float((away[lag:] * away[:-lag]).mean() / (away * away).mean())
