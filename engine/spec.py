"""What a run consists of, as the heart needs it, and what the engine itself remembers and notes."""

from __future__ import annotations

from msgspec import Struct

from engine.market import MarketSpec
from engine.policy import Policy
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.venue.accounts import TraderSpec
from engine.venue.crowd import CrowdSpec

__all__ = ["Announcement", "EngineSpec", "EngineState"]


class EngineSpec(Struct, frozen=True, kw_only=True):
    """A run as the heart needs it; ``engine.config`` makes it from a configuration file.

    Attributes:
        symbols: names by symbol index.
        markets: at most one per symbol.
        products: with ``market`` as index into ``markets``.
        policies: one tuple per product.
        population, users: how many numbered users there are, and the named ones after them.
        traders: the venue's other customers.
        crowds: background populations.
        seed: of what the venue draws.
        sampling: cadences.
        config_hash: what a snapshot must agree with.
    """

    symbols: tuple[str, ...]
    markets: tuple[MarketSpec, ...]
    products: tuple[ProductSpec, ...]
    policies: tuple[tuple[Policy, ...], ...]
    population: int = 0
    users: tuple[str, ...] = ()
    traders: tuple[TraderSpec, ...] = ()
    crowds: tuple[CrowdSpec, ...] = ()
    seed: int = 0
    sampling: Sampling = Sampling()
    config_hash: str = ""


class EngineState(Struct):
    """What the engine itself remembers."""

    sequence: int = 0
    time_ns: int = 0
    rung_ns: int = 0
    ticks: int = 0
    wakes: int = 0
    wakes_empty: int = 0
    rejected: dict[str, int] = {}
    requests: dict[str, int] = {}
    commands: dict[str, int] = {}


class Announcement(Struct, frozen=True, gc=False):
    """A funding row named an instant: an alarm is to be set, or the row is late."""

    symbol: int
    ts_ns: int
    next_ns: int
