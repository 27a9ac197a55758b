"""How an account stands: its equity, and the maintenance margin that a venue asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from engine.units import asset_decimals
from engine.venue.accounts import TraderSpec
from engine.venue.contract import Contract
from engine.venue.margined import Margined
from engine.venue.rules import MarginRules, VenueRules
from engine.venue.tiers import tier_table

__all__ = [
    "Listing",
    "Standing",
    "equity_of",
    "margin_of",
    "opening_fault",
    "standing_of",
]


class Listing:
    """One contract as the venue lists it: its arithmetic, its rules and its risk limits."""

    __slots__ = (
        "_largest",
        "at_entry",
        "by_face",
        "contract",
        "fee_at_bankruptcy",
        "fee_inside",
        "rates",
        "rules",
        "table",
    )

    def __init__(self, contract: Contract, rules: VenueRules) -> None:
        self.contract = contract
        self.rules = rules
        self.by_face = contract.inverse and rules.margin.caps_in == "quote"
        """Whether the venue counts an inverse position by its quote face, not by its coins."""
        self.at_entry = not self.by_face and rules.margin.priced_at == "entry"
        """Whether a position counts by what it cost, whatever it is worth now."""
        asset = contract.quote_asset if self.by_face else contract.settlement_asset
        self.table = tier_table(rules.margin, asset_decimals(asset))
        inside = rules.margin.taker_fee_inside
        self.fee_at_bankruptcy = inside and rules.margin.fee_at == "bankruptcy"
        """Whether the fee of closing depends on what is left to lose, not on the position alone."""
        inside = inside and not self.fee_at_bankruptcy
        self.fee_inside = contract.spec.taker_fee if inside else 0.0
        self._largest: dict[float, int | None] = {}
        self.rates = _lines(rules.margin, contract, self.fee_inside)

    def largest(self, leverage: float) -> int | None:
        """The largest position that may be opened with a leverage, atoms of the tiers' asset; 0:
        none; ``None``: any."""
        if leverage not in self._largest:
            self._largest[leverage] = self.table.largest_notional(leverage)
        return self._largest[leverage]

    def size(self, lots: int, mark: float) -> int:
        """Unsigned size of a position by which the venue counts, atoms of the tiers' asset."""
        if self.by_face:
            return self.contract.face(abs(lots))
        return self.contract.notional(lots, mark)

    def lots_within(self, held: int, cap: int, mark: float) -> int:
        """How many lots of a position, unsigned, are no larger than ``cap``."""
        size = self.size(held, mark)
        return abs(held) if size <= cap else cap * abs(held) // size

    def initial(
        self, lots: int, mark: float, leverage: float = math.inf, *, open_lots: int = 0
    ) -> int:
        """Margin with which a position may be opened, atoms of the tiers' asset, rounded up.

        Args:
            leverage: that its owner has chosen.
            open_lots: of all positions of the contract, where that raises it.
        """
        return self.table.initial(self.size(lots, mark), leverage, self.size(open_lots, mark))

    def opening(self, lots: int, mark: float) -> int:
        """``initial`` of a position, settlement atoms."""
        needed = self.initial(lots, mark)
        return -self.contract.to_settlement(-needed, mark) if self.by_face else needed

    def maintenance(self, lots: int, cost: int, mark: float) -> int:
        """Margin that a position needs, settlement atoms, rounded up; the fee of closing included
        where the venue counts it and the position alone tells it."""
        contract = self.contract
        if self.by_face:
            quote = self.table.maintenance(contract.face(abs(lots)))
            needed = -contract.to_settlement(-quote, mark)
            size = contract.notional(lots, mark)
        else:
            size = abs(cost) if self.at_entry else contract.notional(lots, mark)
            needed = self.table.maintenance(size)
        return needed + contract.taker_fee(size) if self.fee_inside else needed

    def is_short(self, stand: Standing) -> bool:
        """Whether an account's maintenance is no longer covered."""
        if self.rules.margin.strict:
            return stand.margin < stand.maintenance
        return stand.margin <= stand.maintenance

    def closing_fee(self, lots: int, cash: int) -> int:
        """What closing a position at its bankruptcy price costs, settlement atoms; nothing where it
        is closed already.

        Args:
            lots: signed, as held.
            cash: of the account, with what its other positions are worth.
        """
        if not self.fee_at_bankruptcy or not lots:
            return 0
        return self.contract.before_fee(-lots, -cash) + cash


