"""``reconcile``: a desk's own NAV and fills against a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.running import LATEST, Json, RunDir

__all__ = ["reconcile"]


def reconcile(
    run_dir: RunDir = LATEST,
    /,
    *,
    nav: Annotated[Path, Parameter(help="CSV: ts, product, nav_per_unit; units with --fills.")],
    fills: Annotated[
        Path | None, Parameter(help="CSV: ts, product, quantity, price, fee; kind if funding.")
    ] = None,
    within: Annotated[float, Parameter(help="Seconds that two fills may lie apart.")] = 60.0,
    json: Json = False,
) -> int:
    """A desk's own NAV against the simulation: basis points a day, by cause, and unexplained.

    Quantities are in base, bought positive; fees in quote, paid positive; where contracts are
    inverse, in contracts and in coins. A row of kind funding has what was paid as its fee. Hedges
    of creations and redemptions are left out.
    """
    import msgspec

    from engine.cli import showing
    from engine.report.reconciliation import CAUSES, read_reconciliation
    from engine.report.words import instant, number

    found = read_reconciliation(run_dir, nav, fills, within)
    if json:
        showing.emit_json(msgspec.to_builtins(found))
        return 0
    showing.emit("Desk less run, in basis points of NAV at the start of each day:")
    head = ["product, until", "desk", "run", "difference", *(c.replace("_", " ") for c in CAUSES)]
    rows = [
        [
            f"{day.product} {instant(day.to_ns)}",
            *(number(v, 2, signed=True) for v in (day.desk, day.ours, day.desk - day.ours)),
            *(number(day.causes[cause], 2, signed=True) for cause in CAUSES),
            number(day.unexplained, 2, signed=True),
        ]
        for day in found.days
    ]
    showing.show_rows([*head, "unexplained"], rows)
    if found.days:
        worst = max(found.days, key=lambda day: abs(day.unexplained))
        mean = sum(abs(day.unexplained) for day in found.days) / len(found.days)
        showing.emit(
            f"Unexplained: {number(mean, 2)} basis points a day on average, at most "
            f"{number(abs(worst.unexplained), 2)} ({worst.product}, {instant(worst.to_ns)})."
        )
    if found.unmatched:
        showing.emit("Fills without a counterpart:")
        for line in found.unmatched:
            showing.emit(f"  {line}")
    return 0
