"""An omnibus account: several products of the issuer behind one margin account at the venue.

The venue sees their cash together and, market by market, the net of their lots. What it takes is
apportioned among the products of the market that it is about:

- lots are taken from the products that hold the side being closed, in proportion to what each
  holds of it, by largest remainder; the money goes with the lots;
- money alone (the insurance fund's, a shared loss) is shared by the lots of the heavier side; where
  nothing net is held any more, by all lots; where there are none, by what each owes.

An account of several markets has one more rule. Money that it is given once it holds nothing net
(the fund covers a loss, or others do) goes to the products that are below zero at their marks, on
whichever market, in proportion to what each lacks: which was closed last is an accident.

Shares of money are rounded one after the other, so that they sum to what was moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import ConfigError
from engine.handler_state import ACTIVE, CLOSING
from engine.hedge_account import HedgeAccount
from engine.ledger import Cause
from engine.units import side_of, split, total
from engine.venue.sharing import integer_shares
from engine.venue_events import OmnibusShared

__all__ = ["OmnibusAccount", "accounts_behind"]


class OmnibusAccount:
    """The margin account of all omnibus products of one market, or of one name.

    Args:
        name: of the account, or of its market.
        hedges: of the products, in declared order, market by market.
    """

    max_leverage = 0.0
    alone = False

    def __init__(self, name: str, hedges: Sequence[HedgeAccount]) -> None:
        self.hedges = hedges
        self.name = f"omnibus:{name}"
        self.markets = tuple(dict.fromkeys(hedge.number for hedge in hedges))
        assets = {hedge.account.contract.settlement_asset for hedge in hedges}
        if len(assets) > 1:
            raise ConfigError(
                f"{self.name} holds contracts settled in {' and '.join(sorted(assets))}; "
                "one asset backs an account"
            )
        self._taken: list[tuple[HedgeAccount, int]] = []

    @property
    def _alive(self) -> list[HedgeAccount]:
        """A closed product has its money back."""
        return [h for h in self.hedges if h.handler.state.status in (ACTIVE, CLOSING)]

    @property
    def products(self) -> list[str]:
        """Whose it still is."""
        return [hedge.handler.spec.id for hedge in self._alive]

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

    def credited(self) -> bool:
        return True in [hedge.credited() for hedge in self._alive]  # of each, not of the first

    def positions(self) -> tuple[tuple[int, int, int], ...]:
        """The net of their lots in each market, and what these cost together."""
        lots = dict.fromkeys(self.markets, 0)
        cost = dict(lots)
        for hedge in self._alive:
            lots[hedge.number] += hedge.account.lots
            cost[hedge.number] += hedge.account.state.cost
        return tuple((market, held, cost[market]) for market, held in lots.items() if held)

    def cancel_orders(self, _market: int) -> int:
        """Of all products, on all markets: at the first call."""
        return total(hedge.cancel_orders(hedge.number) for hedge in self._alive)

    def move(
        self, market: int, cause: Cause, lots: int, cash: int, against: str, price: float
    ) -> None:
        """Apportion what the venue took or gave."""
        if len(self.markets) > 1 and cash > 0 and not lots and not self.positions():
            sharing = self._alive
            weights = _lacking(sharing)
        else:
            sharing = [hedge for hedge in self._alive if hedge.number == market]
            weights = _weights(sharing, lots)
        shares = [0] * len(sharing)
        if lots:
            side = side_of(lots)
            shares = [side * each for each in integer_shares(weights, abs(lots))]
            weights = [abs(each) for each in shares]
        self._taken = list(zip(sharing, shares, strict=True))
        for (hedge, part), money in zip(self._taken, split(cash, weights), strict=True):
            if not part and not money:
                continue
            hedge.scene.tape.say(
                OmnibusShared,
                account=self.name,
                symbol=hedge.account.contract.spec.symbol,
                product=hedge.handler.spec.id,
                cause=cause.name.lower(),
                lots=part,
                cash_atoms=money,
            )
            hedge.move(hedge.number, cause, part, money, against, price)

    def deleveraged(
        self, market: int, _lots: int, price: float, rank: int, quantile: float
    ) -> None:
        """Who gave lots states it, and has them bought back."""
        for hedge, part in self._taken:
            if part:
                hedge.deleveraged(market, part, price, rank, quantile)


def accounts_behind(
    hedges: Mapping[tuple[int, int], HedgeAccount],
) -> dict[tuple[int, int], HedgeAccount | OmnibusAccount]:
    """The margin account behind each product: its own, or that of all omnibus products of its
    market, or of its name."""
    shared: dict[str, list[HedgeAccount]] = {}
    for hedge in hedges.values():
        if hedge.handler.nets:
            name = hedge.handler.spec.hedge.account_name or hedge.account.contract.spec.symbol
            shared.setdefault(name, []).append(hedge)
    found: dict[tuple[int, int], HedgeAccount | OmnibusAccount] = dict(hedges)
    for name, own in shared.items():
        account = OmnibusAccount(name, own)
        found |= {(hedge.number, hedge.place): account for hedge in own}
    return found


def _weights(sharing: list[HedgeAccount], lots: int) -> list[int]:
    """By which the products of a market share what the venue takes there."""
    held = [hedge.account.lots for hedge in sharing]
    net = -lots or total(held)
    heavy = [abs(each) if each * net > 0 else 0 for each in held]
    owed = [max(-hedge.cash, 0) for hedge in sharing]
    return _first(heavy, [abs(each) for each in held], owed)


def _lacking(sharing: list[HedgeAccount]) -> list[int]:
    """What each product has less than nothing at the venue, at its mark."""
    return _first([max(-hedge.account.margin(hedge.scene.mark), 0) for hedge in sharing])


def _first(*weights: list[int]) -> list[int]:
    """The first that are not all zero; equal ones where all are."""
    return next((each for each in weights if any(each)), [1] * len(weights[0]))
