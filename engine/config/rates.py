"""Funding rates from a file: a CSV with ``ts,rate``, or a recording that holds funding."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.config.complaints import nearest
from engine.errors import ConfigError
from engine.ticks import Funding, Kind
from engine.units import SECOND_NS
from feeds.recording import SymbolInfo, open_recording

__all__ = ["funding_instants"]

_SECONDS_MAX: Final = 10**11
"""A whole number up to here is a time in seconds; each further unit is a thousand times larger."""


def funding_instants(file: str, symbol: str) -> tuple[tuple[int, float], ...]:
    """Instants with their rates, in time order: of a CSV with ``ts,rate``, or of a recording that
    holds funding."""
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"{file}: no such file of funding rates")
    is_csv = path.suffix.lower() == ".csv"
    rates = _csv_rates(path) if is_csv else _recorded_rates(file, symbol)
    if not rates:
        raise ConfigError(f"{file}: no funding rates in it")
    return tuple(sorted(rates.items()))


def _csv_rates(path: Path) -> dict[int, float]:
    rates: dict[int, float] = {}
    try:
        for number, ts_ns, rate in _csv_rows(path):
            if rates.setdefault(ts_ns, rate) != rate:
                said = f"an instant has one rate, was {rates[ts_ns]} and {rate}"
                raise ConfigError(f"{path}:{number}: {said}")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    return rates


def _csv_rows(path: Path) -> Iterator[tuple[int, int, float]]:
    """Line, instant and rate of each row; a first line that begins with no time is a header."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if not row or (number == 1 and not row[0].strip()[:1].isdigit()):
                continue
            try:
                ts_ns, rate = _instant_ns(row[0].strip()), float(row[1])
            except (ValueError, IndexError):
                raise ConfigError(
                    f"{path}:{number}: expected ts,rate, was {','.join(row)!r}"
                ) from None
            if not abs(rate) < 1.0:
                raise ConfigError(
                    f"{path}:{number}: a rate is a share between -1 and 1, was {rate}"
                )
            yield number, ts_ns, rate


def _instant_ns(text: str) -> int:
    if text.isascii() and text.isdigit():
        ts = int(text)
        scale = 10**9
        while ts > _SECONDS_MAX * 10**9 // scale and scale > 1:
            scale //= 1_000
        return ts * scale
    time = datetime.fromisoformat(text)
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


def _recorded_rates(file: str, symbol: str) -> dict[int, float]:
    recording = open_recording([file], symbol=symbol)
    rates: dict[int, float] = {}
    for step in recording.steps():
        table = step.table(Kind.FUNDING)
        if table is not None:
            assert isinstance(table, Funding)
            own = table.symbols() == _own_place(recording.symbols, symbol)
            said = (column[own].tolist() for column in (table.ts_ns, table.next_ns, table.rate))
            for ts_ns, next_ns, rate in zip(*said, strict=True):
                if ts_ns <= next_ns or next_ns not in rates:  # else it is late
                    rates[next_ns] = rate
    return rates


def _own_place(symbols: Sequence[SymbolInfo], symbol: str) -> int:
    """The symbol's place in a file of funding; a file of one symbol is taken to be it."""
    names = [info.symbol for info in symbols]
    if symbol in names:
        return names.index(symbol)
    if len(names) == 1:
        return 0
    raise ConfigError(f"no funding of {symbol}{nearest(symbol, names)}")
