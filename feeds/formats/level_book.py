"""A book whose levels have names: which changes may be applied to it, and at what prices.

Changes say what happens to a level by its name. A number that does not follow the last one tells of
a lost change; where there are none the book itself tells: an update or a removal of a level that is
not there, or another insertion of one that is. Then nothing is applied until the next image.
"""

from __future__ import annotations

from collections.abc import Sequence

from feeds.formats.gathering import Pairs
from feeds.formats.said import Level, Said

__all__ = ["LevelBook", "OutOfSync"]


class OutOfSync(ValueError):  # noqa: N818 - a state of the book
    """A change that cannot be applied, for the book is not the one that it builds on."""


class LevelBook:
    """The levels of one symbol by name and side.

    Attributes:
        breaks: how often it got lost.
    """

    def __init__(self) -> None:
        self.breaks = 0
        self._synced = False
        self._number: int | None = None
        self._prices: dict[tuple[float, int], float] = {}

    def lose(self) -> None:
        """A change may be missing: wait for an image."""
        self.breaks += self._synced
        self._synced = False

    def image(self, levels: Sequence[Level], number: int | None = None) -> tuple[Pairs, Pairs]:
        """Take a whole book; its bids and asks.

        A side that is empty now shows one removal, so that whoever keeps the book drops that side.

        Raises:
            ValueError: if a level has no price or no size.
        """
        sides: dict[int, Pairs] = {1: [], -1: []}
        prices = {}
        for level in levels:
            if level.price is None or level.size is None:
                raise ValueError("a level of an image has no price or no size")
            prices[level.key, level.side] = level.price
            sides[level.side].append((level.price, level.size))
        for (_, side), price in self._prices.items():
            if not sides[side]:
                sides[side].append((price, 0.0))
        self._prices = prices
        self._number = number
        self._synced = True
        return sides[1], sides[-1]

    def change(self, said: Said) -> tuple[Pairs, Pairs]:
        """Take a message's removals, updates and insertions, in this order; bids and asks changed.

        Raises:
            OutOfSync: if no image came, or this does not fit it; nothing of the message counts.
        """
        if not self._synced:
            raise OutOfSync("a change of a book that has no image, or lost a change since")
        if said.after is not None and self._number is not None and said.after != self._number:
            self.lose()
            raise OutOfSync(f"it follows message {said.after}, and {self._number} came last")
        sides: dict[int, Pairs] = {1: [], -1: []}
        try:
            for level in said.deletes:
                price = self._prices.pop((level.key, level.side))
                sides[level.side].append((price, 0.0))
            for level in said.updates:
                price = self._prices[level.key, level.side]
                sides[level.side].append((price, _size(level)))
        except KeyError:
            self.lose()
            raise OutOfSync(f"the book has no level {level.key:.15g} on that side") from None
        for level in said.inserts:
            if (level.key, level.side) in self._prices or level.price is None:
                self.lose()
                raise OutOfSync(f"level {level.key:.15g} is there already, or comes without price")
            self._prices[level.key, level.side] = level.price
            sides[level.side].append((level.price, _size(level)))
        for level in said.sets:
            self._set(level, sides[level.side])
        self._number = said.number
        return sides[1], sides[-1]

    def _set(self, level: Level, pairs: Pairs) -> None:
        key, size = (level.key, level.side), _size(level)
        if size == 0.0:
            self._prices.pop(key, None)
        else:
            self._prices[key] = level.key
        pairs.append((level.key, size))


def _size(level: Level) -> float:
    return float("nan") if level.size is None else level.size
