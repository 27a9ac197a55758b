"""NAV per unit across splits: told in the units of the start, so that a merge is no profit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["in_first_units"]

F64 = np.ndarray[Any, np.dtype[np.float64]]


def in_first_units(ts_ns: Any, per_unit: F64, splits: Sequence[tuple[int, int, int]]) -> F64:
    """NAV per unit of the start.

    Args:
        ts_ns: shape (n,), of the samples; one at the instant of a split is of its new units.
        per_unit: shape (n,), per unit of then.
        splits: ``(when, new, old)``: every ``old`` units became ``new``.

    Returns:
        Shape (n,).
    """
    for at_ns, new, old in splits:
        per_unit = np.where(ts_ns >= at_ns, per_unit * (new / old), per_unit)
    return per_unit
