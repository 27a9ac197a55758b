"""Everybody's place in a market's queue for auto-deleveraging, at any marks.

Holdings change at wakes alone, scores with every mark. So the accounts are kept as columns, and a
place is worked out where somebody wants to see it: a change costs one row, a sample nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.units import MINUTE_NS
from engine.venue.margined import Margined
from engine.venue.ranking import Candidates, scores
from engine.venue.standing import Listing

__all__ = ["QUEUED", "Held", "Places", "Queue", "candidates"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

QUEUED: Final = frozenset({"bitmex", "bybit", "binance", "okx", "gate", "hyperliquid"})
"""Rankings by which one is closed before another; the others draw lots, or share."""
_MANY: Final = 2_000
"""Beyond so many accounts of a side places are worked out at whole minutes only."""
_CELLS: Final = 1 << 20
"""Scores worked out at once."""


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
            held.put(row, account, market)
        return held

    def put(self, row: int, account: Margined, market: int) -> None:
        """Take over what an account has."""
        others = []
        self.lots[row] = 0
        for number, lots, cost in account.positions():
            if number == market:
                self.lots[row], self.cost[row] = lots, cost
            elif lots:
                others.append((number, lots, cost))
        self.cash[row] = account.cash
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
            size = np.abs(cost) + 0.0 * size
        needed = listing.table.maintenances(size)
    return needed + listing.fee_inside * size


def _closing_fees(listing: Listing, lots: Any, cash: Any) -> Any:
    """``Listing.closing_fee`` of many positions."""
    if not listing.fee_at_bankruptcy:
        return 0.0
    contract, fee = listing.contract, listing.contract.spec.taker_fee
    sells = (lots > 0) != contract.inverse
    before = np.where(cash < 0.0, -cash / (1.0 - fee), -cash / (1.0 + fee))
    return np.where((cash != 0.0) & ((cash < 0.0) == sells), before + cash, 0.0)


class Queue:
    """A market's accounts as they stand from one instant to another.

    Args:
        seats: the row of each product's hedge, in declared order; -1 where it has none.
    """

    __slots__ = ("held", "listings", "market", "seats")

    def __init__(
        self, listings: Sequence[Listing], market: int, held: Held, seats: Sequence[int]
    ) -> None:
        self.listings = listings
        self.market = market
        self.held = held
        self.seats = seats

    @property
    def markets(self) -> list[int]:
        """On whose marks places depend."""
        held = self.held.others.values()
        return sorted({self.market, *(number for others in held for number, _, _ in others)})

    def quantiles(self, ts_ns: I64, marks: Mapping[int, F64]) -> F64:
        """Share of its side's queue that is not ahead of each hedge: 1 for who is closed first.

        Args:
            ts_ns: shape (s,).
            marks: shape (s,) each, of ``markets``.

        Returns:
            Shape (s, products); nan for who is in no queue.
        """
        found = np.full((len(ts_ns), len(self.seats)), np.nan)
        for side in (1, -1):
            rows = np.flatnonzero(self.held.lots * side > 0)
            place = {row: number for number, row in enumerate(rows.tolist())}
            own = [(n, place[row]) for n, row in enumerate(self.seats) if row in place]
            if own:
                self._fill(found, ts_ns, marks, rows, own)
        return found

    def _fill(
        self,
        found: F64,
        ts_ns: I64,
        marks: Mapping[int, F64],
        rows: I64,
        own: Sequence[tuple[int, int]],
    ) -> None:
        held, count = self.held.take(rows), len(rows)
        at = np.arange(len(ts_ns))
        if count > _MANY:
            at = at[ts_ns % MINUTE_NS == 0]
        ranking, step = self.listings[self.market].rules.adl.ranking, max(_CELLS // count, 1)
        for first in range(0, len(at), step):
            part = at[first : first + step]
            there = {number: each[part][:, None] for number, each in marks.items()}
            scored = scores(ranking, candidates(self.listings, self.market, held, there))
            for column, place in own:
                score = scored[:, place : place + 1]
                ahead = np.count_nonzero(scored > score, axis=1)
                ahead = ahead + np.count_nonzero(scored[:, :place] == score, axis=1)
                found[part, column] = (count - ahead) / count


class Places:
    """The queue of one market as it changes: versions, each with the sample from which it holds.

    Args:
        accounts: all that may hold something in the market, in declared order.
    """

    __slots__ = ("_later", "_lent", "_now", "_since", "market")

    def __init__(
        self,
        listings: Sequence[Listing],
        market: int,
        accounts: Sequence[Margined],
        seats: Sequence[int],
    ) -> None:
        self.market = market
        leverage = np.array([account.max_leverage for account in accounts], np.float64)
        self._now = Queue(listings, market, Held(leverage), seats)
        self._since = 0
        self._lent = False
        self._later: list[tuple[int, Queue]] = []

    def change(self, row: int, account: Margined, sample: int, *, queued: bool) -> None:
        """An account stands otherwise from ``sample`` on, counted from the next block's first."""
        now = self._now
        if sample > self._since or self._lent:
            if sample > self._since:
                self._later.append((self._since, now))
            self._since, self._lent = sample, False
            now = self._now = Queue(now.listings, now.market, now.held.copy(), now.seats)
        if queued:
            now.held.put(row, account, self.market)
        else:
            now.held.lots[row] = 0

    def start(self) -> None:
        """The market has its first price: samples count from here on."""
        self._later, self._since = [], 0

    def take(self, samples: int) -> tuple[tuple[int, Queue], ...]:
        """The versions of the next so many samples."""
        versions = [*self._later, (self._since, self._now)]
        taken = tuple(each for each in versions if each[0] < samples)
        self._later = [(0, taken[-1][1])] if taken[-1][1] is not self._now else []
        self._later += [(at - samples, each) for at, each in versions[len(taken) : -1]]
        if len(taken) == len(versions):
            self._since, self._lent = 0, True
        else:
            self._since -= samples
        return taken
