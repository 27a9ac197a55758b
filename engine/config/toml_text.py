"""TOML as text: the line on which each setting stands, and settings written out."""

from __future__ import annotations

import json
import math
import re
import tomllib
from datetime import date, time
from typing import Any, Final

import msgspec

__all__ = ["Path", "dotted", "lines_of", "toml_value", "with_texts", "write_toml"]

Path = tuple[str | int, ...]
"""A setting's place: names of keys, and indices into lists."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}\n#]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SPACE: Final = re.compile(r"(?:[ \t\r]|#[^\n]*)*")
_SPACE_AND_LINES: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


def dotted(path: Path) -> str:
    """A path as people write it: ``products[0].policies[1].low``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def toml_value(text: str) -> Any:
    """A value as in TOML, see ``with_texts``; what is not TOML is a text."""
    try:
        return with_texts(tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        return text


def with_texts(value: Any) -> Any:
    """A value of TOML whose dates and times are texts (RFC 3339), as they are everywhere else: a
    run directory repeats them, and who annotates a parameter as a date gets one."""
    if isinstance(value, dict):
        return {key: with_texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_texts(each) for each in value]
    return msgspec.to_builtins(value) if isinstance(value, date | time) else value


def lines_of(text: str) -> dict[Path, int]:
    """The line (from 1) on which each key of a valid TOML document stands."""
    return _Scanner(text).document()


class _Scanner:
    """Walks a document that ``tomllib`` has accepted, and only notes where things stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        here: Path = ()
        self._skip(_SPACE_AND_LINES)
        while self.at < len(self.text):
            if self.text.startswith("[", self.at):
                here = self._header()
            else:
                self._pair(here)
            self._skip(_SPACE_AND_LINES)
        return self.lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match[0]

    def _note(self, path: Path, at: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, at) + 1)

    def _header(self) -> Path:
        start, many = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = self._keys()
        self.at += 2 if many else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._element((*path, key))
        path = (*path, keys[-1])
        if many:
            self.tables[path] = self.tables.get(path, -1) + 1
        self._note(path, start)
        path = self._element(path)
        self._note(path, start)
        return path

    def _element(self, path: Path) -> Path:
        """A name of a list of tables means its last one."""
        return (*path, self.tables[path]) if path in self.tables else path

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = self.text[self.at] in "\"'"
            key = self._skip(_STRING if quoted else _BARE_KEY)
            keys += tomllib.loads(f"{key} = 0") if quoted else (key,)
            self._skip(_SPACE)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _pair(self, here: Path) -> None:
        start = self.at
        path = here
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self.at += 1
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        first = self.text[self.at]
        if first in "[{":
            self._inside(path, first)
        elif first in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_BARE_VALUE)

    def _inside(self, path: Path, first: str) -> None:
        """The elements of a list or of an inline table."""
        self.at += 1
        number = 0
        self._skip(_SPACE_AND_LINES)
        while self.text[self.at] not in "]}":
            if first == "{":
                self._pair(path)
            else:
                element = (*path, number)
                self._note(element, self.at)
                self._value(element)
                number += 1
            self._skip(_SPACE_AND_LINES)
            if self.text[self.at] == ",":
                self.at += 1
                self._skip(_SPACE_AND_LINES)
        self.at += 1


def write_toml(settings: dict[str, Any]) -> str:
    """Plain data as TOML that reads back equal. ``None`` is left out: TOML has no word for it.

    Tables one level deep get their own header, deeper ones stand inline.
    """
    plain, tables = [], []
    for key, value in settings.items():
        if value is None:
            continue
        if isinstance(value, dict):
            tables += ["", f"[{_key(key)}]", *_pairs(value)]
        elif isinstance(value, list | tuple) and value and all(isinstance(v, dict) for v in value):
            for one in value:
                tables += ["", f"[[{_key(key)}]]", *_pairs(one)]
        else:
            plain.append(f"{_key(key)} = {_written(value)}")
    return "\n".join([*plain, *tables]).lstrip("\n") + "\n"


def _pairs(table: dict[str, Any]) -> list[str]:
    lines = []
    for key, value in table.items():
        rows = isinstance(value, list | tuple) and value and isinstance(value[0], dict)
        if rows:
            lines += [f"{_key(key)} = [", *(f"    {_written(row)}," for row in value), "]"]
        elif value is not None:
            lines.append(f"{_key(key)} = {_written(value)}")
    return lines


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        known = {key: each for key, each in value.items() if each is not None}
        inside = ", ".join(f"{_key(key)} = {_written(each)}" for key, each in known.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(each) for each in value)}]"
    raise TypeError(f"TOML has no word for {type(value).__name__} {value!r}")


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
