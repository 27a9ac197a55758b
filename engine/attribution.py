"""Where a NAV change came from: the causes as they stand, and the price part split.

The causes of an account sum to its change of equity, the parts of ``engine/price_split.py`` to its
price part, both in whole quote atoms.
"""

from __future__ import annotations

import math

from engine.account import Account
from engine.outputs import ATTRIBUTION
from engine.price_split import whole_parts

__all__ = ["attribution", "price_split"]


def attribution(account: Account, mark: float) -> dict[str, int]:
    """Quote atoms by cause up to ``mark``; they sum to ``nav(mark) - equity_start``."""
    return dict(zip(ATTRIBUTION, account.causes(mark), strict=True))


def price_split(account: Account, mark: float) -> dict[str, float]:
    """The price part up to ``mark``, in whole quote atoms; the five sum to it. Where they leave
    what a float can hold they are no numbers."""
    price = account.causes(mark)[0]
    parts = account.state.split.parts(account.at(mark), float(price))
    if not all(map(math.isfinite, parts.values())):
        return parts
    return {**whole_parts(parts, price)}
