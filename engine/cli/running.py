"""``run`` and what can be done with its directory: ``verify``, ``explain``, ``report``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from engine.api import RunResult

__all__ = [
    "LATEST",
    "ConfigFile",
    "DataFiles",
    "Isolate",
    "Json",
    "PolicyName",
    "Quiet",
    "ScenarioNames",
    "Sets",
    "SymbolName",
    "explain",
    "report",
    "run",
    "verify",
]

LATEST: Final = Path("runs/latest")
MISMATCH: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SLOW_SHARE: Final = 0.25
_SLOW_US: Final = 50.0
"""A policy is called slow where its answers took this share of the run, and so long each."""

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print one JSON object.")]
Quiet = Annotated[
    bool,
    Parameter(name=["--quiet", "-q"], negative=(), help="No progress, and only what was asked."),
]
RunDir = Annotated[Path, Parameter(help="A run directory; the latest without.")]
DataFiles = Annotated[Path, Parameter(help="Files and folders; the synthetic sample without.")]
ConfigFile = Annotated[
    Path | None, Parameter(name=["--config", "-c"], help="TOML; the standard line-up without.")
]
PolicyName = Annotated[
    str | None,
    Parameter(
        name=["--policy", "-p"],
        help="Takes the place of the dynamic policies: NAME, FILE.py:CLASS.",
    ),
]
Sets = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative=(),
        allow_leading_hyphen=True,
        help="KEY=VALUE changes the configuration, e.g. products.0.latency_ms=250.",
    ),
]
Isolate = Annotated[
    bool,
    Parameter(negative=(), help="Policies of your own run in processes of their own, bounded."),
]
Bars = Annotated[
    Literal["close", "ohlc", "olhc", "bridge"] | None, Parameter(help="How bars become ticks.")
]
ScenarioNames = Annotated[
    list[str] | None,
    Parameter(
        name=["--scenario", "-s"],
        negative=(),
        help="A black swan by NAME or from FILE.toml; several are laid one over the other.",
    ),
]
SymbolName = Annotated[str | None, Parameter(help="For files that do not name theirs.")]


def run(
    *data: Annotated[
        Path,
        Parameter(help="Files and folders; without, the generator of CONFIG, or else the sample."),
    ],
    config: ConfigFile = None,
    policy: PolicyName = None,
    scenario: ScenarioNames = None,
    sets: Sets = None,
    requests: Annotated[
        Path | None, Parameter(help="JSON lines of creations, redemptions and commands.")
    ] = None,
    symbol: SymbolName = None,
    bars: Bars = None,
    isolate: Isolate = False,
    whatif: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            allow_leading_hyphen=True,
            help="KEY=VALUE: run it once more with that, and show the difference by cause.",
        ),
    ] = None,
    out: Annotated[Path | None, Parameter(help="Run directory; runs/<time> without.")] = None,
    no_report: Annotated[bool, Parameter(negative=(), help="Do not write report.html.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Replay market data through the products of a configuration."""
    from engine.cli import showing

    given: dict[str, Any] = {
        "config": config,
        "sets": sets or [],
        "policy": policy,
        "scenarios": scenario or [],
        "requests": requests,
        "symbol": symbol,
        "bars": bars,
        "isolate": isolate,
        "out": out,
        "report": not no_report,
    }
    result, found = _ran(list(data), whatif or [], quiet=quiet, given=given)
    _show(result, found, json=json, quiet=quiet)
    for line in (*_slow(result.summary["policy_times"]), *_of_scenarios(result)):
        showing.note(line)
    _wrote(result.path, list(result.summary["products"]), to_stdout=not json)
    return result.exit_code


def _ran(
    data: list[Path], changes: list[str], *, quiet: bool, given: dict[str, Any]
) -> tuple[RunResult, dict[str, Any] | None]:
    """The run, and with changes the difference that they make."""
    from engine import api
    from engine.cli.progress import progress

    what = _replaying(data, given["config"], given["scenarios"])
    with progress(what, quiet=quiet) as told:
        if not changes:
            return api.run(data, progress=told, **given), None
        found = api.whatif(data, changes, progress=told, **given)
        return found.base, found.told


def _show(result: RunResult, found: dict[str, Any] | None, *, json: bool, quiet: bool) -> None:
    """The result; ``found`` is what a change would have done."""
    from engine.cli import showing

    if json:
        showing.emit_json(result.summary if found is None else {**result.summary, "whatif": found})
    elif quiet:
        showing.emit(result.verdict)
    else:
        from engine.cli.first_screen import run_screen

        run_screen(result.verdict, result.table, result.summary)
    if found is not None and not json:
        from engine.report.whatif import lines_of_difference

        showing.emit("\n".join(lines_of_difference(found)))


