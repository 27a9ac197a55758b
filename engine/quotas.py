"""Requests that wait, and how much of a day's caps is used."""

from __future__ import annotations

from msgspec import Struct

from engine.events import CreationRequest, RedemptionRequest
from engine.offering import Offering

__all__ = ["DayBook", "Waiting"]


class Waiting(Struct, frozen=True):
    """A request that is dealt at ``due_ns`` or as soon afterwards as there is nothing in its
    way."""

    request: CreationRequest | RedemptionRequest
    due_ns: int


class DayBook(Struct):
    """What was taken on the day of a product that began at ``day_ns``, quote atoms by user."""

    day_ns: int = -1
    created: dict[str, int] = {}
    redeemed: dict[str, int] = {}
    created_total: int = 0
    redeemed_total: int = 0

    def turn(self, day_ns: int) -> None:
        """Another day: nothing was taken yet."""
        if day_ns != self.day_ns:
            self.day_ns = day_ns
            self.created, self.redeemed = {}, {}
            self.created_total = self.redeemed_total = 0

    def refusal(
        self, offering: Offering, user: str, quote: int, *, creates: bool
    ) -> tuple[str, int] | None:
        """Which cap a request is beyond, and how much of it is left."""
        if offering.request_max and quote > offering.request_max:
            return "request_cap", offering.request_max
        used, total = self.created, self.created_total
        if not creates:
            used, total = self.redeemed, self.redeemed_total
        left = offering.user_day_max - used.get(user, 0)
        if offering.user_day_max and quote > left:
            return "user_cap", left
        left = offering.day_max - total
        return ("day_cap", left) if offering.day_max and quote > left else None

    def note(self, user: str, quote: int, *, creates: bool) -> None:
        """A request was taken."""
        used = self.created if creates else self.redeemed
        used[user] = used.get(user, 0) + quote
        if creates:
            self.created_total += quote
        else:
            self.redeemed_total += quote
