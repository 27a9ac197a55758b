"""What the venue's risk desk works with: contracts as listed, their funds, their markets as of now;
and the reckoning that liquidation and deleveraging share."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Final, Literal, Protocol

from msgspec import Struct

from engine.ledger import Cause, Ledger
from engine.outputs import Tape
from engine.units import SECOND_NS, side_of
from engine.venue.acting import Acting
from engine.venue.bankruptcy import bankruptcy_quote, fillable_price
from engine.venue.book import Book
from engine.venue.insurance import InsuranceFund
from engine.venue.margined import Lots, Margined, lots_of
from engine.venue.standing import Listing, Standing, margin_of, standing_of
from engine.venue.taking import Top
from engine.venue_events import AccountCharged, InsuranceFundChanged

__all__ = ["RETRY_NS", "Floor", "Fund", "RiskDesk", "Stage", "Unpaid", "Venue", "lots_in"]

RETRY_NS: Final = SECOND_NS
"""What neither book nor fund nor counterparties could take is tried again after so long."""


class Floor(Protocol):
    """One market at the moment, as the venue's own desk sees it."""

    tape: Tape
    ts_ns: int
    mark: float
    stale: bool

    @property
    def book(self) -> Book:
        """What orders meet."""

    def top(self) -> Top:
        """The market around it."""

    def previous_mark(self) -> float:
        """The mark before this one."""


class Fund:
    """The insurance fund of one settlement asset: its money in the ledger, and what its rule
    remembers."""

    __slots__ = ("_ledger", "_number", "state")

    def __init__(self, ledger: Ledger, asset: str, state: InsuranceFund) -> None:
        self._ledger = ledger
        self._number = ledger.open("insurance", asset)
        self.state = state

    @property
    def balance(self) -> int:
        """Settlement atoms."""
        return self._ledger.balances[self._number]

    def available(self, ts_ns: int) -> int:
        """What it may still pay before it is empty, or has lost too much of its peak."""
        return self.state.available(self.balance, ts_ns)

    def changed(self, delta: int, ts_ns: int) -> None:
        """Its balance was changed by so much just now."""
        self.state.changed(self.balance - delta, ts_ns)


class Venue:
    """One contract: how it is listed, its insurance fund, and its market as of now."""

    __slots__ = ("floor", "fund", "listing")

    def __init__(self, listing: Listing, fund: Fund, floor: Floor) -> None:
        self.listing = listing
        self.fund = fund
        self.floor = floor


class Stage(Struct):
    """An account on its way through liquidation.

    Attributes:
        resumes_ns: no further step before; 0: at the next price.
    """

    resumes_ns: int = 0


class Unpaid(Struct):
    """What is left for the counterparties: ``lots`` (signed, closing) of an account, for which it
    must get ``atoms`` to end with nothing."""

    account: Margined
    market: int
    lots: int
    atoms: int
    price: float | None


