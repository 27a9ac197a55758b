"""Splits and merges: everybody's units are counted anew, and nothing else changes.

Ten units at 0.05 become one at 0.5. Each holder keeps whole units of the product's decimals; what
is left of his is paid out at NAV. Policies are told of units as at the launch, so what they keep
per unit (a high-water mark, a floor, a quote) stays; requests that wait or are under way are
cancelled, as issuers do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.dealing_events import UnitsNotSplit, UnitsSplit
from engine.orders import Scene
from engine.serving import Serving
from engine.shares import value_users
from engine.striking import milestone
from engine.units import UNITS_MAX

__all__ = ["Splitting"]

_DIGITS: Final = 8


class Splitting(Serving):
    """One product's units."""

    __slots__ = ()

    def _split_due(self, scene: Scene) -> None:
        """An instant of the terms has come: what was announced, then the rule."""
        state, terms = self.state, self.spec.terms.split_at(self.state.split_ns)
        if terms is None or state.split_ns > scene.due_ns:
            return
        since_ns, state.split_ns = state.split_ns, self.spec.terms.next_split_ns(scene.due_ns)
        for at_ns, new, old in terms.dates:
            if since_ns <= at_ns <= scene.due_ns:
                self._split_or_say(scene, new, old, "announced")
        grid = terms.merge_below and (since_ns - terms.at_ns) % terms.every_ns == 0
        if grid and self.account.units:
            price = self.account.at(scene.mark)
            nav = self.account.intercept + self.account.slope * price
            if nav * self._quote * 10**_DIGITS / self.account.units < terms.merge_below:
                self._split_or_say(scene, 1, terms.merge, "low_nav")

    def _split_or_say(self, scene: Scene, new: int, old: int, reason: str) -> None:
        """Nobody asked, so nobody would be told: say why it cannot be done, of the rule once."""
        account, state = self.account, self.state
        why = self._split(scene, new, old, reason) or ""
        if why and (reason == "announced" or why != state.unsplit):
            scene.tape.say(
                UnitsNotSplit,
                product=self.spec.id,
                reason=reason,
                why=why,
                new=new,
                old=old,
                units_total=account.units,
                nav_atoms=account.nav(scene.mark),
                mark_price=scene.mark,
            )
        if reason == "low_nav":
            state.unsplit = why

    def _split(self, scene: Scene, new: int, old: int, reason: str) -> str | None:
        """Every ``old`` units become ``new``, one of which is 1; why not, where it is refused."""
        account, mark, total = self.account, scene.mark, self.account.units
        nav, terms = account.nav(mark), self.spec.terms.split_at(scene.ts_ns)
        if nav <= 0 or total <= 0:
            return "nav_not_positive"
        if total * new // old > UNITS_MAX:
            return "too_large"
        grain = 10 ** (_DIGITS - (terms.decimals if terms is not None else _DIGITS))
        held = self.dealing.units
        kept = held * new // (old * grain) * grain
        left = value_users(held * new - kept * old, nav, total * new)
        issued = total - int(np.add.reduce(held))
        issuer_kept = issued * new // (old * grain) * grain
        issuer_left = (issued * new - issuer_kept * old) * nav // (total * new)
        users_kept, users_left = int(np.add.reduce(kept)), int(np.add.reduce(left))
        if users_kept + issuer_kept == 0:
            return "too_small"
        self.keep_high_water(scene)
        self._cancel_requests(scene, "split")
        scene.tape.milestones.append(milestone(scene, account))
        coins = account.regroup(
            (users_kept - total + issued, issuer_kept - issued), (users_left, issuer_left), mark
        )
        scene.tape.milestones.append(milestone(scene, account))
        self.dealing.regroup(kept)
        self.state.units_scale *= new / old
        self.traded = True
        scene.tape.say(
            UnitsSplit,
            product=self.spec.id,
            reason=reason,
            new=new,
            old=old,
            units_before=total,
            units_total=account.units,
            paid_atoms=users_left + issuer_left,
            nav_atoms=account.nav(mark),
            mark_price=mark,
            coin_atoms=coins,
        )
        self.dealing.recount(scene)
        return None

    def _cancel_requests(self, scene: Scene, reason: str) -> None:
        """Those under way to the book, and those that wait."""
        desk, dealing = self.desk.state, self.dealing
        for deal in desk.deals:
            assert deal.request is not None
            dealing.drop(deal.request)
            dealing.refuse(scene, deal.request, reason)
        desk.deals.clear()
        dealing.cancel_waiting(scene, reason)
