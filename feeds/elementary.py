"""``exps`` and ``logs`` of columns, with the same bits on every machine.

numpy's own change bits with the processor. These see ``+ - *``, ``floor``, tables computed by
``engine.exact`` and the exact ``frexp`` and ``ldexp`` only. They lie within 1e-13 of the true value
in share (``logs``: 1e-15 absolute near 1), which is far below what a generated market means.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from engine.exact import exp2, log2

__all__ = ["exps", "logs"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_CELL_BITS: Final = 10
_CELLS: Final = 1 << _CELL_BITS
_DOUBLINGS: Final = 1_015
"""``e**700`` lies below this power of two."""
_LOG2_E: Final = 1.4426950408889634
_LN2: Final = 0.6931471805599453
_STEP: Final = _LN2 / _CELLS


@cache
def _powers() -> F64:
    """Shape (_CELLS,): ``2**(i / _CELLS)``."""
    return np.array([exp2(i / _CELLS) for i in range(_CELLS)])


@cache
def _doublings() -> F64:
    """Shape (2 _DOUBLINGS + 1,): powers of two, that of 0 in the middle."""
    return np.ldexp(1.0, np.arange(-_DOUBLINGS, _DOUBLINGS + 1))


@cache
def _logarithms() -> F64:
    """Shape (_CELLS + 1,): ``ln(1 + i / _CELLS)``."""
    return np.array([_LN2 * log2(1.0 + i / _CELLS) for i in range(_CELLS + 1)])


def exps(x: F64) -> F64:
    """Shape of ``x``: e to the power of each, ``|x|`` up to 700."""
    cell = x * (_LOG2_E * _CELLS)
    cell += 0.5
    np.floor(cell, out=cell)
    whole = cell.astype(np.int64)
    cell *= _STEP
    rest = np.subtract(x, cell, out=cell)
    result: F64 = rest * (1.0 / 24.0)
    for term in (1.0 / 6.0, 0.5, 1.0):
        result += term
        result *= rest
    result += 1.0
    result *= _powers().take(whole & (_CELLS - 1))
    # A power of two changes no digit of a number that stays a normal one.
    result *= _doublings().take((whole >> _CELL_BITS) + _DOUBLINGS)
    return result


def logs(x: F64) -> F64:
    """Shape of ``x``: natural logarithm of each, finite and above zero."""
    mantissa, exponent = np.frexp(x)
    mantissa, exponent = 2.0 * mantissa, exponent - 1
    cell = np.floor((mantissa - 1.0) * _CELLS + 0.5)
    near = 1.0 + cell / _CELLS
    rest = (mantissa - near) / near
    series = rest * (1.0 - rest * (0.5 - rest * (1.0 / 3.0 - rest * (0.25 - rest * 0.2))))
    result: F64 = exponent * _LN2 + (_logarithms()[cell.astype(np.int64)] + series)
    return result
