"""A crowd: the venue's background population, a million positions as columns.

Each row is an account of its own with one position, closed whole by the venue when it is short.
The ledger knows the crowd as one owner; the rows' shares are here. What a price leaves bankrupt,
and nobody pays for, is handed over together: the *pools*, one for longs and one for shorts, are
margin accounts like any other.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from engine.errors import InvariantError
from engine.ledger import Cause, Ledger
from engine.units import Rounding, mul_div
from engine.venue.accounts import Holding, Trader, cost_after
from engine.venue.crowd_columns import edges_of, standings
from engine.venue.crowd_versions import Versions
from engine.venue.crowd_watch import Side
from engine.venue.exact_columns import F64, I64, total_of
from engine.venue.standing import Listing

__all__ = ["Crowd", "CrowdSpec", "CrowdState", "Pool"]

_COLUMNS: Final = ("lots", "cash", "cost", "leverage")


class CrowdSpec(Struct, frozen=True, kw_only=True):
    """A background population; a column of numbers is its bytes, 64-bit each.

    Attributes:
        id: its name.
        market: in which it holds its positions.
        sizes: signed, long positive: lots where ``absolute``, else quote at the entry (floats).
        entries: prices, or shares of the market's first mark.
        leverages: with which each was opened; what is too much for its tier is cut to that.
        wallets: settlement atoms paid in, of ``absolute`` positions; else what the leverage asks.
        absolute: positions as given, or drawn relative to the first mark.
        tells_rows: whether each position that is liquidated is an event of its own.
        waits: whether it opens when it is told to (``OpenPopulation``); else at the first price.
    """

    id: str
    market: int
    sizes: bytes
    entries: bytes
    leverages: bytes
    wallets: bytes = b""
    absolute: bool = False
    tells_rows: bool = False
    waits: bool = False


class CrowdState(Struct):
    """What a crowd remembers; columns as bytes, or as their hash where only that is asked."""

    opened: bool
    columns: list[bytes]
    pools: list[Trader]
    told_ns: int
    waits: bool


class Pool:
    """The bankrupt of one side as ``Margined``."""

    __slots__ = ("crowd", "market", "name", "trader")
    alone = False
    withheld = 0
    topups = 0
    call_at = 0.0
    max_leverage = 0.0

    def __init__(self, crowd: Crowd, side: int) -> None:
        self.crowd = crowd
        self.name = f"{crowd.name}:{'long' if side > 0 else 'short'}"
        self.market = crowd.spec.market
        self.trader = Trader(self.name, 0, [Holding(crowd.spec.market, 0, 0)])

    @property
    def cash(self) -> int:
        return self.trader.cash

    def positions(self) -> list[tuple[int, int, int]]:
        return [(held.market, held.lots, held.cost) for held in self.trader.holdings]

    def called(self, _multiple: float) -> None:
        """Nobody is there to hear it."""

    def credited(self) -> bool:
        return False

    def cancel_orders(self, _market: int) -> int:
        return 0

    def move(
        self, _market: int, cause: Cause, lots: int, cash: int, against: str, _price: float
    ) -> None:
        self.crowd.post(cause, lots, cash, against)
        self.take_in(lots, cash)

    def take_in(self, lots: int, cash: int) -> None:
        """What was a row's is the pool's."""
        (held,) = self.trader.holdings
        held.cost = cost_after(held.lots, held.cost, lots, cash) if lots else held.cost
        held.lots += lots
        self.trader.cash += cash

    def deleveraged(self, *_: float) -> None:
        """They hold what they hold."""


class Crowd:
    """One population.

    Attributes:
        lots, cash, cost, leverage: columns, as of ``Trader``; lots 0 where nothing is held.
        edges: at or beyond which mark each is looked at.
        swept_ns: when rows of it were liquidated last.
        told_ns: when its cascade ratio was told last.
        waits: whether it is still to be told to open.
        longs, shorts: the same in the order in which prices reach them.
        pools: by side.
        versions: how the columns were.
    """

    def __init__(self, spec: CrowdSpec, listing: Listing, ledger: Ledger) -> None:
        self.spec, self.listing = spec, listing
        self.name = f"population:{spec.id}"
        self.pools = {side: Pool(self, side) for side in (1, -1)}
        self.opened = False
        self.waits = spec.waits
        self.told_ns = 0
        self.swept_ns = -1
        self._ledger = ledger
        self._own: dict[str, int] = {}
        self.versions = Versions(lambda: {name: getattr(self, name) for name in _COLUMNS})
        nobody = np.zeros(0, np.int64)
        self._keep(nobody, nobody.copy(), nobody.copy(), np.zeros(0))

    def __len__(self) -> int:
        return len(self.lots)

    def _keep(self, lots: I64, cash: I64, cost: I64, leverage: F64) -> None:
        self.lots, self.cash, self.cost, self.leverage = lots, cash, cost, leverage
        self.edges: F64 = edges_of(self.listing, lots, cash, cost) if len(lots) else leverage
        self.longs, self.shorts = Side(1, lots, self.edges), Side(-1, lots, self.edges)
        self.versions.renew()

    def open(self, lots: I64, wallets: I64, leverage: F64, entries: F64) -> None:
        """Everybody pays in and opens his position, bought from or sold to the book."""
        contract = self.listing.contract
        pairs = zip(lots.tolist(), entries.tolist(), strict=True)
        traded = np.array([contract.trade_cash(n, price) for n, price in pairs], np.int64)
        self.post(Cause.CREATION, 0, total_of(wallets), "clearing")
        self.post(Cause.HEDGE, total_of(lots), total_of(traded), "book")
        self._keep(lots, wallets + traded, -traded, leverage)
        self.opened = True

    # Money ------------------------------------------------------------------------------------

    def post(self, cause: Cause, lots: int, cash: int, against: str) -> None:
        """Lots and cash come to the crowd (negative: go), against an owner of the ledger."""
        contract = self.listing.contract
        symbol = contract.spec.symbol
        owner = f"book:{symbol}" if against == "book" else against
        assets = ((contract.settlement_asset, cash), (f"{symbol}:lots", lots))
        for asset, amount in assets:
            if amount:
                number = self._own.get(asset)
                if number is None:
                    number = self._own[asset] = self._ledger.open(self.name, asset)
                self._ledger.post(cause, self._ledger.open(owner, asset), number, amount)

    def closed(self, rows: I64, cash: I64) -> None:
        """These rows hold nothing any more, and have so much cash."""
        self.lots[rows] = 0
        self.cost[rows] = 0
        self.cash[rows] = cash
        self.versions.note(rows)

    def least(self, held: int, cash: int) -> int:
        """What closing all of a position must bring so that nothing is left, and nothing owed."""
        listing = self.listing
        return listing.contract.before_fee(-held, -cash) if listing.fee_at_bankruptcy else -cash

    def credit(self, amounts: I64, cause: Cause, against: str) -> None:
        """Everybody gets his amount (negative: pays)."""
        self.post(cause, 0, total_of(amounts), against)
        self.cash += amounts
        self._rearm()

    def traded(self, rows: I64, lots: I64, cash: I64) -> None:
        """Rows gave up lots for cash; each what is its own of it."""
        held, cost = self.lots[rows], self.cost[rows]
        left = held + lots
        pairs = zip(held.tolist(), cost.tolist(), left.tolist(), strict=True)
        self.cost[rows] = [c * rest // had if rest else 0 for had, c, rest in pairs]
        self.lots[rows] = left
        self.cash[rows] += cash
        alive = rows[left != 0]
        own = self.lots[alive], self.cash[alive], self.cost[alive]
        self.edges[alive] = edges_of(self.listing, *own)
        for side in (self.longs, self.shorts):
            side.moved(alive)
        self.versions.note(rows)

    def share_loss(self, loss: int, open_lots: int, left: int) -> int:
        """Each position pays its part of a loss that all share, rounded up, as long as any of it is
        left; what was paid."""
        rows = np.flatnonzero(self.lots)
        paid = []
        for lots in np.abs(self.lots[rows]).tolist():
            paid.append(min(mul_div(loss, lots, open_lots, Rounding.UP), left))
            left -= paid[-1]
        shares = np.array(paid, np.int64)
        self.post(Cause.SOCIALISED, 0, -total_of(shares), "clearing")
        self.cash[rows] -= shares
        self._rearm()
        return total_of(shares)

    def _rearm(self) -> None:
        self.edges[:] = edges_of(self.listing, self.lots, self.cash, self.cost)
        self.longs.sort()
        self.shorts.sort()
        self.versions.renew()

    # Watching ---------------------------------------------------------------------------------

    def bounds(self) -> tuple[float, float]:
        """Between which marks nobody of it is short."""
        return self.longs.next(), self.shorts.next()

    def reached(self, price: float) -> I64:
        """Rows that a price may have made short, ascending."""
        return np.union1d(self.longs.reached(price), self.shorts.reached(price))

    def short(self, mark: float) -> tuple[I64, I64, I64]:
        """The rows that do not cover their maintenance at a mark, with equity and maintenance."""
        rows = self.reached(mark)
        own = self.lots[rows], self.cash[rows], self.cost[rows]
        equity, needed = standings(self.listing, *own, mark)
        strict = self.listing.rules.margin.strict
        short = equity < needed if strict else equity <= needed
        return rows[short], equity[short], needed[short]

    def holders(self, side: int) -> I64:
        """Rows that hold a side (+1 long), ascending."""
        return np.flatnonzero(np.sign(self.lots) == side)

    def open_lots(self) -> tuple[int, int]:
        """How many positions are held, and lots of both sides together."""
        return int(np.count_nonzero(self.lots)), total_of(np.abs(self.lots))

    def check(self) -> None:
        """Rows and pools add up to what the ledger says.

        Raises:
            InvariantError: naming the asset and both sums.
        """
        contract = self.listing.contract
        pools = [pool.trader for pool in self.pools.values()]
        cash = lots = 0
        for pool in pools:
            cash, lots = cash + pool.cash, lots + pool.holdings[0].lots
        sums = {
            contract.settlement_asset: cash + total_of(self.cash),
            f"{contract.spec.symbol}:lots": lots + total_of(self.lots),
        }
        for asset, found in sums.items():
            kept = self._ledger.balance(self.name, asset)
            if kept != found:
                raise InvariantError(f"{self.name} has {found} {asset}, the ledger {kept}")

    # Snapshot ---------------------------------------------------------------------------------

    def state(self, *, whole: bool) -> CrowdState:
        """Its columns, or their hashes where these will do."""
        if whole:
            kept = [getattr(self, name).tobytes() for name in _COLUMNS]
        else:
            kept = self.versions.hashes()
        pools = [pool.trader for pool in self.pools.values()]
        return CrowdState(self.opened, kept, pools, self.told_ns, self.waits)

    def resume(self, state: CrowdState) -> None:
        """Go on where a snapshot was taken."""
        lots, cash, cost = (np.frombuffer(kept, np.int64).copy() for kept in state.columns[:3])
        self.opened, self.told_ns, self.waits = state.opened, state.told_ns, state.waits
        self._keep(lots, cash, cost, np.frombuffer(state.columns[3]).copy())
        for pool, trader in zip(self.pools.values(), state.pools, strict=True):
            pool.trader = trader
