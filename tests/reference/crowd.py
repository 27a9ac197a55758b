"""A background population as a plain list of positions, each asked at every price."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.crowd_events import (
    CascadeRatio,
    PopulationFunded,
    PopulationLiquidated,
    PopulationOpened,
    PopulationRevalued,
    PositionLiquidated,
)
from engine.ledger import Cause
from engine.units import Rounding, mul_div
from engine.venue.accounts import Holding, Trader, cost_after
from engine.venue.bankruptcy import fillable_price, insurance_delta
from engine.venue.cascade import DISTANCES
from engine.venue.depth import DepthBook
from engine.venue.desk import Unpaid
from engine.venue.edges import edges
from engine.venue.funding import funding_payment
from engine.venue.standing import Standing, standing_of
from engine.venue.stepping import fee_rate

if TYPE_CHECKING:
    from engine.venue.crowd import CrowdSpec
    from engine.venue.desk import Venue


@dataclass
class Position:
    """One of them, as a margin account."""

    name: str
    market: int
    lots: int
    cash: int
    cost: int
    max_leverage: float
    row: int
    crowd: Any
    alone = False
    withheld = 0

    def positions(self) -> list[tuple[int, int, int]]:
        return [(self.market, self.lots, self.cost)] if self.lots else []

    def trade(self, lots: int, cash: int) -> None:
        self.cost = cost_after(self.lots, self.cost, lots, cash)
        self.lots += lots
        self.cash += cash


class Pool:
    """The bankrupt of one side."""

    alone = False
    withheld = 0
    topups = 0
    call_at = max_leverage = 0.0

    def __init__(self, name: str, market: int) -> None:
        self.name, self.market = name, market
        self.trader = Trader(name, 0, [Holding(market, 0, 0)])

    @property
    def cash(self) -> int:
        return self.trader.cash

    def positions(self) -> list[tuple[int, int, int]]:
        return [(held.market, held.lots, held.cost) for held in self.trader.holdings]

    def called(self, _multiple: float) -> None:
        pass

    def credited(self) -> bool:
        return False

    def cancel_orders(self, _market: int) -> int:
        return 0

    def move(
        self, _market: int, _cause: Cause, lots: int, cash: int, _against: str, _price: float
    ) -> None:
        (held,) = self.trader.holdings
        if lots:
            held.cost = cost_after(held.lots, held.cost, lots, cash)
        held.lots += lots
        self.trader.cash += cash

    def deleveraged(self, *_: float) -> None:
        pass


class Crowd:
    """The list; positions are given, not drawn."""

    def __init__(self, spec: CrowdSpec, desk: Any) -> None:
        self.spec, self.desk = spec, desk
        self.name = f"population:{spec.id}"
        self.pools = {
            1: Pool(f"{self.name}:long", spec.market),
            -1: Pool(f"{self.name}:short", spec.market),
        }
        self.positions: list[Position] = []
        self.swept_ns, self.told_ns = -1, 0
        self.waits = spec.waits

    @property
    def venue(self) -> Venue:
        found: Venue = self.desk.venues[self.spec.market]
        return found

    def open(self) -> None:
        self.opened_ns = self.venue.floor.ts_ns
        spec, contract = self.spec, self.venue.listing.contract
        assert spec.absolute
        columns = (
            np.frombuffer(spec.sizes, np.int64).tolist(),
            np.frombuffer(spec.wallets, np.int64).tolist(),
            np.frombuffer(spec.entries).tolist(),
            np.frombuffer(spec.leverages).tolist(),
        )
        for row, (lots, wallet, entry, leverage) in enumerate(zip(*columns, strict=True)):
            cash = contract.trade_cash(lots, entry)
            name = f"{self.name}:{row}"
            self.positions.append(
                Position(name, spec.market, lots, wallet + cash, -cash, leverage, row, self)
            )
        self._say(
            PopulationOpened,
            positions=len(self.positions),
            long_lots=sum(p.lots for p in self.positions if p.lots > 0),
            short_lots=-sum(p.lots for p in self.positions if p.lots < 0),
            cash_atoms=sum(p.cash for p in self.positions),
        )
        self.ratio()

    def ratio(self) -> None:
        """What the next move would liquidate for each quote the book takes."""
        book, mark = self.venue.floor.book, self.venue.floor.mark
        book = getattr(book, "book", book)
        if not isinstance(book, DepthBook):
            return
        contract, away = self.venue.listing.contract, []
        for side in (1, -1):
            book.reach(-side, self.venue.floor.ts_ns)
            held = [0] * (len(DISTANCES) - 1)
            for p in self.positions:
                if p.lots * side > 0:
                    edge = edges(self.venue.listing, p.cash, p.lots, p.cost)[0 if side > 0 else 1]
                    distance = side * (1.0 - edge / mark) * 100.0
                    for place, (near, far) in enumerate(pairwise(DISTANCES)):
                        if near <= distance < far:
                            held[place] += contract.notional(p.lots, mark)
            away.append(
                tuple(
                    contract.to_quote(atoms, mark)
                    / contract.quote_atoms
                    / (book.within(far) - book.within(near))
                    for atoms, (near, far) in zip(held, pairwise(DISTANCES), strict=True)
                )
            )
        self.told_ns = self.venue.floor.ts_ns
        self.venue.floor.tape.say(
            CascadeRatio,
            symbol=contract.spec.symbol,
            mark_price=mark,
            distances_pct=DISTANCES,
            down=away[0],
            up=away[1],
        )

    def _say(self, kind: Any, **fields: Any) -> None:
        symbol = self.venue.listing.contract.spec.symbol
        self.venue.floor.tape.say(kind, population=self.spec.id, symbol=symbol, **fields)

    # Liquidation ----------------------------------------------------------------------------------

    def stand(self, position: Any) -> Standing:
        return standing_of(position, self.desk.listings, self.desk.marks())

    def short(self) -> list[Position]:
        """Who does not cover his maintenance now."""
        if self.venue.floor.stale:
            return []
        number = self.spec.market
        held = [position for position in self.positions if position.lots]
        return [each for each in held if self.desk.is_short(self.stand(each), number)]

    def sweep(self) -> list[Unpaid]:
        short = self.short()
        if not short:
            return []
        self.swept_ns = self.venue.floor.ts_ns
        before = [(p, p.lots, self.stand(p)) for p in short]
        if self.spec.tells_rows:
            for position, lots, stand in before:
                self._say(
                    PositionLiquidated,
                    row=position.row,
                    lots=lots,
                    equity_atoms=stand.equity,
                    maintenance_atoms=stand.maintenance,
                )
        names = ("filled_lots", "filled_atoms", "backstop_lots", "unpaid_positions", "unpaid_lots")
        self.told = {
            side: dict.fromkeys((*names, "fund_atoms", "fund_paid_atoms"), 0) for side in (1, -1)
        }
        for position, lots, stand in before:
            self._close(position, stand, self.told[1 if lots > 0 else -1])
        for side, told in self.told.items():
            own = [(lots, stand) for _, lots, stand in before if lots * side > 0]
            if own:
                self._tell(side, own, told)
        return self._unpaid(before)

    def _tell(self, side: int, own: list[tuple[int, Standing]], told: dict[str, int]) -> None:
        mark, contract = self.venue.floor.mark, self.venue.listing.contract
        self._say(
            PopulationLiquidated,
            side="long" if side > 0 else "short",
            mark_price=mark,
            positions=len(own),
            lots=-sum(lots for lots, _ in own),
            notional_atoms=sum(contract.notional(lots, mark) for lots, _ in own),
            **told,
            deficit_atoms=-sum(min(stand.equity, 0) for _, stand in own),
        )
        if told["fund_paid_atoms"]:
            self.desk.tell_fund(self.venue, -told["fund_paid_atoms"], "fill")

    def _close(self, position: Position, stand: Standing, told: dict[str, int]) -> None:
        venue, rules = self.venue, self.venue.listing.rules.liquidation
        contract, held = venue.listing.contract, position.lots
        if rules.backstop_below and stand.equity < rules.backstop_below * stand.maintenance:
            if stand.equity < 0:
                self._give_up(position, told)
            else:
                told["backstop_lots"] -= held
                position.trade(-held, -position.cash)
            return
        atoms = contract.before_fee(-held, -position.cash) if self._fees else -position.cash
        limit = self._limit(position, stand, atoms)
        idle_ns = venue.floor.ts_ns - self.opened_ns
        most = fee_rate(venue.listing, held, venue.floor.mark, stand, idle_ns)
        lots, price = self.desk.take(venue, -held, limit)
        if lots:
            cash, least = contract.trade_cash(lots, price), atoms * lots // -held
            gain = max(insurance_delta(cash, least, most), 0)
            if rules.surplus == "fund":
                gain = max(cash - least, 0)
            told["fund_atoms"] += gain
            self._fill(position, told, lots, cash, least, gain)
        if position.lots:
            self._insure(position, told)
        if position.lots:
            self._give_up(position, told)

    @property
    def _fees(self) -> bool:
        return self.venue.listing.fee_at_bankruptcy

    def _limit(self, position: Position, stand: Standing, atoms: int) -> float | None:
        listing, mark = self.venue.listing, self.venue.floor.mark
        contract, rules, held = listing.contract, listing.rules.liquidation, position.lots
        if rules.limit == "none":
            return None
        if rules.limit == "bankruptcy":
            return contract.price_of(-held, atoms)
        price = fillable_price(
            float(contract.exposure_value(held, mark)),
            contract.settlement_slope(held),
            float(stand.equity),
            float(listing.maintenance(held, position.cost, mark)),
            float(stand.maintenance),
            adjustment=rules.bankruptcy_adjustment,
            spread=rules.spread_to_maintenance,
        )
        return 1.0 / price if contract.inverse else price

    def _fill(
        self, position: Position, told: dict[str, int], lots: int, cash: int, least: int, gain: int
    ) -> None:
        told["filled_lots"] += lots
        told["filled_atoms"] += cash
        position.trade(lots, cash)
        if gain:
            self.venue.fund.changed(gain, self.venue.floor.ts_ns)
        fee = self.venue.listing.contract.closing_fee(lots, least) if self._fees else 0
        position.cash -= gain + fee

    def _insure(self, position: Position, told: dict[str, int]) -> None:
        venue, held = self.venue, position.lots
        budget = venue.fund.available(venue.floor.ts_ns)
        if budget <= 0:
            return
        contract = venue.listing.contract
        atoms = contract.before_fee(-held, -position.cash) if self._fees else -position.cash
        size = self.desk.affordable(venue, -held, atoms, budget)
        lots, price = self.desk.take(venue, size, None) if size else (0, 0.0)
        if lots:
            cash, least = contract.trade_cash(lots, price), atoms * lots // -held
            loss = max(least - cash, 0)
            told["fund_paid_atoms"] += loss
            self._fill(position, told, lots, cash, least, -loss)

    def _give_up(self, position: Position, told: dict[str, int]) -> None:
        told["unpaid_positions"] += 1
        told["unpaid_lots"] -= position.lots

    def _unpaid(self, before: list[tuple[Position, int, Standing]]) -> list[Unpaid]:
        """What is left, and what is owed, goes to the pool of its side: all of it at once."""
        found = []
        for side, pool in self.pools.items():
            over = [p for p, lots, _ in before if lots * side > 0 and (p.lots or p.cash < 0)]
            lots, cash = sum(p.lots for p in over), sum(p.cash for p in over)
            pool.move(0, Cause.LIQUIDATION, lots, cash, "", 0.0)
            for position in over:
                position.lots = position.cash = position.cost = 0
            held = pool.positions()[0][1]
            account: Any = pool
            if self.told[side]["unpaid_positions"]:
                marks = self.desk.marks()
                found.append(self.desk.unpaid(account, self.spec.market, -held, marks))
            elif over and not held and pool.cash < 0:
                found.append(Unpaid(account, self.spec.market, 0, 0, None))
        return found

    # What others do to it -------------------------------------------------------------------------

    def fund(self, rate: float, index: float | None) -> None:
        contract, mark = self.venue.listing.contract, self.venue.floor.mark
        held, paid = [p for p in self.positions if p.lots], 0
        for position in held:
            size = contract.notional(position.lots, index or mark)
            atoms = funding_payment(size, 1 if position.lots > 0 else -1, rate)
            position.cash -= atoms
            paid += atoms
        if held:
            self._say(
                PopulationFunded,
                rate=rate,
                mark_price=mark,
                positions=len(held),
                paid_atoms=paid,
                index_price=index,
            )

    def revalue(self, moved: Fraction, named: dict[str, Any]) -> None:
        """What lies there for each open position changes by a share."""
        found = []
        for position in self.positions:
            collateral = position.cash + position.cost
            if position.lots and collateral > 0:
                change = math.floor(collateral * moved)
                position.cash += change
                found.append((collateral, change))
        if found:
            had, changed = (sum(each) for each in zip(*found, strict=True))
            said = {"positions": len(found), "collateral_atoms": had, "change_atoms": changed}
            self.venue.floor.tape.say(PopulationRevalued, population=self.spec.id, **said, **named)

    def _column(self, name: str, kind: Any = np.int64) -> Any:
        return np.array([getattr(position, name) for position in self.positions], kind)

    lots = property(lambda self: self._column("lots"))
    cash = property(lambda self: self._column("cash"))
    cost = property(lambda self: self._column("cost"))
    leverage = property(lambda self: self._column("max_leverage", np.float64))
    listing = property(lambda self: self.venue.listing)
    opened = property(lambda self: bool(self.positions))

    def holders(self, side: int) -> Any:
        return np.array([p.row for p in self.positions if p.lots * side > 0], np.int64)

    def least(self, held: int, cash: int) -> int:
        contract = self.venue.listing.contract
        return contract.before_fee(-held, -cash) if self._fees else -cash

    def post(self, *_: Any) -> None:
        """Its money is its positions'."""

    def traded(self, rows: Any, lots: Any, cash: Any) -> None:
        for row, traded, got in zip(rows.tolist(), lots.tolist(), cash.tolist(), strict=True):
            self.positions[row].trade(traded, got)

    def open_lots(self) -> tuple[int, int]:
        held = [abs(p.lots) for p in self.positions if p.lots]
        return len(held), sum(held)

    def share_loss(self, loss: int, open_lots: int, left: int) -> int:
        before = left
        for position in self.positions:
            if position.lots:
                paid = min(mul_div(loss, abs(position.lots), open_lots, Rounding.UP), left)
                position.cash -= paid
                left -= paid
        return before - left
