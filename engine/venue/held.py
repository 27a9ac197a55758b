"""Margin accounts as columns, and what a venue ranks them by for auto-deleveraging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.venue.exact_columns import F64, I64
from engine.venue.margined import Margined
from engine.venue.ranking import Candidates
from engine.venue.standing import Listing

__all__ = ["Held", "Positions", "candidates"]

Positions = Sequence[tuple[int, int, int]]
"""``(market, lots, cost)`` of what an account holds."""


class Held:
    """Accounts as columns: what each holds of one market, its cash, and what it holds elsewhere.

    Attributes:
        lots: shape (n,), signed; 0 for who is in no queue.
        cash, cost: shape (n,), settlement atoms.
        leverage: shape (n,), that its owner chose.
        others: ``(market, lots, cost)`` of the other positions, by row.
    """

    __slots__ = ("cash", "cost", "leverage", "lots", "others")

    def __init__(self, leverage: F64) -> None:
        count = len(leverage)
        self.lots: I64 = np.zeros(count, np.int64)
        self.cash: F64 = np.zeros(count)
        self.cost: F64 = np.zeros(count)
        self.leverage = leverage
        self.others: dict[int, tuple[tuple[int, int, int], ...]] = {}

    @classmethod
    def of(cls, accounts: Sequence[Margined], market: int) -> Held:
        """Accounts that hold something of a market."""
        held = cls(np.array([account.max_leverage for account in accounts], np.float64))
        for row, account in enumerate(accounts):
            held.put(row, account.positions(), account.cash, market)
        return held

    def put(self, row: int, positions: Positions, cash: int, market: int) -> None:
        """Take over what an account has."""
        others = []
        self.lots[row] = 0
        for number, lots, cost in positions:
            if number == market:
                self.lots[row], self.cost[row] = lots, cost
            elif lots:
                others.append((number, lots, cost))
        self.cash[row] = cash
        if others:
            self.others[row] = tuple(others)
        else:
            self.others.pop(row, None)

    def copy(self) -> Held:
        """The same, to be changed."""
        made = Held(self.leverage)
        made.lots, made.cash, made.cost = self.lots.copy(), self.cash.copy(), self.cost.copy()
        made.others = dict(self.others)
        return made

    def beside(self, crowds: Sequence[Mapping[str, I64 | F64]]) -> Held:
        """These, and the rows of crowds after them."""
        if not crowds:
            return self
        whole = {
            name: np.concatenate([getattr(self, name), *(crowd[name] for crowd in crowds)])
            for name in ("lots", "cash", "cost", "leverage")
        }
        made = Held(whole["leverage"])
        made.lots, made.cash, made.cost = whole["lots"], whole["cash"], whole["cost"]
        made.others = self.others
        return made

    def take(self, rows: I64) -> Held:
        """Some of them, in that order."""
        made = Held(self.leverage.take(rows))
        made.lots, made.cash = self.lots.take(rows), self.cash.take(rows)
        made.cost = self.cost.take(rows)
        if self.others:
            named = enumerate(rows.tolist())
            made.others = {n: self.others[row] for n, row in named if row in self.others}
        return made


def candidates(
    listings: Sequence[Listing], market: int, held: Held, marks: Mapping[int, Any]
) -> Candidates:
    """What accounts are ranked by. Money as floats: a queue is no payment.

    Args:
        market: in which all of them hold something.
        marks: by market, a number, or shape (s, 1) for as many instants.
    """
    listing, mark = listings[market], marks[market]
    contract, lots = listing.contract, held.lots
    worth = _worth(listing, lots, mark)
    equity = held.cash + worth
    needed = _needed(listing, lots, held.cost, mark)
    for row, others in held.others.items():
        for number, more, _ in others:
            equity[..., row] += _flat(_worth(listings[number], more, marks[number]))
        for number, more, cost in others:
            other, at = listings[number], marks[number]
            needed[..., row] += _flat(_needed(other, more, float(cost), at))
            rest = equity[..., row] - _flat(_worth(other, more, at))
            needed[..., row] += _closing_fees(other, more, rest)
    needed = needed + _closing_fees(listing, lots, equity - worth)
    quote = 1.0 / contract.quote_atoms
    if contract.inverse:
        quote = quote * mark / contract.coins_a_quote
    profit = (worth - held.cost) * quote
    size = lots * contract.settlement_slope(1)
    with np.errstate(divide="ignore"):
        entry = size / held.cost if contract.inverse else held.cost / size
    # What is so small that it cost no atom stands where it was bought: at the mark.
    entry = np.where((entry > 0.0) & (entry < np.inf), entry, mark)
    return Candidates(
        account=np.arange(len(lots)),
        lots=lots,
        entry=entry,
        mark=mark,
        notional=np.abs(worth) * quote,
        wallet=equity * quote - profit,
        equity=equity * quote,
        maintenance=needed * quote,
        leverage=held.leverage,
        inverse=contract.inverse,
    )


def _flat(column: Any) -> Any:
    """Shape (s, 1) as (s,); a number as it is."""
    return column[:, 0] if np.ndim(column) else column


def _worth(listing: Listing, lots: Any, mark: Any) -> Any:
    """Settlement atoms that lots add to an account."""
    contract = listing.contract
    size = lots * contract.settlement_slope(1)
    return size / mark if contract.inverse else size * mark


def _needed(listing: Listing, lots: Any, cost: Any, mark: Any) -> Any:
    """``Listing.maintenance`` of many positions."""
    contract = listing.contract
    size = np.abs(_worth(listing, lots, mark))
    if listing.by_face:
        face = np.abs(lots * contract.settlement_slope(1)) / contract.coins_a_quote
        needed = listing.table.maintenances(face) * contract.coins_a_quote / mark
    else:
        if listing.rules.margin.priced_at == "entry":
            size = np.broadcast_to(np.abs(cost), np.shape(size))
        needed = listing.table.maintenances(size)
    return needed + listing.fee_inside * size


def _closing_fees(listing: Listing, lots: Any, cash: Any) -> Any:
    """``Listing.closing_fee`` of many positions."""
    if not listing.fee_at_bankruptcy:
        return 0.0
    contract, fee = listing.contract, listing.contract.spec.taker_fee
    before = -cash / (1.0 + np.copysign(fee, cash))
    owed = np.sign(lots) if contract.inverse else -np.sign(lots)
    return np.where(np.sign(cash) == owed, before + cash, 0.0)
