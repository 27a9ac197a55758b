"""Liquidation: what the venue does with an account that no longer covers its maintenance margin.

    short of margin -> started (its orders are cancelled) -> steps through the book -> restored
                                                          -> backstop takes position and equity
                                                          -> the insurance fund pays beyond the
                                                             bankruptcy price
                                                          -> auto-deleveraging -> socialised loss

Every arrow is an event. Orders of the venue are immediate-or-cancel against the book that hedges
meet. All liquidations of an instant come before all auto-deleveragings of it, as far as its rows
are in yet; see ``engine.margins``. A top-up that is due at the instant is credited before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from engine.ledger import Cause
from engine.units import total
from engine.venue.bankruptcy import insurance_delta
from engine.venue.desk import Stage, Unpaid, lots_in
from engine.venue.insuring import Insuring
from engine.venue.margined import Margined, held_by, lots_of
from engine.venue.standing import Standing, equity_of, standing_of
from engine.venue.stepping import fee_rate, step_lots
from engine.venue_events import (
    BackstopTakeover,
    LiquidationEnded,
    LiquidationFilled,
    LiquidationStarted,
    MarginCalled,
    OrdersCancelled,
)

__all__ = ["Liquidator"]


class Liquidator(Insuring):
    """The venue closes what is short of margin."""

    # Looking ----------------------------------------------------------------------------------

    def review(self, accounts: Iterable[Margined]) -> list[Unpaid]:
        """Look at accounts, in order, and liquidate those that are short; what nobody could be
        paid for is given back."""
        unpaid: list[Unpaid] = []
        marks = self.marks()
        for account in accounts:
            held = held_by(account)
            if not held:
                self.stages.pop(account.name, None)  # its owner closed it meanwhile
            elif self.is_priced(held):
                self._review(account, held, marks, unpaid)
        return unpaid

    def _review(
        self,
        account: Margined,
        held: list[tuple[int, int, int]],
        marks: list[float],
        unpaid: list[Unpaid],
    ) -> None:
        market = self._heaviest(held, marks)
        stage = self.stages.get(account.name)
        floor = self.venues[market].floor
        if stage is not None and stage.resumes_ns > floor.ts_ns:
            return
        if any(self.venues[m].floor.stale for m, _, _ in held):
            if stage is not None:
                stage.resumes_ns = 0  # the next step is for the first fresh price
            return
        stand = standing_of(account, self.listings, marks)
        if self.is_short(stand, market) and account.credited():
            self.acting.changed(account, floor.ts_ns)
            stand = standing_of(account, self.listings, marks)
        if not self.is_short(stand, market):
            if stage is not None:
                self._end(account, market, "restored")
            else:
                self._call(account, market, stand)
            return
        if stage is None:
            stage = self.stages[account.name] = Stage()
            self._start(account, market, stand)
        else:
            self._call(account, market, stand)  # a jump passed the margin at which he is called
        self._close(account, stage, held, stand, marks, unpaid)

    def _call(self, account: Margined, market: int, stand: Standing) -> None:
        """Near maintenance, or still short of it, the owner is called, once for what he holds."""
        if not self.is_near(account, stand):
            return
        positions = account.positions()
        multiple = self.calls_at(account, positions)
        self.called[account.name] = lots_of(positions), account.topups
        self.venues[market].floor.tape.say(
            MarginCalled,
            account=account.name,
            symbol=self.listings[market].contract.spec.symbol,
            mark_price=self.venues[market].floor.mark,
            equity_atoms=stand.margin,
            maintenance_atoms=stand.maintenance,
        )
        account.called(multiple)

    def _heaviest(self, held: list[tuple[int, int, int]], marks: list[float]) -> int:
        """The market whose position is closed first: the one that needs the most margin, or the
        first."""
        market = held[0][0]
        if len(held) == 1 or self.listings[market].rules.liquidation.first == "listed":
            return market
        needs = [self.listings[m].maintenance(n, cost, marks[m]) for m, n, cost in held]
        return held[needs.index(max(needs))][0]

    def _start(self, account: Margined, market: int, stand: Standing) -> None:
        venue = self.venues[market]
        symbol = venue.listing.contract.spec.symbol
        lots = lots_in(account, market)
        venue.floor.tape.say(
            LiquidationStarted,
            account=account.name,
            symbol=symbol,
            mark_price=venue.floor.mark,
            position_lots=lots,
            equity_atoms=stand.margin,
            maintenance_atoms=stand.maintenance,
        )
        orders = total(account.cancel_orders(m) for m, _, _ in account.positions())
        if orders:
            venue.floor.tape.say(
                OrdersCancelled, account=account.name, symbol=symbol, orders=orders
            )

    def _end(self, account: Margined, market: int, outcome: Literal["restored", "closed"]) -> None:
        venue = self.venues[market]
        del self.stages[account.name]
        venue.floor.tape.say(
            LiquidationEnded,
            account=account.name,
            symbol=venue.listing.contract.spec.symbol,
            outcome=outcome,
            position_lots=lots_in(account, market),
            equity_atoms=equity_of(account, self.listings, self.marks()),
        )

    # Closing ----------------------------------------------------------------------------------

    def _close(
        self,
        account: Margined,
        stage: Stage,
        held: list[tuple[int, int, int]],
        stand: Standing,
        marks: list[float],
        unpaid: list[Unpaid],
    ) -> None:
        """Step by step, until margin suffices, nothing is held, or the rest must wait."""
        while held:
            market = self._heaviest(held, marks)
            if not self.is_short(stand, market):
                self._end(account, market, "restored")
                return
            if not self._close_one(account, stage, market, stand, marks, unpaid):
                return
            held = held_by(account)
            stand = standing_of(account, self.listings, marks)
            if not held:
                if account.cash < 0:  # an order without a limit sold it for less than nothing
                    unpaid.append(Unpaid(account, market, 0, 0, None))
                elif account.name in self.stages:
                    self._end(account, market, "closed")

    def _close_one(
        self,
        account: Margined,
        stage: Stage,
        market: int,
        stand: Standing,
        marks: list[float],
        unpaid: list[Unpaid],
    ) -> bool:
        """The next step; whether it may go on at once."""
        rules = self.listings[market].rules.liquidation
        lots = lots_in(account, market)
        if stand.equity < 0 and rules.backstop_below:
            unpaid.append(self.unpaid(account, market, -lots, marks))
            return False
        if rules.backstop_below and stand.margin < rules.backstop_below * stand.maintenance:
            self._backstop(account, market, lots, stand.equity)
            return True
        idle_ns = self.acting.idle_ns(account.name, self.venues[market].floor.ts_ns)
        listing, mark = self.listings[market], marks[market]
        cools = self._cools(account, market)
        step = step_lots(listing, lots, mark, stand, cools=cools, idle_ns=idle_ns)
        filled = self._send(account, market, step, marks, stand)
        if step != -lots:
            if filled:
                return not self._pauses(account, stage, market)
            step = -lots
            filled = self._send(account, market, step, marks, stand)
        if filled == step:
            return True
        rest = self.insure(account, market, step - filled, marks)
        if rest:
            unpaid.append(self.unpaid(account, market, rest, marks))
        return not rest

    def _cools(self, account: Margined, market: int) -> bool:
        """Whether it was closed in part so lately that the rest goes at once."""
        last_ns, venue = self.parted.get(account.name), self.venues[market]
        cooldown_ns = venue.listing.rules.liquidation.cooldown_ns
        return last_ns is not None and venue.floor.ts_ns - last_ns < cooldown_ns

    def _pauses(self, account: Margined, stage: Stage, market: int) -> bool:
        """After a step that closed a part: whether the next one waits."""
        venue = self.venues[market]
        rules = venue.listing.rules.liquidation
        if rules.steps != "portion":
            return False
        if rules.cooldown_ns:
            self.parted[account.name] = venue.floor.ts_ns
        if rules.pause_ns:
            stage.resumes_ns = venue.floor.ts_ns + rules.pause_ns
        return bool(rules.pause_ns)

    def _send(
        self, account: Margined, market: int, lots: int, marks: list[float], stand: Standing
    ) -> int:
        """An order of the venue meets the book; the signed lots that were filled."""
        venue = self.venues[market]
        contract, rules = venue.listing.contract, venue.listing.rules.liquidation
        whole = lots == -lots_in(account, market)
        atoms = self.bankruptcy(account, market, lots, marks, stand)
        bankruptcy = contract.price_of(lots, atoms)
        idle_ns = self.acting.idle_ns(account.name, venue.floor.ts_ns)
        most = fee_rate(venue.listing, lots_in(account, market), marks[market], stand, idle_ns)
        limit = None
        if rules.limit == "bankruptcy":
            limit = bankruptcy
        elif rules.limit == "fillable":
            limit = self.fillable(account, market, marks)
        filled, price = self.take(venue, lots, limit)
        cash = fee = fund = 0
        least = atoms * filled // lots
        if filled:
            cash = contract.trade_cash(filled, price)
            self.move(account, market, Cause.LIQUIDATION, filled, cash, "book", price)
            fee = max(insurance_delta(cash, least, most), 0)
            fund = max(cash - least, 0) if whole and rules.surplus == "fund" else fee
            self.pay_fund(account, market, fund)
        venue.floor.tape.say(
            LiquidationFilled,
            account=account.name,
            symbol=contract.spec.symbol,
            step="full" if whole else "partial",
            asked_lots=lots,
            lots=filled,
            price=price,
            limit_price=limit,
            bankruptcy_price=bankruptcy,
            bankruptcy_atoms=atoms,
            cash_atoms=cash,
            fee_atoms=fee,
            fund_atoms=fund,
        )
        if filled:
            self.charge_closing(account, market, filled, least)
        return filled

    # Beyond the bankruptcy price --------------------------------------------------------------

    def _backstop(self, account: Margined, market: int, lots: int, equity: int) -> None:
        """The backstop takes all: the position at mark, and the equity that is left."""
        venue = self.venues[market]
        contract, mark = venue.listing.contract, venue.floor.mark
        cash = contract.trade_cash(-lots, mark)
        others = total(abs(n) for m, n, _ in account.positions() if m != market)
        left = 0 if others else account.cash + cash
        self.move(account, market, Cause.LIQUIDATION, -lots, cash - left, "backstop", mark)
        venue.floor.tape.say(
            BackstopTakeover,
            account=account.name,
            symbol=contract.spec.symbol,
            lots=-lots,
            mark_price=mark,
            equity_atoms=equity,
        )
        if not others:
            self._end(account, market, "closed")
