"""An omnibus account: several products of the issuer behind one margin account at the venue.

The venue sees their cash together and the net of their lots. What it takes is apportioned:

- lots are taken from the products that hold the side being closed, in proportion to what each
  holds of it, by largest remainder; the money goes with the lots;
- money alone (the insurance fund's, a shared loss) is shared by the lots of the heavier side; where
  nothing net is held any more, by all lots; where there are none, by what each owes.

Shares of money are rounded one after the other, so that they sum to what was moved.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.handler_state import ACTIVE, CLOSING
from engine.hedge_account import HedgeAccount
from engine.ledger import Cause
from engine.orders import Scene
from engine.units import split, total
from engine.venue.sharing import integer_shares
from engine.venue_events import OmnibusShared

__all__ = ["OmnibusAccount"]


class OmnibusAccount:
    """The margin account of all omnibus products of one market.

    Args:
        number: of the market.
        hedges: of the products, in declared order.
    """

    max_leverage = 0.0
    alone = False

    def __init__(self, number: int, hedges: Sequence[HedgeAccount], scene: Scene) -> None:
        self.number = number
        self.hedges = hedges
        self.scene = scene
        self.symbol = hedges[0].account.contract.spec.symbol
        self.name = f"omnibus:{self.symbol}"
        self._taken: list[int] = []

    @property
    def _alive(self) -> list[HedgeAccount]:
        """A closed product has its money back."""
        return [h for h in self.hedges if h.handler.state.status in (ACTIVE, CLOSING)]

    @property
    def cash(self) -> int:
        return total(hedge.cash for hedge in self._alive)

    @property
    def withheld(self) -> int:
        """Each product's own: none makes up for another."""
        return total(hedge.withheld for hedge in self._alive)

    @property
    def topups(self) -> int:
        return total(hedge.topups for hedge in self.hedges)

    @property
    def call_at(self) -> float:
        return max(hedge.call_at for hedge in self.hedges)

    def called(self, multiple: float) -> None:
        """Each product tops up its own margin."""
        for hedge in self._alive:
            hedge.called(multiple)

    def positions(self) -> tuple[tuple[int, int, int], ...]:
        """The net of their lots, and what these cost together."""
        alive = self._alive
        lots = total(hedge.account.lots for hedge in alive)
        if not lots:
            return ()
        return ((self.number, lots, total(hedge.account.state.cost for hedge in alive)),)

    def cancel_orders(self, market: int) -> int:
        """Of all products."""
        return total(hedge.cancel_orders(market) for hedge in self._alive)

    def move(
        self, market: int, cause: Cause, lots: int, cash: int, against: str, price: float
    ) -> None:
        """Apportion what the venue took or gave."""
        alive = self._alive
        weights = self._weights(alive, lots)
        shares = [0] * len(alive)
        if lots:
            side = 1 if lots > 0 else -1
            shares = [side * each for each in integer_shares(weights, abs(lots))]
            weights = [abs(each) for each in shares]
        self._taken = shares
        for hedge, part, money in zip(alive, shares, split(cash, weights), strict=True):
            if not part and not money:
                continue
            self.scene.tape.say(
                OmnibusShared,
                account=self.name,
                symbol=self.symbol,
                product=hedge.handler.spec.id,
                cause=cause.name.lower(),
                lots=part,
                cash_atoms=money,
            )
            hedge.move(market, cause, part, money, against, price)

    def _weights(self, alive: list[HedgeAccount], lots: int) -> list[int]:
        held = [hedge.account.lots for hedge in alive]
        net = -lots or total(held)
        heavy = [abs(each) if each * net > 0 else 0 for each in held]
        owed = [max(-hedge.cash, 0) for hedge in alive]
        for weights in (heavy, [abs(each) for each in held], owed):
            if any(weights):
                return weights
        return [1] * len(alive)

    def deleveraged(
        self, market: int, _lots: int, price: float, rank: int, quantile: float
    ) -> None:
        """Who gave lots states it, and has them bought back."""
        for hedge, part in zip(self._alive, self._taken, strict=True):
            if part:
                hedge.deleveraged(market, part, price, rank, quantile)
