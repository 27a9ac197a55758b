"""A venue's own prices: its mark on a grid, and the premiums that its funding is made of.

Both are made of what was heard up to each point of the grid, whoever asks and however the input was
cut: what the points remember is a recurrence over them alone.
"""

from __future__ import annotations

from math import gcd
from typing import Any

from msgspec import Struct, field

from engine.errors import ConfigError
from engine.events import IndexStale, MarkSourceChanged
from engine.units import DAY_NS, HOUR_NS, NEVER_NS
from engine.venue.funding import FundingSpec, next_instant, next_scheduled
from engine.venue.funding_rate import MarginRates, capped, period_rate
from engine.venue.index import index_price, is_fresh
from engine.venue.mark import Mark, MarkLegs, MarkState, Quotes
from engine.venue.premium import Premiums, PremiumState, mid_premium, premium
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules

__all__ = ["Heard", "Points", "PricingSpec", "PricingState"]


class PricingSpec(Struct, frozen=True, kw_only=True):
    """What a venue makes of its own.

    Attributes:
        sources: spot markets of the index.
        mark: how the mark is made; ``None``: positions are valued otherwise.
        premium: how funding is made; ``None``: rates come from elsewhere.
        interval_ns: for which a recorded funding rate is meant.
        margins: of the lowest tier, for caps of the rate.
        impact_share: how far beyond the best price the impact notional trades on average, as a
            share of the mid; infinite where the book cannot fill it.
    """

    sources: tuple[IndexSource, ...]
    mark: MarkRules | None = MarkRules()
    premium: FundingRules | None = None
    interval_ns: int = 8 * HOUR_NS
    margins: MarginRates = MarginRates()
    impact_share: float = 0.0

    def __post_init__(self) -> None:
        mark, funding = self.mark, self.premium
        if mark is None and funding is None:
            raise ConfigError("a venue that makes neither a mark nor a rate makes nothing")
        if mark is not None and mark.basis_every_ns % mark.every_ns:
            raise ConfigError("the basis is measured at points of the mark's own grid")
        if funding is not None and (
            DAY_NS % funding.sample_ns
            or funding.interval_ns % funding.sample_ns
            or funding.offset_ns % funding.sample_ns
        ):
            raise ConfigError("funding is settled at points of the premium's own grid")


class Heard(Struct):
    """What one symbol last said, and when; 0 never."""

    bid: float = 0.0
    ask: float = 0.0
    book_ns: int = 0
    last: float = 0.0
    last_ns: int = 0
    index: float = 0.0
    index_ns: int = 0


class PricingState(Struct):
    """What is remembered between points.

    Attributes:
        next_ns: the next point.
        heard: what the market and its sources last said, the market first.
        rate, funding_ns: funding as last recorded, or as last settled.
        index: at the last point; 0 where no source was fresh.
        legs: what the last mark was chosen from.
        masked_ns: until when each source is out of order, whatever it says; 0: it is not.
    """

    next_ns: int = NEVER_NS
    heard: list[Heard] = []
    rate: float = 0.0
    funding_ns: int = -1
    index: float = 0.0
    index_ns: int = 0
    legs: str = ""
    mark: MarkState = field(default_factory=MarkState)
    premiums: PremiumState = field(default_factory=PremiumState)
    masked_ns: list[int] = []


