"""What a product owns, and where its equity came from: a handful of integers and the rules that
move them."""

from __future__ import annotations

import math
from fractions import Fraction

from engine.outputs import ATTRIBUTION
from engine.product import ProductSpec
from engine.venue.accounts import cost_after
from engine.venue.contract import Contract


class Holding:
    """Cash and lots of one product, its units, and the causes of its equity, all in atoms and
    steps."""

    def __init__(self, spec: ProductSpec, contract: Contract, funds: dict[str, int]) -> None:
        self.spec = spec
        self.contract = contract
        self.funds = funds  # the venue's insurance by quote asset, common to all
        self.cash = 0
        self.quote = 0
        self.lots = self.cost = 0
        self.units = 0
        self.reserve = spec.hedge.reserve_atoms
        self.parts = dict.fromkeys(ATTRIBUTION, 0)
        self.since = 0.0
        self.first_mark = 0.0

    def nav(self, mark: float) -> int:
        """Equity in quote atoms, rounded down."""
        return self.contract.nav(self.cash, self.lots, mark) + self.quote

    def line(self) -> tuple[float, float]:
        """``(intercept, slope)`` of NAV in the mark."""
        intercept, slope = self.contract.line(self.cash, self.lots)
        return (intercept + self.quote if self.contract.inverse else intercept), slope

    def close_segment(self, mark: float) -> None:
        """What the price did since the last time goes to ``price``."""
        if mark != self.since:
            self.parts["price"] += self.nav(mark) - self.nav(self.since)
            self.since = mark

    def receive(self, quote: int, mark: float) -> None:
        """Quote money comes in; as coins, rounded up, where the contract is settled in coins."""
        self.cash += self.coins_up(quote, mark)

    def coins_up(self, quote: int, mark: float) -> int:
        """Quote atoms in settlement atoms, rounded up."""
        return -self.contract.to_settlement(-quote, mark)

    def launch(self, paid: int, units: int, mark: float) -> None:
        self.since = self.first_mark = mark
        self.units = units
        self.receive(paid, mark)
        self.parts["rounding"] += self.nav(mark) - paid

    def execute(
        self, lots: int, price: float, mid: float, mark: float, maker: bool = False
    ) -> tuple[int, int, int]:
        """A fill: ``(value at mid, what the price cost beyond it, fee)``, settlement atoms."""
        contract = self.contract
        self.close_segment(mark)
        before = self.nav(mark)
        at_mid = contract.trade_cash(lots, mid)
        impact = contract.trade_cash(lots, price) - at_mid
        rate = contract.spec.maker_fee if maker else contract.spec.taker_fee
        fee = math.ceil(abs(at_mid + impact) * Fraction(repr(rate)))
        self.cost = cost_after(self.lots, self.cost, lots, at_mid + impact)
        self.cash += at_mid + impact - fee
        self.lots += lots
        shares = {
            "basis": contract.to_quote(at_mid - contract.trade_cash(lots, mark), mark),
            "spread_impact": contract.to_quote(impact, mark),
            "fees": contract.to_quote(-fee, mark),
        }
        for cause, amount in shares.items():
            self.parts[cause] += amount
        self.parts["rounding"] += self.nav(mark) - before - sum(shares.values())
        return at_mid, impact, fee

    def pay(self, cause: str, paid: int, mark: float) -> None:
        """Settlement atoms leave for a cause (negative: they come)."""
        self.close_segment(mark)
        before = self.nav(mark)
        self.cash -= paid
        value = self.contract.to_quote(-paid, mark)
        self.parts[cause] += value
        self.parts["rounding"] += self.nav(mark) - before - value

    def create(self, quote: int, units: int, mark: float) -> None:
        self.close_segment(mark)
        before = self.nav(mark)
        self.units += units
        self.receive(quote, mark)
        self._flow(quote, self.nav(mark) - before)

    def redeem(self, quote: int, units: int, mark: float) -> None:
        self.close_segment(mark)
        before = self.nav(mark)
        self.units -= units
        if not self.contract.inverse:
            self.cash -= quote
        elif self.cash:
            self.cash -= self.contract.to_settlement(quote, mark)
        else:
            self.quote -= quote
        self._flow(-quote, self.nav(mark) - before)

    def _flow(self, quote: int, change: int) -> None:
        self.parts["flows"] += quote
        self.parts["rounding"] += change - quote

    def settle(self, mark: float) -> None:
        """After the last fill coins become quote money, and nothing moves any more."""
        self.close_segment(mark)
        if self.contract.inverse:
            before = self.nav(mark)
            self.quote += self.contract.to_quote(self.cash, mark)
            self.cash = 0
            self.parts["rounding"] += self.nav(mark) - before

    def cover(self, payer: str, deficit: int) -> int:
        """What a payer puts in of a deficit: the venue's fund and the reserve have what they have,
        the issuer all."""
        asset, paid = self.contract.quote_asset, deficit
        if payer == "insurance":
            paid = min(deficit, self.funds[asset])
            self.funds[asset] -= paid
        elif payer == "reserve":
            paid = min(deficit, self.reserve)
            self.reserve -= paid
        if self.contract.inverse:
            self.quote += paid
        else:
            self.cash += paid
        self.parts["insurance" if payer == "insurance" else "issuer"] += paid
        return paid
