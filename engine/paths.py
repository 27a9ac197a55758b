"""``paths``: what the products of a run owe to the order of its returns, and to volatility."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.config import PROVENANCE, RunConfig, load_config
from engine.errors import InputError
from engine.inputs import open_data, open_market
from engine.path_runs import PathRuns, PathsSpec, run_paths
from engine.provenance import Data
from engine.report import render
from engine.report.reading import summary_of

__all__ = ["PathsResult", "paths"]

Told = Callable[[int, int, float], None]


class PathsResult:
    """NAVs at the end of every path.

    Attributes:
        told: all of it as plain objects and arrays, for the page.
    """

    def __init__(self, runs: PathRuns, *, synthetic: bool) -> None:
        self.runs = runs
        spec = runs.spec
        self.told: dict[str, Any] = {
            "symbol": runs.symbol,
            "synthetic": synthetic,
            "move": runs.move,
            "seed": spec.seed,
            "steps": spec.steps,
            "days": spec.days,
            "end": spec.end,
            "vols": list(spec.vols),
            "as_it_was": runs.as_it_was,
            "order": runs.order,
            "volatility": runs.volatility,
            "theory": {name: runs.theory(name) for name in runs.multiples},
        }

    @property
    def order(self) -> pa.Table:
        """``product, path, nav``: the same returns in shuffled order."""
        return self.runs.order_table()

    @property
    def volatility(self) -> pa.Table:
        """``product, volatility, path, nav``: the same ends."""
        return self.runs.volatility_table()

    def plain(self) -> dict[str, Any]:
        """``told`` as JSON has it."""
        return {
            **self.told,
            "order": {name: navs.tolist() for name, navs in self.runs.order.items()},
            "volatility": {
                name: [navs.tolist() for navs in by_vol]
                for name, by_vol in self.runs.volatility.items()
            },
        }

    def report(self, path: str | Path = "paths.html") -> Path:
        """Write the page; its path."""
        from engine.report.fans import paths_page

        file = Path(path)
        file.write_text(paths_page(self.told), encoding="utf-8", newline="\n")
        return file

    def keep(self, run_dir: str | Path) -> Path:
        """Write ``paths.json`` into the directory of the run whose paths these are, and its report
        again, which shows both pictures; the report's path."""
        text = json.dumps(self.plain(), separators=(",", ":"))
        (Path(run_dir) / "paths.json").write_text(f"{text}\n", encoding="utf-8")
        return render(Path(run_dir))

    def __repr__(self) -> str:
        medians = {name: round(float(np.median(navs)), 4) for name, navs in self.runs.order.items()}
        return f"<PathsResult {self.runs.symbol}, medians {medians}>"


def paths(
    where: Sequence[str | Path] | str | Path = (),
    *,
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    symbol: str | None = None,
    paths: int = 60,
    steps: int = 288,
    vols: Sequence[float] = (0.3, 0.6, 0.9, 1.2),
    days: float = 30.0,
    end: float = 0.0,
    seed: int = 7,
    progress: Told | None = None,
) -> PathsResult:
    """The same returns in another order; the same ends with more volatility.

    Args:
        where: a run directory (its data and products), or data; the synthetic sample without.
        config: which funds; the standard line-up without, or those of the run.
        sets: ``KEY=VALUE`` changes of the configuration.
        symbol: for files that do not name theirs.
        paths: of each kind.
        steps: returns that are shuffled, equally long.
        vols, days, end: of the paths of given volatility.
        seed: of every draw.
        progress: told how far it is.

    Raises:
        LevsimError: bad configuration or data; the message says where and what to do.

    >>> result = paths(paths=2, steps=24, vols=[0.6])
    >>> navs = result.runs.order["3x, every step"]
    >>> bool(abs(navs[0] - navs[1]) < 1e-6)
    True
    """
    spec = PathsSpec(seed=seed, paths=paths, steps=steps, vols=tuple(vols), days=days, end=end)
    data, file = _opened(where, config, sets, symbol)
    chosen = file
    if not isinstance(chosen, RunConfig):
        chosen = load_config(chosen, list(sets), symbols=data.symbols)

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(done * steps, 0, done / total)

    return PathsResult(run_paths(data, chosen, spec, told), synthetic=data.synthetic)


def _opened(
    where: Sequence[str | Path] | str | Path,
    config: str | Path | RunConfig | None,
    sets: Sequence[str],
    symbol: str | None,
) -> tuple[Data, str | Path | RunConfig | None]:
    """The data, and where the configuration is from."""
    found = [Path(where)] if isinstance(where, str | Path) else [Path(one) for one in where]
    if len(found) != 1 or not (found[0] / "run.toml").is_file():
        return open_market(where, config, sets, symbol), config
    summary_of(found[0])
    file = found[0] / "run.toml"
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))[PROVENANCE]
        inputs = [one["path"] for one in said["inputs"] if one["format"] != "synthetic"]
        generated = said["inputs"][0]["format"] == "generated"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, IndexError) as error:
        raise InputError(f"{file} does not say what was run: {error}") from None
    data = open_market(config=file) if generated else open_data(inputs, said.get("symbol"))
    return data, file if config is None else config