class Standing(Struct, frozen=True, gc=False):
    """Settlement atoms: what an account is worth, what of that must be there, and what of it the
    venue does not count."""

    equity: int
    maintenance: int
    withheld: int = 0

    @property
    def margin(self) -> int:
        """Equity as far as it counts."""
        return self.equity - self.withheld


def equity_of(account: Margined, listings: Sequence[Listing], marks: Sequence[float]) -> int:
    """Cash and the value of every position at the marks, settlement atoms, rounded down."""
    equity = account.cash
    for market, lots, _ in account.positions():
        equity += listings[market].contract.exposure_value(lots, marks[market])
    return equity


def standing_of(account: Margined, listings: Sequence[Listing], marks: Sequence[float]) -> Standing:
    """Equity and maintenance of all positions; a fee that is taken at the bankruptcy price is that
    of closing each one while the others are worth what they are."""
    equity, needed = equity_of(account, listings, marks), 0
    for market, lots, cost in account.positions():
        listing, mark = listings[market], marks[market]
        needed += listing.maintenance(lots, cost, mark)
        if listing.fee_at_bankruptcy:
            worth = listing.contract.exposure_value(lots, mark)
            needed += listing.closing_fee(lots, equity - worth)
    return Standing(equity, needed, account.withheld)


def margin_of(account: Margined, listings: Sequence[Listing], marks: Sequence[float]) -> int:
    """``Listing.maintenance`` of all positions: by it they share what is left."""
    needed = 0
    for market, lots, cost in account.positions():
        needed += listings[market].maintenance(lots, cost, marks[market])
    return needed


def opening_fault(spec: TraderSpec, listings: Sequence[Listing]) -> tuple[str, str] | None:
    """Why the venue would not have let a trader open what he holds: at his entry prices it needs
    more initial margin than he paid in, or more leverage than its tier allows. Which of ``size``,
    ``leverage`` and ``wallet`` is wrong, and what is.

    A wallet may be an atom short of the margin, which is rounded up.
    """
    needed = 0
    for position in spec.positions:
        listing = listings[position.market]
        if not listing.rules.margin.tiers:
            continue
        size = listing.size(position.lots, position.entry)
        most = listing.table.max_leverage(size)
        symbol = listing.contract.spec.symbol
        if most == 0.0:
            return "size", f"{symbol} allows no position of this size"
        if spec.max_leverage > most:
            allowed = f"{symbol} allows a position of this size {most:g}x"
            return "leverage", f"{allowed}, not {spec.max_leverage:g}x"
        initial = listing.table.initial(size)
        if listing.by_face:
            initial = listing.contract.to_settlement(initial, position.entry)
        needed += initial
    if needed > spec.wallet_atoms + len(spec.positions):
        contract = listings[spec.positions[0].market].contract  # all settle in one asset
        asset, atoms = contract.settlement_asset, contract.settlement_atoms
        paid_in = f"{spec.wallet_atoms / atoms:,.12g} were paid in"
        return "wallet", f"needs {needed / atoms:,.12g} {asset} of initial margin, {paid_in}"
    return None


def _lines(margin: MarginRules, contract: Contract, fee: float) -> list[tuple[float, float, float]]:
    """``(cap, rate, deduction)`` of each tier in settlement atoms; the last one is open."""
    scale = contract.settlement_atoms
    lines = [(t.cap * scale, t.rate + fee, t.deduction * scale) for t in margin.tiers]
    return [*lines[:-1], (math.inf, *lines[-1][1:])] if lines else []
