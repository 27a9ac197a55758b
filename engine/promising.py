"""What a product promises its holders where that is not what its hedge is worth: the leverage of a
formula, the word of a quote."""

from __future__ import annotations

from math import floor

from engine.account import Account
from engine.events import TermSettled
from engine.formula import FormulaAccount
from engine.handler_state import HandlerState
from engine.orders import Scene
from engine.paying import Paying
from engine.policy import Close, Quote
from engine.reference import Reference
from engine.striking import NOWHERE, strike
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["Promising"]


class Promising(Paying):
    """One product's promises; a basket makes none."""

    __slots__ = ("_follows", "_quoted", "reference")

    def __init__(self, account: Account, state: HandlerState) -> None:
        super().__init__(account, state)
        self._quoted = self.spec.terms.nav == "quoted"
        self._follows = account.formula and not self._quoted
        """Whether the promise takes the leverage of a decision."""
        self.reference: Reference | None = None
        """The index, where the promise follows that."""

    def follow(self, reference: Reference) -> None:
        """From the beginning on NAV follows the market's index."""
        assert isinstance(self.account, FormulaAccount)
        self.reference = self.account.reference = reference

    @property
    def _unpriced(self) -> bool:
        """Whether the price that NAV follows is too old to deal at, where that is the index."""
        return self.reference is not None and self.reference.stale

    def _promise(self, mark: float, target: float) -> None:
        self.account.promise(mark, target)
        self.traded = True

    @property
    def _units_at_launch(self) -> float:
        """All units in steps, counted as at the launch: splits and merges since make no
        difference."""
        return self.account.units / self.state.units_scale

    def _worth(self, quote: Quote) -> float:
        """What a quote makes all units worth, quote atoms."""
        steps = UNIT_STEPS // 10 ** asset_decimals(self.account.contract.quote_asset)
        return float(quote.nav_per_unit * self._units_at_launch / steps)

    def _told(self, scene: Scene, quote: Quote) -> Quote | Close:
        """Say what units are worth from here on, the last time aloud; what is to be done then."""
        account, target = self.account, float(quote.target)
        account.quote(scene.mark, floor(self._worth(quote) + 0.5), target)
        opens = not self.state.opened
        strike(scene, account, target, account.nav(scene.mark), NOWHERE, opens=opens)
        self.traded = True
        if not quote.settles:
            return quote
        scene.tape.say(
            TermSettled,
            product=self.spec.id,
            reason=quote.reason,
            nav_per_unit=quote.nav_per_unit / self.state.units_scale,
            mark_price=scene.mark,
        )
        return Close("settled")
