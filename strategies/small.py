"""The small interface: a plain class with ``target(market, position) -> float``, asked on a grid of
event time.

The class may remember things in its own attributes, slots among them. They become part of the
product's state, so that a snapshot holds them and two engines never share them; hence what it
changes must be numbers, texts, lists or dicts of these.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from time import perf_counter_ns
from types import MemberDescriptorType
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Struct

from engine.errors import PolicyError
from engine.policy import Decision, PolicyAnswerError, SetLeverage, View, is_text
from engine.watch import Watch
from strategies.answers import REASON_MAX, Spent, bounded, raised

__all__ = ["SmallPolicy", "SmallState"]

_PLAIN: Final = frozenset({float, int, str, bool, bytes, type(None)})
_MISSING: Final = object()


class SmallState(Struct, frozen=True):
    """The next review, 0 before the first look, and what the class remembers (msgpack)."""

    next_ns: int = 0
    memory: bytes = b""


class SmallPolicy(Struct, frozen=True, kw_only=True):
    """Asks an object of a user's class for its target, at the opening and at every review.

    Attributes:
        name: of the class.
        model: the object; its attributes are set anew before each question.
        plain: its attributes after construction that nobody can change from within: numbers, texts.
        images: the others, as bytes, or in a tuple where they cannot be.
        slots: of its attributes that stand in no ``__dict__``, by name.
        review_ns: grid of the reviews, counted from 1970-01-01 UTC.
        limit: largest magnitude of leverage that the product takes.
        clamp: whether an answer beyond it is brought back to it; it is a fault without.
        spent: how long the answers took.
    """

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = True
    de_risking: ClassVar[bool] = False

    name: str
    model: Any
    plain: dict[str, Any]
    images: dict[str, Any]
    slots: dict[str, MemberDescriptorType]
    review_ns: int
    limit: float
    clamp: bool
    spent: Spent

    @classmethod
    def around(
        cls, model: Any, *, review_ns: int, limit: float, clamp: bool = False
    ) -> SmallPolicy:
        """A policy of a freshly made object.

        Raises:
            PolicyError: if it keeps an iterator, of which no snapshot says where it stands.
        """
        slots = _slots(type(model))
        own = {**getattr(model, "__dict__", {}), **_filled(model, slots)}
        images = {n: _image(value) for n, value in own.items() if type(value) not in _PLAIN}
        for name, image in images.items():
            if type(image) is tuple and isinstance(image[0], Iterator):
                raise PolicyError(
                    f"{type(model).__name__} keeps self.{name}, {type(image[0]).__name__}: a "
                    "snapshot cannot hold where it stands; keep a list and a number"
                )
        return cls(
            name=type(model).__name__,
            model=model,
            plain={name: value for name, value in own.items() if type(value) in _PLAIN},
            images=images,
            slots=slots,
            review_ns=review_ns,
            limit=limit,
            clamp=clamp,
            spent=Spent(),
        )

    def initial_state(self) -> SmallState:
        return SmallState()

    def watch(self, view: View, state: SmallState) -> Watch:
        return Watch(alarm_ns=state.next_ns or self._after(view.due_ns))

    def decide(self, view: View, state: SmallState) -> tuple[Decision | None, SmallState]:
        if state.next_ns and view.due_ns < state.next_ns:
            return None, state
        began = perf_counter_ns()
        self._recall(state.memory)
        target, reason = self._answer(view), self._explained(view)
        kept = SmallState(self._after(view.due_ns), self._memory())
        self.spent.asked += 1
        self.spent.ns += perf_counter_ns() - began
        return SetLeverage(target, reason or f"{self.name} says {target:g}"), kept

    def _after(self, ts_ns: int) -> int:
        return (ts_ns // self.review_ns + 1) * self.review_ns

    def _answer(self, view: View) -> float:
        """The target, a finite number within the limits.

        Raises:
            PolicyAnswerError: naming the class, what it answered or raised, and the market then.
        """
        try:
            # Frozen structs can be written to with some effort: these are his own.
            answer = self.model.target(copy(view.market), copy(view.position))
        except BaseException as error:
            raise raised(f"{self.name}.target", error, view.market) from error
        if type(answer) is float and -self.limit <= answer <= self.limit:
            return answer
        return bounded(f"{self.name}.target", answer, view.market, self.limit, clamp=self.clamp)

    def _explained(self, view: View) -> str:
        """What the class says of its answer, in one line; empty where it says nothing."""
        try:
            explain = getattr(self.model, "explain", None)
            said = " ".join(str(explain()).split())[:REASON_MAX] if explain is not None else ""
        except BaseException as error:
            raise raised(f"{self.name}.explain", error, view.market) from error
        if not is_text(said):
            raise PolicyAnswerError(f"{self.name}.explain gave {said!r}; it cannot be written")
        return said

    def _recall(self, memory: bytes) -> None:
        """Let the object be as it was after its last answer."""
        known = dict(self.plain)
        for name, image in self.images.items():
            kept = isinstance(image, bytes)
            known[name] = pickle.loads(image) if kept else image[0]  # noqa: S301  # our own bytes
        if memory:
            known.update(msgspec.msgpack.decode(memory))
        if self.slots:
            for name in _filled(self.model, self.slots):
                self.slots[name].__delete__(self.model)
            for name in self.slots.keys() & known.keys():
                self.slots[name].__set__(self.model, known.pop(name))
        own = getattr(self.model, "__dict__", None)
        if own is not None:
            own.clear()
            own.update(known)

    def _memory(self) -> bytes:
        """The attributes that are no longer as they were made."""
        changed, plain = {}, self.plain
        own = getattr(self.model, "__dict__", {})
        if self.slots:
            own = {**own, **_filled(self.model, self.slots)}
        for name, value in own.items():
            if plain.get(name, _MISSING) is value or self._is_as_made(name, value):
                continue
            if not _is_plain(value):
                raise PolicyAnswerError(
                    f"{self.name} changed self.{name}, {type(value).__name__}: "
                    "a snapshot cannot hold it; keep "
                    "numbers, texts, lists and dicts"
                )
            changed[name] = value
        return msgspec.msgpack.encode(changed) if changed else b""

    def _is_as_made(self, name: str, value: Any) -> bool:
        made = self.images.get(name)
        if made is None:
            made = _image(self.plain[name]) if name in self.plain else None
        return made is not None and bool(_image(value) == made)


def _slots(cls: type) -> dict[str, MemberDescriptorType]:
    """Attributes that a class, or a struct, has a place of its own for."""
    return {
        name: each
        for kind in reversed(cls.__mro__)
        for name, each in vars(kind).items()
        if isinstance(each, MemberDescriptorType) and not name.startswith("__")
    }


def _filled(model: Any, slots: dict[str, MemberDescriptorType]) -> dict[str, Any]:
    """What stands in them, as far as anything does."""
    found = {}
    for name, slot in slots.items():
        with suppress(AttributeError):
            found[name] = slot.__get__(model)
    return found


def _image(value: Any) -> Any:
    """An attribute as bytes; one that cannot be is kept as it is, in a tuple."""
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001  # pickling runs code of the user's classes
        return (value,)


def _is_plain(value: Any) -> bool:
    try:
        return _alike(msgspec.msgpack.decode(msgspec.msgpack.encode(value)), value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return False


def _alike(kept: Any, value: Any) -> bool:
    """Whether they are the same in kind, too; what is no number is like itself."""
    if type(kept) is not type(value):
        return False
    if isinstance(kept, list):
        return len(kept) == len(value) and all(map(_alike, kept, value))
    if isinstance(kept, dict):
        return list(kept) == list(value) and all(map(_alike, kept.values(), value.values()))
    return bool(kept == value or kept != kept)  # only nan is not itself
