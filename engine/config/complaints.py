"""What is wrong with a setting, in a sentence: which key, what was expected, the nearest right
name."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect

from engine.config.toml_text import Path, dotted
from engine.durations import DURATION_PATTERN
from engine.errors import ConfigError
from feeds.scenarios.event import LENGTH_PATTERN, WHEN_PATTERN

__all__ = ["SettingError", "check_range", "complaint", "nearest", "require"]

_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_PART: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_FIELD: Final = re.compile(r"Object (contains unknown|missing required) field `([^`]*)`")
_TAGS: Final = ("type", "model", "kind")
"""Keys that choose the member of a union."""
_TEXTS: Final = {
    DURATION_PATTERN: 'a duration such as "90s", "5m", "2h" or "250ms"',
    LENGTH_PATTERN: 'a length of time such as "90s", "2h" or "10%" of the data',
    WHEN_PATTERN: 'a time such as "2h", "50%" of the data or "2026-01-01T02:00:00Z"',
}
"""What is meant by a pattern of ours."""
_VALUE: Final = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)


class SettingError(ConfigError):
    """A setting that cannot be used, with its place; who loads a file adds the line.

    Attributes:
        path: where the setting is.
        sentence: what is wrong with it.
    """

    def __init__(self, path: Path, sentence: str) -> None:
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence


def nearest(word: object, known: Iterable[str], quote: str = '"') -> str:
    """``; did you mean "X"?``, and what is known where nothing is near."""
    names = list(known)
    close = difflib.get_close_matches(str(word), names, 1, 0.6)
    if close:
        return f"; did you mean {quote}{close[0]}{quote}?"
    return f"; known are {', '.join(names)}" if names else ""


def complaint(error: msgspec.ValidationError, settings: Any, model: type) -> SettingError:
    """What msgspec found, with its path and in our words.

    Args:
        error: of ``msgspec.convert(settings, model)``.
        settings: plain data.
        model: the struct it should have been.
    """
    match = _PLACE.fullmatch(str(error))
    assert match is not None
    what, place = match["what"], match["path"] or "$"
    path: Path = tuple(int(n) if n else key for key, n in _PART.findall(place.split("[...]")[0]))
    kind = _kind_at(inspect.type_info(model), settings, path)
    if field := _FIELD.fullmatch(what):
        inner = (*path, field[2])
        if field[1].startswith("missing"):
            return SettingError(path, f"{dotted(inner)} is missing")
        return SettingError(
            inner, f"{dotted(inner)} is not a setting{nearest(field[2], _fields(kind))}"
        )
    if value := _VALUE.fullmatch(what):
        chosen = value[1].strip("'")
        options = _options(kind) or _tags(kind)
        said = (
            nearest(chosen, options) if difflib.get_close_matches(chosen, options, 1, 0.6) else ""
        )
        one_of = ", ".join(options)
        return SettingError(path, f'{dotted(path)} is "{chosen}"{said} (one of: {one_of})')
    texts = [said for pattern, said in _TEXTS.items() if repr(pattern) in what]
    if texts:
        what = f"expected {texts[0]}, was {_at(settings, path)!r}"
    elif what.startswith("Expected `str") and isinstance(kind, inspect.StrType) and kind.pattern:
        text = _TEXTS.get(kind.pattern, 'a duration such as "90s"')
        what = f"expected {text}, in quotes, was {_shown(_at(settings, path))}"
    else:
        what = what[:1].lower() + what[1:]
    return SettingError(path, f"{dotted(path)}: {what}" if path else what)


def _shown(value: Any) -> str:
    """As TOML has it: a date is no call."""
    return str(value.isoformat()) if hasattr(value, "isoformat") else repr(value)


def _at(settings: Any, path: Path) -> Any:
    for part in path:
        settings = settings[part]
    return settings


def _kind_at(kind: Any, settings: Any, path: Path) -> Any:
    """The type that is expected at ``path``; of a union the member that the data chose, for its tag
    the union."""
    for part in path:
        narrowed = _chosen(kind, settings)
        if isinstance(narrowed, inspect.StructType):
            fields = {field.encode_name: field.type for field in narrowed.fields}
            kind = fields.get(str(part), narrowed if part in _TAGS else None)
        elif isinstance(narrowed, inspect.ListType | inspect.VarTupleType):
            kind = narrowed.item_type
        elif isinstance(narrowed, inspect.DictType):
            kind = narrowed.value_type
        elif part not in _TAGS:
            return None
        settings = _child(settings, part)
    return kind if path[-1:] and path[-1] in _TAGS else _chosen(kind, settings)


def _child(settings: Any, part: str | int) -> Any:
    try:
        return settings[part]
    except (KeyError, IndexError, TypeError):
        return None


def _chosen(kind: Any, settings: Any) -> Any:
    if not isinstance(kind, inspect.UnionType):
        return kind
    members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
    if len(members) == 1:
        return members[0]
    for member in members:
        if isinstance(member, inspect.StructType) and member.tag_field is not None:
            tag = settings.get(member.tag_field) if isinstance(settings, dict) else None
            if tag == member.tag:
                return member
    return kind


def _fields(kind: Any) -> list[str]:
    if not isinstance(kind, inspect.StructType):
        return []
    return [field.encode_name for field in kind.fields]


def _options(kind: Any) -> list[str]:
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _tags(kind: Any) -> list[str]:
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    structs = [member for member in members if isinstance(member, inspect.StructType)]
    return [str(member.tag) for member in structs if member.tag is not None]


def require(condition: bool, path: tuple[str | int, ...], wants: str, value: object) -> None:
    """Complain of the setting at ``path`` where a condition does not hold."""
    if not condition:
        finite = "finite and " if value in (math.inf, -math.inf) else ""
        raise SettingError(path, f"{path[-1]} must be {finite}{wants}, was {value!r}")


def check_range(
    path: tuple[str | int, ...],
    owner: Any,
    names: Sequence[str],
    low: float,
    high: float = math.inf,
) -> None:
    """Each of these settings is finite, at least ``low`` (above it where ``low`` is -0.0) and at
    most ``high``."""
    strict = math.copysign(1.0, low) < 0.0
    for name in names:
        value = getattr(owner, name)
        if value is not None:
            good = math.isfinite(value) and (value > 0.0 if strict else value >= low)
            require(good, (*path, name), "> 0" if strict else f">= {low:g}", value)
            require(value <= high, (*path, name), f"<= {high:g}", value)
