"""The time of a generated market: steps, cells of a minute, chunks that are drawn at once."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.units import DAY_NS, MINUTE_NS, SECOND_NS

__all__ = ["FIXED", "YEAR_NS", "Grid", "check_step"]

YEAR_NS: Final = 31_557_600 * SECOND_NS
"""365.25 days."""
FIXED: Final = 1 << 50
"""Logarithms of prices are integers in steps of one part of this many: sums have no order."""
_CHUNK_STEPS: Final = 14_400
_STEP_NS_MIN: Final = 1_000_000


def check_step(step_ns: int) -> None:
    """Whether a grid can have this step.

    Raises:
        ValueError: if not.
    """
    whole = step_ns >= _STEP_NS_MIN and (
        MINUTE_NS % step_ns == 0 or (step_ns % MINUTE_NS == 0 and DAY_NS % step_ns == 0)
    )
    if not whole:
        said = "step must be 1 ms or more and divide a minute, or be minutes that divide a day"
        raise ValueError(f"{said}, was {step_ns / SECOND_NS:g} s")


class Grid(NamedTuple):
    """Row ``i`` (from 0) of each kind is at ``start_ns + (i + 1) step_ns``; the opening price at
    ``start_ns`` has no row.

    Attributes:
        steps: how many.
        cell_steps: steps in a cell: a minute, or one step where that is longer. What changes
            slowly (a variance, the premium) changes from cell to cell.
        chunk_cells: cells drawn at once; more than is shown may be drawn at the end.
    """

    start_ns: int
    step_ns: int
    steps: int
    cell_steps: int
    chunk_cells: int

    @classmethod
    def of(cls, start_ns: int, days: float, step_ns: int) -> Grid:
        """The grid of so many days.

        Raises:
            ValueError: if the step does not fit.
        """
        check_step(step_ns)
        steps = round(days * DAY_NS) // step_ns
        if steps < 1:
            raise ValueError(f"days must hold a step at least, was {days:g}")
        cell_steps = max(MINUTE_NS // step_ns, 1)
        return cls(start_ns, step_ns, steps, cell_steps, max(_CHUNK_STEPS // cell_steps, 1))

    @property
    def chunk_steps(self) -> int:
        """Steps drawn at once."""
        return self.cell_steps * self.chunk_cells

    @property
    def chunks(self) -> int:
        """How many chunks hold all steps."""
        return -(-self.steps // self.chunk_steps)

    @property
    def cell_ns(self) -> int:
        """The length of a cell."""
        return self.step_ns * self.cell_steps

    @property
    def step_years(self) -> float:
        """The length of a step in years."""
        return self.step_ns / YEAR_NS
