"""A product whose NAV is a formula, in exact fractions: what holders are promised, and the hedge
that the issuer has for it.

The account is the hedge: it trades, pays funding and is wound up. Beside it stands the promise: so
much at a price, the mark or the index, and its leverage times the moves since. Decisions and
requests go by the promise. On an inverse contract the promise is quote money still, and the hedge
is coins.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tests.oracle.account import ATOMS, decimal
from tests.oracle.case import Case, Rules
from tests.oracle.oracle import ULPS, Oracle
from tests.oracle.primary import Primary

HALF = Fraction(1, 2)
BLURRED = 10_000
"""So many times NAV, and doubles have lost as many digits of it: no opinion on a new line."""


class Promise(Oracle):
    """The oracle of a formula product; ``causes`` are the promise's, ``spent`` the hedge's, quote,
    each within ``off`` where coins are rounded."""

    def __init__(self, case: Case, observed: list[float] | None = None) -> None:
        self.spent: dict[str, Any] = Counter()
        self.off: dict[str, Any] = Counter()
        self.paper: tuple[int, float, Fraction] = (0, 1.0, Fraction(0))
        self.index = 0.0
        super().__init__(case, observed)

    @property
    def price(self) -> float:
        return self.index if self.case.index else self.mark

    def _price(self, source: str, price: float) -> None:
        if not self.case.index:
            super()._price(source, price)
        elif source in ("index", self.case.source):
            if source == "index":
                self.causes["price"] += self.slope * (Fraction(price) - Fraction(self.index))
                self.index = price
            else:
                self.mark = price
            if self.mark and self.index:  # nobody is launched at one of two prices
                if self.status == "pending":
                    self._launch()
                self._ask(max(self.now - 1, self.rung))

    @property
    def slope(self) -> Fraction:
        nav, price, leverage = self.paper
        return nav * leverage / Fraction(price)

    @property
    def nav(self) -> Fraction:
        return self.paper[0] + self.slope * (Fraction(self.price) - Fraction(self.paper[1]))

    @property
    def whole(self) -> int:
        """To the nearest atom; where doubles may round the other way we have no opinion."""
        rest = (self.nav + HALF) % 1
        self.close_calls += 0 < min(rest, 1 - rest) < abs(self.nav) * Fraction(1, 10**14)
        return floor(self.nav + HALF)

    @property
    def hedge(self) -> Fraction:
        """Equity of the issuer's account."""
        size = self.lots * self.lot * ATOMS
        if self.case.inverse:
            return self.settled + self.cash * self.per_atom - size
        return self.cash + size * Fraction(self.mark)

    def _ask(self, due: int) -> None:
        """The promise's line is doubles: at its very ruin they may fall on either side."""
        exposure = abs(self.slope * Fraction(self.price))
        self.close_calls += self.status == "active" and abs(self.nav) < exposure * ULPS
        super()._ask(due)

    def _write(self, nav: int, leverage: Fraction) -> None:
        self.slack["price"] += 2
        self.slack["rounding"] += 1
        self.paper = nav, self.price, leverage

    def book(self, cause: str, atoms: Any, roundings: int = 1) -> None:
        """What befalls the hedge is the issuer's; only flows are the holders' too."""
        quote = atoms * self.per_atom
        self.spent[cause] += quote
        self.off[cause] += roundings * (1 + self.per_atom) if self.case.inverse else 0
        if cause == "flows":
            self._change(cause, quote)

    def _change(self, cause: str, atoms: Any) -> None:
        leverage = self.slope * Fraction(self.price) / self.nav if self.nav > 0 else Fraction(0)
        self.close_calls += abs(leverage) > BLURRED
        self.causes[cause] += atoms
        self.slack[cause] += 1
        self._write(self.whole + int(atoms), leverage)

    def _launch(self) -> None:
        super()._launch()
        self.paper = self.equity_start, self.price, Fraction(0)

    def _charge(self) -> None:
        self.fee_at += self.case.fee_every
        rate = decimal(self.case.management_fee)
        if self.whole > 0 and rate:
            fee = ceil(self.whole * rate)
            self._change("management_fee", -fee)
            self.pay("management_fee", ceil(fee / self.per_atom))

    def _decided(self, target: float) -> None:
        self._write(self.whole, Fraction(target))

    def _basket_cost(self) -> Fraction:
        return Fraction(0)

    def _send(self, purpose: str, lots: int, target: float = 0.0, request: Any = None) -> None:
        if purpose == "close":  # nobody is owed less than nothing
            self.causes["issuer"] += max(0, -self.whole)
            self._write(max(0, self.whole), Fraction(0))
        super()._send(purpose, lots, target, request)

    def wind_up(self) -> None:
        """Who pays what the hedge lacks; what it has beyond the promise is the issuer's. Coins are
        sold at the mark before."""
        if self.case.inverse:
            self.settled, self.cash, self.sold = floor(self.cash * self.per_atom), 0, True
        owed = deficit = max(0, self.whole - floor(self.hedge))
        insured = min(self.case.insurance, max(0, -floor(self.hedge)))
        for payer, purse in (
            ("insurance", insured),
            ("reserve", self.case.reserve),
            ("issuer", deficit),
        ):
            if part := min(owed, purse):
                owed -= part
                self._put(part)
                self.spent["insurance" if payer == "insurance" else "issuer"] += part
                self.paid.append((payer, self.now, part))
        surplus = max(0, floor(self.hedge) - self.whole)
        self._put(-surplus)
        self.spent["issuer"] -= surplus

    def _put(self, quote: int) -> None:
        """Quote money comes into the hedge after its last fill."""
        if self.case.inverse:
            self.settled += quote
        else:
            self.cash += quote


def oracle_of(case: Case, observed: list[float] | None = None) -> Oracle:
    """Who recomputes a case."""
    if case.primary != Rules():
        return Primary(case, observed)
    return Promise(case, observed) if case.formula else Oracle(case, observed)
