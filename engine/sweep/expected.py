"""What scenarios expect of every run of a sweep.

A sweep keeps a row a product and counts events; it writes no run directory. A condition on one of
those figures is judged on every path, one on any other figure of a summary is refused beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from engine.config import RunConfig
from engine.config.expecting import judged
from engine.errors import ConfigError

__all__ = ["FIGURES", "check_expected", "violated"]

FIGURES: Final = (
    *("nav_end", "return", "underlying_return", "max_drawdown", "equity_start", "equity_end"),
    *("rebalances", "deleveragings", "liquidations", "adl_events", "unhedged_seconds"),
)
"""Figures of a product, named in a row as in a run's summary."""
_COUNTED: Final = ("events", "rejected")


def check_expected(config: RunConfig, *, screened: bool) -> None:
    """Whether what is expected can be judged on every path.

    Raises:
        ConfigError: for a figure that a sweep does not keep.
    """
    for scenario in config.scenarios or ():
        for name, condition in scenario.expect.items():
            if screened:
                raise ConfigError(
                    f"{scenario.name} expects {name}: {condition}; without frictions nothing is "
                    "judged, leave out --screen"
                )
            parts = condition.split()[0].split(".")
            known = parts[0] in _COUNTED and len(parts) > 1
            if not known and not (parts[0] == "products" and parts[2:] and parts[2] in FIGURES):
                raise ConfigError(
                    f"{scenario.name} expects {name}: {condition}; of each path of a sweep there "
                    f"are events.KIND, rejected.REASON and products.ID with {', '.join(FIGURES)}"
                )


def violated(
    config: RunConfig, rows: Iterable[dict[str, Any]], events: dict[str, int], rejected: Any
) -> str | None:
    """Which expectations a run did not keep to, in a sentence; ``None`` where it kept to all."""
    if not any(scenario.expect for scenario in config.scenarios or ()):
        return None
    products = {row["product"]: _figures(row) for row in rows}
    summary = {"products": products, "events": events, "rejected": dict(rejected)}
    lost = [each for each in judged(config.scenarios or (), summary) if not each["held"]]
    return "; ".join(map(_said, lost)) or None


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    """As in a run's summary, whose ``nav_end`` is that of a unit of the end."""
    figures = {name: row.get(name) for name in FIGURES}
    if figures["nav_end"] is not None:
        figures["nav_end"] /= row["units_scale"]
    return figures


def _said(lost: dict[str, Any]) -> str:
    was = ", ".join(f"{figure} was {_number(value)}" for figure, value in lost["was"].items())
    return f"{lost['name']}: expected {lost['condition']}; {lost.get('said', was)}"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
