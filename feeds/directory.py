"""Users by name in arrays: a small number for each user that one process looks after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from feeds.user_blocks import UserBlock, number_of

__all__ = ["Directory"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

NUMBERS_MAX: Final = 2**20
"""Users ``u1`` ... ``uN`` who are looked up in an array before a block says how many there are."""


class Directory:
    """Slots of users, counted from 0 in the order in which they were first heard of."""

    def __init__(self) -> None:
        self._names: list[str | int] = []
        self._named: dict[str, int] = {}
        self._far: dict[int, int] = {}
        self._numbered: I64 = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, slot: int) -> str:
        """Whose slot it is."""
        name = self._names[slot]
        return name if isinstance(name, str) else f"u{name + 1}"

    def slots_of_names(self, names: Sequence[str]) -> I64:
        """A slot for each name; newcomers get the next ones."""
        return np.fromiter(map(self._slot, names), np.int64, len(names))

    def slots_of_block(self, block: UserBlock) -> I64:
        """A slot for each user of a block, without a look at the names of a population."""
        numbers = block.users[: block.numbered].astype(np.int64)
        if len(numbers):
            self._cover(int(numbers[-1]) + 1)
        slots = self._numbered.take(numbers)
        strangers = numbers[slots < 0]
        if len(strangers):
            self._numbered[strangers] = np.arange(len(self), len(self) + len(strangers))
            self._names += strangers.tolist()
            slots = self._numbered.take(numbers)
        if not block.names:
            return slots
        return np.concatenate([slots, self.slots_of_names(block.names)])

    def _slot(self, name: str) -> int:
        number = number_of(name)
        if number is not None and number < max(NUMBERS_MAX, len(self._numbered)):
            self._cover(number + 1)
            slot = int(self._numbered[number])
            if slot < 0:
                slot = self._numbered[number] = self._admit(number)
            return int(slot)
        if number is not None:
            if number not in self._far:
                self._far[number] = self._admit(number)
            return self._far[number]
        if name not in self._named:
            self._named[name] = self._admit(name)
        return self._named[name]

    def _admit(self, name: str | int) -> int:
        self._names.append(name)
        return len(self._names) - 1

    def _cover(self, count: int) -> None:
        """Let the array reach so many numbers; who was kept elsewhere until now moves in."""
        missing = count - len(self._numbered)
        if missing <= 0:
            return
        missing = max(missing, len(self._numbered) // 2)
        self._numbered = np.concatenate([self._numbered, np.full(missing, -1, np.int64)])
        for number in [n for n in self._far if n < len(self._numbered)]:
            self._numbered[number] = self._far.pop(number)
