"""What a scenario expects of a run: conditions on the figures of its summary.

``"products.*3L.max_drawdown > -0.9"``: a figure by its dotted path, one of ``< <= > >= == !=``, and
a number or ``none``. ``*`` stands for any name; every figure that is meant must keep to it. What is
only counted when it happens (``events``, ``rejected``, ``refused``) is 0 where it did not.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import isfinite, nan
from typing import Any, Final

from engine.config.complaints import nearest
from engine.events import EVENT_TYPES
from feeds.scenarios import Scenario, ScenarioError

__all__ = ["check_expectations", "judged"]

Object = dict[str, Any]

_CONDITION: Final = re.compile(r"\s*(\S+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")
_COMPARES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_KINDS: Final = sorted(str(each.__struct_config__.tag) for each in EVENT_TYPES)
_COUNTED: Final = ("events", "rejected", "refused")
_NONE: Final = "none"


def check_expectations(scenarios: Sequence[Scenario]) -> None:
    """Whether each can be understood.

    Raises:
        ScenarioError: with the place of the first that cannot.
    """
    for number, scenario in enumerate(scenarios):
        for name, condition in scenario.expect.items():
            try:
                _parsed(condition)
            except ValueError as error:
                raise ScenarioError(number, ("expect", name), f"{name}: {error}") from None


def _parsed(condition: str) -> tuple[str, str, float | None]:
    match = _CONDITION.fullmatch(condition)
    if match is None:
        said = 'expected a condition such as "products.BTC3L.nav_end > 0.1"'
        raise ValueError(f"{said}, was {condition!r}")
    figure, compare, text = match.groups()
    kind = figure.removeprefix("events.")
    if kind != figure and kind not in _KINDS and "*" not in kind and "?" not in kind:
        raise ValueError(f'there is no event "{kind}"{nearest(kind, _KINDS)}')
    if text == _NONE:
        if compare not in ("==", "!="):
            raise ValueError(f"none can only be == or !=, was {condition!r}")
        return figure, compare, None
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):  # with which a condition would hold, or not, whatever was
        raise ValueError(f"expected a number or none after {compare}, was {text!r}")
    return figure, compare, value


def judged(scenarios: Sequence[Scenario], summary: Object) -> list[Object]:
    """Each expectation with what was: ``name``, ``condition``, ``was`` by figure, ``held``."""
    found = []
    for scenario in scenarios:
        for name, condition in scenario.expect.items():
            figure, compare, value = _parsed(condition)
            was = dict(_figures(summary, figure.split("."), ()))
            known = list(_names(summary, figure.split(".")))
            held = bool(was) and all(_holds(compare, each, value) for each in was.values())
            row: Object = {"scenario": scenario.name, "name": name, "condition": condition}
            row |= {"was": was, "held": held}
            if not was:
                row["said"] = f"the run has no such figure{nearest(figure, known)}"
            found.append(row)
    return found


def _holds(compare: str, was: Any, value: float | None) -> bool:
    if value is None or was is None:
        return _COMPARES[compare](was, value) if compare in ("==", "!=") else False
    return isinstance(was, int | float) and _COMPARES[compare](was, value)


def _figures(node: Any, parts: Sequence[str], above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The figures that a path means, by their own paths."""
    if not parts:
        if not isinstance(node, dict | list):
            yield ".".join(above), node
        elif node:
            yield ".".join(above), True
        return
    if not isinstance(node, dict):
        return
    own = [key for key in node if fnmatchcase(key, parts[0])]
    if not own and above[-1:] and above[-1] in _COUNTED:
        yield ".".join((*above, parts[0])), 0
    for key in own:
        yield from _figures(node[key], parts[1:], (*above, key))


def _names(node: Any, parts: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Figures that are there, as far along the path as it leads."""
    if not isinstance(node, dict):
        return
    for key, inner in node.items():
        path = (*above, key)
        if len(path) == len(parts) and not isinstance(inner, dict):
            yield ".".join(path)
        elif len(path) < len(parts):
            yield from _names(inner, parts, path)
