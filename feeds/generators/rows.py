"""The order of generated rows: which instant has a row of which kind, and where it stands."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["BOOK", "FUNDING", "INDEX", "MARK", "Rows"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

INDEX: Final = 0
MARK: Final = 1
FUNDING: Final = 2
BOOK: Final = 3
_SLOTS: Final = 4
"""Places of a symbol at an instant, in this order; symbol by symbol, behind the trades."""


class Rows:
    """The rows of a chunk: at each of ``ts_ns``, and trades between them.

    Args:
        symbols: how many.
        ts_ns: the instants.
        cell_steps: at every so manieth of them, from the first on, index and funding are told.
        whole: whether index and book are told at every instant.
    """

    def __init__(self, symbols: int, ts_ns: I64, cell_steps: int, *, whole: bool) -> None:
        self._ts_ns = ts_ns
        self._one = symbols == 1
        self._flags = np.zeros((len(ts_ns), symbols, _SLOTS), np.bool_)
        self._flags[:, :, MARK] = True
        self._flags[::cell_steps, :, [INDEX, FUNDING]] = True
        if whole:
            self._flags[:, :, [INDEX, BOOK]] = True
        self._place = (np.cumsum(self._flags) - 1).reshape(self._flags.shape)
        self._begin = np.concatenate(([0], self._place[:-1, -1, -1] + 1))
        self.count = int(self._place[-1, -1, -1]) + 1

    def between(self, step: I64, offset_ns: I64, symbol: I64, step_ns: int) -> dict[str, Any]:
        """Columns of trades, in order, so far behind the instant before that of their step; the
        other rows make room for them, once."""
        self._place += np.searchsorted(step, np.arange(len(self._ts_ns)), "right")[:, None, None]
        self.count += len(step)
        return {
            "sequence": np.arange(len(step)) + self._begin[step],
            "symbol": 0 if self._one else symbol.astype(np.int32),
            "ts_ns": self._ts_ns[step] - step_ns + offset_ns,
            "ingest_ns": None,
        }

    def of(self, slot: int) -> dict[str, Any]:
        """Columns of the rows of a kind."""
        step, symbol = np.nonzero(self._flags[:, :, slot])
        return {
            "sequence": self._place[step, symbol, slot],
            "symbol": 0 if self._one else symbol.astype(np.int32),
            "ts_ns": self._ts_ns[step],
            "ingest_ns": None,
        }

    def taken(self, slot: int, values: F64) -> F64:
        """Of values of shape (symbols, instants) those that have a row of a kind."""
        chosen: F64 = values.T[self._flags[:, :, slot]]
        return chosen
