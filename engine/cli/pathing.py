"""``paths``: what a result owes to the order of the returns, and to their volatility."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.running import ConfigFile, Json, Quiet, Sets, SymbolName

__all__ = ["paths"]


def paths(
    *where: Annotated[Path, Parameter(help="A run directory, or data; the sample without.")],
    config: ConfigFile = None,
    sets: Sets = None,
    symbol: SymbolName = None,
    count: Annotated[int, Parameter(name="--paths", help="Of each kind.")] = 60,
    steps: Annotated[int, Parameter(help="Returns that are shuffled.")] = 288,
    vols: Annotated[str, Parameter(help="A year, parted by commas.")] = "0.3,0.6,0.9,1.2",
    days: Annotated[float, Parameter(help="Length of the paths of given volatility.")] = 30.0,
    end: Annotated[
        float, Parameter(allow_leading_hyphen=True, help="How far these end from their start.")
    ] = 0.0,
    seed: Annotated[int, Parameter(help="Of every draw.")] = 7,
    out: Annotated[Path, Parameter(help="The page.")] = Path("paths.html"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """The same returns in another order; the same ends with more volatility.

    Funds of the run or of the line-up, and 3x long and short struck at every step, without costs.
    """
    from engine import api
    from engine.cli import showing
    from engine.cli.progress import progress
    from engine.report.fans import order_of, volatility_of

    with progress("running paths", quiet=quiet) as told:
        result = api.paths(
            list(where),
            config=config,
            sets=sets or [],
            symbol=symbol,
            paths=count,
            steps=steps,
            vols=_numbers(vols),
            days=days,
            end=end,
            seed=seed,
            progress=told,
        )
    page = result.report(out)
    own = len(where) == 1 and (where[0] / "run.toml").is_file() and not (config or sets)
    kept = f" and, with the same pictures, {result.keep(where[0])}" if own else ""
    if json:
        showing.emit_json({**result.plain(), "report": str(page)})
        return 0
    showing.emit("The same returns in shuffled order, NAV at the end:")
    order = order_of(result.told)
    showing.show_rows(order.head, order.rows)
    showing.emit("The same ends, more volatility:")
    volatility = volatility_of(result.told)
    showing.show_rows(volatility.head, volatility.rows)
    showing.emit(f" wrote {page}{kept}")
    return 0


def _numbers(text: str) -> tuple[float, ...]:
    from engine.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--vols {text}: write volatilities as 0.3,0.6,0.9") from None
