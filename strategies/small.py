"""The small interface: a plain class with ``target(market, position) -> float``, asked on a grid of
event time.

The class may remember things in its own attributes. They become part of the product's state, so
that a snapshot holds them and two engines never share them; hence what it changes must be numbers,
texts, lists or dicts of these.
"""

from __future__ import annotations

import math
import numbers
import pickle
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from engine.policy import Decision, MarketView, PolicyAnswerError, SetLeverage, View
from engine.units import SECOND_NS
from engine.watch import Watch

__all__ = ["SmallPolicy", "SmallState", "place_of"]

_SHOWN: Final = ("mark", "price", "ewma_vol", "trend", "funding_rate")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where an object lies in memory differs from run to run; the output log must not."""
_OWN: Final = ("/strategies/small.py", "/strategies/user.py", "importlib")


class SmallState(Struct, frozen=True):
    """The next review, 0 before the first look, and what the class remembers (msgpack)."""

    next_ns: int = 0
    memory: bytes = b""


class SmallPolicy(Struct, frozen=True, kw_only=True):
    """Asks an object of a user's class for its target, at the opening and at every review.

    Attributes:
        name: of the class.
        model: the object; its attributes are set anew before each question.
        initial: images of its attributes after construction.
        review_ns: grid of the reviews, counted from 1970-01-01 UTC.
        limit: largest magnitude of leverage that the product takes.
    """

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = True
    de_risking: ClassVar[bool] = False

    name: str
    model: Any
    initial: dict[str, Any]
    review_ns: int
    limit: float

    @classmethod
    def around(cls, model: Any, *, review_ns: int, limit: float) -> SmallPolicy:
        """A policy of a freshly made object."""
        return cls(
            name=type(model).__name__,
            model=model,
            initial=_images(model),
            review_ns=review_ns,
            limit=limit,
        )

    def initial_state(self) -> SmallState:
        return SmallState()

    def watch(self, view: View, state: SmallState) -> Watch:
        return Watch(alarm_ns=state.next_ns or self._after(view.due_ns))

    def decide(self, view: View, state: SmallState) -> tuple[Decision | None, SmallState]:
        if state.next_ns and view.due_ns < state.next_ns:
            return None, state
        self._recall(state.memory)
        target = self._answer(view)
        explain = getattr(self.model, "explain", None)
        reason = str(explain()) if callable(explain) else f"{self.name} says {target:g}"
        return SetLeverage(target, reason), SmallState(self._after(view.due_ns), self._memory())

    def _after(self, ts_ns: int) -> int:
        return (ts_ns // self.review_ns + 1) * self.review_ns

    def _answer(self, view: View) -> float:
        """The target, a finite number within the limits.

        Raises:
            PolicyAnswerError: naming the class, what it answered or raised, and the market then.
        """
        what = f"{self.name}.target"
        then = f" at {_when(view.market.ts_ns)}"
        try:
            answer = self.model.target(view.market, view.position)
        except (Exception, SystemExit) as error:
            place = _file_line(error)
            said = _ADDRESS.sub("", f"{type(error).__name__}: {error}")
            raise PolicyAnswerError(
                f"{what} raised {said}{then}{place}. Market then: {_market(view.market)}"
            ) from error
        if type(answer) is bool or not isinstance(answer, numbers.Real):
            shown = f" {answer!r}" if isinstance(answer, str | bool | None) else ""
            raise PolicyAnswerError(
                f"{what} returned {type(answer).__name__}{shown}{then}; "
                "it must return a leverage "
                "(a number, e.g. 2.5)"
            )
        try:
            target = float(answer)
        except OverflowError:
            target = math.inf
        if not math.isfinite(target):
            hint = " (a division by ewma_vol?)" if view.market.ewma_vol == 0.0 else ""
            raise PolicyAnswerError(
                f"{what} returned {target}{then}; it must be finite. Market "
                f"then: {_market(view.market)}{hint}"
            )
        if abs(target) > self.limit:
            raise PolicyAnswerError(
                f"{what} returned {target}{then}, outside the product's limits "
                f"[{-self.limit:g}, {self.limit:g}]; "
                f"clamp it, or raise the product's limit. Market then: {_market(view.market)}"
            )
        return target

    def _recall(self, memory: bytes) -> None:
        """Let the object be as it was after its last answer."""
        own = getattr(self.model, "__dict__", None)
        if own is None:
            return
        own.clear()
        for name, image in self.initial.items():
            kept = isinstance(image, bytes)
            own[name] = pickle.loads(image) if kept else image[0]  # noqa: S301  # our own bytes
        if memory:
            own.update(msgspec.msgpack.decode(memory))

    def _memory(self) -> bytes:
        """The attributes that are no longer as they were made."""
        changed = {}
        for name, image in _images(self.model).items():
            if self.initial.get(name) == image:
                continue
            value = getattr(self.model, name)
            if not _is_plain(value):
                raise PolicyAnswerError(
                    f"{self.name} changed self.{name}, {type(value).__name__}: "
                    "a snapshot cannot hold it; keep "
                    "numbers, texts, lists and dicts"
                )
            changed[name] = value
        return msgspec.msgpack.encode(changed) if changed else b""


def _images(model: Any) -> dict[str, Any]:
    """Attributes as bytes; those that cannot be are kept as they are, in a tuple."""
    images: dict[str, Any] = {}
    for name, value in getattr(model, "__dict__", {}).items():
        try:
            images[name] = pickle.dumps(value)
        except Exception:  # noqa: BLE001  # pickling runs code of the user's classes
            images[name] = (value,)
    return images


def _is_plain(value: Any) -> bool:
    try:
        kept = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return False
    return type(kept) is type(value) and bool(kept == value)


def place_of(error: BaseException) -> str:
    """``  at FILE:LINE`` of the deepest frame that is a user's; empty where there is none."""
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