class Points:
    """Makes one point after the other from what was heard.

    Attributes:
        mark: made at the last point asked for; ``None`` where none could be.
        notices: events that became due at points, with their times.
        settled: ``(instant, rate)`` of the funding instants passed.
    """

    __slots__ = ("_funding", "_legs", "_premiums", "mark", "notices", "settled", "spec", "state")

    def __init__(self, spec: PricingSpec, funding: FundingSpec) -> None:
        self.spec = spec
        self._funding = funding
        self.notices: list[tuple[int, Any, dict[str, Any]]] = []
        self.settled: list[tuple[int, float]] = []
        self.mark: Mark | None = None
        heard = [Heard() for _ in range(len(spec.sources) + 1)]
        self.resume(PricingState(heard=heard, masked_ns=[0] * len(spec.sources)))

    def resume(self, state: PricingState) -> None:
        """Go on from there."""
        self.state = state
        self._legs = MarkLegs(self.spec.mark or MarkRules(), state.mark)
        self._premiums = Premiums(self.spec.premium or FundingRules(), state.premiums)

    @property
    def grid_ns(self) -> int:
        """Distance of the points: all grids of the rules lie on them."""
        mark, funding = self.spec.mark, self.spec.premium
        step = mark.every_ns if mark is not None else 0
        return step if funding is None else gcd(step, funding.sample_ns)

    def forget(self) -> None:
        """What became due was told."""
        self.notices.clear()
        self.settled.clear()

    def announce(self, rate: float, next_ns: int) -> None:
        """A funding row."""
        if self._funding.recorded:
            self.state.rate, self.state.funding_ns = rate, next_ns

    def mask(self, source: int | None, ts_ns: int, until_ns: int) -> str | None:
        """Points before ``until_ns`` are made without the sources of a symbol, or without any
        (``None``); why nothing changes, where nothing does.

        Args:
            ts_ns: now; the points before it are made.
            until_ns: 0 where the sources count again.
        """
        own = [n for n, s in enumerate(self.spec.sources) if source is None or s.symbol == source]
        masked_ns = self.state.masked_ns
        now = [masked_ns[number] if masked_ns[number] > ts_ns else 0 for number in own]
        if not own:
            return "unknown_source"
        if all(known_ns == until_ns for known_ns in now):
            return "masked" if until_ns else "not_masked"
        for number in own:
            masked_ns[number] = until_ns
        return None

    def next_unmasked(self, after_ns: int) -> int:
        """When a source counts again by itself."""
        return min([ns for ns in self.state.masked_ns if ns > after_ns], default=NEVER_NS)

    def at(self, ts_ns: int) -> bool:
        """Make the point; whether anything was fresh at it."""
        spec, state = self.spec, self.state
        index = self._index(ts_ns)
        bid, ask, last = self._own(ts_ns)
        self._notice_index(ts_ns, index)
        state.index = index
        if spec.premium is not None:
            self._sample(ts_ns, spec.premium, index, (bid, ask, last))
        self.mark = None
        if spec.mark is not None and ts_ns % spec.mark.every_ns == 0:
            self.mark = self._legs.at(ts_ns, self._quotes(ts_ns, spec.mark, index, bid, ask, last))
            self._notice_legs(ts_ns)
        return bool(index or bid or last)

    def pass_silence(self, from_ns: int, to_ns: int) -> None:
        """Points after ``from_ns`` up to ``to_ns`` at which nothing is fresh."""
        mark = self.spec.mark
        if mark is not None:
            self._legs.pass_silence(from_ns, to_ns)
            if to_ns // mark.every_ns > from_ns // mark.every_ns:
                self.state.legs = ""

    def next_instant(self, after_ns: int) -> int:
        """The first funding instant later than a time; ``NEVER_NS`` where rates come from
        elsewhere."""
        rules = self.spec.premium
        if rules is None:
            return NEVER_NS
        return next_instant(rules, after_ns)

    def _index(self, ts_ns: int) -> float:
        prices, seen = [], []
        for source, said in zip(self.spec.sources, self.state.heard[1:], strict=True):
            price, when_ns = said.index, said.index_ns
            if not source.recorded:
                price, when_ns = (said.bid + said.ask) * 0.5, said.book_ns
                if not is_fresh(when_ns, source.stale_after_ns, ts_ns):
                    price, when_ns = said.last, said.last_ns
            prices.append(price)
            seen.append(when_ns)
        masked = [until_ns > ts_ns for until_ns in self.state.masked_ns]
        return index_price(self.spec.sources, prices, seen, ts_ns, masked) or 0.0

    def _own(self, ts_ns: int) -> tuple[float, float, float]:
        """The market's own book and last trade, 0 where they are silent for too long."""
        said = self.state.heard[0]
        limit = (self.spec.mark or MarkRules()).stale_after_ns
        bid, ask, last = said.bid, said.ask, said.last
        if not is_fresh(said.book_ns, limit, ts_ns):
            bid = ask = 0.0
        return bid, ask, last if is_fresh(said.last_ns, limit, ts_ns) else 0.0

    def _quotes(
        self, ts_ns: int, rules: MarkRules, index: float, bid: float, ask: float, last: float
    ) -> Quotes:
        next_ns, rate = self._coming(ts_ns)
        grid_ns, left_ns = rules.funding_grid_ns, -1
        if ts_ns <= next_ns < NEVER_NS:
            left_ns = next_ns - (ts_ns // grid_ns * grid_ns if grid_ns else ts_ns)
        funding = self.spec.premium
        interval_ns = self.spec.interval_ns if funding is None else funding.interval_ns
        return Quotes(index, bid, ask, last, rate, left_ns, interval_ns)

    def _coming(self, ts_ns: int) -> tuple[int, float]:
        """The next funding instant, and the rate that is expected there."""
        if self.spec.premium is not None:
            return self.next_instant(ts_ns), self.state.rate
        if self._funding.recorded:
            return self.state.funding_ns, self.state.rate
        return next_scheduled(self._funding, ts_ns)

    def _sample(
        self, ts_ns: int, rules: FundingRules, index: float, own: tuple[float, float, float]
    ) -> None:
        """Take the premium; at the funding instant it becomes a rate, and a new period begins."""
        bid, ask, last = own
        if bid <= 0.0:
            bid = ask = last
        if index > 0.0 and bid > 0.0 and ts_ns % rules.sample_ns == 0:
            if rules.premium == "impact":
                beyond = (bid + ask) * 0.5 * self.spec.impact_share
                taken = premium(bid - beyond, ask + beyond, index)
            else:
                taken = mid_premium(bid, ask, index)
            self.add_premium(taken, ts_ns)
        if self.next_instant(ts_ns - 1) == ts_ns:
            self.settle(ts_ns, rules)

    def add_premium(self, taken: float, ts_ns: int) -> None:
        """A premium, at its point; those of one market in order."""
        self._premiums.add(taken, ts_ns)

    def settle(self, ts_ns: int, rules: FundingRules) -> None:
        """A funding instant: the premiums become a rate, and a new period begins."""
        average = self._premiums.settle(ts_ns)
        self.state.premiums = self._premiums.state
        rate = 0.0
        if average is not None:
            rate = capped(period_rate(average, rules), rules, self.spec.margins)
        self.state.rate = rate
        self.settled.append((ts_ns, rate))

    def _notice_index(self, ts_ns: int, index: float) -> None:
        state = self.state
        if state.index > 0.0 and index <= 0.0:
            self.notices.append((ts_ns, IndexStale, {"since_ns": state.index_ns}))
        if index > 0.0:
            state.index_ns = ts_ns

    def _notice_legs(self, ts_ns: int) -> None:
        """What the mark is chosen from changed; which of the legs holds may change at every point
        and is told along."""
        mark, state = self.mark, self.state
        legs = mark.legs if mark is not None else ""
        if mark is not None and legs != state.legs:
            told = {"legs": legs, "leg": mark.leg, "price": mark.price, "index": state.index}
            self.notices.append((ts_ns, MarkSourceChanged, told))
        state.legs = legs
