"""Auto-deleveraging: what neither the book nor the insurance fund took is closed against the
venue's other customers, and what they do not take either is a loss that all share.

The ranking says who is closed first (or how it is shared), the price basis at which price; only the
last of a queue is closed in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.ledger import Cause
from engine.units import Rounding, mul_div, total
from engine.venue.adl import Taken, adl_price, overlaps, taken_from, walked
from engine.venue.desk import RETRY_NS, Stage, Unpaid, lots_in
from engine.venue.insuring import Insuring
from engine.venue.margined import Margined
from engine.venue.places import Held, candidates
from engine.venue.ranking import Candidates, order, quantile, scores
from engine.venue.sharing import integer_shares, socialised_rate
from engine.venue.standing import equity_of, standing_of
from engine.venue_events import (
    LiquidationEnded,
    LossSocialised,
    PositionAutoDeleveraged,
)

__all__ = ["Deleverager"]

_SHARING: Final = ("pro_rata", "risk_aware", "drift")


class Counterparty(Struct):
    """One account of a queue: its signed lots, and its place among those who could be closed."""

    account: Margined
    lots: int
    place: int


class Deleverager:
    """Closes positions against each other.

    Args:
        desk: the venue's risk desk, whose listings, marks and fund it uses.
        accounts: everybody who may be a counterparty, in declared order.
        seed: of the walk of ``dydx``.
    """

    def __init__(self, desk: Insuring, accounts: Sequence[Margined], seed: int) -> None:
        self.desk = desk
        self.accounts = [account for account in accounts if not account.alone]
        self.seed = seed

    def settle(self, unpaid: Sequence[Unpaid], sequence: int) -> None:
        """All that an instant's liquidations left over, in order."""
        for each in unpaid:
            if each.account.alone:
                self.desk.take_over(each)
                self._ended(each.account, each.market, "closed")
            else:
                self._deleverage(each, sequence)

    def _deleverage(self, unpaid: Unpaid, sequence: int) -> None:
        account, market = unpaid.account, unpaid.market
        venue = self.desk.venues[market]
        rules = venue.listing.rules.adl
        queue = self._queue(unpaid, sequence)
        wanted = abs(unpaid.lots)
        taken = self._taken(unpaid, queue, wanted)
        side = 1 if unpaid.lots > 0 else -1
        for place, lots in zip(taken.places, taken.lots, strict=True):
            if lots:
                self._close(unpaid, queue[place], side * lots, len(queue))
        if taken.rest and rules.rest == "socialise" and queue:
            self._close_at_mark(unpaid, side * taken.rest)
        stage = self.desk.stages.setdefault(account.name, Stage())
        if not any(lots for _, lots, _ in account.positions()):
            self._cover(unpaid)
            self._ended(account, market, "closed")
        elif self._restored(account, market):
            self._ended(account, market, "restored")
        elif not lots_in(account, market):
            stage.resumes_ns = venue.floor.ts_ns  # its other positions come next, still now
        else:
            stage.resumes_ns = venue.floor.ts_ns + RETRY_NS
            self._say_ended(account, market, "unfilled")

    # The queue --------------------------------------------------------------------------------

    def _queue(self, unpaid: Unpaid, sequence: int) -> list[Counterparty]:
        """Who holds the other side, first to be closed first; nobody who is in liquidation
        himself."""
        market, desk = unpaid.market, self.desk
        rules = desk.listings[market].rules.adl
        opposite = self._holders(market, unpaid.lots)
        if not opposite:
            return []
        candidates = self._candidates(market, opposite)
        places = order(rules.ranking, candidates, seed=self.seed, sequence=sequence).tolist()
        return [
            Counterparty(opposite[place][0], opposite[place][1], rank)
            for rank, place in enumerate(places)
        ]

    def _holders(self, market: int, side: int) -> list[tuple[Margined, int, int]]:
        desk = self.desk
        return [
            (account, lots, cost)
            for account in self.accounts
            if account.name not in desk.stages and desk.is_priced(account)
            for number, lots, cost in account.positions()
            if number == market and lots * side > 0
        ]

    def scores(self, market: int, side: int) -> dict[str, float]:
        """What the venue's ranking gives everybody who holds a side (+1 long), by account: the
        highest is closed first."""
        holders = self._holders(market, side)
        ranking = self.desk.listings[market].rules.adl.ranking
        found = scores(ranking, self._candidates(market, holders)).tolist()
        return {each[0].name: score for each, score in zip(holders, found, strict=True)}

    def _candidates(self, market: int, opposite: list[tuple[Margined, int, int]]) -> Candidates:
        accounts = [account for account, _, _ in opposite]
        marks = dict(enumerate(self.desk.marks()))
        return candidates(self.desk.listings, market, Held.of(accounts, market), marks)

    def _taken(self, unpaid: Unpaid, queue: list[Counterparty], wanted: int) -> Taken:
        rules = self.desk.listings[unpaid.market].rules.adl
        held = [abs(each.lots) for each in queue]
        if rules.ranking in _SHARING:
            most = min(wanted, total(held))
            shares = integer_shares(held, most) if held else []
            return Taken(tuple(range(len(held))), tuple(shares), wanted - most)
        if rules.ranking == "dydx":
            return walked(range(len(held)), held, wanted, self._fits(unpaid, queue))
        return taken_from(range(len(held)), held, wanted)

    def _fits(self, unpaid: Unpaid, queue: list[Counterparty]) -> list[bool]:
        """Whether each can trade at the bankruptcy price without being bankrupted by it."""
        marks, side = self.desk.marks(), -1 if unpaid.lots > 0 else 1
        price = unpaid.price or 0.0
        fits = []
        for each in queue:
            atoms = self.desk.bankruptcy(each.account, unpaid.market, -each.lots, marks)
            own = self.desk.listings[unpaid.market].contract.price_of(-each.lots, atoms)
            # Without a bankruptcy price no price bankrupts it.
            fits.append(own is None or overlaps(side, price, own))
        return fits

    # Closing ----------------------------------------------------------------------------------

    def _close(self, unpaid: Unpaid, other: Counterparty, lots: int, count: int) -> None:
        """``lots`` (signed as the bankrupt account trades them) change hands at the ADL price."""
        venue = self.desk.venues[unpaid.market]
        contract, floor, rules = venue.listing.contract, venue.floor, venue.listing.rules.adl
        # Where no price would bankrupt the account it is closed at the mark.
        bankruptcy = floor.mark if unpaid.price is None else unpaid.price
        price = adl_price(rules, bankruptcy, floor.mark, floor.previous_mark() or None)
        if price == unpaid.price:
            cash = unpaid.atoms * lots // unpaid.lots
        else:
            cash = contract.trade_cash(lots, price)
        market, rank = unpaid.market, other.place + 1
        self.desk.move(unpaid.account, market, Cause.ADL, lots, cash, "clearing", price)
        self.desk.move(other.account, market, Cause.ADL, -lots, -cash, "clearing", price)
        share = quantile(other.place, count)
        floor.tape.say(
            PositionAutoDeleveraged,
            account=other.account.name,
            symbol=contract.spec.symbol,
            against=unpaid.account.name,
            lots=-lots,
            price=price,
            mark_price=floor.mark,
            rank=rank,
            quantile=share,
            cash_atoms=-cash,
        )
        other.account.deleveraged(market, -lots, price, rank, share)
        if price == unpaid.price:
            self.desk.charge_closing(unpaid.account, market, lots, cash)

    def _close_at_mark(self, unpaid: Unpaid, lots: int) -> None:
        """Nobody is left on the other side: the rest is written off at the mark."""
        venue = self.desk.venues[unpaid.market]
        mark = venue.floor.mark
        cash = venue.listing.contract.trade_cash(lots, mark)
        self.desk.move(unpaid.account, unpaid.market, Cause.SOCIALISED, lots, cash, "book", mark)

    def _cover(self, unpaid: Unpaid) -> None:
        """An account that holds nothing any more may owe: the fund pays what it can, all share the
        rest."""
        account, market = unpaid.account, unpaid.market
        if account.cash >= 0:
            return
        venue = self.desk.venues[market]
        loss = -account.cash
        paid = min(loss, venue.fund.available(venue.floor.ts_ns))
        if paid > 0:
            self.desk.cover(account, market, paid)
        if loss > paid and venue.listing.rules.adl.rest == "socialise":
            self._socialise(account, market, loss - paid)

    def _socialise(self, account: Margined, market: int, loss: int) -> None:
        venue = self.desk.venues[market]
        payers = [
            (other, lots)
            for other in self.accounts
            for number, lots, _ in other.positions()
            if number == market and lots
        ]
        if not payers:
            return
        open_lots = total(abs(lots) for _, lots in payers)
        left = loss
        for other, lots in payers:
            # Of the loss itself: a rate a lot, rounded up, may be far more than the loss.
            paid = min(mul_div(loss, abs(lots), open_lots, Rounding.UP), left)
            if paid:
                self.desk.charge(other, market, Cause.SOCIALISED, paid, "clearing", "socialised")
            left -= paid
        let_off = loss - left
        self.desk.charge(account, market, Cause.SOCIALISED, -let_off, "clearing", "socialised")
        venue.floor.tape.say(
            LossSocialised,
            symbol=venue.listing.contract.spec.symbol,
            loss_atoms=loss,
            atoms_per_lot=socialised_rate(loss, open_lots, 1),
            accounts=len(payers),
        )

    def _restored(self, account: Margined, market: int) -> bool:
        stand = standing_of(account, self.desk.listings, self.desk.marks())
        return not self.desk.is_short(stand, market)

    def _ended(self, account: Margined, market: int, outcome: str) -> None:
        self.desk.stages.pop(account.name, None)
        self._say_ended(account, market, outcome)

    def _say_ended(self, account: Margined, market: int, outcome: str) -> None:
        venue = self.desk.venues[market]
        venue.floor.tape.say(
            LiquidationEnded,
            account=account.name,
            symbol=venue.listing.contract.spec.symbol,
            outcome=outcome,
            position_lots=lots_in(account, market),
            equity_atoms=equity_of(account, self.desk.listings, self.desk.marks()),
        )
