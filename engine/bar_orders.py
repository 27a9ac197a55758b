"""What bars cannot decide: the run again with the extremes of each bar the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from engine.engine import Engine
from engine.replay import replay
from engine.ticks import Step
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["OTHER_ORDER", "compare_orders"]

OTHER_ORDER: Final = {"ohlc": "olhc", "olhc": "ohlc"}
_UNDECIDED_SHARE: Final = 0.10


def compare_orders(
    first: Engine,
    order: str,
    other_steps: Iterable[Step],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The end of every product under both orders, and whether the bars decide it.

    A product is not decidable where the two differ by more than a tenth of its NAV, or in who was
    closed.

    Args:
        first: the finished run, its bars told in ``order``.
        other_steps: the same input with the bars told the other way round.
        progress: told ``(rows done, event time)`` after each step.
    """
    second = Engine(first.spec)
    replay(second, other_steps, _forget, progress)
    one, two, other = _ends(first), _ends(second), OTHER_ORDER[order]
    decidable = {
        name: abs(one[name][0] - two[name][0]) <= _UNDECIDED_SHARE * max(one[name][0], two[name][0])
        and one[name][1] == two[name][1]
        for name in one
        if name in two
    }
    return {
        "orders": {
            order: {name: end[0] for name, end in one.items()},
            other: {name: end[0] for name, end in two.items()},
        },
        "ruined": {
            order: [name for name, end in one.items() if end[1]],
            other: [name for name, end in two.items() if end[1]],
        },
        "decidable": decidable,
    }


def _ends(engine: Engine) -> dict[str, tuple[float, bool]]:
    """NAV per unit of the start in quote, and whether the product was closed, by product."""
    ends: dict[str, tuple[float, bool]] = {}
    for market in engine.markets:
        for handler in market.handlers:
            account = handler.account
            if handler.state.status != "pending" and account.units:
                scale = UNIT_STEPS / 10 ** asset_decimals(account.contract.quote_asset)
                per_unit = account.nav(market.state.mark) * scale / account.units
                first = per_unit * handler.state.units_scale
                ends[handler.spec.id] = (first, handler.state.status == "closed")
    return ends


def _forget(_outputs: object) -> None:
    """The second order is run for its end alone."""
