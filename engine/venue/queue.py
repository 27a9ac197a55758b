"""The place of a resting order in the queue of its price, and when it is filled.

Others' lots are ahead of ours or behind. A trade at our price takes from the front: what goes
beyond those ahead fills us. A level that shrinks without a trade was cancelled by somebody, behind
us with the probability ``f(back) / (f(back) + f(front))``, where ``f(x)`` is ``x^n`` or
``ln(1 + x)``: that share of the decrease is taken from behind, the rest from ahead. Whoever comes
is behind us. A price beyond ours, traded or quoted by the other side, has passed our whole level:
then we are filled, at our own price.

With 60 lots ahead of us and 40 behind, n = 1, ten cancelled are 4 from behind and 6 from ahead.

Lots ahead are an estimate, and a float; what is filled is whole lots, rounded down, and the part of
a lot that has passed us counts for the next trade.

Source: venue notes 4.1, the queue model of hftbacktest (the probability), stated anew.
"""

from __future__ import annotations

from math import floor, inf
from typing import Literal

from msgspec import Struct

from engine.exact import log2, power

__all__ = ["QueueSpec", "Resting", "pass_level", "pass_quote", "pass_trade", "share_behind"]


class QueueSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in a queue lots are cancelled: ``power`` with the ``exponent`` n, or ``log``. Larger
    exponents spare who is in front."""

    model: Literal["power", "log"] = "power"
    exponent: float = 3.0


class Resting(Struct):
    """An order in the queue of its price.

    Attributes:
        side: +1 a bid, -1 an ask.
        price: its limit.
        lots: not filled yet, unsigned.
        ahead: lots of others before it, infinite where nobody knows; below zero the part of a lot
            that has passed it.
        level: others' lots at its price when that was last told, infinite while ``ahead`` is.
        traded: lots that traded at its price since.
        rested_ns: when it came to rest.
    """

    side: int
    price: float
    lots: int
    ahead: float
    level: float
    traded: float
    rested_ns: int


def share_behind(spec: QueueSpec, front: float, back: float) -> float:
    """Probability that a lot cancelled of a level lay behind us, with so much in front and behind;
    both finite and not below zero, not both zero. For ``log`` the unit matters: the venue's own."""
    if spec.model == "log":
        before, behind = log2(1.0 + front), log2(1.0 + back)
    else:
        # Shares of the larger: the power of a large number would leave the floats.
        whole = max(front, back)
        before, behind = power(front / whole, spec.exponent), power(back / whole, spec.exponent)
    return behind / (before + behind)


def pass_trade(resting: Resting, price: float, lots: int, aggressor: int) -> int:
    """A trade; the lots of ours that it fills.

    Args:
        resting: our order, which is moved on.
        price: of the trade.
        lots: its size.
        aggressor: +1 a buyer, -1 a seller, 0 unknown; who takes from our own side only.
    """
    beyond = resting.side * (resting.price - price)
    if beyond > 0.0:
        return _filled(resting, resting.lots)
    if beyond < 0.0 or aggressor == resting.side:
        return 0
    resting.traded += lots
    resting.ahead -= lots
    passed = floor(max(-resting.ahead, 0.0))
    return _filled(resting, min(resting.lots, passed))


def _filled(resting: Resting, lots: int) -> int:
    resting.lots -= lots
    resting.ahead += lots
    return lots


def pass_level(spec: QueueSpec, resting: Resting, lots: float, lot_size: float) -> None:
    """The level at our price holds so many lots of others now.

    What traded since it was last told is part of the decrease already. There are never more ahead
    of us than there are.
    """
    before, traded = resting.level, resting.traded
    resting.level, resting.traded = lots, 0.0
    ahead = resting.ahead
    if ahead <= 0.0:
        return
    cancelled = before - traded - lots
    if before < inf and cancelled > 0.0:
        back = max(before - traded - ahead, 0.0)
        behind = share_behind(spec, ahead * lot_size, back * lot_size) * cancelled
        ahead -= cancelled - behind
    resting.ahead = max(min(ahead, lots), 0.0)


def pass_quote(resting: Resting, price: float) -> int:
    """The other side quotes this price; the lots of ours that it fills: all, where it is at our
    price or beyond."""
    if resting.side * (resting.price - price) < 0.0:
        return 0
    return _filled(resting, resting.lots)
