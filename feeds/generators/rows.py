"""The order of generated rows: which instant has a row of which kind, and where it stands."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["BOOK", "FUNDING", "INDEX", "MARK", "Rows"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

BOOK: Final = 0
INDEX: Final = 1
FUNDING: Final = 2
MARK: Final = 3
_KINDS: Final = (BOOK, INDEX, FUNDING, MARK)
"""A symbol's rows at an instant, in this order; symbol by symbol, behind the trades. Whom a mark
wakes finds the book of its instant, and does not trade at the one before a jump."""


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
        self._symbols = np.arange(symbols)
        self._cell = cell_steps
        self._always = (BOOK, INDEX, MARK) if whole else (MARK,)
        at_cells = [k for k in _KINDS if k in self._always or k in (INDEX, FUNDING)]
        self._offset = {kind: (self._always.index(kind),) for kind in self._always}
        for kind in at_cells:
            self._offset[kind] = (*self._offset.get(kind, ()), at_cells.index(kind))
        width = np.full(len(ts_ns), len(self._always))
        width[::cell_steps] = len(at_cells)
        self._width = width
        room = width * symbols if symbols > 1 else width
        ends = np.cumsum(room)
        self.count = int(ends[-1])
        self._begin = ends - room
        self._room: I64 | None = None

    def between(self, step: I64, offset_ns: I64, symbol: I64, step_ns: int) -> dict[str, Any]:
        """Columns of trades, in order, so far behind the instant before that of their step; the
        other rows make room for them, once."""
        self._room = np.searchsorted(step, np.arange(len(self._ts_ns)), "right")
        self.count += len(step)
        return {
            "sequence": np.arange(len(step)) + self._begin[step],
            "symbol": 0 if len(self._symbols) == 1 else symbol.astype(np.int32),
            "ts_ns": self._ts_ns[step] - step_ns + offset_ns,
            "ingest_ns": None,
        }

    def of(self, kind: int) -> dict[str, Any]:
        """Columns of the rows of a kind."""
        told = self._told(kind)
        between, at_cells = self._offset[kind][0], self._offset[kind][-1]
        if kind in self._always:
            first = self._begin + between
            first[:: self._cell] += at_cells - between
        else:
            first = self._begin[told] + at_cells
        if self._room is not None:
            first += self._room[told]
        if len(self._symbols) == 1:
            ts_ns = self._ts_ns[told]
            return {"sequence": first, "symbol": 0, "ts_ns": ts_ns, "ingest_ns": None}
        sequence = first[:, None] + self._symbols * self._width[told][:, None]
        return {
            "sequence": sequence.ravel(),
            "symbol": np.tile(self._symbols.astype(np.int32), len(sequence)),
            "ts_ns": np.repeat(self._ts_ns[told], len(self._symbols)),
            "ingest_ns": None,
        }

    def taken(self, kind: int, values: F64) -> F64:
        """Of values of shape (symbols, instants) those that have a row of a kind."""
        told = self._told(kind)
        chosen: F64 = values[0, told] if len(values) == 1 else values.T[told].ravel()
        return chosen

    def _told(self, kind: int) -> slice:
        return slice(None) if kind in self._always else slice(None, None, self._cell)
