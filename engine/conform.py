"""Known answers, worked out by the engine itself: ticks go in; fills, samples and what the
venue says of accounts come out.

A vector is worked out from its inputs alone; what it expects is compared afterwards. The groups are
in the modules beside this one, by subject.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from engine import conform_adl, conform_closing, conform_dydx, conform_funding, conform_margin
from engine import conform_policies as policies
from engine import conform_products as products
from engine.conform_book import depth
from engine.errors import ConfigError, InputError, OutOfRangeError

__all__ = ["GROUPS", "Answer", "conform"]

Inputs = Mapping[str, Any]


class Answer(Struct, frozen=True):
    """One vector: ``status`` is ``passed``, ``failed``, ``computed`` (nothing was expected) or
    ``unsupported``. ``values`` are names with numbers or nests of them, or the answer itself where
    it has no name."""

    id: str
    group: str
    status: str
    values: Any = {}
    expected: Any = {}
    detail: str = ""


GROUPS: Final[dict[str, Callable[[Inputs], Any]]] = {
    "LEV": products.lev,
    "PATH": products.path,
    "BAND": products.band,
    "SEC": products.sec,
    "FLI": policies.flexible,
    "RESTRIKE": policies.restrike,
    "RENEW": policies.renewal,
    "IDENT": policies.identities,
    "RUIN": policies.jump_ruin,
    "TERM": policies.term,
    "A1": conform_margin.isolated,
    "A2": conform_margin.isolated,
    "A3": conform_margin.at_entry,
    "A4": conform_margin.with_others,
    "A5": conform_margin.linear_or_inverse,
    "B1": conform_margin.tables,
    "C1": conform_funding.paid,
    "C2": conform_funding.index_delta,
    "C3": conform_funding.lazy,
    "C4": conform_funding.hourly,
    "C5": conform_funding.basis,
    "C6": conform_funding.averaged,
    "C7": conform_funding.spread_max,
    "D1": conform_dydx.bankruptcy,
    "D2": conform_dydx.fillable,
    "D3": conform_dydx.insured,
    "D4": conform_margin.requirement,
    "D5": conform_dydx.deleveraged,
    "E1": conform_closing.shortage_size,
    "E2": conform_closing.charged_fee,
    "E3": conform_closing.ramped_fee,
    "E4": conform_closing.socialised,
    "F1": conform_adl.ranked,
    "F2": conform_adl.scored,
    "F3": conform_adl.haircuts,
    "F4": conform_adl.water_filling,
    "F5": conform_margin.isolated,
    "H1": conform_adl.given_order,
    "I1": depth,
    "J1": conform_funding.digits,
    "K1": conform_closing.health,
}
"""What is supported, by the group's id."""
_AS_PRINTED: Final = frozenset({"I1"})
"""Groups whose answers, and inputs, are known to the digits with which they were published."""
_DERIVED: Final = 1e-9
"""How near an answer without a tolerance is met: it is given to nine digits, and one that is less
than that to as many as it has."""
_UNSOUND: Final = (LookupError, TypeError, ValueError, AttributeError, SyntaxError)
"""What inputs raise that are not as their group wants them."""


# The file -----------------------------------------------------------------------------


def conform(file: str | Path, progress: Callable[[str], None] | None = None) -> list[Answer]:
    """Work out every vector of a file.

    Raises:
        InputError: if it is no file of vectors.
    """
    answers = []
    for group, vector in _vectors(file):
        if progress is not None:
            progress(vector["id"])
        answers.append(_answer(file, group, vector))
    return answers


def _vectors(file: str | Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        document = json.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{file}:{error.lineno}: not JSON: {error.msg}") from None
    try:
        return [
            (str(group["id"]), _with_tables({**vector, "id": str(vector["id"])}, group))
            for group in document["groups"]
            for vector in group["vectors"]
        ]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{file}: no file of vectors, expected "
            f'{{"groups": [{{"id", "vectors": [{{"id", "inputs"}}]}}]}}'
            f" ({type(error).__name__}: {error})"
        ) from None


