"""Milestones: where a product's price profit begins to be measured against something else."""

from __future__ import annotations

import math
from typing import Final

from engine.account import Account
from engine.orders import Scene
from engine.outputs import Milestone
from engine.product import jumped
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["NOWHERE", "milestone", "strike"]

NOWHERE: Final = (-math.inf, math.inf)
"""Edges that no mark jumps."""


def strike(
    scene: Scene,
    account: Account,
    target: float,
    nav: int,
    edges: tuple[float, float],
    *,
    opens: bool = False,
) -> None:
    """A leverage is decided.

    Args:
        nav: at the present price.
        edges: the prices that should have woken who decided; a jump may have led beyond one.
        opens: whether it is the first.
    """
    split, mark, slope = account.state.split, account.at(scene.mark), account.slope
    if opens:
        split.move(mark)
        split.open(account.state.first_mark, _worth_at_launch(account), target)
    edge = jumped(edges, mark)
    split.strike(mark, nav, target, slope, edge)
    tape = scene.tape
    tape.milestones.append(
        Milestone(
            sequence=tape.sequence,
            ordinal=tape.ordinal,
            ts_ns=tape.ts_ns,
            product=account.spec.id,
            mark=mark,
            nav=nav,
            units=account.units,
            slope=slope,
            target=target,
            edge=edge,
        )
    )


def _worth_at_launch(account: Account) -> int:
    """What the units there are now were worth when each was worth one quote, atoms."""
    step: int = UNIT_STEPS // 10 ** asset_decimals(account.contract.quote_asset)
    return account.units // step


def milestone(scene: Scene, account: Account) -> Milestone:
    """Holders are about to come or go, or have done so."""
    tape, mark = scene.tape, account.at(scene.mark)
    return Milestone(
        sequence=tape.sequence,
        ordinal=tape.ordinal,
        ts_ns=tape.ts_ns,
        product=account.spec.id,
        mark=mark,
        nav=account.nav(mark),
        units=account.units,
        slope=account.slope,
        causes=tuple(account.causes(mark)),
    )
