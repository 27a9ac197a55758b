"""Tapes and logs as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from engine.engine import EngineSpec
from engine.events import CreationRequest, RedemptionRequest
from engine.ticks import Kind
from tests.builders import T0, Run, a_row, a_tape, run

__all__ = ["input_path", "log_of", "output_path", "read_tape", "written_tape"]

_FOLDER = Path(__file__).parent
_REQUEST = msgspec.json.Decoder(CreationRequest | RedemptionRequest)


def input_path(name: str) -> Path:
    return _FOLDER / f"{name}.in.jsonl"


def output_path(name: str) -> Path:
    return _FOLDER / f"{name}.out.jsonl"


def written_tape(rows: Iterable[Any]) -> str:
    """A line a row: ``[kind, symbol, nanoseconds since T0, values...]``, or a request."""
    lines = []
    for row in rows:
        if isinstance(row, tuple):
            kind, symbol, ts_ns, values = row
            lines.append(json.dumps([kind.name.lower(), symbol, ts_ns - T0, *values]))
        else:
            lines.append(msgspec.json.encode(row).decode())
    return "".join(f"{line}\n" for line in lines)


def read_tape(name: str) -> list[Any]:
    """The rows of a case, as ``a_tape`` takes them."""
    rows: list[Any] = []
    for line in input_path(name).read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            rows.append(_REQUEST.decode(line))
            continue
        kind, symbol, since, *values = json.loads(line)
        rows.append(a_row(Kind[kind.upper()], T0 + since, *values, symbol=symbol))
    return rows


def log_of(spec: EngineSpec, rows: list[Any], places: Iterable[int] = ()) -> list[str]:
    """All that the heart says about a tape, a line each."""
    said = run(spec, a_tape(rows), places, check=True)
    return [
        *(line.decode() for line in said.lines),
        *map(json.dumps, _samples(said, spec)),
        *map(json.dumps, _holders(said, spec)),
        json.dumps({"digest": said.engine.digest()}),
    ]


def _samples(said: Run, spec: EngineSpec) -> Iterable[dict[str, Any]]:
    columns = {name: column.tolist() for name, column in said.nav.items()}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        product = spec.products[row.pop("product")].id
        numbers = {name: value for name, value in row.items() if value == value}
        yield {"sample": product, **numbers}


def _holders(said: Run, spec: EngineSpec) -> Iterable[dict[str, Any]]:
    names = ("sequence", "ordinal", "ts_ns", "product", "reason", "user", "units", "nav_atoms")
    for values in said.user_nav:
        row = dict(zip(names, values, strict=True))
        product = spec.products[row.pop("product")].id
        yield {"holder": said.engine.users.name(row.pop("user")), "product": product, **row}
