"""Scenarios by name or from a file, and where what is wrong in them stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

import feeds.scenarios
from engine.config.complaints import SettingError, complaint, nearest
from engine.config.expecting import check_expectations, judged
from engine.config.loading import SettingsFile, load_config
from engine.config.scened import asked_for, check_scened, scened
from engine.config.settings import RunConfig
from engine.errors import ConfigError
from engine.ticks import Step
from feeds.generators import Generator
from feeds.merge import row_times
from feeds.recording import Recording
from feeds.scenarios import Scenario, ScenarioError, Span, Staging, staged
from feeds.scenarios.timeline import EVENTS_MAX
from feeds.unrecorded import Unrecorded

__all__ = [
    "ScenarioFile",
    "base_of",
    "in_place",
    "last_ns",
    "load_scenario",
    "scenario_names",
    "scenario_summary",
    "scenarios_of",
    "staged_config",
    "staging_of",
    "under",
]

Data = Recording | Unrecorded
_ODD: Final = 0x9E3779B97F4A7C15
_WORDS: Final = 1 << 64
_BYTES_MAX: Final = 64 << 20
"""Of a scenario's file."""
_FOLDER: Final = Path(feeds.scenarios.__file__).parent / "library"


class ScenarioFile(Struct, frozen=True):
    """A scenario, and the file in which it stands; none where it was given as it is."""

    scenario: Scenario
    path: Path | None = None


def scenario_names() -> list[str]:
    """What the library holds."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_scenario(given: str | Path | Scenario) -> ScenarioFile:
    """A scenario of the library by its name, or from a file.

    Raises:
        ConfigError: ``FILE:LINE: what; did you mean ...``.
    """
    if isinstance(given, Scenario):
        return ScenarioFile(given)
    name = str(given)
    path = _FOLDER / f"{name}.toml" if name in scenario_names() else Path(given)
    if path.suffix != ".toml" and not path.exists():
        known = nearest(name, scenario_names())
        end = "" if known.endswith("?") else "."
        raise ConfigError(f'there is no scenario "{name}"{known}{end} Or give a TOML file')
    _check_size(path)
    source = SettingsFile(path)
    settings = source.settings()
    try:
        return ScenarioFile(msgspec.convert(settings, Scenario), path)
    except msgspec.ValidationError as error:
        raise ConfigError(source.located(complaint(error, settings, Scenario), ())) from None


def _check_size(path: Path) -> None:
    """A file of far too much is refused before it is read as TOML, which takes minutes."""
    try:
        size = path.stat().st_size
        if size > _BYTES_MAX:
            said = (
                f"{size:,} bytes; a scenario has {_BYTES_MAX:,} at most, and {EVENTS_MAX:,} events"
            )
            raise ConfigError(f"{path}: {said}")
        lines = path.read_bytes().splitlines()
    except OSError:
        return  # whoever reads it says why it cannot be read
    begins = [number for number, line in enumerate(lines, 1) if line.startswith(b"[[events]]")]
    if len(begins) > EVENTS_MAX:
        said = f"{len(begins):,} events; {EVENTS_MAX:,} at most"
        raise ConfigError(f"{path}:{begins[EVENTS_MAX]}: {said}")


@contextmanager
def in_place(files: Sequence[ScenarioFile], before: int = 0) -> Iterator[None]:
    """What is found wrong with a scenario gets its place.

    Args:
        files: those that were given beside the configuration.
        before: how many the configuration itself holds, which come first.

    Raises:
        ConfigError: ``FILE:LINE: what``.
        SettingError: of one in the configuration, to be placed there.
    """
    try:
        yield
    except ScenarioError as error:
        number = error.scenario - before
        if number < 0:
            where = ("scenarios", error.scenario, *error.path)
            raise SettingError(where, error.sentence) from None
        path = files[number].path
        if path is None:
            raise ConfigError(error.sentence) from None
        placed = SettingError(error.path, error.sentence)
        raise ConfigError(SettingsFile(path).located(placed, ())) from None


def staging_of(config: RunConfig, data: Data, path: int | None = None) -> Staging:
    """The scenarios of a completed configuration on data; these are read once beforehand if a time
    is a share of their span. Each ``path`` of a generator has noise of its own; without, it is that
    of the generator.

    Raises:
        ScenarioError: with the place of what is wrong.
    """
    scenarios, bars = config.scenarios or (), config.bars
    check_expectations(scenarios)
    span = Span(_first_ns(data, bars), lambda: last_ns(data, bars))
    staging = staged(
        scenarios,
        span,
        [info.symbol for info in data.symbols],
        [info.kinds for info in data.symbols],
        _seed(config, path),
        [market.symbol for market in config.markets],
    )
    check_scened(config, staging.events)
    asked = [*staging.messages, *asked_for(config, staging.events, span)]
    asked.sort(key=lambda message: message.ts_ns)
    return replace(staging, messages=tuple(asked))


def staged_config(config: RunConfig, data: Data, path: int | None = None) -> RunConfig:
    """The configuration as its scenarios change it, to make a spec of."""
    if not config.scenarios:
        return config
    return scened(config, staging_of(config, data, path).events)


def _seed(config: RunConfig, path: int | None) -> int:
    if path is None:
        path = config.generator.path if config.generator is not None else 0
    return (config.seed + path * _ODD) % _WORDS


def scenario_summary(scenarios: Sequence[Scenario], summary: dict[str, Any]) -> dict[str, Any]:
    """What a run's summary says of its scenarios: their names, a hash of all that they hold, how
    many events took hold, and what was expected."""
    return {
        "names": [each.name for each in scenarios],
        "hash": sha256(msgspec.json.encode(scenarios)).hexdigest(),
        "events": sum(len(each.events) for each in scenarios),
        "applied": summary["events"].get("scenario_mark", 0),
        "expected": judged(scenarios, summary),
    }


def scenarios_of(config: str | Path | RunConfig | None) -> tuple[Scenario, ...]:
    """Those that a configuration, or its file, holds itself."""
    found = config if isinstance(config, RunConfig) else load_config(config)
    return found.scenarios or ()


def under(config: RunConfig, scenarios: tuple[Scenario, ...], base: Generator | None) -> RunConfig:
    """The configuration with these scenarios, on the market that they stand on where it generates
    none of its own."""
    return replace(config, scenarios=scenarios, generator=config.generator or base)


def base_of(scenarios: Sequence[Scenario]) -> Generator | None:
    """The market that the last scenario with one stands on."""
    return next((each.base for each in reversed(scenarios) if each.base is not None), None)


def _first_ns(data: Data, bars: str) -> int:
    for step in data.steps(bars=bars):
        if len(step):
            return int(row_times(step)[0])
    return 0


def last_ns(data: Data, bars: str) -> int:
    """Time of the last row of data."""
    return max((_latest(step) for step in data.steps(bars=bars)), default=0)


def _latest(step: Step) -> int:
    return max((int(table.ts_ns.max()) for table in step.tables), default=0)
