"""How an account stands: equity against maintenance margin, and the prices at which they meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.units import asset_decimals
from engine.venue.accounts import TraderSpec
from engine.venue.contract import Contract
from engine.venue.margined import Margined
from engine.venue.rules import MarginRules, VenueRules
from engine.venue.tiers import TierTable

__all__ = [
    "Listing",
    "Standing",
    "box",
    "edges",
    "equity_of",
    "margin_of",
    "opening_fault",
    "rounded",
    "standing_of",
]

_NOWHERE: Final = (-math.inf, math.inf)
_ALWAYS: Final = (math.inf, -math.inf)
_DRAW_IN: Final = 1e-9
"""Edges are floats, the decision is in whole atoms: wake this share of the price early."""


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
        self.table = TierTable(rules.margin, asset_decimals(asset))
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
        lots = abs(held) if size <= cap else cap * abs(held) // size
        while lots and self.size(lots, mark) > cap:
            lots -= 1
        return lots

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
        """What closing a position at its bankruptcy price costs, settlement atoms.

        Args:
            lots: signed, as held.
            cash: of the account, with what its other positions are worth.
        """
        if not self.fee_at_bankruptcy:
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
    needed, asset, atoms = 0, "", 1
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
        asset, atoms = listing.contract.settlement_asset, listing.contract.settlement_atoms
    if needed > spec.wallet_atoms + len(spec.positions):
        paid_in = f"{spec.wallet_atoms / atoms:,.12g} were paid in"
        return "wallet", f"needs {needed / atoms:,.12g} {asset} of initial margin, {paid_in}"
    return None


# Edges --------------------------------------------------------------------------------------------


def box(
    account: Margined, listings: Sequence[Listing], marks: Sequence[float], share: float = 1.0
) -> dict[int, tuple[float, float]]:
    """By market ``(low, high)``: between these marks equity stays above ``share`` times
    maintenance, whichever of them move.

    Each position has its part of the slack, which even the worst corner leaves uneaten.
    """
    positions = account.positions()
    stand = standing_of(account, listings, marks)
    slack = (stand.margin - share * stand.maintenance) / max(len(positions), 1) - rounded(share)
    fees = _fees_of_others(listings, positions)
    return {
        market: _side(listings[market], lots, marks[market], slack, share, fees)
        for market, lots, _ in positions
    }


def rounded(share: float) -> int:
    """By how many atoms less than in floats a position may cover ``share`` times maintenance: all
    is rounded against it. Of a small position in coins that is far more than ``_DRAW_IN``."""
    return 2 + math.ceil(3.0 * share)


def _fees_of_others(
    listings: Sequence[Listing], positions: Sequence[tuple[int, int, int]]
) -> float:
    """By how much, at most, what one position loses raises the fees of closing the others."""
    most = 0.0
    for market, _, _ in positions:
        if listings[market].fee_at_bankruptcy:
            fee = listings[market].contract.spec.taker_fee
            most = max(most, fee / (1.0 - fee))
    return most * max(len(positions) - 1, 0)


def _lines(margin: MarginRules, contract: Contract, fee: float) -> list[tuple[float, float, float]]:
    """``(cap, rate, deduction)`` of each tier in settlement atoms; the last one is open."""
    scale = contract.settlement_atoms
    lines = [(t.cap * scale, t.rate + fee, t.deduction * scale) for t in margin.tiers]
    return [*lines[:-1], (math.inf, *lines[-1][1:])] if lines else []


def edges(
    listing: Listing, cash: int, lots: int, cost: int, share: float = 1.0, withheld: int = 0
) -> tuple[float, float]:
    """``(low, high)``: between these marks the equity of an account with one position, but for what
    is ``withheld``, stays above ``share`` times maintenance.

    In the coordinate ``x`` (mark, or 1 / mark where inverse) equity is ``cash + slope * x`` and
    a tier's maintenance ``|slope| * x * rate - deduction``; they meet once."""
    contract = listing.contract
    slope = contract.settlement_slope(lots)
    if not listing.rates or slope == 0.0:
        return _NOWHERE
    kept, meet, size = float(cash - withheld), 0.0, abs(slope)
    if listing.fee_at_bankruptcy:  # the same at every mark
        kept = cash - withheld - share * listing.closing_fee(lots, cash)
    if listing.by_face:
        needed = listing.table.maintenance(contract.face(abs(lots))) * contract.coins_a_quote
        needed += size * listing.fee_inside
        meet = -kept / (slope - share * needed)
    elif listing.at_entry:
        meet = (share * listing.maintenance(lots, cost, 1.0) - kept) / slope
    else:
        for cap, rate, deduction in listing.rates:
            meet = -(kept + share * deduction) / (slope - share * size * rate)
            if meet * size <= cap:
                break
    falls = slope > 0.0
    if contract.inverse:
        if meet <= 0.0:
            return _NOWHERE if falls else _ALWAYS
        meet, falls = 1.0 / meet, not falls
    if falls:
        return (meet * (1.0 + _DRAW_IN), math.inf) if meet > 0.0 else _NOWHERE
    return -math.inf, max(meet, 0.0) * (1.0 - _DRAW_IN)


def _side(
    listing: Listing, lots: int, mark: float, slack: float, share: float, fees: float
) -> tuple[float, float]:
    """How far one market may move against a position before it has eaten ``slack``."""
    contract = listing.contract
    slope = contract.settlement_slope(lots)
    if not listing.rates or slope == 0.0:
        return _NOWHERE
    eaten = abs(slope) * (1.0 + share * (max(rate for _, rate, _ in listing.rates) + fees))
    here = 1.0 / mark if contract.inverse else mark
    away = max(slack, 0.0) / eaten
    low, high = here - away, here + away
    if contract.inverse:
        low, high = 1.0 / high, (1.0 / low if low > 0.0 else math.inf)
    return low * (1.0 + _DRAW_IN), high * (1.0 - _DRAW_IN)
