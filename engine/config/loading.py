"""A configuration from its file and from ``--set``, and back to text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.config import toml_text
from engine.config.checks import check
from engine.config.complaints import SettingError, complaint
from engine.config.lineup import completed, listed_markets
from engine.config.replacing import policy_settings, with_policy
from engine.config.settings import RunConfig
from engine.config.toml_text import dotted, lines_of, toml_value, with_texts, write_toml
from engine.errors import ConfigError
from feeds.recording import SymbolInfo

__all__ = [
    "PROVENANCE",
    "SettingsFile",
    "load_config",
    "load_generator",
    "placed",
    "resolved_toml",
]

PROVENANCE: Final = "provenance"
"""Table of a resolved configuration in which a run notes versions and inputs; not a setting."""

_SYNTAX: Final = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)
_POLICY: Final = "policy"
_OF_GENERATORS: Final = (("generator",), ("seed",))
_OF_CONTRACTS: Final = (("venue", "preset"), ("venue", "volume"))
_OWNER: Final = 2
"""So many parts of a path name a product or a market; settings of one may contradict each other."""


def load_config(
    path: str | Path | None,
    sets: Sequence[str] = (),
    *,
    symbols: Sequence[SymbolInfo] = (),
    policy: str | None = None,
) -> RunConfig:
    """The configuration of a file (of the standard line-up without one), with ``sets`` applied in
    order.

    Args:
        path: TOML. Files named in it are looked for beside it, then in the working folder.
        sets: ``KEY=VALUE``; KEY is a dotted path such as ``products.0.policies.0.low``
            (``products.BTC3L. ...`` works as well), VALUE as in TOML, texts with or without quotes.
            ``policy.KEY`` means the policy given as ``policy``.
        symbols: the data's; with them everything that the file leaves open is filled in and the
            whole is checked.
        policy: takes the place of the dynamic policies, by name.

    Raises:
        ConfigError: ``FILE:LINE: what; did you mean ...``, or naming the ``--set`` that is wrong.
    """
    own = [s for s in sets if s.startswith((f"{_POLICY}.", f"{_POLICY}="))]
    others = [s for s in sets if s not in own]
    source = SettingsFile(path)
    try:
        config = _converted(source.settings())
        if path is not None:
            config = _located(config, Path(path).parent)
        if symbols:
            config = completed(_with_venues(config, others, symbols), symbols)
        if policy is not None:
            config = _with_policy(config, policy, own)
        elif own:
            raise ConfigError(f"--set {own[0]}: policy.* belongs to --policy, which is not given")
        if others:
            config = _with_sets(config, others)
        config = _located(config, Path())
        if symbols:
            config = completed(config, symbols)
            check(config, symbols)
    except SettingError as error:
        raise ConfigError(source.located(error, others)) from None
    return config


def load_generator(path: str | Path | None, sets: Sequence[str] = ()) -> RunConfig | None:
    """The configuration as far as it says which market is generated: ``generator`` and ``seed``;
    ``None`` where it names no generator.

    Raises:
        ConfigError: as ``load_config``.
    """
    own = [s for s in sets if _parts(s.partition("=")[0].strip())[:1] in _OF_GENERATORS]
    source = SettingsFile(path)
    try:
        config = _converted(source.settings())
        config = _located(config, Path(path).parent) if path is not None else config
        config = _located(_with_sets(config, own), Path())
    except SettingError as error:
        raise ConfigError(source.located(error, own)) from None
    return None if config.generator is None else config


@contextmanager
def placed(path: str | Path | None, sets: Sequence[str] = ()) -> Iterator[None]:
    """What is found wrong inside gets its place: the line of the file, or the ``--set``.

    Raises:
        ConfigError: in the place of a ``SettingError``.
    """
    try:
        yield
    except SettingError as error:
        raise ConfigError(SettingsFile(path).located(error, sets)) from None


def resolved_toml(config: RunConfig) -> str:
    """The configuration as TOML that loads back equal."""
    return write_toml(msgspec.to_builtins(config))


class SettingsFile:
    """A configuration file, and where its settings stand."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = path
        self.text = "" if path is None else _read(Path(path))

    def settings(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = with_texts(tomllib.loads(self.text))
        except tomllib.TOMLDecodeError as error:
            match = _SYNTAX.fullmatch(str(error))
            what, line, column = (
                (match[1], match[2], match[3]) if match else (str(error), None, None)
            )
            if line is None:
                line = str(self.text.count("\n") + 1)
                raise ConfigError(
                    f"{self.path}:{line}: not TOML: {what} (at the end of the file)"
                ) from None
            raise ConfigError(f"{self.path}:{line}: not TOML: {what} (column {column})") from None
        except RecursionError:
            raise ConfigError(f"{self.path}: lists within lists, too deep to be read") from None
        found.pop(PROVENANCE, None)
        return found

    def located(self, error: SettingError, sets: Sequence[str]) -> str:
        """The complaint with the place of the setting: the ``--set`` that made it, else the line of
        the file."""
        paths = [(given, _parts(given.partition("=")[0].strip())) for given in reversed(sets)]
        for shared in (len(error.path), _OWNER):
            for given, path in paths:
                depth = min(len(path), len(error.path), shared)
                if depth and _same(path[:depth], error.path[:depth]):
                    return f"--set {given}: {error.sentence}"
        if self.path is None:
            return error.sentence
        lines, place = lines_of(self.text), error.path
        while place and place not in lines:
            place = place[:-1]
        return f"{self.path}:{lines.get(place, 1)}: {error.sentence}"


def _same(given: toml_text.Path, path: toml_text.Path) -> bool:
    """A name given in the place of an index may mean any."""
    return all(
        a == b or (isinstance(b, int) and isinstance(a, str))
        for a, b in zip(given, path, strict=True)
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")  # editors on Windows begin a file with a mark
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder, expected a TOML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _converted(settings: dict[str, Any]) -> RunConfig:
    try:
        return msgspec.convert(settings, RunConfig)
    except msgspec.ValidationError as error:
        raise complaint(error, settings, RunConfig) from None


def _with_sets(config: RunConfig, sets: Sequence[str]) -> RunConfig:
    settings = msgspec.to_builtins(config)
    for given in sets:
        key, equals, value = given.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {given}: expected KEY=VALUE, for instance seed=7")
        path = _parts(key.strip())
        if not path:
            raise ConfigError(
                f"--set {given}: {key.strip()!r} is no dotted path such as products.0.limit"
            )
        _assign(settings, path, toml_value(value.strip()), given)
    return _converted(settings)


def _with_venues(
    config: RunConfig, sets: Sequence[str], symbols: Sequence[SymbolInfo]
) -> RunConfig:
    """The presets that ``sets`` choose come first: what a contract leaves open is the preset's."""
    chosen = [s for s in sets if _parts(s.partition("=")[0].strip())[-2:] in _OF_CONTRACTS]
    if not chosen:
        return config
    return _with_sets(replace(config, markets=listed_markets(config, symbols)), chosen)


def _parts(key: str) -> toml_text.Path:
    parts = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    return tuple(int(p) if p.isascii() and p.isdigit() else p for p in parts) if all(parts) else ()


def _assign(settings: Any, path: toml_text.Path, value: Any, given: str) -> None:
    here = settings
    for depth, name in enumerate(path):
        part = name
        if isinstance(here, list | tuple):
            part = _place(here, name, path[:depth], given)
        elif not isinstance(here, dict):
            raise ConfigError(f"--set {given}: {dotted(path[:depth])} has no settings inside")
        if depth == len(path) - 1:
            here[part] = value
            return
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
        if isinstance(here[part], tuple):
            here[part] = list(here[part])
        here = here[part]


def _place(rows: Any, part: str | int, above: toml_text.Path, given: str) -> int:
    """An index into a list; the id or symbol of an element will do."""
    if isinstance(part, int):
        if part < len(rows):
            return part
        count = f"{len(rows)} (0 to {len(rows) - 1})" if rows else "none"
        raise ConfigError(f"--set {given}: there is no {dotted((*above, part))}; there are {count}")
    names = [row.get("id", row.get("symbol", "")) if isinstance(row, dict) else "" for row in rows]
    if part in names:
        return names.index(part)
    known = ", ".join(name for name in names if name)
    raise ConfigError(
        f"--set {given}: {dotted(above)} has no {part!r}"
        + (f"; known are {known}" if known else "")
    )


def _with_policy(config: RunConfig, policy: str, own: Sequence[str]) -> RunConfig:
    return with_policy(config, policy, policy_settings(own))


def _located(config: RunConfig, folder: Path) -> RunConfig:
    """Files that are named get their full path, so that a resolved configuration works from
    anywhere.

    They are looked for in ``folder`` first, then in the working folder; who is nowhere keeps the
    name.
    """
    settings = msgspec.to_builtins(config)
    for market in settings["markets"]:
        if market["funding"]["file"]:
            market["funding"]["file"] = _found(market["funding"]["file"], folder)
    for crowd in settings["populations"]:
        if crowd["file"]:
            crowd["file"] = _found(crowd["file"], folder)
    for product in settings["products"]:
        for policy in product["policies"]:
            file, colon, name = policy.get("path", "").rpartition(":")
            if file.endswith(".py"):
                policy["path"] = _found(file, folder) + colon + name
    if (settings["generator"] or {}).get("recording"):
        settings["generator"]["recording"] = _found(settings["generator"]["recording"], folder)
    for name, value in (settings["kafka"] or {}).items():
        if name.endswith("file"):
            settings["kafka"][name] = _found(value, folder)
    return _converted(settings)


def _found(file: str, folder: Path) -> str:
    for place in (folder / file, Path(file)):
        if place.exists():
            return str(place.resolve())
    return file