def _with_tables(vector: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """Tables that a group's vectors name are among the inputs of each."""
    if "tables" not in group:
        return vector
    return {**vector, "inputs": {**vector["inputs"], "tables": group["tables"]}}


def _answer(file: str | Path, group: str, vector: dict[str, Any]) -> Answer:
    name = vector["id"]
    work = GROUPS.get(group)
    if work is None:
        return Answer(name, group, "unsupported")
    if "inputs" not in vector:
        raise InputError(f"{file}: vector {name}: no inputs")
    try:
        values = work(vector["inputs"])
    except _UNSOUND as error:  # the other vectors may well be sound
        return Answer(name, group, "failed", detail=f"{type(error).__name__}: {error}")
    except (ArithmeticError, ConfigError, OutOfRangeError) as error:
        return Answer(name, group, "failed", detail=str(error))
    expected = vector.get("expected")
    if expected is None or expected == {}:
        return Answer(name, group, "computed", values)
    try:
        wrong = _wrong("", values, expected, _nearness(group, vector.get("tolerance")))
    except (TypeError, ValueError) as error:
        return Answer(name, group, "failed", values, expected, f"tolerance: {error}")
    return Answer(name, group, "failed" if wrong else "passed", values, expected, "; ".join(wrong))


def _nearness(group: str, tolerance: Any) -> Callable[[Any], float]:
    """By how much an answer may differ from what was wanted.

    Raises:
        TypeError, ValueError: if a tolerance is none.
    """
    if not tolerance and group in _AS_PRINTED:
        return _last_digit
    if not tolerance:
        return lambda wanted: max(_DERIVED * float(abs(wanted)), min(_DERIVED, _last_digit(wanted)))
    if not isinstance(tolerance, Mapping):
        raise TypeError(f'expected {{"rel", "abs"}}, was {tolerance!r}')
    relative, absolute = (float(tolerance.get(name, 0.0)) for name in ("rel", "abs"))
    if not (0.0 <= relative < math.inf and 0.0 <= absolute < math.inf):
        raise ValueError(f"must be 0 or more, was {tolerance!r}")
    return lambda wanted: max(absolute, relative * float(abs(wanted)))


def _last_digit(wanted: Any) -> float:
    """What the last digit of a number counts, 1 at most: 1e-3 of 0.125, 1e-8 of 1.5e-07."""
    exponent = Decimal(str(wanted)).as_tuple().exponent
    return min(1.0, 10.0**exponent) if isinstance(exponent, int) else 0.0


def _wrong(place: str, value: Any, wanted: Any, nearness: Callable[[Any], float]) -> list[str]:
    """What of a value, or of a nest of them, is not what was wanted."""
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        found = []
        for key, each in wanted.items():
            name = f"{place}.{key}" if place else key
            if key in value:
                found += _wrong(name, value[key], each, nearness)
            else:
                found.append(f"{name}: nothing was worked out")
        return found
    if isinstance(wanted, list) and isinstance(value, list) and len(wanted) == len(value):
        pairs = enumerate(zip(value, wanted, strict=True))
        return [
            wrong
            for number, (own, each) in pairs
            for wrong in _wrong(f"{place}[{number}]", own, each, nearness)
        ]
    if isinstance(value, str):
        value = _as_number(value)
        wanted = _as_number(wanted if isinstance(wanted, str) else repr(wanted))
    if not _is_number(wanted) or not _is_number(value):
        return [] if value == wanted else [f"{place or 'answer'}: {value!r}, expected {wanted!r}"]
    allowed = nearness(wanted)
    if abs(value - wanted) <= allowed:
        return []
    return [f"{place}: {value}, expected {wanted} to {allowed:.3g}"]


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return plain and math.isfinite(value)


def _as_number(text: str) -> Any:
    """Digits given as a text, all of them; another text as it is, and one of no finite number."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() else text
