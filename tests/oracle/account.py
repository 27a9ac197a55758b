"""One account in exact fractions: what it is worth, what a fill costs, where its equity came from.

Money that moves is whole atoms: the payer rounds up, the payee down, the pool is never diluted by
rounding. Everything else is exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, trunc
from typing import Any

from tests.oracle.case import Case, Row

ATOMS, COIN_ATOMS, UNIT_STEPS = 10**6, 10**8, 10**8
ULPS = Fraction(1, 10**15)


def decimal(number: float) -> Fraction:
    """The decimal number somebody wrote down: 0.1 is one tenth."""
    return Fraction(repr(number))


@dataclass
class Order:
    """An order under way: a plan, or the hedge of a request."""

    number: int
    purpose: str
    lots: int
    arrives: int
    target: float = 0.0
    request: Row | None = None


class Account:
    """Cash, contracts and causes; ``observed`` are the fill prices that the venue confirmed."""

    def __init__(self, case: Case, observed: list[float] | None = None) -> None:
        self.case, self.observed = case, observed or []
        self.lot = decimal(case.lot_size) * decimal(case.face)
        self.now, self.mark = 0, 0.0
        self.bbo: tuple[float, float] | None = None
        self.cash = self.lots = 0  # settlement atoms; lots, long positive
        self.settled, self.sold = 0, False  # quote atoms, once an inverse account sold its coins
        self.causes: dict[str, Any] = Counter()  # quote atoms
        self.slack: dict[str, Any] = Counter()  # what roundings may add up to
        self.fills: list[dict[str, Any]] = []
        self.paid: list[tuple[str, int, int]] = []  # cause, time, atoms

    def cash_for(self, lots: int, price: Any) -> Fraction:
        """Settlement atoms that come in when ``lots`` are bought (inverse: coins, as face / p)."""
        if self.case.inverse:
            return lots * self.lot * COIN_ATOMS / Fraction(price)
        return -lots * self.lot * ATOMS * Fraction(price)

    @property
    def price(self) -> float:
        """What NAV follows."""
        return self.mark

    @property
    def per_atom(self) -> Fraction:
        """Quote atoms that one settlement atom is worth."""
        return Fraction(self.mark) * ATOMS / COIN_ATOMS if self.case.inverse else Fraction(1)

    @property
    def slope(self) -> Fraction:
        """Change of NAV with the mark, in quote atoms."""
        coins = Fraction(self.cash * ATOMS, COIN_ATOMS)
        return coins if self.case.inverse else self.lots * self.lot * ATOMS

    @property
    def nav(self) -> Fraction:
        """Equity in quote atoms, exactly."""
        still = -self.lots * self.lot * ATOMS if self.case.inverse else self.cash
        return still + self.settled + self.slope * Fraction(self.mark)

    @property
    def whole(self) -> int:
        """Equity in whole quote atoms."""
        return floor(self.nav)

    def exposure_lots(self) -> int:
        """The exposure in whole lots: what an order may close and not flip. On an inverse contract
        the coins are a part of it."""
        if not self.case.inverse:
            return self.lots
        return trunc(self.slope * Fraction(self.mark) / (self.lot * ATOMS))

    def _reverses(self, plan: int, lots: int) -> bool:
        """Whether other lots reduce where a plan adds. One that reduces by more than there is adds
        nothing on the other side: it flips no sign."""
        return plan * self.slope > 0 > lots * self.slope

    def book(self, cause: str, atoms: Any, roundings: int = 1) -> None:
        """Attribute settlement atoms; each rounding is worth one of them, and one of quote."""
        self.causes[cause] += atoms * self.per_atom
        self.slack[cause] += roundings * (1 + (self.per_atom if self.case.inverse else 0))
        self.slack["price"] += 2  # a booking ends a segment

    def state(self) -> dict[str, Any]:
        """What a sample says of the account."""
        causes, slack = dict(self.causes), dict(self.slack)
        line = {"nav": self.nav, "mark": self.mark, "price": self.price, "slope": self.slope}
        return {**line, "causes": causes, "slack": slack}

    def pay(self, cause: str, atoms: int) -> None:
        """Settlement atoms leave the account."""
        self.cash -= atoms
        self.book(cause, -atoms)
        self.paid.append((cause, self.now, atoms))

    def take(self, quote: int) -> None:
        """Quote money comes in (goes out where negative); the pool is not diluted by rounding."""
        if self.sold:
            self.settled += quote
            return
        atoms = ceil(quote / self.per_atom)
        self.book("rounding", atoms - quote / self.per_atom)
        self.cash += atoms

    def top(self) -> tuple[Fraction, Fraction]:
        """Mid, and half the spread as a share of it."""
        if self.bbo is None:
            return Fraction(self.mark), decimal(self.case.half_spread_bps) / 10_000
        bid, ask = map(Fraction, self.bbo)
        return Fraction((self.bbo[0] + self.bbo[1]) * 0.5), (ask - bid) / (bid + ask)

    def trade(self, order: int, purpose: str, lots: int) -> None:
        """A market order meets the book, as much of it as does not flip the product's sign."""
        free = purpose in ("opening", "creation", "close")
        held = self.exposure_lots()
        if held * (held + lots) < 0 and not free:
            lots = -held
        if not lots:
            return
        mid, half = self.top()
        price = mid * (1 + half if lots > 0 else 1 - half)
        if self.observed and abs(Fraction(self.observed[0]) - price) <= price * ULPS:
            price = Fraction(self.observed.pop(0))
        at_mark, at_mid, at_price = (self.cash_for(lots, p) for p in (self.mark, mid, price))
        fee = ceil(abs(floor(at_price)) * decimal(self.case.taker_fee))
        self.book("basis", at_mid - at_mark, 2)
        self.book("spread_impact", at_price - at_mid, 2)
        self.book("fees", -fee)
        self.book("rounding", floor(at_price) - at_price, 4)
        self.cash += floor(at_price) - fee
        self.lots += lots
        self.fills.append(
            {
                "order": order,
                "ts": self.now,
                "purpose": purpose,
                "lots": lots,
                "price": price,
                "mid": float(mid),
                "mark": self.mark,
                "hedge": floor(at_mid),
                "impact": floor(at_price) - floor(at_mid),
                "fee": fee,
            }
        )

    def wind_up(self) -> None:
        """The last contract is gone; who pays a deficit, in order."""
        if self.case.inverse:  # the coins are sold at the mark: nothing moves any more
            value, self.cash = self.cash * self.per_atom, 0
            self.settled, self.sold = floor(value), True
            self.book("rounding", (self.settled - value) / self.per_atom)
        owed = deficit = max(0, -floor(self.nav))
        purses = ("insurance", self.case.insurance), ("reserve", self.case.reserve)
        for payer, purse in (*purses, ("issuer", deficit)):
            if part := min(owed, purse):
                owed -= part
                self.take(part)
                self.causes["insurance" if payer == "insurance" else "issuer"] += part
                self.paid.append((payer, self.now, part))
