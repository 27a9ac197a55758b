"""Where evenly spaced times lie among rows that come far more often than they pass."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["rows_up_to"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

_TIMES: Final = 512
"""So many times for which it pays to look at every row."""
_ROWS: Final = 16
"""And so many rows to a time, at most: a search whose branches nobody can guess costs as much as a
look at these."""


def rows_up_to(run: I64, times: I64) -> I64:
    """``run.searchsorted(times, "right")``, from one look at all rows where times are many.

    Args:
        run: shape (n,), ascending.
        times: shape (m,), ascending and evenly spaced.
    """
    count = len(times)
    if count < _TIMES or len(run) > _ROWS * count:
        return run.searchsorted(times, "right")
    first_ns, last_ns = times.item(0), times.item(-1)
    first, end = run.searchsorted((first_ns, last_ns), "right").tolist()
    found = np.full(count, first)
    if first < end:
        every_ns = (last_ns - first_ns) // (count - 1)
        # Of each row the first of the times that is not before it; neighbours share it.
        of = (run[first:end] + (every_ns - 1 - first_ns)) // every_ns
        last = (of[1:] != of[:-1]).nonzero()[0]
        lowest, highest = of.item(0), of.item(-1)
        if len(last) == highest - lowest:
            found[lowest:highest] = last + (first + 1)
            found[highest:] = end
        else:  # times between which no row lies
            found[of[last]], found[highest] = last + (first + 1), end
            np.maximum.accumulate(found, out=found)
    return found
