"""What oracle and engine are told alike: one product on one market, and the rows of a tape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HOUR = 3_600_000_000_000
Row = tuple[Any, ...]
"""``("mark" | "trade" | "index", ts, price)``, ``("bbo", ts, bid, ask)``, ``("heartbeat", ts)``,
``("funding", ts, rate, next_ns)``, ``("create" | "redeem", ts, id, user, quote | units)``,
``("stop" | "take", ts, id, user, units, level)``."""


@dataclass(frozen=True)
class Rules:
    """A primary market: a window of the day, open to all where its ends are one, in which requests
    are taken, or until which they wait; caps in quote atoms, of units in steps; splits at dates,
    and a merge of units below a NAV, looked at on a grid."""

    opens: int = 0
    closes: int = 0
    waits: bool = False
    request_max: int = 0
    user_day_max: int = 0
    day_max: int = 0
    nav_max: int = 0
    units_max: int = 0
    dates: tuple[tuple[int, int, int], ...] = ()
    merge_below: float = 0.0
    merge: int = 10
    merge_every: int = 24 * HOUR
    decimals: int = 8


@dataclass(frozen=True)
class Case:
    """One product on one market: money in quote atoms, times in ns, the rest as users write it."""

    seed: int
    holdings: tuple[tuple[str, int], ...] = ()
    inverse: bool = False
    formula: bool = False  # NAV is a promise, and the account its hedge
    index: bool = False  # which follows the index; the hedge stands at the mark
    source: str = "mark"  # the rows that value the position: "mark", "mid" (of bbo) or "trade"
    lot_size: float = 0.001  # in base; inverse: in contracts
    face: float = 1.0  # quote a contract; linear: base a contract
    taker_fee: float = 0.0
    half_spread_bps: float = 0.0
    # ("band", target, low, high), ("floor", max, cut to), ("schedule", target, every ns)
    policies: tuple[tuple[Any, ...], ...] = (("band", 3.0, 2.4, 3.6),)
    latency: int = 0
    queue: bool = False
    batch: int = 0  # requests are dealt together on this grid
    management_fee: float = 0.0
    fee_every: int = 24 * HOUR
    rate_8h: float | None = None  # none: from rows of the tape
    insurance: int = 0
    reserve: int = 0
    nav_every: int = 10**9
    primary: Rules = Rules()