class RiskDesk:
    """All contracts of one engine, as the venue's risk desk sees them.

    Attributes:
        called: what was held, and how many top-ups, when a margin call was made that stands, by
            account.
        stages: accounts on their way through liquidation, by name.
        acting: when the owners last acted, where a rule asks.
        parted: when each account was last closed in part, where a rule asks.
        moved: accounts of which anything was moved since somebody emptied it.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        stages: dict[str, Stage],
        called: dict[str, tuple[Lots, int]],
    ) -> None:
        self.venues = venues
        self.called = called
        self._call_at = [venue.listing.rules.margin.call_at for venue in venues]
        self.listings = [venue.listing for venue in venues]
        self.stages = stages
        self.moved: dict[str, Margined] = {}
        rules = [venue.listing.rules.liquidation for venue in venues]
        self.parted: dict[str, int] = {}
        self.acting = Acting({}, counts=any(r.liquidator_fee_max is not None for r in rules))

    def marks(self) -> list[float]:
        """Of every contract, as of now; 0 where it has none yet."""
        return [venue.floor.mark for venue in self.venues]

    def is_priced(self, positions: Sequence[tuple[int, int, int]]) -> bool:
        """Whether there is a price of all that an account holds: before, nobody knows what it is
        worth."""
        for market, lots, _ in positions:
            if lots and not self.venues[market].floor.mark > 0.0:
                return False
        return True

    def is_short(self, stand: Standing, market: int) -> bool:
        """``Listing.is_short`` by the rules of a market."""
        return self.listings[market].is_short(stand)

    def calls_at(self, account: Margined, positions: Sequence[tuple[int, int, int]]) -> float:
        """The multiple of maintenance at which the owner is called; 0: he is not, or was already
        for what he holds."""
        called = self.called.get(account.name)
        if called is not None and called == (lots_of(positions), account.topups):
            return 0.0
        return max(self._call_at[positions[0][0]], account.call_at)

    def is_near(self, account: Margined, stand: Standing) -> bool:
        """Whether the owner is to be called."""
        share = self.calls_at(account, account.positions())
        return share > 0.0 and stand.margin <= share * stand.maintenance

    def move(
        self,
        account: Margined,
        market: int,
        cause: Cause,
        lots: int,
        cash: int,
        against: str,
        price: float,
    ) -> None:
        """``Margined.move``, remembered."""
        self.moved[account.name] = account
        account.move(market, cause, lots, cash, against, price)

    def take(self, venue: Venue, lots: int, limit: float | None) -> tuple[int, float]:
        """Signed lots filled now, and their average price."""
        floor, side = venue.floor, side_of(lots)
        top = floor.top()
        size = venue.listing.contract.quote_notional(lots, top.mid)
        taken = floor.book.take_limited(side, abs(lots), size, limit, top)
        return side * taken.lots, taken.price

    def pay_fund(self, account: Margined, market: int, atoms: int) -> None:
        """To the insurance fund, or from it where negative; to the venue itself where the account
        is alone."""
        if atoms and account.alone:
            self.move(account, market, Cause.INSURANCE, 0, -atoms, "clearing", nan)
        elif atoms:
            venue = self.venues[market]
            self.move(account, market, Cause.INSURANCE, 0, -atoms, "insurance", nan)
            venue.fund.changed(atoms, venue.floor.ts_ns)

    def bankruptcy(
        self,
        account: Margined,
        market: int,
        lots: int,
        marks: list[float],
        stand: Standing | None = None,
    ) -> int:
        """Cash with which closing ``lots`` uses up their share of the account's equity; ``stand``
        where it is known. Closing all that is held must bring in what cash is short of nothing; and
        the fee of closing, where the venue takes it at this price."""
        listing = self.listings[market]
        net = self._uses_up(account, market, lots, marks, stand)
        return listing.contract.before_fee(lots, net) if listing.fee_at_bankruptcy else net

    def _uses_up(
        self,
        account: Margined,
        market: int,
        lots: int,
        marks: list[float],
        stand: Standing | None,
    ) -> int:
        held, cost = next((n, c) for m, n, c in account.positions() if m == market)
        if lots == -held and not any(n for m, n, _ in account.positions() if m != market):
            return -account.cash
        listing, mark = self.listings[market], marks[market]
        contract = listing.contract
        if stand is None:
            stand = standing_of(account, self.listings, marks)
        left = held + lots
        change = contract.exposure_value(left, mark) - contract.exposure_value(held, mark)
        needed = listing.maintenance(held, cost, mark)
        rest = listing.maintenance(left, cost * left // held, mark) if left else 0
        whole = stand.maintenance
        if listing.fee_at_bankruptcy:
            whole = margin_of(account, self.listings, marks)
        return bankruptcy_quote(change, stand.equity, needed - rest, whole)

    def charge_closing(self, account: Margined, market: int, lots: int, atoms: int) -> None:
        """The fee of closing ``lots`` at a bankruptcy price that moves ``atoms``, where the venue
        takes it there."""
        listing = self.listings[market]
        fee = listing.contract.closing_fee(lots, atoms) if listing.fee_at_bankruptcy else 0
        if fee:
            self.charge(account, market, Cause.LIQUIDATION_FEE, fee, "fees", "closing_fee")

    def charge(
        self,
        account: Margined,
        market: int,
        cause: Cause,
        atoms: int,
        payee: str,
        why: Literal["closing_fee", "socialised", "cover"],
    ) -> None:
        """Money without lots: from an account, or to it where negative, and said."""
        self.move(account, market, cause, 0, -atoms, payee, nan)
        self.venues[market].floor.tape.say(
            AccountCharged,
            account=account.name,
            symbol=self.listings[market].contract.spec.symbol,
            cause=why,
            atoms=atoms,
        )

    def fillable(self, account: Margined, market: int, marks: list[float]) -> float:
        """DYdX's limit: it leaves the mark as the account nears bankruptcy."""
        listing = self.listings[market]
        rules, contract = listing.rules.liquidation, listing.contract
        stand = standing_of(account, self.listings, marks)
        held, cost = next((n, c) for m, n, c in account.positions() if m == market)
        price = fillable_price(
            float(contract.exposure_value(held, marks[market])),
            contract.settlement_slope(held),
            float(stand.equity),
            float(listing.maintenance(held, cost, marks[market])),
            float(stand.maintenance),
            adjustment=rules.bankruptcy_adjustment,
            spread=rules.spread_to_maintenance,
        )
        # The account's line is straight in 1 / price where the contract is inverse.
        return 1.0 / price if contract.inverse else price

    def tell_fund(self, venue: Venue, delta: int, cause: Literal["fill", "cover"]) -> None:
        venue.floor.tape.say(
            InsuranceFundChanged,
            symbol=venue.listing.contract.spec.symbol,
            delta_atoms=delta,
            balance_atoms=venue.fund.balance,
            cause=cause,
        )

    def unpaid(self, account: Margined, market: int, lots: int, marks: list[float]) -> Unpaid:
        atoms = self.bankruptcy(account, market, lots, marks)
        price = self.listings[market].contract.price_of(lots, atoms)
        return Unpaid(account, market, lots, atoms, price)


def lots_in(account: Margined, market: int) -> int:
    """Signed lots that an account holds of one contract."""
    for number, lots, _ in account.positions():
        if number == market:
            return lots
    return 0
