"""A product's account: what it holds in the ledger, and where its equity came from.

Cash, lots and units are balances of the ledger. Between two trades the account is on one straight
line, a *segment*; the price part of its profit is the change of value along the segments, computed
on its own. Every other cause is booked in quote atoms when it happens. The causes sum to the change
of equity.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from engine.account_state import AccountState, Execution, Paper
from engine.ledger import Cause, Ledger
from engine.outputs import ATTRIBUTION
from engine.product import ProductSpec
from engine.units import Rounding, decimal, mul_div
from engine.venue.accounts import cost_after
from engine.venue.contract import Contract
from engine.wallet import Wallet

__all__ = [
    "FLOWS",
    "ISSUER",
    "MANAGEMENT_FEE",
    "PRICE",
    "ROUNDING",
    "Account",
    "AccountState",
    "Execution",
    "Paper",
]

(
    PRICE,
    SPREAD_IMPACT,
    BASIS,
    FEES,
    FUNDING,
    MANAGEMENT_FEE,
    LIQUIDATION,
    ADL,
    INTEREST,
    ISSUER,
    INSURANCE,
    COLLATERAL,
    ROUNDING,
    FLOWS,
) = range(len(ATTRIBUTION))
_SEIZED: Final = {
    Cause.LIQUIDATION: LIQUIDATION,
    Cause.LIQUIDATION_FEE: LIQUIDATION,
    Cause.INSURANCE: INSURANCE,
    Cause.ADL: ADL,
    Cause.SOCIALISED: ADL,
    Cause.REVALUATION: COLLATERAL,
    Cause.DEFAULT: COLLATERAL,
}
"""Under which cause a holder finds what the venue did, or what became of the money there."""


class Account(Wallet):
    """Balances, line and attribution of one product."""

    __slots__ = (
        *("_book_side", "_clearing", "_clearing_quote", "_funding", "_insurance", "_issuer"),
        *("_issuer_settlement", "_issuer_units", "_reserve", "_trade", "_users", "_users_units"),
        *("intercept", "margined", "slope", "state"),
    )

    def __init__(self, spec: ProductSpec, contract: Contract, ledger: Ledger) -> None:
        super().__init__(spec, contract, ledger)
        self.state = AccountState(attribution=[0] * len(ATTRIBUTION))
        quote, settlement = contract.quote_asset, contract.settlement_asset
        lots, units = f"{contract.spec.symbol}:lots", f"{spec.id}:units"
        self._users = ledger.open("user", quote)
        self._users_units = ledger.open("user", units)
        self._issuer = ledger.open("issuer", quote)
        self._issuer_settlement = ledger.open("issuer", settlement)
        self._issuer_units = ledger.open("issuer", units)
        book_cash = ledger.open(f"book:{contract.spec.symbol}", settlement)
        book_lots = ledger.open(f"book:{contract.spec.symbol}", lots)
        fees = ledger.open("fees", settlement)
        self._funding = ledger.open(f"funding:{contract.spec.symbol}", settlement)
        self._clearing = ledger.open("clearing", settlement)
        self._clearing_quote = ledger.open("clearing", quote)
        self._insurance = ledger.open("insurance", quote)
        self._reserve = ledger.open(f"reserve:{spec.id}", quote)
        self._trade = ledger.trade_way((book_lots, book_cash), (self._lots, self._cash), fees)
        self._book_side = (book_lots, book_cash)
        self.margined = False
        """Whether the venue may close its position: what that cost is kept then."""
        self.intercept = 0.0
        self.slope = 0.0

    def at(self, mark: float) -> float:
        """The price on which the line lies, where the mark is this: that, but for a formula that
        follows the index."""
        return mark

    def worth(self, price: float) -> int:
        """Equity where the price of ``at`` is this, quote atoms."""
        return self.nav(price)

    @property
    def book(self) -> Account:
        """The account that stands at the venue."""
        return self

    def promise(self, mark: float, leverage: float) -> None:
        """Holders are promised another leverage from here on; only a formula says what that is
        worth to them, the others have what they have."""

    def quote(self, mark: float, worth: int, leverage: float) -> None:
        """Holders are quoted another worth of all units, quote atoms, which follows the mark with
        ``leverage``; of quoted products alone."""

    def end(self, mark: float) -> None:
        """The product closes: a formula's promise ends here."""

    def deficit(self, mark: float) -> int:
        """What is missing after the last fill."""
        return max(0, -self.nav(mark))

    def take_surplus(self) -> int:
        """What a closed account has beyond what holders are owed goes to the issuer."""
        return 0

    def nav_at(self, mark: float) -> int:
        """``nav``, without the arithmetic where the running segment began at that very mark."""
        return self.state.since_nav if mark == self.state.since_mark else self.nav(mark)

    def line(self) -> tuple[float, float]:
        """``(intercept, slope)``: NAV in quote atoms is ``intercept + slope * mark``."""
        return self.intercept, self.slope

    def draw_line(self) -> None:
        """Balances and state were restored: be on their line."""
        self._moved(self.state.since_mark)

    def _moved(self, mark: float) -> int:
        """Balances moved at ``mark``, where the running segment begins: the account is on another
        line; equity now."""
        balances = self.balances
        cash = balances[self._cash]
        if self._parted:
            cash += balances[self._treasury]
        self.intercept, self.slope, nav = self.contract.stand(cash, balances[self._lots], mark)
        if self._quote != self._cash:
            self.intercept += balances[self._quote]
            nav += balances[self._quote]
        self.state.since_nav = nav
        return nav

    def launch(self, mark: float, user_units: int, issuer_units: int, paid: int) -> None:
        """Issue the first units against ``paid`` quote atoms, all at one quote a unit."""
        post = self.ledger.post
        users_paid = paid - self.spec.seed_atoms
        post(Cause.CREATION, self._users, self._quote, users_paid)
        post(Cause.CREATION, self._issuer, self._quote, self.spec.seed_atoms)
        post(Cause.CREATION, self._mint, self._users_units, user_units)
        post(Cause.CREATION, self._mint, self._issuer_units, issuer_units)
        post(Cause.ISSUER, self._issuer, self._reserve, self.spec.hedge.reserve_atoms)
        self._put_aside(self._to_settlement(paid, mark, Cause.CREATION))
        state = self.state
        state.since_mark = state.first_mark = state.split.since = mark
        state.equity_start = paid
        state.attribution[ROUNDING] += self._moved(mark) - paid
        state.roundings += 1

    def close_segment(self, mark: float, nav: int | None = None) -> int:
        """Book the price part since the last trade.

        Args:
            mark: where the segment ends.
            nav: equity at ``mark``, if it is known already.

        Returns:
            Equity at ``mark``, quote atoms.
        """
        state = self.state
        start = state.since_nav
        if mark == state.since_mark:
            return start
        end = self.nav(mark) if nav is None else nav
        state.attribution[PRICE] += end - start
        state.since_mark, state.since_nav = mark, end
        return end

    def causes(self, mark: float) -> list[int]:
        """The attribution up to ``mark``; it sums to the change of equity since the start."""
        state = self.state
        causes = list(state.attribution)
        causes[PRICE] += self.nav(mark) - self.nav(state.since_mark)
        return causes

    def execute(
        self, lots: int, price: float, mid: float, mark: float, *, maker: bool = False
    ) -> Execution:
        """Buy ``lots`` (sell where negative) at ``price`` when mid was ``mid`` and the mark
        ``mark``; ``maker``: our order had rested."""
        contract, state = self.contract, self.state
        before = state.since_nav if mark == state.since_mark else self.close_segment(mark)
        at_mid = contract.trade_cash(lots, mid)
        cash = at_mid if price == mid else contract.trade_cash(lots, price)
        impact = cash - at_mid
        fee = contract.maker_fee(cash) if maker else contract.taker_fee(cash)
        if self.margined:
            state.cost = cost_after(self.balances[self._lots], state.cost, lots, cash)
        self.ledger.trade(self._trade, lots, cash, fee, maker=maker)
        basis = at_mid - contract.trade_cash(lots, mark) if mid != mark else 0
        spread, paid = impact, -fee
        if contract.inverse:
            quote = contract.to_quote
            basis, spread, paid = quote(basis, mark), quote(spread, mark), quote(paid, mark)
        rounded = self._moved(mark) - before - basis - spread - paid
        book = state.attribution
        book[FEES] += paid
        if basis:
            book[BASIS] += basis
        if spread:
            book[SPREAD_IMPACT] += spread
        if rounded:
            book[ROUNDING] += rounded
        state.roundings += 4
        return Execution(at_mid, impact, fee)

    def pay_funding(self, paid: int, mark: float) -> None:
        """Funding at its instant; ``paid`` settlement atoms, negative received."""
        self._book(Cause.FUNDING, FUNDING, self._funding, paid, mark)

    def pay_management_fee(self, rate: float, mark: float) -> int:
        """The issuer's fee on the present NAV, rounded up; the settlement atoms paid."""
        share = decimal(rate)
        nav = self.close_segment(mark)
        fee = mul_div(nav, share.numerator, share.denominator, Rounding.UP)
        paid = -self.contract.to_settlement(-fee, mark)
        self._draw(paid)
        self._book(Cause.MANAGEMENT_FEE, MANAGEMENT_FEE, self._issuer_settlement, paid, mark)
        return paid

    def debt(self, mark: float) -> int:
        """What is borrowed, quote atoms rounded up: money where cash is below zero, coins where
        these are."""
        owed = max(-self.intercept, 0.0) + max(-self.slope * mark, 0.0)
        whole = int(owed)
        return whole if whole == owed else whole + 1

    def pay_interest(self, debt: int, rate: float, mark: float) -> int:
        """The lender's interest on a debt in quote atoms, rounded up; the settlement atoms paid."""
        share = decimal(rate)
        interest = mul_div(debt, share.numerator, share.denominator, Rounding.UP)
        paid = -self.contract.to_settlement(-interest, mark)
        lender = self.ledger.open("lender", self.contract.settlement_asset)
        self._book(Cause.INTEREST, INTEREST, lender, paid, mark)
        return paid

    def create(self, quote: int, units: int, mark: float) -> int | UnsetType:
        """A user pays ``quote`` atoms for ``units``; as how many coins, of an inverse contract."""
        before = self.close_segment(mark)
        self._joined(units, mark)
        self.ledger.post(Cause.CREATION, self._users, self._quote, quote)
        self.ledger.post(Cause.CREATION, self._mint, self._users_units, units)
        paid = self._to_settlement(quote, mark, Cause.CREATION)
        self._put_aside(paid)
        self._flow(quote, self._moved(mark) - before)
        return paid if self.contract.inverse else UNSET

    def redeem(self, quote: int, units: int, mark: float) -> int | UnsetType:
        """A user gives ``units`` back for ``quote`` atoms; as how many coins, where these left."""
        before = self.close_segment(mark)
        self._joined(-units, mark)
        coins = self._pay_out(Cause.REDEMPTION, quote, self._users, mark)
        self.ledger.post(Cause.REDEMPTION, self._users_units, self._mint, units)
        self._flow(-quote, self._moved(mark) - before)
        return coins

    def regroup(
        self, units: tuple[int, int], paid: tuple[int, int], mark: float
    ) -> int | UnsetType:
        """Units are counted anew: so many more for users and issuer, and quote for the rest; as how
        many coins, where these left."""
        before, quote = self.close_segment(mark), paid[0] + paid[1]
        if quote and before > 0:
            self.state.split.scale(mark, (before - quote) / before)
        coins = self._pay_out(Cause.SPLIT, paid[0], self._users, mark)
        more = self._pay_out(Cause.SPLIT, paid[1], self._issuer, mark)
        self.ledger.post(Cause.SPLIT, self._mint, self._users_units, units[0])
        self.ledger.post(Cause.SPLIT, self._mint, self._issuer_units, units[1])
        self._flow(-quote, self._moved(mark) - before)
        return UNSET if coins is UNSET or more is UNSET else coins + more

    def _pay_out(self, cause: Cause, quote: int, payee: int, mark: float) -> int | UnsetType:
        """Quote atoms leave the product, as coins where it has any: as how many."""
        contract, balances = self.contract, self.balances
        coins = contract.to_settlement(quote, mark)
        if self._parted:
            self._draw_share(coins, mark)
        has_coins = contract.inverse and balances[self._cash] != 0
        if has_coins:
            self.ledger.post(cause, self._cash, self._clearing, coins)
            self.ledger.post(cause, self._clearing_quote, self._quote, quote)
        self.ledger.post(cause, self._quote, payee, quote)
        return coins if has_coins else UNSET

    def _joined(self, units: int, mark: float) -> None:
        """So many units come, or go where negative: what is held is shared among others."""
        if self.units:
            self.state.split.scale(mark, (self.units + units) / self.units)

    def charge(self, cause: Cause, fee: int) -> None:
        """A user pays the issuer for a request, beside what goes into the pool."""
        self.ledger.post(cause, self._users, self._issuer, fee)
        self.state.dealing_fees += fee

    def settle_closed(self, mark: float) -> None:
        """After the last fill: coins of an inverse account become quote money, so that nothing
        moves any more."""
        contract = self.contract
        before = self.close_segment(mark)
        self._draw(self.treasury)
        if contract.inverse:
            coins = self.balances[self._cash]
            self.ledger.post(Cause.HEDGE, self._cash, self._clearing, coins)
            value = contract.to_quote(coins, mark)
            self.ledger.post(Cause.HEDGE, self._clearing_quote, self._quote, value)
            self.state.attribution[ROUNDING] += self._moved(mark) - before
            self.state.roundings += 1

    def seize(
        self, cause: Cause, lots: int, cash: int, against: tuple[int, int], mark: float
    ) -> int:
        """The venue moves lots and cash (negative: takes them), ``against`` the other side's lots
        and cash accounts; what that did to equity, quote atoms."""
        state, post = self.state, self.ledger.post
        before = self.close_segment(mark)
        if lots:
            state.cost = cost_after(self.balances[self._lots], state.cost, lots, cash)
            post(cause, against[0], self._lots, lots)
        post(cause, against[1], self._cash, cash)
        change = self._moved(mark) - before
        state.attribution[_SEIZED[cause]] += change
        return change

    def collateral(self, mark: float) -> int:
        """What lies at the venue, open profit apart; all of it where what the position cost is not
        kept."""
        return self.at_venue + self.state.cost if self.margined else self.margin(mark)

    def cross(self, lots: int, cash: int, mark: float) -> None:
        """Trade ``lots`` for ``cash`` with another product of the same omnibus account."""
        contract, state = self.contract, self.state
        before = self.close_segment(mark)
        if self.margined:
            state.cost = cost_after(self.balances[self._lots], state.cost, lots, cash)
        other_lots, other_cash = self.counter("clearing")
        self.ledger.post(Cause.HEDGE, other_lots, self._lots, lots)
        self.ledger.post(Cause.HEDGE, other_cash, self._cash, cash)
        basis = contract.to_quote(cash - contract.trade_cash(lots, mark), mark)
        state.attribution[BASIS] += basis
        state.attribution[ROUNDING] += self._moved(mark) - before - basis
        state.roundings += 2

    def counter(self, owner: str) -> tuple[int, int]:
        """The lots and the settlement account of another owner, as ``seize`` wants them."""
        if owner == "book":
            return self._book_side
        lots = self.ledger.open(owner, f"{self.contract.spec.symbol}:lots")
        return lots, self.ledger.open(owner, self.contract.settlement_asset)

    def pay_deficit(self, payer: str, deficit: int) -> int:
        """Let a payer cover up to ``deficit`` quote atoms of a closed account; what it paid."""
        source = {"insurance": self._insurance, "reserve": self._reserve, "issuer": self._issuer}[
            payer
        ]
        paid = deficit if payer == "issuer" else max(0, min(deficit, self.balances[source]))
        insured = payer == "insurance"
        cause = Cause.INSURANCE if insured else Cause.ISSUER
        self.ledger.post(cause, source, self._quote, paid)
        self.state.attribution[INSURANCE if insured else ISSUER] += paid
        self._moved(self.state.since_mark)
        return paid

    def _to_settlement(self, quote: int, mark: float, cause: Cause) -> int:
        contract = self.contract
        if not contract.inverse:
            return quote
        # Rounded up: a fraction of a coin's atom less would dilute those who are in already.
        coins = -contract.to_settlement(-quote, mark)
        self.ledger.post(cause, self._quote, self._clearing_quote, quote)
        self.ledger.post(cause, self._clearing, self._cash, coins)
        return coins

    def _book(self, cause: Cause, part: int, payee: int, paid: int, mark: float) -> None:
        before = self.close_segment(mark)
        self.ledger.post(cause, self._cash, payee, paid)
        state, value = self.state, self.contract.to_quote(-paid, mark)
        state.attribution[part] += value
        state.attribution[ROUNDING] += self._moved(mark) - before - value
        state.roundings += 1

    def _flow(self, quote: int, change: int) -> None:
        state = self.state
        state.attribution[FLOWS] += quote
        state.attribution[ROUNDING] += change - quote
        state.roundings += 1
