"""Why a request cannot be dealt, as its product's terms, its venue and its holders have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.account import Account
from engine.dealing_events import REFUSALS
from engine.events import CancellationRequest, CreationRequest, RedemptionRequest
from engine.execution import Desk
from engine.orders import Scene
from engine.product import units_for
from engine.risk_limits import nav_max
from engine.second_market import SecondMarket
from engine.units import (
    ATOMS_MAX,
    UNIT_STEPS,
    UNITS_MAX,
    Rounding,
    asset_decimals,
    decimal,
    mul_div,
)

if TYPE_CHECKING:
    from engine.users import Users

__all__ = ["Refusing", "Request", "steps_of"]

Request = CreationRequest | RedemptionRequest

TURNED_AWAY: Final = frozenset(
    (
        *("gated", "paused", "halted", "stale", "rebalancing", "outside_window"),
        *("request_cap", "user_cap", "day_cap", "nav_cap", "units_cap", "risk_limit"),
    )
)
"""Reasons for which somebody who wants units, or wants to be rid of them, must trade them."""


class Refusing(SecondMarket):
    """One product's requests, looked at.

    Attributes:
        desk: sends the hedges of requests that are dealt.
        pledged: units that redemptions under way will take, by user.
    """

    __slots__ = ("desk", "pledged")

    def __init__(self, account: Account, desk: Desk, users: Users) -> None:
        super().__init__(account, users)
        self.desk = desk
        self.pledged: dict[int, int] = {}

    def refuse(
        self, scene: Scene, request: Request | CancellationRequest, reason: str, detail: str = ""
    ) -> None:
        """State that a request was refused."""
        if reason == "risk_limit":
            most = nav_max(self.account.spec, scene.listing, scene.mark)
            detail = f"a NAV of {most} atoms fits"
        scene.tape.say(
            REFUSALS[type(request)],
            product=request.product,
            user=request.user,
            id=request.id,
            reason=reason,
            detail=detail,
        )
        if reason in TURNED_AWAY and not isinstance(request, CancellationRequest):
            self.recount(scene, self._flow(scene, request))

    def _flow(self, scene: Scene, request: Request) -> int:
        """What somebody who was turned away trades instead, quote atoms, bought positive."""
        if isinstance(request, CreationRequest):
            return self.quote_atoms(request)
        user = self.users.index(request.user)
        return 0 if user is None else -self._worth(scene, min(steps_of(request), self._held(user)))

    def _capped(self, scene: Scene, request: Request) -> bool:
        """Refuse a request that is beyond a cap of its day; what is taken counts."""
        offering, today = self.account.spec.terms.offering_at(scene.ts_ns), self.today
        if not (offering.request_max or offering.caps_days):
            return False
        creates = isinstance(request, CreationRequest)
        if isinstance(request, CreationRequest):
            quote = self.quote_atoms(request)
        else:
            quote = self._worth(scene, steps_of(request))
        today.turn(offering.day_ns(scene.ts_ns))
        refused = today.refusal(offering, request.user, quote, creates=creates)
        if refused is not None:
            self.refuse(scene, request, refused[0], f"{refused[1]} quote atoms are left")
        elif offering.caps_days:
            today.note(request.user, quote, creates=creates)
        return refused is not None

    def quote_atoms(self, request: CreationRequest) -> int:
        """What a creation pays, in quote atoms; a fraction of an atom is left with the user."""
        scale = 10 ** asset_decimals(self.account.contract.quote_asset)
        return int(decimal(request.quote) * scale)

    def is_countless(self, request: Request) -> bool:
        """Whether it is for more money than can be counted, whatever the product is worth."""
        return isinstance(request, CreationRequest) and self.quote_atoms(request) > ATOMS_MAX

    def _refusal(self, scene: Scene, request: Request) -> str | None:
        if isinstance(request, CreationRequest):
            quote = self.quote_atoms(request)
            nav = self.account.nav(scene.mark)
            most = nav_max(self.account.spec, scene.listing, scene.mark)
            if most is not None and nav + quote > most:
                return "risk_limit"
            offering = self.account.spec.terms.offering_at(scene.ts_ns)
            if offering.nav_max and nav + quote > offering.nav_max:
                return "nav_cap"
            if quote < self.account.spec.terms.least_quote:
                return "too_small"
            units = units_for(quote - self._fee(scene, quote), self.account.units, nav)
            return self._size(scene, units) or self._growth(quote, nav)
        user = self.users.index(request.user)
        if user is None:
            return "unknown_user"
        units = steps_of(request)
        free = self._held(user) - self.pledged.get(user, 0)
        worth = self._worth(scene, units)
        if units <= 0 or worth < self.account.spec.terms.least_quote:
            return "too_small"
        return None if units <= free else "insufficient_units"

    def _worth(self, scene: Scene, units: int) -> int:
        return units * self.account.nav(scene.mark) // max(self.account.units, 1)

    def _size(self, scene: Scene, units: int) -> str | None:
        """Why so many units cannot be issued; near a NAV of zero a little money would buy more than
        can be counted."""
        if units <= 0:
            return "too_small"
        total = self.account.units + units
        most = self.account.spec.terms.offering_at(scene.ts_ns).units_max
        if most and total > most:
            return "units_cap"
        return "too_large" if total > UNITS_MAX else None

    def _growth(self, quote: int, nav: int) -> str | None:
        """Why a product cannot take so much more money beside what is under way: NAV, lots and
        cash grow in proportion, and each must be counted."""
        cash, lots, _ = self.account.held()
        most = max(nav, abs(cash), abs(lots))
        for deal in self.desk.state.deals:
            if isinstance(deal.request, CreationRequest):
                quote += self.quote_atoms(deal.request)
        return "too_large" if most * (nav + quote) > ATOMS_MAX * nav else None

    def _fee(self, scene: Scene, quote: int, *, redeems: bool = False) -> int:
        """What the issuer keeps of the money of a request, rounded up."""
        rate = decimal(self.account.spec.terms.fees_of_requests(scene.ts_ns)[redeems])
        return mul_div(quote, rate.numerator, rate.denominator, Rounding.UP)


def steps_of(request: RedemptionRequest) -> int:
    """What a redemption gives back, in steps; a fraction of one is left with the user."""
    return int(decimal(request.units) * UNIT_STEPS)