def _replaying(data: Sequence[Path], config: Path | None, scenarios: Sequence[str]) -> str:
    made = "the synthetic sample" if config is None else f"the market of {config}"
    shown = [*(str(path) for path in data), *(f"scenario {name}" for name in scenarios)]
    return f"replaying {', '.join(shown) or made}"


def _slow(times: dict[str, Any]) -> Iterator[str]:
    """Users' own policies that were most of the run."""
    for name, row in times.items():
        if row["share"] >= _SLOW_SHARE and row["microseconds"] >= _SLOW_US:
            yield (
                f"warning: {name} took {row['microseconds']:,.0f} us on average, "
                f"{row['share']:.0%} of the run ({row['asked']:,} answers)"
            )


def _of_scenarios(result: RunResult) -> Iterator[str]:
    """What scenarios expected and did not get, and what of them did not come about."""
    told = result.summary.get("scenario")
    if told is None:
        return
    for each in result.violated:
        was = ", ".join(f"{figure} was {value}" for figure, value in each["was"].items())
        yield f"violated: {each['name']}: expected {each['condition']}; {each.get('said', was)}"
    if missed := told["events"] - told["applied"]:
        yield (
            f"warning: {missed} of {told['events']} events of the scenario lie beyond the end of "
            "the data and did not come about"
        )


def _wrote(path: Path | None, products: list[str], *, to_stdout: bool) -> None:
    """Where everything lies, and what to do next."""
    from engine.cli import showing

    if path is None:
        return
    say = showing.emit if to_stdout else showing.note
    known = ("report.html", "summary.json", "nav.parquet", "events.jsonl", "run.toml")
    say(f" wrote {path}/ ({', '.join(name for name in known if (path / name).exists())})")
    levsim, shown = os.environ.get("LEVSIM_COMMAND", "levsim"), quote(str(path))
    why = f"   why: {levsim} explain {shown} --product {quote(products[0])}" if products else ""
    say(f" again: {levsim} verify {shown}{why}")


def verify(run_dir: RunDir = LATEST, /, *, json: Json = False, quiet: Quiet = False) -> int:
    """Run again from what a run directory holds, and compare every byte.

    Exit code 5 where anything differs.
    """
    from engine import api
    from engine.cli import showing
    from engine.cli.progress import progress
    from engine.verify import verify as verified

    with progress(f"verifying {run_dir}", quiet=quiet) as told:
        mismatches = verified(run_dir, told)
    if json:
        showing.emit_json(
            {"run": str(run_dir), "verified": not mismatches, "mismatches": mismatches}
        )
    elif mismatches:
        showing.emit(f"{run_dir} is not what its configuration and inputs give:")
        for mismatch in mismatches:
            showing.emit(f"  {mismatch}")
    else:
        digest = api.load(run_dir).summary["digest"]
        showing.emit(f"{run_dir} verified: every output is the same byte for byte, digest {digest}")
    return MISMATCH if mismatches else 0


def _moment(_kind: Any, tokens: Sequence[Any]) -> int:
    """A time of a command line in ns; without a zone it is UTC."""
    said = tokens[0].value
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise ValueError(f"{said} is no time; write 2026-01-15T13:50, or a date") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000


def explain(
    run_dir: RunDir = LATEST,
    /,
    *,
    product: Annotated[
        str | None, Parameter(name=["--product", "-p"], help="Only this one.")
    ] = None,
    user: Annotated[
        str | None, Parameter(name=["--user", "-u"], help="One holder's own result.")
    ] = None,
    from_: Annotated[
        int | None, Parameter(name="--from", converter=_moment, help="Since when, in UTC.")
    ] = None,
    to: Annotated[
        int | None, Parameter(name="--to", converter=_moment, help="Until when, in UTC.")
    ] = None,
    json: Json = False,
) -> int:
    """Where the result of a run came from, in words and in a table that sums exactly.

    Times are those of ISO 8601: 2026-01-15T13:50, or a date. An interval begins and ends with NAV
    samples; without --from it begins with the launch, of a user with his first purchase.
    """
    from engine.cli import showing
    from engine.report import explain as explained

    text = explained(run_dir, product, user, from_, to)
    if json:
        from engine.report import statements_of

        found = statements_of(run_dir, product, user, from_, to)
        showing.emit_json({"run": str(run_dir), "text": text, "statements": found})
    else:
        showing.emit(text)
    return 0


def report(run_dir: RunDir = LATEST, /, *, json: Json = False) -> int:
    """Write report.html of a run again."""
    from engine import api
    from engine.cli import showing

    path = api.load(run_dir).report()
    if json:
        showing.emit_json({"report": str(path)})
    else:
        showing.emit(f"wrote {path}")
    return 0
