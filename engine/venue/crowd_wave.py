"""What happened to the positions of a crowd that one price made short, and how it is told."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from engine.crowd_events import PopulationLiquidated, PositionLiquidated
from engine.venue.crowd import Crowd
from engine.venue.crowd_columns import notionals
from engine.venue.desk import Venue
from engine.venue.exact_columns import I64, total_of
from engine.venue.insuring import Insuring

__all__ = ["Wave", "tell", "tell_rows"]


class Wave(Struct):
    """What happened to one side, for its event."""

    filled: int = 0
    cash: int = 0
    fees: int = 0
    backstop: int = 0
    owed: bool = False
    unpaid: int = 0
    unpaid_lots: int = 0
    to_fund: int = 0
    from_fund: int = 0


def tell(
    desk: Insuring, venue: Venue, crowd: Crowd, waves: dict[int, Wave], lots: I64, equity: I64
) -> None:
    """One event a side; ``lots`` and ``equity``: of the rows, before."""
    mark, tape = venue.floor.mark, venue.floor.tape
    for side, wave in waves.items():
        own = np.sign(lots) == side
        if not own.any():
            continue
        tape.say(
            PopulationLiquidated,
            population=crowd.spec.id,
            symbol=venue.listing.contract.spec.symbol,
            side="long" if side == 1 else "short",
            mark_price=mark,
            positions=int(np.count_nonzero(own)),
            lots=-total_of(lots[own]),
            notional_atoms=total_of(notionals(venue.listing, lots[own], mark)),
            filled_lots=wave.filled,
            filled_atoms=wave.cash,
            backstop_lots=wave.backstop,
            unpaid_positions=wave.unpaid,
            unpaid_lots=-wave.unpaid_lots,
            fund_atoms=wave.to_fund,
            fund_paid_atoms=wave.from_fund,
            deficit_atoms=-total_of(np.minimum(equity[own], 0)),
        )
        if wave.from_fund:
            desk.tell_fund(venue, -wave.from_fund, "fill")


def tell_rows(venue: Venue, crowd: Crowd, columns: tuple[I64, I64, I64, I64]) -> None:
    """One event a row: its number, lots, equity and maintenance, before."""
    for row, lots, equity, needed in zip(*(each.tolist() for each in columns), strict=True):
        venue.floor.tape.say(
            PositionLiquidated,
            population=crowd.spec.id,
            symbol=venue.listing.contract.spec.symbol,
            row=row,
            lots=lots,
            equity_atoms=equity,
            maintenance_atoms=needed,
        )
