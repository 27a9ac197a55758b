"""What if: the same ticks once more, with something changed, and the difference by cause."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.config import RunConfig, load_config
from engine.errors import ConfigError
from engine.inputs import open_market
from engine.provenance import WHATIF, output_directory
from engine.report import same_ticks
from engine.report.whatif import difference_of, lines_of_difference
from engine.results import RunResult
from engine.running import load, run

__all__ = ["WhatIf", "difference", "whatif"]

_DIFFERENCE: Final = pa.schema(
    [
        ("product", pa.string()),
        ("cause", pa.string()),
        ("before", pa.int64()),
        ("after", pa.int64()),
        ("difference", pa.int64()),
        ("decimals", pa.int64()),
    ]
)


class WhatIf:
    """A run as configured, the same ticks with something changed, and what that did.

    Attributes:
        base, other: the two runs; ``other`` lies in the folder ``whatif`` of the first.
        told: the object of ``whatif.json``, as ``engine/report/whatif.py`` has it.
    """

    def __init__(self, base: RunResult, other: RunResult, told: dict[str, Any]) -> None:
        self.base = base
        self.other = other
        self.told = told

    @cached_property
    def table(self) -> pa.Table:
        """``product, cause, before, after, difference, decimals`` in atoms: the differences of a
        product's causes sum to that of what it was worth at the end."""
        rows = [
            (product, cause, before, after, after - before, one["decimals"])
            for product, one in self.told["products"].items()
            for cause, (before, after) in one["causes"].items()
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return pa.table(columns or [[] for _ in _DIFFERENCE], schema=_DIFFERENCE)

    @property
    def text(self) -> str:
        """The difference in words, with a table a product that changed."""
        return "\n".join(lines_of_difference(self.told))

    def __repr__(self) -> str:
        return f"<WhatIf {', '.join(self.told['changes'])}: {self.other.verdict}>"


def whatif(
    data: Sequence[str | Path] | str | Path = (),
    changes: Sequence[str] = (),
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    policy: str | None = None,
    symbol: str | None = None,
    out: str | Path | None = None,
    report: bool = True,
    **how: Any,
) -> WhatIf:
    """``run`` as configured and with ``changes``, on the same ticks.

    Args:
        changes: ``KEY=VALUE``, all of them in the one other run.
        how: further arguments of ``run``; the others are as there.

    Raises:
        LevsimError: as ``run``; a change that is no setting is found before anything runs.

    >>> found = whatif("sample", ["products.BTC3L.policies.0.high=3.3"], report=False)
    >>> rows = [row for row in found.table.to_pylist() if row["product"] == "BTC3L"]
    >>> gained = sum(row["difference"] for row in rows)
    >>> ends = [one.summary["products"]["BTC3L"]["equity_end"] for one in (found.base, found.other)]
    >>> gained == round(1e6 * ends[1]) - round(1e6 * ends[0])
    True
    """
    together = [*sets, *changes]
    if out is not None:
        _require_apart(Path(out), config)
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
    return WhatIf(base, other, found)


def _require_apart(out: Path, config: str | Path | RunConfig | None) -> None:
    """Both folders can be written, and neither holds the configuration: the second run would read
    what the first one wrote, its scenarios for instance twice.

    Raises:
        ConfigError: naming the configuration.
        InputError: naming the folder.
    """
    output_directory(out)
    output_directory(out / WHATIF)
    if isinstance(config, str | Path):
        folder = Path(config).resolve().parent
        if folder in (out.resolve(), (out / WHATIF).resolve()):
            said = f"{config} lies where the two runs write; give another --out, or copy it first"
            raise ConfigError(said)


def difference(run_dir: Path, changes: Sequence[str]) -> dict[str, Any]:
    """What ``whatif.json`` of a run directory holds, from the two summaries."""
    before, after = load(run_dir).summary, load(run_dir / WHATIF).summary
    found = difference_of(before, after, changes)
    return {**found, "same_ticks": same_ticks([before, after])}
