"""What if: the same ticks once more, with something changed, and the difference by cause."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.api import RunResult, load, run
from engine.config import RunConfig, load_config
from engine.inputs import open_market
from engine.provenance import WHATIF
from engine.report import same_ticks
from engine.report.reading import quotes_of
from engine.report.whatif import difference_of
from engine.units import asset_decimals

__all__ = ["difference", "run_whatif"]


def run_whatif(
    data: Sequence[str | Path] | str | Path,
    changes: Sequence[str],
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    policy: str | None = None,
    symbol: str | None = None,
    out: str | Path | None = None,
    report: bool = True,
    **how: Any,
) -> tuple[RunResult, RunResult, dict[str, Any]]:
    """``run`` as configured and with ``changes``, on the same ticks.

    Args:
        changes: ``KEY=VALUE``, all of them in the one other run.
        how: further arguments of ``run``.

    Returns:
        The run, the other one (in the folder ``whatif`` of its directory), and the difference by
        cause as ``engine/report/whatif.py`` has it.

    Raises:
        LevsimError: as ``run``; a change that is no setting is found before anything runs.
    """
    together = [*sets, *changes]
    # A scenario may bring its own market, whose symbols are not known yet.
    if not isinstance(config, RunConfig) and not how.get("scenarios"):
        symbols = open_market(data, config, together, symbol).symbols
        load_config(config, together, symbols=symbols, policy=policy)
    same: dict[str, Any] = {"config": config, "policy": policy, "symbol": symbol, **how}
    base = run(data, sets=sets, out=out, report=False, **same)
    assert base.path is not None
    other = run(data, sets=together, out=base.path / WHATIF, report=report, **same)
    found = difference(base.path, changes)
    (base.path / "whatif.json").write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")
    if report:
        base.report()
    return base, other, found


def difference(run_dir: Path, changes: Sequence[str]) -> dict[str, Any]:
    """What ``whatif.json`` of a run directory holds, from the two summaries."""
    before, after = load(run_dir).summary, load(run_dir / WHATIF).summary
    quotes = quotes_of(run_dir)
    decimals = {
        name: asset_decimals(quotes[product["symbol"]])
        for name, product in before["products"].items()
    }
    found = difference_of(before, after, changes, decimals)
    return {**found, "same_ticks": same_ticks([before, after])}
