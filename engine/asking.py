"""What a product's policies see, and what becomes of their answers.

Of their decisions ``Close`` beats ``Deleverage`` beats ``SetLeverage``, then the listed order. A
policy that raises, or answers what is no decision or no leverage, is asked no more.
"""

from __future__ import annotations

import math
from math import floor
from typing import Any, Final

from engine.account import Account
from engine.dealing import Dealing
from engine.events import PolicyFaulted
from engine.handler_state import ACTIVE, HandlerState, Postponed
from engine.hedging import Hedging
from engine.orders import Scene
from engine.plans import Plan
from engine.policy import (
    Close,
    Decision,
    Deleverage,
    MarketView,
    Policy,
    PolicyAnswerError,
    PositionView,
    Quote,
    SetLeverage,
    View,
    Warn,
    is_text,
    words_of,
)
from engine.units import ATOMS_MAX, UNIT_STEPS, asset_decimals

__all__ = ["OPENING", "REHEDGE", "Asking"]

_NUMBERS: Final = (float, int)
_SHORT: Final = (float, str, bool, type(None))
_FLOAT_MAX: Final = math.nextafter(math.inf, 0.0)
_RANK: Final = {Close: 0, Quote: 1, Deleverage: 2, SetLeverage: 3, Warn: 4}
OPENING: Final = {
    "spot": "spot purchase",
    "futures": "futures opened",
    "margin_loan": "loan drawn",
}
"""What the one trade of a product without a leverage to keep is said to be for."""
REHEDGE: Final = "re-hedge after auto-deleveraging"


_MISPLACED: Final = (
    'quotes a worth of units; that is for a product with terms.nav = "quoted"',
    'decides a leverage; of a product with terms.nav = "quoted" it must quote what a unit is worth',
)


