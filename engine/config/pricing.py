"""What a venue makes of its own prices: which symbols its index stands on, and what it needs of
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, lcm
from typing import Final

from msgspec.structs import replace

from engine.config.complaints import SettingError, nearest
from engine.config.crowd_settings import ImpactConfig
from engine.config.settings import MarketConfig, RunConfig
from engine.durations import duration_ns, duration_text
from engine.points import PricingSpec
from engine.ticks import Kind
from engine.units import MINUTE_NS, SECOND_NS, decimal
from engine.venue.book import BookSpec
from engine.venue.depth import DepthBook
from engine.venue.funding_rate import MarginRates
from engine.venue.impact import ImpactSpec
from engine.venue.price_rules import FundingRules, IndexSource
from engine.venue.rules import VenueRules
from engine.venue.survival import SurvivalSpec
from engine.venue.taking import Top
from feeds.recording import SymbolInfo

__all__ = ["check_generated", "impact_of", "makes_prices", "pricing_assumptions", "pricing_of"]

_RECORDED_STALE_NS: Final = MINUTE_NS
"""Silence after which recorded index rows do not count."""
_WEIGHT_MAX: Final = 1e12
_WEIGHTS_MAX: Final = 2**50
"""So large their sum is exact in floats."""


def makes_prices(market: MarketConfig) -> bool:
    """Whether a market's venue makes a mark or a funding rate of its own; what is felt in a
    market is no venue's."""
    if market.feedback:
        return False
    return market.mark == "venue" or market.funding.source == "premium"


def pricing_of(
    market: MarketConfig,
    rules: VenueRules,
    places: Mapping[str, int],
    info: SymbolInfo,
    book: BookSpec,
) -> PricingSpec | None:
    """What the heart needs for it; ``None`` where everything is recorded or read off the book.

    Raises:
        SettingError: with a path inside the market's settings.
    """
    if not makes_prices(market):
        return None
    sources = []
    for number, source in enumerate(market.index):
        path: tuple[str | int, ...] = ("index", number)
        if source.symbol not in places:
            raise SettingError(
                (*path, "symbol"),
                f'there is no symbol "{source.symbol}" in the data'
                f"{nearest(source.symbol, list(places))}",
            )
        if not 0.0 < source.weight <= _WEIGHT_MAX:
            said = f"weight must be finite, > 0 and at most {_WEIGHT_MAX:g}, was {source.weight!r}"
            raise SettingError((*path, "weight"), said)
        stale_ns = duration_ns(source.stale_after)
        if stale_ns <= 0:
            raise SettingError(
                (*path, "stale_after"), f"stale_after must be > 0, was {source.stale_after!r}"
            )
        place = places[source.symbol]
        sources.append(IndexSource(symbol=place, weight=source.weight, stale_after_ns=stale_ns))
    if not sources:
        if Kind.INDEX not in info.kinds:
            raise SettingError(
                ("index",),
                f"{market.symbol}: the data hold no index rows of it, so what the venue makes of "
                "its own needs index = [{ symbol = ..., weight = ... }]",
            )
        own = places[market.symbol]
        sources.append(IndexSource(symbol=own, stale_after_ns=_RECORDED_STALE_NS, recorded=True))
    return PricingSpec(
        sources=_whole(sources),
        mark=rules.mark if market.mark == "venue" else None,
        premium=rules.funding if market.funding.source == "premium" else None,
        interval_ns=rules.funding.interval_ns,
        margins=_margins(rules),
        impact_share=_impact_share(book, rules.funding.impact_notional),
    )


def _whole(sources: list[IndexSource]) -> tuple[IndexSource, ...]:
    """The same with whole numbers for weights where these are not too large: of 0.1, 0.2 and 0.3
    the last is exactly half."""
    exact = [decimal(source.weight) for source in sources]
    unit = lcm(*(each.denominator for each in exact))
    if unit == 1 or max(exact) * unit > _WEIGHTS_MAX:
        return tuple(sources)
    return tuple(
        replace(source, weight=float(each * unit))
        for source, each in zip(sources, exact, strict=True)
    )


def impact_of(market: MarketConfig, rules: VenueRules) -> ImpactSpec | None:
    """How a generated market feels what is traded in it; ``None`` where it does not.

    Raises:
        SettingError: with a path inside the market's settings.
    """
    if not market.feedback:
        return None
    share, every_ns = market.impact.permanent_share, duration_ns(market.impact.every)
    if not 0.0 <= share <= 1.0:
        said = f"permanent_share must be from 0 to 1, was {share!r}"
        raise SettingError(("impact", "permanent_share"), said)
    if every_ns <= 0:
        raise SettingError(("impact", "every"), f"every must be > 0, was {market.impact.every!r}")
    if market.book.model != "depth":
        said = f'{market.symbol}: feedback wants a book of model "depth", was {market.book.model!r}'
        raise SettingError(("feedback",), said)
    if market.mark == "venue":
        said = f"{market.symbol}: with feedback the mark is made of what is felt, not the venue's"
        raise SettingError(("feedback",), said)
    if market.funding.source == "premium":
        _check_sampled(market, rules.funding, every_ns)
    return ImpactSpec(
        permanent=share,
        every_ns=every_ns,
        half_life_s=market.book.half_life_s,
        mark=market.impact.mark,
        survival=_survival_of(market.impact),
        margins=_margins(rules),
    )


