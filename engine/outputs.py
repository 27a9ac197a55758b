"""What one call of the heart gives back: events, product NAVs, user NAVs.

Product NAVs between two wakes lie on known lines, so they leave the heart as *lines and sample times*
(``NavBlock``) and become rows where somebody wants rows. Events come with their canonical bytes, encoded once.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.events import Output

__all__ = ["ATTRIBUTION", "NavBlock", "NavLine", "Outputs", "UserNavBlock"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

ATTRIBUTION: Final = (
    "price",
    "spread_impact",
    "basis",
    "fees",
    "funding",
    "management_fee",
    "liquidation",
    "adl",
    "interest",
    "issuer",
    "insurance",
    "rounding",
    "flows",
)
"""Where an equity change came from, in quote atoms; the sum is the equity change. ``price`` comes first."""


class NavLine(Struct, frozen=True, gc=False):
    """A product between two wakes: ``NAV(mark) = intercept + slope * mark`` in quote atoms.

    Attributes:
        product: index of the product.
        units: units outstanding, steps of 1e-8.
        intercept: quote atoms (float).
        slope: quote atoms per unit of mark price; ``exposure = slope * mark``.
        since_mark: mark at which the segment began.
        attribution: closed amounts in quote atoms, ``ATTRIBUTION`` order; ``price`` without the running segment.
    """

    product: int
    units: int
    intercept: float
    slope: float
    since_mark: float
    attribution: tuple[int, ...]


class NavBlock(Struct, frozen=True, eq=False):
    """Samples of one market's products: every line at every sample time.

    Attributes:
        market: index of the market.
        sequence: shape (n,) the input that let each sample time pass.
        ordinal: shape (n,) place of the sample's first line among the NAVs of that input; line ``i`` is ``+ i``.
        ts_ns: shape (n,) sample times.
        mark: shape (n,) the last mark price at or before them.
        lines: the products of the market, in declared order.
    """

    market: int
    sequence: I64
    ordinal: I64
    ts_ns: I64
    mark: F64
    lines: tuple[NavLine, ...]

    def __len__(self) -> int:
        return len(self.ts_ns) * len(self.lines)


class UserNavBlock(Struct, frozen=True, eq=False):
    """Holders of one product at one instant, valued exactly: ``nav_atoms = floor(units * nav / units_total)``.

    Attributes:
        reason: ``cadence``, ``holders`` (their units changed) or ``traded`` (the product did).
        users: shape (n,) indices of the users; ``None`` for all holders in order.
        units: shape (n,).
        product_nav_atoms, units_total: what the division used.
    """

    sequence: int
    ordinal: int
    ts_ns: int
    product: int
    reason: str
    users: I64 | None
    units: I64
    product_nav_atoms: int
    units_total: int


class Outputs(Struct, eq=False):
    """Everything one call said, in order. ``lines[i]`` is the canonical form of ``events[i]``."""

    events: list[Output]
    lines: list[bytes]
    nav: list[NavBlock]
    user_nav: list[UserNavBlock]

    @classmethod
    def empty(cls) -> Outputs:
        return cls([], [], [], [])

    def __bool__(self) -> bool:
        return bool(self.events or self.nav or self.user_nav)
