"""What a user's policy answered: whether it is a leverage, and in words what it is instead."""

from __future__ import annotations

import math
import numbers
import sysconfig
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from engine.errors import OverTimeError
from engine.policy import MarketView, PolicyAnswerError, words_of
from engine.units import SECOND_NS

__all__ = ["REASON_MAX", "Spent", "bounded", "explained", "finite", "place_of", "raised"]

REASON_MAX: Final = 500
"""Characters of a reason: it is written beside every rebalance."""
_SHORT: Final = (str, bool, type(None))
_SHOWN: Final = ("mark", "price", "ewma_vol", "trend", "funding_rate")
_OWN: Final = ("engine", "feeds", "strategies")
_INSTALLED: Final = (sysconfig.get_path("stdlib"), "site-packages")
"""Whoever calls what is installed is asked for his own line."""


class Spent(Struct):
    """How often a user's policy was asked, and how long that took; no part of any result."""

    asked: int = 0
    ns: int = 0


def bounded(what: str, answer: Any, market: MarketView, limit: float, *, clamp: bool) -> float:
    """An answer as a leverage within the limits.

    Raises:
        PolicyAnswerError: if it is none, or lies beyond and ``clamp`` is not set.
    """
    target, then = finite(what, answer, market), f" at {_when(market.ts_ns)}"
    if abs(target) <= limit:
        return target
    if clamp:
        return math.copysign(limit, target)
    raise PolicyAnswerError(
        f"{what} returned {target}{then}, outside the product's limits [{-limit:g}, {limit:g}]; "
        'clamp it, set policy.on_out_of_range = "clamp", or raise the product\'s limit. '
        f"Market then: {_market(market)}"
    )


def finite(
    what: str, answer: Any, market: MarketView, wanted: str = "a leverage (a number, e.g. 2.5)"
) -> float:
    """An answer as a number, whichever kind of real number it was.

    Raises:
        PolicyAnswerError: if it is none, or none that is finite.
    """
    then = f" at {_when(market.ts_ns)}"
    try:
        is_real = type(answer) is not bool and isinstance(answer, numbers.Real)
        number = float(answer) if is_real else 0.0
    except OverflowError:
        is_real, number = True, math.inf
    except Exception as error:  # a number of the user's own may raise anything
        raise raised(what, error, market) from error
    if not is_real:
        shown = f" {answer!r}" if type(answer) in _SHORT else ""
        raise PolicyAnswerError(
            f"{what} returned {type(answer).__name__}{shown}{then}; it must return {wanted}"
        )
    if not math.isfinite(number):
        hint = " (a division by ewma_vol?)" if market.ewma_vol == 0.0 else ""
        raise PolicyAnswerError(
            f"{what} returned {number}{then}; it must be finite. Market "
            f"then: {_market(market)}{hint}"
        )
    return number


def raised(what: str, error: BaseException, market: MarketView) -> PolicyAnswerError:
    """The fault of a policy that raised, with the place in the user's own file; who interrupts the
    run is heard."""
    then = f" at {_when(market.ts_ns)}{_file_line(error)}"
    return PolicyAnswerError(
        f"{what} raised {explained(error)}{then}. Market then: {_market(market)}"
    )


def explained(error: BaseException) -> str:
    """What anything that a user's code raises says of itself.

    Raises:
        KeyboardInterrupt, OverTimeError: if it is that: the run is to end.
    """
    if isinstance(error, KeyboardInterrupt | OverTimeError):
        raise error
    return words_of(error)


def place_of(error: BaseException) -> str:
    """`` (at FILE:LINE)`` of the deepest frame that is a user's; empty where there is none.
    Ours are known by their modules: what is compiled knows no folder."""
    places = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _OWN
    ]
    users = [
        f"{file}:{line}"
        for file, line in places
        if not file.startswith("<") and not any(part in file for part in _INSTALLED)
    ]
    return f" (at {users[-1]})" if users else ""


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