class Asking(Hedging):
    """One product's policies, and the views they are asked with."""

    __slots__ = ("_quote", "number", "policies", "uses_high_water", "uses_signals")

    def __init__(
        self, number: int, account: Account, policies: tuple[Policy, ...], dealing: Dealing
    ) -> None:
        remembered = [policy.initial_state() for policy in policies]
        state = HandlerState(policies=remembered, faulted=[False] * len(policies))
        super().__init__(account, dealing, state)
        self.number = number
        self.policies = policies
        self.uses_signals = any(p.uses_signals for p in policies)
        """Whether the market must keep signals for this product."""
        self.uses_high_water = any(p.uses_high_water for p in policies)
        """Whether the market must keep price extremes for this product."""
        self._quote = 1.0 / 10 ** asset_decimals(account.contract.quote_asset)

    def _view(self, scene: Scene) -> View:
        drawdown, reference = 0.0, self.reference
        if self.uses_high_water:
            account = self.account
            drawdown = self._drawdown(scene, account.intercept + account.slope * scene.mark)
        if reference is None:
            market = scene.view(self.uses_signals)
        else:
            price = reference.price
            market = MarketView(scene.ts_ns, price, price, price, stale=reference.stale)
        return self._beside(market, drawdown, scene.due_ns)

    def _beside(self, market: MarketView, drawdown: float, due_ns: int) -> View:
        """The product beside a market as of its price and time."""
        account, state, quote = self.account, self.state, self._quote
        kept = account.state
        exposure = account.slope * market.mark
        nav = account.intercept + exposure
        return View(
            market,
            PositionView(
                nav * quote,
                exposure * quote,
                exposure / nav if nav > 0.0 else 0.0,
                kept.target,
                kept.first_mark,
                state.high_water,
                drawdown,
                market.ts_ns - state.launched_ns,
                state.last_rebalance_ns,
            ),
            due_ns,
        )

    def _drawdown(self, scene: Scene, nav: float) -> float:
        """Of ``nav`` per unit from the high-water mark, which is brought up to date."""
        self._watch_high_water(scene)
        units, high_water = self._units_at_launch, self.state.high_water
        per_unit = nav * self._quote * UNIT_STEPS / units if units else 0.0
        return per_unit / high_water - 1.0 if 0.0 < per_unit < high_water else 0.0

    def keep_high_water(self, scene: Scene) -> None:
        """The line is about to change: what was reached on the old one counts."""
        if self.uses_high_water and self.state.status == ACTIVE:
            self._watch_high_water(scene)

    def _watch_high_water(self, scene: Scene) -> None:
        """Between wakes NAV was on one line, so its highest was at an extreme of the price."""
        account = self.account
        low, high = scene.extremes(self.number)
        best = account.intercept + account.slope * (high if account.slope > 0.0 else low)
        if account.units:
            per_unit = best * self._quote * UNIT_STEPS / self._units_at_launch
            self.state.high_water = max(self.state.high_water, per_unit)

    def _ask(self, scene: Scene, view: View) -> tuple[Decision | None, bool]:
        """The decision that comes first, and whether any policy had something to remember."""
        state, best, changed = self.state, None, False
        if state.rehedge and self._may_rehedge(scene, view):
            self._covered(scene)
            # A formula's promise stands as it is: only the hedge goes back to it.
            if self.account.formula:
                return SetLeverage(view.position.leverage, REHEDGE), True
            if not state.safe:  # of a basket it would be more leverage
                return SetLeverage(self.account.state.target, REHEDGE), True
        if not state.opened and self.spec.kind != "fund":
            return SetLeverage(self._opening_target, OPENING[self.spec.kind]), True
        planned = self.desk.state.plan is not None
        cautious = planned or state.safe
        for place, policy in enumerate(self.policies):
            known = state.policies[place]
            if state.faulted[place] or (cautious and not policy.de_risking):
                continue
            try:
                decision, remembered = policy.decide(view, known)
                if decision is not None:
                    self._check(decision, scene.mark)
            except Exception as error:  # noqa: BLE001  # a user's policy may raise anything
                self._fault(scene, place, error)
                continue
            if remembered is not known:
                state.policies[place] = remembered
                changed = True
            if decision is None or (state.safe and isinstance(decision, SetLeverage)):
                continue
            if best is None or _RANK[type(decision)] < _RANK[type(best)]:
                best = decision
        postponed = state.postponed
        if best is None and postponed is not None and not planned:
            again = Deleverage if postponed.deleverages else SetLeverage
            if postponed.deleverages or not state.safe:
                best = again(postponed.target, postponed.reason, postponed.plan)
        if state.cut_due:
            return self._safe_cut(view, best), True
        return best, changed

    def _safe_cut(self, view: View, best: Decision | None) -> Decision | None:
        """The one cut of a product whose policy faulted, unless another decision goes further."""
        self.state.cut_due = False
        held, most = view.position.leverage, self.spec.safe_leverage
        kept = None if isinstance(best, SetLeverage) else best
        if abs(held) <= most or isinstance(kept, Close):
            return kept
        if isinstance(kept, Deleverage) and abs(kept.target) <= most:
            return kept
        return Deleverage(math.copysign(most, held), "safe mode: a policy faulted")

    def _remember(self, scene: Scene, decision: Decision) -> None:
        """Too little to be an order: it may be more at another price. A quote is never far from the
        next, whose hedge makes up for it."""
        if isinstance(decision, Quote):
            return
        assert isinstance(decision, SetLeverage | Deleverage)
        target, account = float(decision.target), self.account
        lots = account.contract.lots_for(target, account.nav(scene.mark), scene.mark)
        deleverages = isinstance(decision, Deleverage)
        postponed = Postponed(target, decision.reason, deleverages, decision.plan)
        self.postpone(scene, postponed, "too_small", lots - account.lots)

    def _may_rehedge(self, scene: Scene, view: View) -> bool:
        """A plan under way comes first, and a market without fresh prices waits."""
        return self.desk.state.plan is None and not (view.market.stale or scene.halted)

    def _check(self, decision: Any, mark: float) -> None:
        """Whoever answers may have put anything anywhere."""
        # ``isinstance`` takes five times as long of a ``Struct``.
        if type(decision) not in _RANK:
            raise PolicyAnswerError(f"answered {_kind(decision)}; it must be a decision or None")
        reason = decision.reason
        if type(reason) is not str:
            raise PolicyAnswerError(f"gave {_kind(reason)} as reason; it must be a text")
        if not (reason.isascii() or is_text(reason)):
            raise PolicyAnswerError(f"gave {reason!r} as reason; it cannot be written")
        if type(decision) is Close or type(decision) is Warn:
            return
        if (type(decision) is Quote) != self._quoted:
            raise PolicyAnswerError(_MISPLACED[self._quoted])
        if decision.plan is not None and not isinstance(decision.plan, Plan):
            raise PolicyAnswerError(f"named {_kind(decision.plan)} as plan; it must be a plan")
        if type(decision) is Quote:
            self._check_quote(decision, mark)
            return
        target, limit = decision.target, self.spec.limit
        if type(target) in _NUMBERS and -limit <= target <= limit:
            return
        if not _is_finite(target):
            raise PolicyAnswerError(f"answered {_shown(target)}; it must be a finite leverage")
        raise PolicyAnswerError(
            f"answered {target}, outside the product's limits [-{limit:g}, {limit:g}]"
        )

    def _check_quote(self, quote: Any, mark: float) -> None:
        for name in ("nav_per_unit", "target"):
            value = getattr(quote, name)
            if not _is_finite(value):
                said = f"quoted a {name} of {_shown(value)}; it must be a finite number"
                raise PolicyAnswerError(said)
        if quote.nav_per_unit < 0.0:
            raise PolicyAnswerError(f"quoted {quote.nav_per_unit!r} a unit; it must be >= 0")
        if type(quote.settles) is not bool:
            raise PolicyAnswerError(f"gave {_kind(quote.settles)} as settles; it must be a bool")
        worth, contract = self._worth(quote), self.account.contract
        fits = worth <= ATOMS_MAX and abs(worth * quote.target) <= ATOMS_MAX
        if not fits or abs(contract.lots_for(quote.target, floor(worth), mark)) > ATOMS_MAX:
            raise PolicyAnswerError(
                f"quoted {quote.nav_per_unit!r} a unit at {quote.target!r}x; of all units that is "
                f"more than {ATOMS_MAX} atoms or lots"
            )

    def _fault(self, scene: Scene, place: int, error: Exception) -> None:
        state, cut = self.state, self.spec.safe_mode == "cut"
        state.faulted[place] = True
        state.cut_due |= cut and not state.safe
        state.safe |= cut
        scene.tape.say(
            PolicyFaulted,
            product=self.spec.id,
            policy=getattr(self.policies[place], "name", type(self.policies[place]).__name__),
            error=words_of(error),
            safe_mode=self.spec.safe_mode,
        )


def _kind(answer: object) -> str:
    """What it is; what it looks like may differ from run to run."""
    return f"an object of type {type(answer).__name__}"


def _is_finite(answer: Any) -> bool:
    """Whether it is a plain number that a float can hold."""
    return type(answer) in _NUMBERS and -_FLOAT_MAX <= answer <= _FLOAT_MAX


def _shown(answer: object) -> str:
    return repr(answer) if type(answer) in _SHORT else _kind(answer)
