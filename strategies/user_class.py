"""A user's class: whether it can be asked, and an object of it with checked parameters."""

from __future__ import annotations

import difflib
import inspect
import re
import types
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from random import Random
from typing import Any, Final, Union, cast, get_args, get_origin

import msgspec

from engine.errors import PolicyError
from engine.units import DAY_NS, HOUR_NS, MILLISECOND_NS, MINUTE_NS, SECOND_NS
from strategies.answers import explained, place_of

__all__ = [
    "REVIEW_NS",
    "check_kept",
    "check_target",
    "did_you_mean",
    "line_of",
    "made",
    "place_line",
    "review_ns_of",
]

REVIEW_NS: Final = MINUTE_NS
"""How often a small policy is asked where it does not say."""
_CONTAINERS: Final = (list, dict, set, bytearray, array, deque, Random)
"""Kinds whose objects keep something beside their attributes, and can change it."""
_UNITS: Final = {
    "ms": MILLISECOND_NS,
    "s": SECOND_NS,
    "m": MINUTE_NS,
    "h": HOUR_NS,
    "d": DAY_NS,
}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'X'?``, or nothing where nothing is near."""
    close = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def place_line(error: BaseException) -> str:
    """A further line with the place of an error in the user's own code."""
    place = place_of(error).strip(" ()")
    return f"\n  {place}" if place else ""


def line_of(made: Any) -> str:
    """Where a class or function stands."""
    try:
        lines = inspect.getsourcelines(made)[1]
        file = inspect.getsourcefile(made) or ""
    except (OSError, TypeError):
        code = getattr(made, "__code__", None)
        if code is None:
            own = getattr(made, "__dict__", {}).values()
            code = next((f.__code__ for f in own if inspect.isfunction(f)), None)
        if code is None:
            return ""
        file, lines = code.co_filename, code.co_firstlineno
    return f"\n  at {file}:{lines}"


def check_kept(cls: type) -> None:
    """Whether what its objects remember are attributes, which a snapshot holds.

    Raises:
        PolicyError: if they are containers themselves.
    """
    for kind in _CONTAINERS:
        if issubclass(cls, kind):
            raise PolicyError(
                f"{cls.__name__} is a {kind.__name__}: a snapshot cannot hold what it keeps in "
                f"itself; keep that in an attribute{line_of(cls)}"
            )


def check_target(cls: type) -> None:
    """Whether the class can be asked ``target(market, position)``.

    Raises:
        PolicyError: saying what it takes instead.
    """
    target = inspect.getattr_static(cls, "target", None)
    if target is None:
        own = [name for name, each in vars(cls).items() if inspect.isfunction(each)]
        raise PolicyError(
            f"{cls.__name__} has no method target(market, "
            f"position).{did_you_mean('target', own)}{line_of(cls)}"
        )
    function: Callable[..., Any] = cls.target  # type: ignore[attr-defined]  # it was found above
    if not callable(function) or inspect.iscoroutinefunction(function):
        kind = "async" if inspect.iscoroutinefunction(function) else type(function).__name__
        raise PolicyError(
            f"{cls.__name__}.target must be a plain method target(market, "
            f"position); it is {kind}{line_of(function) or line_of(cls)}"
        )
    bound = not isinstance(target, staticmethod | classmethod)
    try:
        parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    except ValueError:  # one written in C does not say
        raise PolicyError(
            f"{cls.__name__}.target must be a plain method target(market, position){line_of(cls)}"
        ) from None
    try:
        inspect.Signature(parameters).bind("market", "position")
    except TypeError:
        taken = ", ".join(str(p).partition(":")[0].strip() for p in parameters)
        raise PolicyError(
            f"{cls.__name__}.target must take (market, position); "
            f"yours takes ({taken}){line_of(function)}"
        ) from None


def made(cls: type, params: Mapping[str, Any]) -> Any:
    """An object of the class; parameters are checked against the constructor's annotations."""
    try:
        signature = inspect.signature(cls, eval_str=True)
    except (NameError, TypeError, ValueError):
        signature = inspect.signature(cls)
    known = signature.parameters
    free = any(p.kind is p.VAR_KEYWORD for p in known.values())
    named = [n for n, p in known.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = {}
    for name, value in params.items():
        if name not in named and not free:
            mean = difflib.get_close_matches(name, named, 1, 0.5)
            said = (
                f'; did you mean "{mean[0]}"?'
                if mean
                else f"; it takes {', '.join(named) or 'none'}"
            )
            raise PolicyError(f"{cls.__name__} has no parameter {name!r}{said}{line_of(cls)}")
        given[name] = _checked(cls, name, value, known[name].annotation if name in named else Any)
    lacking = [n for n in named if known[n].default is inspect.Parameter.empty and n not in given]
    if lacking:
        raise PolicyError(
            f"{cls.__name__} needs {', '.join(lacking)}: give params, or --set "
            f"policy.{lacking[0]}=VALUE{line_of(cls)}"
        )
    try:
        return cls(**given)
    except BaseException as error:  # noqa: BLE001  # a user's class may raise anything
        said = f"{explained(error)}{place_line(error)}"
        raise PolicyError(f"{cls.__name__} could not be made: {said}") from None


def _checked(cls: type, name: str, value: Any, annotation: Any) -> Any:
    if annotation in (inspect.Parameter.empty, Any) or isinstance(annotation, str):
        return value
    try:
        return _converted(value, annotation)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{cls.__name__}: {name}: {error}, was {value!r}{line_of(cls)}") from None


def _converted(value: Any, annotation: Any) -> Any:
    """A parameter as its annotation has it; as it is where that says nothing to us."""
    try:
        return msgspec.convert(value, annotation, strict=False, dec_hook=_of_time)
    except TypeError:
        pass
    if not isinstance(annotation, types.UnionType) and get_origin(annotation) is not Union:
        return value
    # Several kinds of which each could be written as a text: the first that it is.
    for kind in get_args(annotation):
        try:
            return _converted(value, kind)
        except msgspec.ValidationError:
            continue
    wanted = str(annotation).replace("typing.", "")
    raise msgspec.ValidationError(f"Expected `{wanted}`, got `{type(value).__name__}`")


def _of_time(kind: Any, value: Any) -> Any:
    """``date`` and ``datetime`` are classes of its own to a policy in a process of its own."""
    for known in (datetime, date):
        if inspect.isclass(kind) and issubclass(kind, known):
            found = msgspec.convert(value, known, strict=False)
            return cast("Any", kind).fromisoformat(found.isoformat())
    return value


def review_ns_of(review: Any, cls: type) -> int:
    """The grid that the class asks for by its attribute ``review``."""
    if review is None:
        return REVIEW_NS
    match = (
        re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", review)
        if isinstance(review, str)
        else None
    )
    if match is None:
        raise PolicyError(
            f'{cls.__name__}.review must be a duration such as "10s", was {review!r}{line_of(cls)}'
        )
    return round(float(match[1]) * _UNITS[match[2]])
