"""``fixed_term``: the Smart Leverage that ends on a day, and pays what a formula says."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from msgspec import Struct

from engine.policy import Decision, Quote, View
from engine.units import NEVER_NS, SECOND_NS
from engine.watch import Watch
from strategies.reviewing import REVIEW_S_MAX, REVIEW_S_MIN, after
from strategies.term_value import Claim, fair_breakeven, mean_variance, worth

__all__ = ["FixedTerm", "TermState"]

_LEVERAGE_MAX: Final = 200.0
_TERM_S_MAX: Final = 366.0 * 86_400.0
_FOLLOWED_MAX: Final = 1e4
"""A claim so far out follows nothing until its next review: a ten-thousandth of the price is more
than it is worth."""
_HALF: Final = 0.5
"""A quote holds until its line has lost that much of it: before it could come to nothing."""


class TermState(Struct, frozen=True):
    """What was fixed at entry, and what has been seen of the settlement price.

    Attributes:
        breakeven: quote per base; 0 before entry.
        settles_ns: when it settles.
        review_ns: the next review.
        low, high: the marks at which the last quote is old.
        taken: samples of the settlement price so far.
        total, carry: their sum, and what its rounding lost.
    """

    breakeven: float = 0.0
    settles_ns: int = 0
    review_ns: int = 0
    low: float = 0.0
    high: float = math.inf
    taken: int = 0
    total: float = 0.0
    carry: float = 0.0


class FixedTerm(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="fixed_term",
    tag_field="type",
):
    """Pay ``max(0, 1 + V (S - B) / B)`` a unit after the term; of a short one ``V (B - S) / B``.

    The breakeven B is fixed at entry so that the claim is worth ``1 - fee`` at the issuer's
    ``volatility``. S is the mean of the index, seen each second over the last ``settle_over_s``.
    Until then a unit is quoted at its fair value, at each review and wherever the last quote has
    half run out, and follows the mark along a line in between; it is redeemed at that. Nothing
    liquidates it. A long 50x with a breakeven of 60,000 pays 1.5 at 60,600 and nothing from 58,800
    down.

    At each quote the hedge is set to the claim's delta. What replicating it costs in a market that
    is wilder than ``volatility`` is the issuer's; of a hedge reviewed n times the error falls as
    ``1 / sqrt(n)`` (Bertsimas, Kogan and Lo 2000).

    It wants ``terms.nav = "quoted"``, and no policy beside it.

    Args:
        side: ``long`` or ``short``.
        leverage: V, from 1 to 200.
        term_s: from entry to settlement, seconds.
        volatility: a year, with which it is quoted.
        fee: share of what is paid in that the issuer keeps.
        breakeven: quote per base; 0: the fair one.
        settle_over_s: whole seconds; 0: the index at the end alone.
        review_s: grid of the reviews, counted from 1970-01-01 UTC.

    It does badly where nothing happens: a unit is worth the less the less time is left.

    Source: Bybit's Smart Leverage, payoff and settlement (``products.md`` 1.1). How its breakeven
    is quoted is unpublished: fair value less the fee is assumed.
    """

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True
    """Samples are taken, and quotes made, whatever the hedge is about."""

    side: str = "long"
    leverage: float = 10.0
    term_s: float = 7 * 86_400.0
    volatility: float = 0.6
    fee: float = 0.0
    breakeven: float = 0.0
    settle_over_s: int = 1_800
    review_s: float = 300.0

    def __post_init__(self) -> None:
        if self.side not in ("long", "short"):
            raise ValueError(f'fixed_term: side must be "long" or "short", was "{self.side}"')
        if not 1.0 <= self.leverage <= _LEVERAGE_MAX:
            raise ValueError(f"fixed_term: leverage must be from 1 to 200, was {self.leverage}")
        if not 0 <= self.settle_over_s <= self.term_s <= _TERM_S_MAX or self.term_s < 1.0:
            raise ValueError("fixed_term wants 1 <= term_s <= a year, 0 <= settle_over_s <= term_s")
        if not 0.0 < self.volatility <= 100.0:
            raise ValueError(f"fixed_term: volatility must be above 0, was {self.volatility}")
        if not 0.0 <= self.fee < 1.0:
            raise ValueError(f"fixed_term: fee must be from 0 to below 1, was {self.fee}")
        if not 0.0 <= self.breakeven < math.inf:
            raise ValueError(f"fixed_term: breakeven must be 0 or a price, was {self.breakeven}")
        if not REVIEW_S_MIN <= self.review_s <= REVIEW_S_MAX:
            raise ValueError(f"fixed_term: review_s must be from 0.001 to 1e9, was {self.review_s}")

    @property
    def sign(self) -> int:
        """+1 long, -1 short."""
        return 1 if self.side == "long" else -1

    @property
    def samples(self) -> int:
        """Of the index, whose mean is the settlement price."""
        return max(self.settle_over_s, 1)

    def initial_state(self) -> TermState:
        return TermState()

    def watch(self, view: View, state: TermState) -> Watch:
        if state.taken == self.samples:
            return Watch()
        alarm_ns = min(self._sample_ns(state), state.review_ns or NEVER_NS)
        if not state.breakeven:
            alarm_ns = after(view.due_ns, self.review_s)
        return Watch(state.low, state.high, alarm_ns)

    def decide(self, view: View, state: TermState) -> tuple[Decision | None, TermState]:
        if state.taken == self.samples:
            return None, state
        due, mark = view.due_ns, view.market.mark
        entry = not state.breakeven
        sampled = not entry and due >= self._sample_ns(state)
        if entry:
            state = self._entered(view)
        elif sampled:
            state = self._sampled(view, state)
        if state.taken == self.samples:
            return self._settled(state), state
        if not entry and due < state.review_ns and state.low < mark < state.high:
            return None, state
        return self._quoted(view, state, entry)

    def _entered(self, view: View) -> TermState:
        samples = self.samples
        settles_ns = view.market.ts_ns + round(self.term_s * SECOND_NS)
        first_s = self.term_s - (samples - 1)
        variance = mean_variance(self.volatility, first_s, samples)
        index = view.market.index
        fixed = self.breakeven or fair_breakeven(
            self.sign, self.leverage, index, variance, self.fee
        )
        return TermState(breakeven=fixed, settles_ns=settles_ns)

    def _sample_ns(self, state: TermState) -> int:
        """When the next sample is taken; the last at the settlement."""
        return state.settles_ns - (self.samples - 1 - state.taken) * SECOND_NS

    def _sampled(self, view: View, state: TermState) -> TermState:
        """The samples that are due, one as a rule: after a pause all that were missed, as the index
        is now. The sum is Neumaier's, so that it loses nothing over hours of samples."""
        index, due = view.market.index, view.due_ns
        total, carry, taken = state.total, state.carry, state.taken
        first_ns = state.settles_ns - (self.samples - 1) * SECOND_NS
        while taken < self.samples and first_ns + taken * SECOND_NS <= due:
            grown = total + index
            carry += (total - grown) + index if total >= index else (index - grown) + total
            total, taken = grown, taken + 1
        return TermState(
            state.breakeven,
            state.settles_ns,
            state.review_ns,
            state.low,
            state.high,
            taken,
            total,
            carry,
        )

    def _settled(self, state: TermState) -> Quote:
        settlement = (state.total + state.carry) / self.samples
        pays = self._claim(state).payoff(settlement)
        why = f"settled at {settlement:.8g}, breakeven {state.breakeven:.8g}: {pays:.6g} for each 1"
        return Quote(pays, 0.0, why, settles=True)

    def _claim(self, state: TermState) -> Claim:
        return Claim(self.sign, self.leverage, state.breakeven)

    def _quoted(self, view: View, state: TermState, entry: bool) -> tuple[Quote, TermState]:
        """Fair value and delta now; the hedge follows."""
        mark, due, left = view.market.mark, view.due_ns, self.samples - state.taken
        first_s = max(self._sample_ns(state) - due, 0) / SECOND_NS
        index = view.market.index
        value, delta = worth(
            self._claim(state),
            index,
            mean_variance(self.volatility, first_s, left),
            known=(state.total + state.carry) / self.samples,
            open_share=left / self.samples,
        )
        leverage = delta * index / value if value > 0.0 else 0.0
        if abs(leverage) > _FOLLOWED_MAX:
            leverage = 0.0
        reach = _HALF / abs(leverage) if leverage else math.inf
        kept = TermState(
            state.breakeven,
            state.settles_ns,
            after(due, self.review_s),
            mark * (1.0 - reach) if reach < 1.0 else 0.0,
            mark * (1.0 + reach),
            state.taken,
            state.total,
            state.carry,
        )
        days = (state.settles_ns - due) / (86_400.0 * SECOND_NS)
        why = f"breakeven {state.breakeven:.8g}, {days:.4g} days left, delta {delta * index:.4g}"
        if entry:
            why = f"{self.side} {self.leverage:g}x at {index:.8g}: {why}"
        return Quote(value, leverage, why), kept
