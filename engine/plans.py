"""How a decision is carried out over time: plans are data, in a decision or in the configuration.

Where a decision names none, openings and rebalances take the product's own plan; creations,
redemptions, deleveragings and closes are urgent, and are carried out now.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from engine.venue.taking import TimeInForce

__all__ = [
    "NOW",
    "PLAN_SECONDS_MAX",
    "LimitThenMarket",
    "Now",
    "Participate",
    "Plan",
    "Restrike",
    "Twap",
]

PLAN_SECONDS_MAX: Final = 86_400.0
"""No pause, window or patience of a plan is longer than a day."""
_CHUNKS_MAX: Final = 10_000
_OFFSET_BPS_MAX: Final = 5_000.0


class Now(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="now",
    tag_field="type",
):
    """One order at market, after the latency.

    With ``slippage_bps`` it trades no farther than that from the mid of when it was sent, once:
    what is not there at such a price is given up, and left to the next decision. From a mid of
    1,000 a purchase capped at 100 bps goes up to 1,010. A promise (``nav = "formula"``) was made
    whatever its hedge costs, and is hedged without a cap.
    """

    slippage_bps: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.slippage_bps <= _OFFSET_BPS_MAX:
            said = f"slippage_bps must be from 0 to {_OFFSET_BPS_MAX:g}, was {self.slippage_bps}"
            raise ValueError(f"now: {said}")


class Twap(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="twap", tag_field="type"
):
    """Equal parts at equal distances: the first when the order arrives, the next ``every_s`` later.

    Nine lots in two chunks are five and four. A chunk that the book takes in part, or the venue
    refuses, delays the rest. Where the price has meanwhile done a part of the work, less is
    traded; where it has done all of it, the plan ends.

    Args:
        chunks: how many parts, as few as ``largest`` allows.
        largest: most that a part may be worth, quote; 0: any.
        every_s: from one part to the next; a cooldown.
    """

    chunks: int = 1
    largest: float = 0.0
    every_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.chunks <= _CHUNKS_MAX:
            raise ValueError(f"twap: chunks must be from 1 to {_CHUNKS_MAX}, was {self.chunks}")
        if not 0.0 <= self.largest < float("inf"):
            raise ValueError(f"twap: largest must be 0 or more, was {self.largest}")
        _pause("twap", "every_s", self.every_s)


class Participate(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="participate",
    tag_field="type",
):
    """A share of what others trade: every ``every_s`` at most ``share`` of the volume since the
    last time, rounded down; what is left after ``timeout_s`` goes on at market.

    Volume is what the feed's trades show, each to the nearest lot, late ones included. A market
    without trades leaves all to the time-out.
    """

    share: float = 0.1
    every_s: float = 10.0
    timeout_s: float = 3_600.0

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"participate: share must be above 0 and at most 1, was {self.share}")
        _pause("participate", "every_s", self.every_s)
        _pause("participate", "timeout_s", self.timeout_s)


class LimitThenMarket(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="limit", tag_field="type"
):
    """An order at a price ``offset_bps`` on our own side of mid; what is not filled ``timeout_s``
    after it arrived goes on at market. ``time_in_force`` and ``post_only`` as in
    ``engine.venue.taking``."""

    offset_bps: float = 0.0
    timeout_s: float = 5.0
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False

    def __post_init__(self) -> None:
        if not abs(self.offset_bps) <= _OFFSET_BPS_MAX:
            raise ValueError(
                f"limit: offset_bps must lie within {_OFFSET_BPS_MAX:g} of 0, was {self.offset_bps}"
            )
        if not 0.0 <= self.timeout_s <= PLAN_SECONDS_MAX:
            raise ValueError(f"limit: timeout_s must be from 0 to a day, was {self.timeout_s}")


class Restrike(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restrike", tag_field="type"
):
    """A window of observation, then all at once at its price, with a counterparty that owes it: no
    book is walked. How much that is, is known then: what leads to the target at that price.

    The window opens ``delay_s`` after the order has arrived and is looked at every ``every_s``,
    its ends included. ``price = "worst"``: the lowest mark seen for a sale, the highest for a
    purchase (GraniteShares); ``"average"``: the mean (Leverage Shares: five minutes, then ten).

    Source: ``products.md`` 1.7.
    """

    delay_s: float = 0.0
    window_s: float = 600.0
    every_s: float = 1.0
    price: Literal["worst", "average"] = "average"

    def __post_init__(self) -> None:
        if not 0.0 <= self.delay_s <= PLAN_SECONDS_MAX:
            raise ValueError(f"restrike: delay_s must be from 0 to a day, was {self.delay_s}")
        if not 0.0 <= self.window_s <= PLAN_SECONDS_MAX:
            raise ValueError(f"restrike: window_s must be from 0 to a day, was {self.window_s}")
        _pause("restrike", "every_s", self.every_s)


Plan = Now | Twap | Participate | LimitThenMarket | Restrike
NOW: Final = Now()


def _pause(plan: str, name: str, seconds: float) -> None:
    if not 0.001 <= seconds <= PLAN_SECONDS_MAX:
        raise ValueError(f"{plan}: {name} must be from 0.001 to a day, was {seconds}")
