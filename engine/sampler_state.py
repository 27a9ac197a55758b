"""How often NAVs are sampled, and what the sampler remembers."""

from __future__ import annotations

from msgspec import Struct

from engine.units import NEVER_NS

__all__ = ["SamplerState", "Sampling"]


class Sampling(Struct, frozen=True, kw_only=True):
    """How often products and users are valued; 0 never. ``users_on_trade``: holders at once when
    their product traded."""

    nav_every_ns: int = 1_000_000_000
    user_nav_every_ns: int = 0
    users_on_trade: bool = False


class SamplerState(Struct):
    """Next sample times, how many NAV records the last input had, and how many sample times were
    left out."""

    next_ns: int = NEVER_NS
    next_users_ns: int = NEVER_NS
    sequence: int = -1
    ordinal: int = 0
    users_sequence: int = -1
    users_ordinal: int = 0
    left_out: int = 0
