"""``venue crash-facts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import ConfigFile, Json, Sets

if TYPE_CHECKING:
    from engine.crash_facts import Found

__all__ = ["crash_facts"]

MOST: Final = 10_000
HEADS: Final = ("what", "measured", "here")


def crash_facts(
    *,
    config: ConfigFile = None,
    sets: Sets = None,
    seeds: Annotated[int, Parameter(help="So many falls, and so many crashes.")] = 24,
    first: Annotated[int, Parameter(help="The first seed.")] = 1,
    text: Annotated[bool, Parameter(help="Print the calibrated configuration alone.")] = False,
    json: Json = False,
) -> int:
    """Hold the calibrated market, or one of yours, to what was measured of crashes: slippage after
    large moves, how far falls go on, how much is left to auto-deleveraging."""
    import msgspec

    from engine import crash_facts as facts
    from engine.cli import showing
    from engine.errors import ConfigError

    if text:
        showing.emit(facts.calibrated_text().rstrip())
        return 0
    if not (1 <= seeds <= MOST and 0 <= first < 2**62):
        raise ConfigError(f"seeds are from 1 to {MOST:,}, the first is not negative")
    found = facts.found(facts.market_of(config, sets or ()), range(first, first + seeds))
    if json:
        showing.emit_json(msgspec.to_builtins(found))
        return 0
    showing.show_rows(HEADS, _rows(found))
    low, middle, high = found.adl_shares
    showing.emit(
        f"{seeds:,} falls, of which {found.counted:,} lost four deviations in five minutes, and "
        f"{seeds:,} crashes of {found.fell:.1%} in the median, which left {found.depth:.1%} of the "
        f"bids. Of single crashes a tenth leaves less than {low:.1%} to ADL, half {middle:.1%}, a "
        f"tenth more than {high:.1%}."
    )
    showing.emit("Prices are generated: sizes of news, and how fast it spreads, are assumed.")
    return 0


def _rows(found: Found) -> list[tuple[str, ...]]:
    from engine.crash_facts import ADL_SHARE, REACHED, SLIPPAGES

    rows: list[tuple[str, ...]] = [
        (f"selling {size:,.0f} after six deviations, bp", f"{cost:.1f}", f"{own:.1f}")
        for (size, cost), own in zip(SLIPPAGES.items(), found.slippage, strict=False)
    ]
    rows += [
        (f"falls that go on by {far:g} %", f"{share:.0%}", f"{own:.0%}")
        for (far, share), own in zip(REACHED.items(), found.reached, strict=False)
    ]
    low, high = ADL_SHARE
    rows.append(
        ("left to ADL of what crashes liquidate", f"{low:.0%}-{high:.0%}", f"{found.adl_share:.1%}")
    )
    return rows
