"""Auto-deleveraging: what neither the book nor the insurance fund took is closed against the
venue's other customers, and what they do not take either is a loss that all share.

The ranking says who is closed first (or how it is shared), the price basis at which price; only the
last of a queue is closed in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.crowd_events import PopulationDeleveraged
from engine.ledger import Cause
from engine.units import Rounding, mul_div, side_of, split, total
from engine.venue.adl import WALK_MAX, Taken, adl_price, overlaps, taken_from, walked
from engine.venue.adl_queue import Queue, holders, queue_of
from engine.venue.crowd import Crowd
from engine.venue.desk import RETRY_NS, Stage, Unpaid, lots_in
from engine.venue.held import Held, candidates
from engine.venue.insuring import Insuring
from engine.venue.margined import Margined
from engine.venue.ranking import quantile, scores
from engine.venue.sharing import socialised_rate, weighted_shares
from engine.venue.standing import equity_of, standing_of
from engine.venue_events import LiquidationEnded, LossSocialised, PositionAutoDeleveraged

__all__ = ["Deleverager"]

_SHARING: Final = ("pro_rata", "risk_aware", "drift")
_Row = tuple[int, int, int, int]


class Deleverager:
    """Closes positions against each other.

    Args:
        desk: the venue's risk desk, whose listings, marks and fund it uses.
        accounts: everybody who may be a counterparty, in declared order.
        seed: of the walk of ``dydx``.
        crowds: whose rows may be counterparties, too.
    """

    def __init__(
        self,
        desk: Insuring,
        accounts: Sequence[Margined],
        seed: int,
        crowds: Sequence[Crowd] = (),
    ) -> None:
        self.desk = desk
        self.crowds = crowds
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
        side = side_of(unpaid.lots)
        self._close_taken(unpaid, queue, taken, side)
        if taken.rest and rules.rest == "socialise" and len(queue):
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

    def scores(self, market: int, side: int) -> dict[str, float]:
        """What the venue's ranking gives every margin account that holds a side (+1 long), by
        account: the highest is closed first."""
        found = holders(self.desk, self.accounts, market, side)
        ranking = self.desk.listings[market].rules.adl.ranking
        held = Held.of([account for account, _, _ in found], market)
        marks = dict(enumerate(self.desk.marks()))
        ranked = scores(ranking, candidates(self.desk.listings, market, held, marks)).tolist()
        return {each[0].name: score for each, score in zip(found, ranked, strict=True)}

    def _queue(self, unpaid: Unpaid, sequence: int) -> Queue:
        market = unpaid.market
        opposite = holders(self.desk, self.accounts, market, unpaid.lots) if unpaid.lots else []
        crowds = [each for each in self.crowds if each.spec.market == market]
        draw = self.seed, sequence
        side = side_of(unpaid.lots)
        return queue_of(self.desk, market, opposite, crowds if unpaid.lots else [], side, draw)

    def _taken(self, unpaid: Unpaid, queue: Queue, wanted: int) -> Taken:
        ranking = self.desk.listings[unpaid.market].rules.adl.ranking
        if ranking in _SHARING:
            held = queue.held.tolist()
            most = min(wanted, total(held))
            shares = weighted_shares(held, queue.weights or [1] * len(held), most)
            return Taken(tuple(range(len(held))), tuple(shares), wanted - most)
        if ranking == "dydx":
            held = queue.held[:WALK_MAX].tolist()
            return walked(range(len(held)), held, wanted, self._fits(unpaid, queue, len(held)))
        # No more of a queue than is needed.
        many = int(queue.held.cumsum().searchsorted(wanted)) + 1
        held = queue.held[:many].tolist()
        return taken_from(range(len(held)), held, wanted)

    def _fits(self, unpaid: Unpaid, queue: Queue, count: int) -> list[bool]:
        """Whether each of the first can trade at the price at which he is closed without being
        bankrupted by it."""
        marks, side = self.desk.marks(), -side_of(unpaid.lots)
        contract = self.desk.listings[unpaid.market].contract
        price, fits = self._price(unpaid), []
        for place in queue.places[:count].tolist():
            if place < len(queue.accounts):
                account, lots, _ = queue.accounts[place]
                atoms = self.desk.bankruptcy(account, unpaid.market, -lots, marks)
            else:
                number, row = queue.place_of_row(place)
                crowd = queue.crowds[number][0]
                lots = crowd.lots.item(row)
                atoms = crowd.least(lots, crowd.cash.item(row))
            own = contract.price_of(-lots, atoms)
            # Without a bankruptcy price no price bankrupts it.
            fits.append(own is None or overlaps(side, price, own))
        return fits

    # Closing ----------------------------------------------------------------------------------

    def _close_taken(self, unpaid: Unpaid, queue: Queue, taken: Taken, side: int) -> None:
        """Margin accounts one by one, rows of crowds together."""
        rows: dict[int, list[_Row]] = {}
        traded = [side * lots for lots in taken.lots]
        cash = self._cash(unpaid, traded)
        for rank, lots, atoms in zip(taken.places, traded, cash, strict=True):
            place = queue.places.item(rank)
            if lots and place < len(queue.accounts):
                account = queue.accounts[place][0]
                self._close(unpaid, account, rank, lots, atoms, len(queue))
            elif lots:
                number, row = queue.place_of_row(place)
                rows.setdefault(number, []).append((row, lots, atoms, rank))
        for number in sorted(rows):
            self._close_rows(unpaid, queue.crowds[number][0], rows[number])

    def _price(self, unpaid: Unpaid) -> float:
        venue = self.desk.venues[unpaid.market]
        floor = venue.floor
        # Where no price would bankrupt the account it is closed at the mark.
        bankruptcy = floor.mark if unpaid.price is None else unpaid.price
        before = floor.previous_mark() or None
        return adl_price(venue.listing.rules.adl, bankruptcy, floor.mark, before)

    def _cash(self, unpaid: Unpaid, traded: Sequence[int]) -> list[int]:
        """Of each part; at the bankruptcy price they add up: rounding leaves no loss to others."""
        if (price := self._price(unpaid)) != unpaid.price:
            contract = self.desk.listings[unpaid.market].contract
            return [contract.trade_cash(lots, price) for lots in traded]
        atoms = unpaid.atoms * total(traded) // unpaid.lots
        return split(atoms, [abs(lots) for lots in traded]) if traded else []

    def _close_rows(self, unpaid: Unpaid, crowd: Crowd, taken: list[_Row]) -> None:
        """Rows of a crowd: ``(row, lots and atoms as the bankrupt account trades them, rank)``."""
        venue, price = self.desk.venues[unpaid.market], self._price(unpaid)
        cash, lots = [atoms for _, _, atoms, _ in taken], total(n for _, n, _, _ in taken)
        self.desk.move(
            unpaid.account, unpaid.market, Cause.ADL, lots, total(cash), "clearing", price
        )
        crowd.post(Cause.ADL, -lots, -total(cash), "clearing")
        crowd.traded(
            np.array([row for row, *_ in taken]),
            np.array([-n for _, n, *_ in taken]),
            -np.array(cash, np.int64),
        )
        venue.floor.tape.say(
            PopulationDeleveraged,
            population=crowd.spec.id,
            symbol=venue.listing.contract.spec.symbol,
            against=unpaid.account.name,
            positions=len(taken),
            lots=-lots,
            price=price,
            mark_price=venue.floor.mark,
            rank=taken[0][3] + 1,
            cash_atoms=-total(cash),
        )
        if price == unpaid.price:
            self.desk.charge_closing(unpaid.account, unpaid.market, lots, total(cash))

    def _close(
        self, unpaid: Unpaid, other: Margined, place: int, lots: int, cash: int, count: int
    ) -> None:
        """Lots and cash (as the bankrupt account trades them) change hands at the ADL price."""
        venue = self.desk.venues[unpaid.market]
        contract, floor, price = venue.listing.contract, venue.floor, self._price(unpaid)
        market, rank, share = unpaid.market, place + 1, quantile(place, count)
        self.desk.move(unpaid.account, market, Cause.ADL, lots, cash, "clearing", price)
        self.desk.move(other, market, Cause.ADL, -lots, -cash, "clearing", price)
        floor.tape.say(
            PositionAutoDeleveraged,
            account=other.name,
            symbol=contract.spec.symbol,
            against=unpaid.account.name,
            lots=-lots,
            price=price,
            mark_price=floor.mark,
            rank=rank,
            quantile=share,
            cash_atoms=-cash,
        )
        other.deleveraged(market, -lots, price, rank, share)
        if price == unpaid.price:
            self.desk.charge_closing(unpaid.account, market, lots, cash)

    def _close_at_mark(self, unpaid: Unpaid, lots: int) -> None:
        """Nobody is left on the other side: the rest is written off at the mark."""
        venue = self.desk.venues[unpaid.market]
        cash = venue.listing.contract.trade_cash(lots, mark := venue.floor.mark)
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
        crowds = [each for each in self.crowds if each.spec.market == market and each.opened]
        many = [each.open_lots() for each in crowds]
        open_lots = total(abs(lots) for _, lots in payers) + total(lots for _, lots in many)
        if not open_lots:
            return
        left = loss
        for other, lots in payers:
            # Of the loss itself: a rate a lot, rounded up, may be far more than the loss.
            paid = min(mul_div(loss, abs(lots), open_lots, Rounding.UP), left)
            if paid:
                self.desk.charge(other, market, Cause.SOCIALISED, paid, "clearing", "socialised")
            left -= paid
        for crowd in crowds:
            left -= crowd.share_loss(loss, open_lots, left)
        self.desk.charge(account, market, Cause.SOCIALISED, -loss, "clearing", "socialised")
        venue.floor.tape.say(
            LossSocialised,
            symbol=venue.listing.contract.spec.symbol,
            loss_atoms=loss,
            atoms_per_lot=socialised_rate(loss, open_lots, 1),
            accounts=len(payers) + total(positions for positions, _ in many),
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
