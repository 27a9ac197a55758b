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
from engine.config.settings import RunConfig
from engine.errors import ConfigError
from engine.ticks import Step
from feeds.generators import Generator
from feeds.merge import row_times
from feeds.recording import Recording
from feeds.scenarios import Scenario, ScenarioError, Span, Staging, staged
from feeds.unrecorded import Unrecorded

__all__ = [
    "ScenarioFile",
    "base_of",
    "in_place",
    "load_scenario",
    "scenario_names",
    "scenario_summary",
    "scenarios_of",
    "staging_of",
    "under",
]

Data = Recording | Unrecorded
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
        raise ConfigError(f'there is no scenario "{name}"{known} Or give a TOML file')
    source = SettingsFile(path)
    settings = source.settings()
    try:
        return ScenarioFile(msgspec.convert(settings, Scenario), path)
    except msgspec.ValidationError as error:
        raise ConfigError(source.located(complaint(error, settings, Scenario), ())) from None


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


def staging_of(scenarios: Sequence[Scenario], data: Data, seed: int, bars: str = "ohlc") -> Staging:
    """Scenarios on data; these are read once beforehand if a time is a share of their span.

    Raises:
        ScenarioError: with the place of what is wrong.
    """
    check_expectations(scenarios)
    span = Span(_first_ns(data, bars), lambda: _last_ns(data, bars))
    symbols = [info.symbol for info in data.symbols]
    return staged(scenarios, span, symbols, [info.kinds for info in data.symbols], seed)


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


def _last_ns(data: Data, bars: str) -> int:
    return max((_latest(step) for step in data.steps(bars=bars)), default=0)


def _latest(step: Step) -> int:
    return max((int(table.ts_ns.max()) for table in step.tables), default=0)
