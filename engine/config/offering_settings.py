"""When and how much of a product is created and redeemed, as a configuration says it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.durations import Duration

__all__ = ["AnnouncedConfig", "OfferingConfig", "SecondaryConfig", "SplitConfig"]


class OfferingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The primary market of a product; without any of it, requests are dealt as they come.

    Times of the day are of ``utc_offset``, and so are the days of the caps. Requests are taken in
    ``window`` (from, until), at other times refused, or queued until it opens. With ``batch_every``
    they wait for the next instant of a grid that begins at ``batch_at`` and are dealt there
    together. Caps are in quote, ``units_max`` in units: of one request, of a user's and of all in a
    day (creations and redemptions apart), and of the whole product.
    """

    utc_offset: str = "+00:00"
    window: tuple[str, str] | None = None
    outside: Literal["refuse", "queue"] = "refuse"
    batch_every: Duration | None = None
    batch_at: str = "00:00"
    request_max: float | None = None
    user_day_max: float | None = None
    day_max: float | None = None
    nav_max: float | None = None
    units_max: float | None = None


class AnnouncedConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At ``at`` (a time such as ``2021-08-17T00:00:00Z``) every ``old`` units become ``new``."""

    at: str
    new: int = 1
    old: int = 1


class SplitConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Splits and merges of a product's units.

    Once a day at ``at`` (UTC) ``merge`` units become one where NAV per unit is below
    ``merge_below``, and at the times of ``announced`` what these say. A holder's units have
    ``decimals``; what is left below is paid out.
    """

    merge_below: float = 0.0
    merge: int = 10
    at: str = "00:00"
    announced: tuple[AnnouncedConfig, ...] = ()
    decimals: int = 8


class SecondaryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a product's units are traded beside its primary market.

    Who is turned away from it moves their premium over NAV by 1 % for each ``depth_at_1pct`` of
    quote; half of a premium is gone after ``half_life``. Open creations and redemptions hold it
    within their costs. No order farther from NAV than the share ``limit`` is taken.
    """

    depth_at_1pct: float
    half_life: Duration = "1d"
    limit: float = 0.9
