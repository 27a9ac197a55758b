"""``venue adl-waves``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.adl_waves import Shares, Wave

__all__ = ["adl_waves"]

HEADS: Final = (
    "\nwave",
    "\nneeded",
    "wealth pro-\nrata cuts",
    "\npublished",
    "beyond the\nneeded",
    "in whole\ncontracts",
    "\npublished",
    "\nin lots",
    "the venue's\nqueue",
)


def adl_waves(
    data: Annotated[Path, Parameter(help="Folder of the published tables.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Share out the waves of 10 October 2025 by our rules, beside the published figures."""
    import msgspec

    from engine import adl_waves as recorded
    from engine.cli import showing

    waves = recorded.read(data)
    shares = [recorded.shared(wave) for wave in waves]
    over, left = recorded.queue_overshoot(data)
    total = recorded.totals(waves, shares)
    if json:
        rows = [
            {**msgspec.to_builtins(wave), **msgspec.to_builtins(share)}
            for wave, share in zip(waves, shares, strict=True)
        ]
        for row in rows:
            del row["gaps"]
        queue = {"equity_overshoot": over, "equity_residual": left}
        showing.emit_json({"waves": rows, "totals": total, "queue": queue})
        return 0
    showing.show_rows(HEADS, [*map(_row, waves, shares), _total(total)])
    worst = min(waves, key=lambda wave: wave.integer - wave.needed)
    low = sum(share.contracts_range[0] for share in shares)
    high = sum(share.contracts_range[1] for share in shares)
    optimal = total["published_optimal"]
    showing.emit(
        f"In equity the queue took {over:,.0f} beyond the deficits and left {left:,.0f} of them."
    )
    showing.emit(
        f"Published integer pro-rata misses {worst.needed - worst.integer:,.0f} in its worst wave, "
        f"{worst.wave}; its optimal integer rule overshoots by {optimal:,.0f}."
    )
    showing.emit(
        "The tables name no accounts: whole contracts are shared among stand-in accounts (assumed;"
        f" {low:,.0f} to {high:,.0f} over sizes that are as likely). The published model also caps"
        " what an account may lose at its unrealised profit, which needs the accounts themselves."
    )
    return 0


def _row(wave: Wave, share: Shares) -> tuple[str, ...]:
    return (
        str(wave.wave),
        f"{wave.needed:,.0f}",
        f"{share.haircut:.4%}",
        f"{wave.pro_rata_share:.4%}",
        _money(share.wealth),
        _money(share.contracts),
        _money(wave.integer - wave.needed),
        _money(share.lots),
        _money(wave.queue - wave.needed),
    )


def _total(total: Mapping[str, float]) -> tuple[str, ...]:
    beyond = ("wealth", "contracts", "published_contracts", "lots", "queue")
    return ("all", f"{total['needed']:,.0f}", "", "", *(_money(total[name]) for name in beyond))


def _money(value: float) -> str:
    """Signed, to the cent; what rounds to nothing is +0.00."""
    return f"{round(value, 2) + 0.0:+,.2f}"
