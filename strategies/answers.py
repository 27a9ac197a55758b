"""What a user's policy answered: whether it is a leverage, and in words what it is instead."""

from __future__ import annotations

import math
import numbers
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from engine.policy import MarketView, PolicyAnswerError
from engine.units import SECOND_NS

__all__ = ["Spent", "bounded", "place_of", "raised"]

_SHOWN: Final = ("mark", "price", "ewma_vol", "trend", "funding_rate")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where an object lies in memory differs from run to run; the output log must not."""
_OWN: Final = (
    *("/strategies/answers.py", "/strategies/small.py", "/strategies/full.py"),
    *("/strategies/user.py", "/strategies/user_class.py", "importlib"),
)


class Spent(Struct):
    """How often a user's policy was asked, and how long that took; no part of any result."""

    asked: int = 0
    ns: int = 0


def bounded(what: str, answer: Any, market: MarketView, limit: float, *, clamp: bool) -> float:
    """An answer as a leverage within the limits.

    Raises:
        PolicyAnswerError: if it is none, or lies beyond and ``clamp`` is not set.
    """
    then = f" at {_when(market.ts_ns)}"
    if type(answer) is bool or not isinstance(answer, numbers.Real):
        shown = f" {answer!r}" if isinstance(answer, str | bool | None) else ""
        raise PolicyAnswerError(
            f"{what} returned {type(answer).__name__}{shown}{then}; "
            "it must return a leverage (a number, e.g. 2.5)"
        )
    try:
        target = float(answer)
    except OverflowError:
        target = math.inf
    if not math.isfinite(target):
        hint = " (a division by ewma_vol?)" if market.ewma_vol == 0.0 else ""
        raise PolicyAnswerError(
            f"{what} returned {target}{then}; it must be finite. Market "
            f"then: {_market(market)}{hint}"
        )
    if abs(target) <= limit:
        return target
    if clamp:
        return math.copysign(limit, target)
    raise PolicyAnswerError(
        f"{what} returned {target}{then}, outside the product's limits [{-limit:g}, {limit:g}]; "
        'clamp it, set policy.on_out_of_range = "clamp", or raise the product\'s limit. '
        f"Market then: {_market(market)}"
    )


def raised(what: str, error: BaseException, market: MarketView) -> PolicyAnswerError:
    """The fault of a policy that raised, with the place in the user's own file."""
    said = _ADDRESS.sub("", f"{type(error).__name__}: {error}")
    then = f" at {_when(market.ts_ns)}{_file_line(error)}"
    return PolicyAnswerError(f"{what} raised {said}{then}. Market then: {_market(market)}")


def place_of(error: BaseException) -> str:
    """`` (at FILE:LINE)`` of the deepest frame that is a user's; empty where there is none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not any(own in frame.filename for own in _OWN)
    ]
    users = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f" (at {users[-1].filename}:{users[-1].lineno})" if users else ""


def _file_line(error: BaseException) -> str:
    """``place_of`` with the file's name alone: a fault is part of the output log, which must not
    know where the run was started."""
    place = place_of(error).removeprefix(" (at ").removesuffix(")")
    return f" (at {Path(place).name})" if place else ""


def _when(ts_ns: int) -> str:
    time = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{ts_ns % SECOND_NS:09d}Z"


def _market(market: MarketView) -> str:
    return " ".join(f"{name}={getattr(market, name):.10g}" for name in _SHOWN)
