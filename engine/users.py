"""Who holds units: names and their indices.

A population is named by its number (``u1`` ... ``uN``) and costs no table; users named in the
configuration, and those who arrive with a request, come after it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Users"]


class Users:
    """Names of the users, by index."""

    __slots__ = ("_names", "_numbers", "population")

    def __init__(self, population: int = 0, names: Sequence[str] = ()) -> None:
        self.population = population
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        for name in names:
            self.admit(name)

    def __len__(self) -> int:
        return self.population + len(self._names)

    def name(self, user: int) -> str:
        """The name of the user with that index."""
        if user < self.population:
            return f"u{user + 1}"
        return self._names[user - self.population]

    def index(self, name: str) -> int | None:
        """The index of a user, if we know him."""
        number = self._numbers.get(name)
        if number is not None:
            return number
        digits = name[1:]
        # Nobody's number is longer than the last one's, and Python reads no more than 4,300 digits.
        if name[:1] != "u" or not 0 < len(digits) <= len(str(self.population)):
            return None
        if digits.isascii() and digits.isdigit() and digits[0] != "0":
            place = int(digits) - 1
            return place if place < self.population else None
        return None

    def admit(self, name: str) -> int:
        """The index of a user, who is new where we did not know him."""
        number = self.index(name)
        if number is None:
            number = self._numbers[name] = len(self)
            self._names.append(name)
        return number

    def named(self) -> list[str]:
        """The users beyond the population, in the order of their indices."""
        return list(self._names)
