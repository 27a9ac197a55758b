"""Creations and redemptions of users, and what the operator says, from a file of JSON lines.

One object a line::

    {"ts": ..., "id": ..., "user": ..., "product": ..., "side": "create", "quote": 100.0}
    {"ts": ..., "id": ..., "user": ..., "product": ..., "side": "redeem", "units": 5.0}
    {"ts": ..., "id": ..., "user": ..., "product": ..., "side": "cancel", "request": ID}
    {"ts": ..., "id": ..., "kind": "halt", "symbol": "BTCUSDT", "reason": "..."}

A redemption may wait for a NAV per unit ``at_or_below`` (a stop-loss) or ``at_or_above`` (a
take-profit); a cancellation takes back what still waits; a command has a ``kind`` instead of a
side, and what that needs. ``ts`` is a whole number of ns since the epoch, or a time such as
``2024-08-08T23:56:00Z`` (without a zone it is UTC).
"""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from engine.commands import Command
from engine.errors import InputError
from engine.events import CancellationRequest, CreationRequest, Message, RedemptionRequest
from engine.units import NEVER_NS
from feeds.formats.files import line_batches

__all__ = ["load_requests", "packed_requests", "parse_time", "unpacked_requests"]

_AMOUNTS: Final = {"create": "quote", "redeem": "units", "cancel": "request"}
_AMOUNT_MAX: Final = sys.float_info.max
_NS_MIN: Final = 10**16
"""Below this lie only times of 1970: they were meant in seconds, ms or us."""
_KINDS: Final = {kind.__struct_config__.tag: kind for kind in get_args(Command)}
_LEVELS: Final = ("at_or_below", "at_or_above")
_KEYS: Final = ("ts", "id", "user", "product", "side", "quote", "units", "request", *_LEVELS)


def load_requests(path: str | Path) -> list[Message]:
    """The requests and commands of a file in file order.

    Raises:
        InputError: naming file and line, what was expected and the nearest right key.
    """
    requests: list[Message] = []
    for number, lines in line_batches(str(path)):
        for offset, line in enumerate(lines):
            if line.strip():
                try:
                    requests.append(_request(line))
                except ValueError as error:
                    raise InputError(f"{path}:{number + offset}: {error}") from None
    return requests


def packed_requests(requests: list[Message]) -> bytes:
    """Requests and commands as bytes, for another process."""
    return msgspec.msgpack.encode(requests)


def unpacked_requests(packed: bytes) -> list[Message]:
    """What ``packed_requests`` packed."""
    return msgspec.msgpack.decode(packed, type=list[Message])


def _request(line: bytes) -> Message:
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"expected one JSON object, {error}") from None
    if "kind" in row:
        return _command(row)
    side = row.get("side")
    for key in row:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}{_nearest(key, _KEYS)}")
    if "side" not in row or side not in _AMOUNTS:
        raise ValueError(
            f"side must be create, redeem or cancel, was {side!r}{_nearest(side, _AMOUNTS)}"
        )
    amount = _AMOUNTS[side]
    levels = {key: row.pop(key) for key in _LEVELS if key in row and side == "redeem"}
    wanted = (*_KEYS[:5], amount)
    for key in row:
        if key not in wanted:
            raise ValueError(f"a {side} request has {amount!r}, not {key!r}")
    for key in wanted:
        if key not in row:
            raise ValueError(f"{key!r} is missing; a {side} request has {', '.join(wanted)}")
    names = {key: _text(key, row[key]) for key in ("id", "user", "product")}
    ts_ns = parse_time(row["ts"])
    if side == "cancel":
        return CancellationRequest(ts_ns=ts_ns, request=_text(amount, row[amount]), **names)
    value = _amount(amount, row[amount])
    if side == "create":
        return CreationRequest(ts_ns=ts_ns, quote=value, **names)
    fields: dict[str, Any] = {**names, **{key: _amount(key, levels[key]) for key in levels}}
    return RedemptionRequest(ts_ns=ts_ns, units=value, **fields)


def _command(row: dict[str, Any]) -> Message:
    kind = row.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"kind {kind!r} is no command{_nearest(kind, _KINDS)}")
    wanted = ("ts", *(name for name in _KINDS[kind].__struct_fields__ if name != "ts_ns"))
    for key in row:
        if key not in wanted:
            raise ValueError(f"unknown key {key!r}{_nearest(key, wanted)}")
    if "ts" not in row:
        raise ValueError(f"'ts' is missing; the command {kind} has {', '.join(wanted)}")
    row["ts_ns"] = parse_time(row.pop("ts"))
    for key in {"id", "symbol", "product"} & row.keys():
        _text(key, row[key])
    command: Message = msgspec.convert(row, _KINDS[kind])
    return command


def _nearest(word: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(word), list(known), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text that is not empty, was {value!r}")
    return value


def _amount(key: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= _AMOUNT_MAX:
        raise ValueError(f"{key} must be a finite number > 0, was {value!r}")
    return float(value)


def parse_time(value: Any) -> int:
    """A time in ns since the epoch, or in words; raises `ValueError`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < NEVER_NS:
        if value < _NS_MIN:
            raise ValueError(f"ts is in ns since the epoch; {value} would be in 1970")
        return value
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"ts {value!r} is no time such as 2024-08-08T23:56:00Z") from None
        since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(
            1970, 1, 1, tzinfo=UTC
        )
        ts_ns = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
        if not 0 <= ts_ns < NEVER_NS:
            raise ValueError(f"ts {value!r} is not between the years 1970 and 2262")
        return ts_ns
    raise ValueError(
        f"ts must be ns since the epoch or a time such as 2024-08-08T23:56:00Z, was {value!r}"
    )
