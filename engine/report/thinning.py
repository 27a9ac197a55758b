"""Fewer points, the same picture: of every pixel column each series' lowest and highest stay.

The worst moment and every wick survive, which averages and samples lose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

__all__ = ["F64", "I64", "Curve", "thinned"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]


class Curve(Struct, frozen=True, eq=False):
    """Series over the same times.

    Attributes:
        ts_ns: shape (n,), not decreasing.
        series: by name, shape (n,); ``nan`` where undefined.
    """

    ts_ns: I64
    series: dict[str, F64]

    def __len__(self) -> int:
        return len(self.ts_ns)

    @classmethod
    def empty(cls, names: Iterable[str]) -> Curve:
        """No points yet."""
        return cls(np.empty(0, np.int64), {name: np.empty(0) for name in names})

    @classmethod
    def joined(cls, parts: Sequence[Curve]) -> Curve:
        """One after the other."""
        return cls(
            np.concatenate([part.ts_ns for part in parts]),
            {n: np.concatenate([part.series[n] for part in parts]) for n in parts[0].series},
        )

    def at(self, rows: I64) -> Curve:
        """Some of the points."""
        return Curve(self.ts_ns[rows], {name: values[rows] for name, values in self.series.items()})

    def within(
        self,
        first: tuple[int, Mapping[str, float]] | None,
        last: tuple[int, Mapping[str, float]] | None,
    ) -> Curve:
        """With a point before and a point after all others, as told."""
        parts: list[Curve] = [self]
        for point, front in ((first, True), (last, False)):
            if point is not None:
                single = Curve(
                    np.array([point[0]], np.int64),
                    {name: np.array([point[1][name]]) for name in self.series},
                )
                parts.insert(0 if front else len(parts), single)
        return Curve.joined(parts)


def thinned(curve: Curve, start_ns: int, end_ns: int, columns: int) -> Curve:
    """The points that a picture ``columns`` pixels wide can show.

    Of each column the first row at which a series is lowest and the first at which it is highest
    stay, and the very first and last row. Thinning parts and then all keeps these rows, too.

    Args:
        curve: in time order.
        start_ns, end_ns: the times at the left and right edge.
        columns: at least 1.
    """
    count = len(curve)
    if count <= 2:
        return curve
    width = max(end_ns - start_ns, 1)
    first, last = ((int(curve.ts_ns[i]) - start_ns) * columns // width for i in (0, -1))
    # Column k begins at the first whole nanosecond not before start + k * width / columns.
    begins = [start_ns - (-k * width // columns) for k in range(first + 1, last + 1)]
    edges = np.unique(np.searchsorted(curve.ts_ns, np.array(begins, np.int64))).tolist()
    starts, ends = [0, *edges], [*edges, count]
    keep = {0, count - 1}
    for values in curve.series.values():
        undefined = np.isnan(values)
        low = np.where(undefined, np.inf, values) if undefined.any() else values
        high = np.where(undefined, -np.inf, values) if undefined.any() else values
        for a, b in zip(starts, ends, strict=True):
            keep.add(a + int(low[a:b].argmin()))
            keep.add(a + int(high[a:b].argmax()))
    return curve.at(np.array(sorted(keep), np.int64))
