"""One product's units as they are traded: arbitrage's band, and what moves them beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.account import Account
from engine.dealing_events import SecondaryPriced
from engine.holders import Holders
from engine.orders import Scene
from engine.quotas import DayBook
from engine.risk_limits import nav_max
from engine.secondary import SecondaryState, SecondaryTerms
from engine.units import UNIT_STEPS, asset_decimals

if TYPE_CHECKING:
    from engine.users import Users

__all__ = ["CLOSED", "SecondMarket"]

CLOSED: Final = ("closed", "closed")


class SecondMarket(Holders):
    """One product's traded price.

    Attributes:
        today: how much was created and redeemed, where terms cap days.
        secondary: the premium, and what holds it.
    """

    __slots__ = ("secondary", "today")

    def __init__(self, account: Account, users: Users) -> None:
        super().__init__(account, users)
        self.today = DayBook()
        self.secondary = SecondaryState()

    def reprice(self, scene: Scene, shut: tuple[str, str]) -> None:
        """Look which sides of the primary market are shut by now: an open one holds the premium."""
        state = self.secondary
        day_ns = self.account.spec.terms.offering_at(scene.due_ns).day_ns(scene.due_ns)
        turns = day_ns != state.day_ns
        if turns or shut != state.shut:
            state.shut, state.day_ns = shut, day_ns
            self._settle(scene, 0, recounts=turns)

    def recount(self, scene: Scene, flow: int = 0) -> None:
        """Units were dealt or counted anew, or somebody was turned away who would have paid so many
        quote atoms (got them, where negative)."""
        if self.account.spec.terms.secondary is not None:
            self._settle(scene, flow, recounts=True)

    def _settle(self, scene: Scene, flow: int, *, recounts: bool) -> None:
        terms, state, account = self.account.spec.terms.secondary, self.secondary, self.account
        nav, total = account.nav(scene.mark), account.units
        if terms is None or nav <= 0 or total <= 0 or state.said == CLOSED:
            return
        premium = terms.faded(state.premium, scene.ts_ns - state.ts_ns) + terms.moves(flow)
        low, high = self._band(scene, terms, nav)
        if recounts:
            created = self._cap(scene, terms.depth_atoms * 100.0 * (premium - high))
            redeemed = self._cap(scene, terms.depth_atoms * 100.0 * (low - premium), redeems=True)
            state.capped = created, redeemed
        sides = state.shut[0] or state.capped[0], state.shut[1] or state.capped[1]
        if not flow and sides == state.said:
            return
        if sides == CLOSED:
            premium = 0.0
        high = terms.limit if sides[0] else high
        low = -terms.limit if sides[1] else low
        state.premium = premium = min(max(premium, low), high)
        state.ts_ns, state.said = scene.ts_ns, sides
        per_unit = nav * UNIT_STEPS / total / 10 ** asset_decimals(account.contract.quote_asset)
        scene.tape.say(
            SecondaryPriced,
            product=account.spec.id,
            flow_atoms=flow,
            premium=premium,
            creations=sides[0] or "open",
            redemptions=sides[1] or "open",
            nav_per_unit=per_unit,
            price_per_unit=per_unit * (1.0 + premium),
            mark_price=scene.mark,
        )

    def _band(self, scene: Scene, terms: SecondaryTerms, nav: int) -> tuple[float, float]:
        """Between which premiums nobody gains by creating or redeeming, a little at a time."""
        create, redeem = self.account.spec.terms.fees_of_requests(scene.ts_ns)
        cost = 0.0 if self.account.formula else self._basket_cost(scene) / nav
        return max(-terms.limit, -(redeem + cost)), min(terms.limit, create + cost)

    def _cap(self, scene: Scene, wanted: float, *, redeems: bool = False) -> str:
        """Which cap leaves less room than arbitrage would need, quote atoms; empty: none."""
        account, mark = self.account, scene.mark
        offering, nav = account.spec.terms.offering_at(scene.due_ns), account.nav(mark)
        fresh = self.today.day_ns == offering.day_ns(scene.due_ns)
        rooms: list[tuple[str, int]] = []
        if offering.day_max:
            used = self.today.redeemed_total if redeems else self.today.created_total
            rooms.append(("day_cap", offering.day_max - (used if fresh else 0)))
        if offering.units_max and not redeems:
            units = offering.units_max - account.units
            rooms.append(("units_cap", units * nav // account.units))
        if offering.nav_max and not redeems:
            rooms.append(("nav_cap", offering.nav_max - nav))
        most = None if redeems else nav_max(account.spec, scene.listing, mark)
        if most is not None:
            rooms.append(("risk_limit", most - nav))
        return next((name for name, room in rooms if 0.0 < wanted > float(room)), "")

    def _basket_cost(self, scene: Scene) -> int:
        """Quote atoms that trading the whole present basket would cost in spread and fee (not
        impact). A creation buys the share of basket and cost that it pays for, so that lots per
        unit stay what they were."""
        contract = self.account.contract
        top = scene.top()
        half_spread = top.half_spread
        if half_spread < 0.0:
            half_spread = scene.book.half_spread_bps * 1e-4
        cash = abs(contract.trade_cash(self.account.lots, top.mid))
        return contract.to_quote(contract.taker_fee(cash) + int(cash * half_spread), scene.mark)
