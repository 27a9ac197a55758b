"""``venue adl-waves`` and ``venue adl-scores``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.adl_waves import Shares, Wave

__all__ = ["adl_scores", "adl_waves"]

MOST: Final = 1_000_000
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


SCORES: Final = (
    "\nrule",
    "\naccounts",
    "\nPTSR",
    "\nPMR",
    "over-\nshoot",
    "fairness\nregret",
    "hardest\nhit gives",
)


def adl_scores(
    *,
    count: Annotated[int, Parameter(help="Positions of the drawn population.")] = 20_000,
    fall: Annotated[float, Parameter(help="Of the mark, a share.")] = 0.1,
    seed: Annotated[int, Parameter(help="Of what is drawn.")] = 7,
    json: Json = False,
) -> int:
    """Score every ADL rule on one drawn population after a fall: who pays for the bankrupt."""
    import msgspec

    from engine.adl_scores import scored
    from engine.cli import showing
    from engine.errors import ConfigError

    if not (1 <= count <= MOST and 0.0 < fall < 1.0 and seed >= 0):
        raise ConfigError(f"count is from 1 to {MOST:,}, fall between 0 and 1, seed not negative")
    found = scored(count, fall, seed)
    if json:
        showing.emit_json(msgspec.to_builtins(found))
        return 0
    rows = [
        (
            each.ranking,
            f"{each.accounts:,}",
            f"{each.ptsr:.4f}",
            f"{each.pmr:.4f}",
            f"{each.overshoot:+.4%}",
            f"{each.regret:.2%}",
            f"{each.largest:.2%}",
        )
        for each in found.scores
    ]
    showing.show_rows(SCORES, rows)
    showing.emit(
        f"After a fall of {fall:.0%} {found.bankrupt:,} of {count:,} drawn positions owe "
        f"{found.deficit:,.0f}, at most {found.largest_deficit:,.0f} each; {found.winners:,} hold "
        "the other side."
    )
    showing.emit(
        "PTSR: what the richest winner has left over the whole deficit; PMR: over the largest one; "
        "fairness regret: share of the money that others would have given under equal shares of "
        "profit. The population is drawn, not recorded."
    )
    return 0


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
    missed = worst.needed - worst.integer
    low = sum(share.contracts_range[0] for share in shares)
    high = sum(share.contracts_range[1] for share in shares)
    optimal = total["published_optimal"]
    showing.emit(
        f"In equity the queue took {over:,.0f} beyond the deficits and left {left:,.0f} of them."
    )
    showing.emit(
        f"Published integer pro-rata misses {missed:,.0f} in its worst wave, {worst.wave}, and "
        f"{-total['published_contracts'] - missed:,.0f} in the others; its optimal integer rule "
        f"overshoots by {optimal:,.0f}."
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
