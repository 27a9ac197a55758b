"""``scenario list``, ``show``, ``check``, ``new``, ``schema``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import DataFiles, Json

if TYPE_CHECKING:
    from feeds.scenarios import Event, Scenario

__all__ = ["check", "list_scenarios", "new", "schema", "show"]

ScenarioName = Annotated[str, Parameter(help="A NAME of the list, or FILE.toml.")]

_TEMPLATE: Final = """\
name = "{name}"
description = "The price falls by 38 % in six minutes and takes half of it back."
sources = []
known = []
assumed = ["all of it"]

[base]                      # a generator: the market where no data are given; else the sample
model = "gbm"
volatility = 0.3
days = 0.5

[[events]]
kind = "shock"
at = "2h"                   # or "25%" of the data, or a date such as "2026-01-01T02:00:00Z"
depth_pct = -38.0
over = "6m"
shape = "exp"               # linear, exp, staircase

[[events]]
kind = "rebound"
after = "shock"             # its name or kind; at = "5m" would be five minutes later
retrace_pct = 50.0
over = "40m"

[expect]                    # a run that does not keep to these ends with exit code 1
"long survives" = "products.*3L.nav_end > 0"
"""


def list_scenarios(*, json: Json = False) -> int:
    """Scenarios of the library, each in a sentence."""
    from engine.cli import showing
    from engine.config.scenarios import load_scenario, scenario_names

    found = [(name, load_scenario(name).scenario) for name in scenario_names()]
    if json:
        rows = [
            {"name": name, "description": each.description, "events": len(each.events)}
            for name, each in found
        ]
        showing.emit_json({"scenarios": rows})
        return 0
    width = max(len(name) for name, _ in found)
    for name, each in found:
        showing.emit(f"{name:{width}}  {each.description}")
    showing.emit("levsim scenario show NAME shows one, levsim run --scenario NAME runs it")
    return 0


def show(scenario: ScenarioName, /, *, json: Json = False) -> int:
    """What happens in a scenario, where it is from, what of it is known and what assumed."""
    from engine.cli import showing
    from engine.config.scenarios import load_scenario

    found = load_scenario(scenario).scenario
    if json:
        import msgspec

        showing.emit_json(msgspec.to_builtins(found))
        return 0
    for line in _lines(found):
        showing.emit(line)
    return 0


def _lines(scenario: Scenario) -> Iterator[str]:
    yield f"{scenario.name}: {scenario.description}"
    base = scenario.base
    if base is not None:
        model = base.__struct_config__.tag
        yield f"stands on {base.days:g} generated days ({model}), unless data are given"
    for event in scenario.events:
        who = f" of {', '.join(event.symbols)}" if event.symbols else ""
        named = f'"{event.name}" ' if event.name else ""
        yield f"  {_when(event)}: {event.kind} {named}{event.words}{who}{_lasting(event)}"
    for title in ("sources", "known", "assumed"):
        if told := getattr(scenario, title):
            yield f"{title}:"
            yield from (f"    {each}" for each in told)
    if scenario.expect:
        yield "expected:"
        yield from (f"    {name}: {condition}" for name, condition in scenario.expect.items())


def _when(event: Event) -> str:
    if not event.after:
        return f"at {(event.at or '0s').removeprefix('+')}"
    later = f"{event.at.removeprefix('+')} " if event.at else ""
    return f'{later}after "{event.after}"'


def _lasting(event: Event) -> str:
    if not hasattr(event, "duration"):
        return ""
    return f", for {event.duration}" if event.duration else ", to the end"


def check(scenario: ScenarioName, /, *data: DataFiles, json: Json = False) -> int:
    """Read a scenario and put it on data: its base, or the sample, where none are given. Exit code
    3 where it cannot be used."""
    from engine.cli import showing
    from engine.config import load_config
    from engine.config.scenarios import base_of, in_place, last_ns, load_scenario, staging_of, under
    from engine.inputs import open_market
    from engine.report.words import instant
    from engine.units import NEVER_NS

    file = load_scenario(scenario)
    opened = open_market(list(data), base=base_of([file.scenario]))
    with in_place([file]):
        config = load_config(None, symbols=opened.symbols)
        staging = staging_of(under(config, (file.scenario,), None), opened)
    # Of data that were given nobody waits to hear where they end.
    ends_ns = NEVER_NS if data else last_ns(opened, config.bars)
    rows = [
        {
            "event": each.event.called,
            "kind": each.event.kind,
            "start_ns": each.start_ns,
            "end_ns": each.end_ns,
            "does": each.event.words,
        }
        for each in staging.events
    ]
    if json:
        showing.emit_json({"scenario": file.scenario.name, "events": rows})
        return 0
    for each in staging.events:
        end_ns, start = each.end_ns, instant(each.start_ns + 1, seconds=True)
        end = "the end" if end_ns == NEVER_NS else instant(end_ns, seconds=True)
        told = start if each.is_instant else f"{start} to {end}"
        late = " (beyond the end of the data)" if each.start_ns >= ends_ns else ""
        showing.emit(f"  {told}: {each.event.kind} {each.event.words}{late}")
    showing.emit(f"{scenario} can be run: {len(rows)} event{'s' * (len(rows) != 1)}")
    return 0


def new(
    file: Annotated[Path, Parameter(help="The file to write, for instance crash.toml.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Write a scenario that works, to be changed."""
    from engine.cli import showing
    from engine.errors import ConfigError

    if file.suffix != ".toml":
        raise ConfigError(f"{file}: give the name of a TOML file, for instance crash.toml")
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(_TEMPLATE.format(name=file.stem))
    except FileExistsError:
        raise ConfigError(f"{file} is there already; give another name") from None
    except OSError as error:
        raise ConfigError(f"could not write {file}: {error.strerror}") from None
    if json:
        showing.emit_json({"file": str(file)})
        return 0
    showing.emit(f"wrote {file}")
    showing.emit(f" check: levsim scenario check {quote(str(file))}")
    showing.emit(f" run: levsim run --scenario {quote(str(file))}")
    return 0


def schema() -> int:
    """The JSON schema of a scenario's file, for editors that know TOML."""
    import msgspec

    from engine.cli import showing
    from feeds.scenarios import Scenario

    showing.emit_json(msgspec.json.schema(Scenario))
    return 0
