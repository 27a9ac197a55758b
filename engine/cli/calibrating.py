"""``scenario calibrate``: a generator fitted to a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from engine.cli.running import Json

__all__ = ["calibrate"]


def calibrate(
    data: Annotated[Path, Parameter(help="A file or folder.")],
    /,
    *,
    model: Annotated[
        Literal["gbm", "merton", "kou", "regimes", "hawkes"],
        Parameter(name=["--model", "-m"], help="What is fitted."),
    ] = "merton",
    symbol: Annotated[
        list[str] | None, Parameter(negative=(), help="Of the recording; all without.")
    ] = None,
    step: Annotated[str, Parameter(help="Grid of the returns, such as 1s, 1m or 1h.")] = "1m",
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help="TOML to write; stdout without.")
    ] = None,
    json: Json = False,
) -> int:
    """Write the configuration of a generator fitted to a recording."""
    import re

    import msgspec

    from engine.cli import showing
    from engine.config import write_toml
    from engine.durations import DURATION_PATTERN
    from engine.errors import InputError
    from feeds.generators.calibration import calibrate as fit

    if not re.fullmatch(DURATION_PATTERN, step):
        raise InputError(f'--step {step}: expected a duration such as "1s", "1m" or "1h"')
    try:
        found = fit(str(data), model, symbols=symbol or (), step=step)
    except ValueError as error:
        raise InputError(f"{data}: {model} does not fit: {error}") from None
    settings = msgspec.to_builtins(found.generator)
    if json:
        showing.emit_json({"generator": settings, "notes": list(found.notes)})
        return 0
    told = "".join(f"# {note}\n" for note in (f"Fitted to {data.name}.", *found.notes))
    text = told + write_toml({"generator": settings})
    if out is None:
        showing.emit(text.rstrip())
    else:
        out.write_text(text, encoding="utf-8")
        showing.emit(f"wrote {out}; levsim run -c {out} draws a market from it")
    return 0
