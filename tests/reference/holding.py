"""What a product owns, and where its equity came from: a handful of integers and the rules that
move them."""

from __future__ import annotations

import math
from fractions import Fraction

from msgspec import UNSET, UnsetType

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
        self.cash = 0  # at the venue
        self.treasury = 0
        self.share = Fraction(repr(spec.hedge.margin_share))
        self.topups = 0
        self.quote = 0
        self.lots = self.cost = 0
        self.units = 0
        self.reserve = spec.hedge.reserve_atoms
        self.parts = dict.fromkeys(ATTRIBUTION, 0)
        self.since = 0.0
        self.first_mark = 0.0

    def nav(self, mark: float) -> int:
        """Equity in quote atoms, rounded down."""
        return self.contract.nav(self.cash + self.treasury, self.lots, mark) + self.quote

    def margin(self, mark: float) -> int:
        """What lies at the venue is worth, settlement atoms."""
        return self.cash + self.contract.exposure_value(self.lots, mark)

    def line(self) -> tuple[float, float]:
        """``(intercept, slope)`` of NAV in the mark."""
        intercept, slope = self.contract.line(self.cash + self.treasury, self.lots)
        return (intercept + self.quote if self.contract.inverse else intercept), slope

    def close_segment(self, mark: float) -> None:
        """What the price did since the last time goes to ``price``."""
        if mark != self.since:
            self.parts["price"] += self.nav(mark) - self.nav(self.since)
            self.since = mark

    def receive(self, quote: int, mark: float) -> int:
        """Quote money comes in; as coins, rounded up, where the contract is settled in coins. The
        venue gets its share of it. What came in, settlement atoms."""
        coins = self.coins_up(quote, mark)
        at_venue = math.ceil(coins * self.share)
        self.cash += at_venue
        self.treasury += coins - at_venue
        return coins

    def give(self, cash: int, of_treasury: int) -> None:
        """Money goes out, so much of it from the treasury if that has it."""
        given = min(of_treasury, self.treasury)
        self.treasury -= given
        self.cash -= cash - given

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

    def cross(self, lots: int, cash: int, mark: float) -> None:
        """A trade with another product of the same margin account."""
        self.close_segment(mark)
        before = self.nav(mark)
        self.cost = cost_after(self.lots, self.cost, lots, cash)
        self.cash += cash
        self.lots += lots
        basis = self.contract.to_quote(cash - self.contract.trade_cash(lots, mark), mark)
        self.parts["basis"] += basis
        self.parts["rounding"] += self.nav(mark) - before - basis

    def pay(self, cause: str, paid: int, mark: float) -> None:
        """Settlement atoms leave for a cause (negative: they come)."""
        self.close_segment(mark)
        before = self.nav(mark)
        self.give(paid, paid if cause == "management_fee" else 0)
        value = self.contract.to_quote(-paid, mark)
        self.parts[cause] += value
        self.parts["rounding"] += self.nav(mark) - before - value

    def charge(self, fee: int, mark: float) -> int:
        """The issuer's fee, quote atoms; what is paid of settlement atoms."""
        paid = self.coins_up(fee, mark)
        self.pay("management_fee", paid, mark)
        return paid

    def create(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self.close_segment(mark)
        before = self.nav(mark)
        self.units += units
        coins = self.receive(quote, mark)
        self._flow(quote, self.nav(mark) - before)
        return coins if self.contract.inverse else UNSET

    def redeem(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self.close_segment(mark)
        before, held = self.nav(mark), self.coins()
        self.units -= units
        self._pay_out(quote, mark)
        self._flow(-quote, self.nav(mark) - before)
        return held - self.coins() if held else UNSET

    def coins(self) -> int:
        """Those of an inverse contract; 0 once they are sold."""
        return self.cash + self.treasury if self.contract.inverse else 0

    def _pay_out(self, quote: int, mark: float) -> None:
        """Quote money leaves, from venue and treasury as the equity lies."""
        coins = self.contract.to_settlement(quote, mark)
        margin = self.margin(mark)
        of_treasury = coins
        if self.treasury and margin > 0:
            of_treasury = math.ceil(Fraction(coins * self.treasury, self.treasury + margin))
        if not self.contract.inverse or self.cash or self.treasury:
            self.give(coins, of_treasury)
        else:
            self.quote -= quote

    def regroup(self, units: int, paid: tuple[int, ...], mark: float) -> int | UnsetType:
        """Units are counted anew; what is left over is paid out, to users and to the issuer."""
        self.close_segment(mark)
        before, held = self.nav(mark), self.coins()
        for quote in paid:
            self._pay_out(quote, mark)
        self.units = units
        self._flow(-sum(paid), self.nav(mark) - before)
        return held - self.coins() if held else UNSET

    def _flow(self, quote: int, change: int) -> None:
        self.parts["flows"] += quote
        self.parts["rounding"] += change - quote

    def settle(self, mark: float) -> None:
        """After the last fill coins become quote money, and nothing moves any more."""
        self.close_segment(mark)
        self.cash, self.treasury = self.cash + self.treasury, 0
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

    @property
    def book(self) -> Holding:
        """What stands at the venue."""
        return self

    def deposit(self, cash: int, _mark: float) -> int:
        """A top-up arrives: what it came to."""
        cash = min(cash, self.treasury)
        self.treasury -= cash
        self.cash += cash
        self.topups += 1
        return cash

    def missing(self, mark: float) -> int:
        return max(0, -self.nav(mark))

    def surplus(self, _mark: float) -> int:
        """What is more than holders are owed goes to the issuer: nothing is."""
        return 0


def _the_mark(mark: float) -> float:
    return mark


class Hedge(Holding):
    """Of a formula product: the issuer's, who pays in what the treasury lacks."""

    def deposit(self, cash: int, mark: float) -> int:
        own = super().deposit(cash, mark)
        if self.contract.inverse and cash > own:
            self.pay("issuer", own - cash, mark)
        else:
            self.inject(cash - own)
        return cash

    def inject(self, cash: int) -> None:
        if self.contract.inverse:
            self.quote += cash
        else:
            self.cash += cash
        self.parts["issuer"] += cash


class Formula(Holding):
    """What holders of a formula product are owed: NAV ``paper[0]`` at a mark of ``paper[1]``, and
    ``paper[2]`` times its moves (of the index, where it follows that). ``book`` has what they
    paid."""

    def __init__(self, spec: ProductSpec, contract: Contract, funds: dict[str, int]) -> None:
        super().__init__(spec, contract, funds)
        self.hedge = Hedge(spec, contract, funds)
        self.paper = (0, 1.0, 0.0)
        self.price = _the_mark

    @property
    def book(self) -> Holding:
        return self.hedge

    def line(self) -> tuple[float, float]:
        nav, price, leverage = self.paper
        slope = nav * leverage / price
        return nav - slope * price, slope

    def nav(self, mark: float) -> int:
        return self.worth(self.price(mark))

    def worth(self, price: float) -> int:
        intercept, slope = self.line()
        return math.floor(intercept + slope * price + 0.5)

    def close_segment(self, mark: float) -> None:
        price = self.price(mark)
        if price != self.since:
            self.parts["price"] += self.worth(price) - self.worth(self.since)
            self.since = price

    def write(self, nav: int, mark: float, leverage: float) -> None:
        self.paper = (nav, self.price(mark), leverage)
        self.parts["rounding"] += self.nav(mark) - nav

    def promise(self, mark: float, leverage: float) -> None:
        self.close_segment(mark)
        self.write(self.nav(mark), mark, leverage)

    def reprice(self, mark: float, worth: float, leverage: float) -> None:
        """Another worth of all units, atoms: what that changes the issuer bears."""
        self.close_segment(mark)
        nav = math.floor(worth + 0.5)
        self.parts["issuer"] += nav - self.nav(mark)
        self.write(nav, mark, leverage)

    def end(self, mark: float) -> None:
        """Nobody is owed less than nothing."""
        self.close_segment(mark)
        nav = self.nav(mark)
        self.parts["issuer"] += max(0, -nav)
        self.write(max(0, nav), mark, 0.0)

    def _leverage(self, mark: float) -> float:
        intercept, slope = self.line()
        exposure = slope * self.price(mark)
        nav = intercept + exposure
        return exposure / nav if nav > 0.0 else 0.0

    def launch(self, paid: int, units: int, mark: float) -> None:
        self.hedge.launch(paid, units, mark)
        self.since = self.first_mark = self.price(mark)
        self.units = units
        self.write(paid, mark, 0.0)

    def _change(self, cause: str, quote: int, mark: float) -> None:
        leverage = self._leverage(mark)
        self.close_segment(mark)
        self.parts[cause] += quote
        self.write(self.nav(mark) + quote, mark, leverage)

    def pay(self, cause: str, paid: int, mark: float) -> None:
        self.hedge.pay(cause, paid, mark)

    def charge(self, fee: int, mark: float) -> int:
        self._change("management_fee", -fee, mark)
        return self.hedge.charge(fee, mark)

    def create(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self._change("flows", quote, mark)
        coins = self.hedge.create(quote, units, mark)
        self.units = self.hedge.units
        return coins

    def regroup(self, units: int, paid: tuple[int, ...], mark: float) -> int | UnsetType:
        if any(paid):  # what nobody is paid for leaves the promise as it was
            self._change("flows", -sum(paid), mark)
        coins = self.hedge.regroup(units, paid, mark)
        self.units = self.hedge.units
        return coins

    def redeem(self, quote: int, units: int, mark: float) -> int | UnsetType:
        self._change("flows", -quote, mark)
        coins = self.hedge.redeem(quote, units, mark)
        self.units = self.hedge.units
        return coins

    def settle(self, mark: float) -> None:
        self.hedge.settle(mark)

    def surplus(self, mark: float) -> int:
        left = max(0, self.hedge.nav(mark) - self.nav(mark))
        self.hedge.inject(-left)
        return left

    def missing(self, mark: float) -> int:
        return max(0, self.nav(mark) - self.hedge.nav(mark))

    def cover(self, payer: str, deficit: int) -> int:
        if payer == "insurance":
            deficit = min(deficit, max(0, -self.hedge.nav(self.hedge.since)))
        return self.hedge.cover(payer, deficit)
