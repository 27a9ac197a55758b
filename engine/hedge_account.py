"""A product's hedge as the venue sees it: one margin account among others.

What the venue takes is booked in the product's account and stated twice, once as an execution and
once as what it means for the product. Afterwards the product looks at what is left.
"""

from __future__ import annotations

from typing import Final

from engine.account import Account
from engine.events import OrderFilled
from engine.handler import Handler
from engine.handler_state import ACTIVE, CLOSING
from engine.ledger import Cause
from engine.orders import Scene
from engine.venue_events import HedgeAutoDeleveraged, HedgeLiquidated

__all__ = ["HedgeAccount"]

_ALIVE: Final = (ACTIVE, CLOSING)


class HedgeAccount:
    """The margin account behind one product.

    Attributes:
        account: the product's own, or the issuer's book behind it.
        alone: futures beside a fund are there to compare it with: what becomes of them must not
            change it.
        number: of its market.
        place: of its handler within the market.
        touched: whether the venue moved anything since ``settle``.
    """

    __slots__ = (
        *("_before", "_effect", "account", "alone", "call_at", "handler", "max_leverage"),
        *("name", "number", "place", "scene", "touched"),
    )

    def __init__(self, number: int, place: int, handler: Handler, scene: Scene) -> None:
        self.number = number
        self.place = place
        self.handler = handler
        self.account: Account = handler.account.book
        self.scene = scene
        spec = handler.spec
        self.name = f"product:{spec.id}"
        self.alone = spec.kind == "futures"
        self.max_leverage = abs(spec.leverage) if self.alone else 0.0
        self.call_at = spec.hedge.topup_at if self.account.backed else 0.0
        self.touched = False
        self._before: float | None = None
        self._effect = 0

    @property
    def markets(self) -> tuple[int, ...]:
        """In which it may hold something."""
        return (self.number,)

    @property
    def cash(self) -> int:
        """What lies at the venue."""
        return self.account.at_venue

    @property
    def withheld(self) -> int:
        return self.account.withheld_of(self.account.state.cost)

    @property
    def topups(self) -> int:
        return self.account.state.topups

    def called(self, multiple: float) -> None:
        """The issuer tops the margin up."""
        ordered = self.handler.desk.treasury.call(self.scene, multiple)
        self.touched = self.touched or ordered

    def credited(self) -> bool:
        arrives = self.handler.desk.treasury.arrives_ns <= self.scene.ts_ns
        if arrives:
            self.handler.top_up(self.scene)
            self.touched = True
        return arrives

    def positions(self) -> tuple[tuple[int, int, int], ...]:
        """The hedge, as long as the product is alive."""
        account = self.account
        lots = account.lots
        if not lots or self.handler.state.status not in _ALIVE:
            return ()
        return ((self.number, lots, account.state.cost),)

    def cancel_orders(self, _market: int) -> int:
        """The plan under way and the hedges of requests, which are refused."""
        orders = self.handler.cancel(self.scene, "liquidated")
        self.touched = self.touched or orders > 0
        return orders

    def move(
        self, _market: int, cause: Cause, lots: int, cash: int, against: str, price: float
    ) -> None:
        """Book what the venue took or gave."""
        scene, account, handler = self.scene, self.account, self.handler
        handler.keep_high_water(scene)
        self._before = self._leverage()
        self._effect = account.seize(cause, lots, cash, account.counter(against), scene.mark)
        handler.traded = self.touched = True
        if lots:
            self._say_filled(cause, lots, cash, against, price)
        if lots and cause is Cause.LIQUIDATION:
            self._say_liquidated(lots)

    def _leverage(self) -> float | None:
        account, mark = self.account, self.scene.mark
        exposure = account.slope * mark
        nav = account.intercept + exposure
        return exposure / nav if nav > 0.0 else None

    def _say_filled(self, cause: Cause, lots: int, cash: int, against: str, price: float) -> None:
        account, scene, desk = self.account, self.scene, self.handler.desk
        mid = scene.top().mid if against == "book" else scene.mark
        at_mid = account.contract.trade_cash(lots, mid)
        scene.tape.say(
            OrderFilled,
            product=account.spec.id,
            symbol=account.contract.spec.symbol,
            order=desk.state.sent,
            purpose=cause.name.lower(),
            lots=lots,
            price=price,
            mid_price=mid,
            mark_price=scene.mark,
            hedge_atoms=at_mid,
            spread_impact_atoms=cash - at_mid,
            fee_atoms=0,
        )
        desk.state.sent += 1

    def _say_liquidated(self, lots: int) -> None:
        handler = self.handler
        handler.state.liquidations += 1
        # A basket's policies see what is left; of a formula product only the hedge is less.
        if handler.account.formula:
            handler.bare(self.scene)
        self.scene.tape.say(
            HedgeLiquidated,
            product=self.account.spec.id,
            lots=lots,
            position_lots=self.account.lots,
            mark_price=self.scene.mark,
            leverage_before=self._before,
            leverage_after=self._leverage(),
            nav_effect_atoms=self._effect,
        )

    def deleveraged(
        self, _market: int, lots: int, price: float, rank: int, quantile: float
    ) -> None:
        """Lots were taken by auto-deleveraging: state it, and have them bought back."""
        account, handler = self.account, self.handler
        handler.state.adl_events += 1
        handler.bare(self.scene)
        self.scene.tape.say(
            HedgeAutoDeleveraged,
            product=account.spec.id,
            lots=lots,
            price=price,
            mark_price=self.scene.mark,
            rank=rank,
            quantile=quantile,
            position_lots=account.lots,
            leverage_before=self._before,
            leverage_after=self._leverage(),
            nav_effect_atoms=self._effect,
        )