def _check_sampled(market: MarketConfig, rules: FundingRules, every_ns: int) -> None:
    """Premiums are taken, and settled, at points of the marks."""
    sample_ns = rules.sample_ns
    apart = sample_ns % every_ns and every_ns % sample_ns
    if apart or rules.interval_ns % every_ns or rules.offset_ns % every_ns:
        said = (
            f"every must divide {duration_text(sample_ns)}, at which {market.venue.preset} takes "
            f"premiums, or be a multiple of it that divides {duration_text(rules.interval_ns)}, "
            f"was {market.impact.every!r}"
        )
        raise SettingError(("impact", "every"), said)


def _survival_of(impact: ImpactConfig) -> SurvivalSpec | None:
    calm, back_ns = impact.calm_move, duration_ns(impact.recovery)
    if not 0.0 <= calm < 1.0:
        said = f"calm_move must be from 0 (depth never collapses) up to 1, was {calm!r}"
        raise SettingError(("impact", "calm_move"), said)
    if back_ns <= 0:
        said = f"recovery must be > 0, was {impact.recovery!r}"
        raise SettingError(("impact", "recovery"), said)
    return SurvivalSpec(deviation=calm, half_life_s=back_ns / SECOND_NS) if calm else None


def check_generated(config: RunConfig, *, synthetic: bool) -> None:
    """What is recorded does not feel us.

    Raises:
        SettingError: where a market of recorded prices has feedback.
    """
    for number, market in enumerate(config.markets):
        if market.feedback and not synthetic:
            raise SettingError(
                ("markets", number, "feedback"),
                f"{market.symbol} is recorded: our trades move its book, never its mark; feedback "
                "is for generated markets",
            )


def _impact_share(book: BookSpec, notional: float) -> float:
    """How far beyond the best price a notional trades in a fresh book of a model that knows it."""
    if book.model != "depth" or notional <= 0.0:
        return 0.0
    fresh = DepthBook(
        book.half_spread_bps, book.depth_at_1pct, book.half_life_s, book.beta_near, book.beta_far
    )
    taken = fresh.offer(1, 1, notional, None, Top(1.0, 0.0, 0))
    return taken.price - 1.0 if taken.lots else inf


def _margins(rules: VenueRules) -> MarginRates:
    """Of the lowest tier, which the caps of a funding rate are multiples of."""
    if not rules.margin.tiers:
        return MarginRates()
    lowest = rules.margin.tiers[0]
    initial = lowest.initial_rate or 1.0 / lowest.max_leverage
    return MarginRates(initial, lowest.rate)


def pricing_assumptions(market: MarketConfig) -> Iterator[str]:
    """What of a venue's own prices no recording says, a sentence each."""
    symbol, venue = market.symbol, market.venue.preset
    if market.feedback:
        share = market.impact.permanent_share
        yield (
            f"feedback: {symbol}: {share:g} of how far a trade reaches into the book stays in the "
            f"price (0.5 to 0.7 elsewhere), the rest is halved in {market.book.half_life_s:g} s"
        )
        if market.impact.calm_move:
            yield (
                f"depth_survival: {symbol}: the deviation of a calm five minutes is taken as "
                f"{market.impact.calm_move:.3%}; depth collapses with larger moves as measured "
                "2023-2026, the spread widens as its inverse, and half of the collapse is gone "
                f"after {market.impact.recovery} (2 to 5 minutes elsewhere)"
            )
    index = ", ".join(source.symbol for source in market.index) or "recorded index rows"
    if market.mark == "venue":
        yield (
            f"mark_from_venue: {symbol}: no recorded mark price is used; positions are valued at "
            f"a mark made by the rules of {venue} from its book and an index of {index}"
        )
    if market.feedback and market.funding.source == "premium":
        yield (
            f"funding_from_premium: {symbol}: funding rates are made by the rules of {venue} from "
            "what its impact notional costs in the book that all trades have moved and moves have "
            "thinned, and the index that they have moved for good"
        )
    elif market.funding.source == "premium":
        where = "the depth model beyond the best bid and ask"
        if market.book.model != "depth":
            where = "the best bid and ask, as if its impact notional traded there"
        yield (
            f"funding_from_premium: {symbol}: funding rates are made by the rules of {venue} from "
            f"{where}, and an index of {index}"
        )
