"""What a result leans on that the data do not say, each with its name and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.config.lineup import LONG_BAND, SHORT_BAND, completed
from engine.config.packs import NO_PACK, pack
from engine.config.pricing import pricing_assumptions
from engine.config.promises import index_fault
from engine.config.settings import MarketConfig, ProductConfig, RunConfig, VenueConfig
from engine.config.venues import preset
from engine.issuer import MOVE, SHARE
from engine.plans import LimitThenMarket
from engine.product import LoanTerms
from engine.ticks import Kind
from engine.venue.book import DEPTH_AT_1PCT
from feeds.generators import generator_assumptions
from feeds.recording import SymbolInfo
from strategies import FixedTerm, HiddenBand, KellyCapped, LeverageBand

__all__ = ["assumptions", "venue_assumptions"]

DEFAULT_PRESET: Final = VenueConfig().preset
"""Where no venue is named, and nobody is there whom it would liquidate, its margin decides nothing,
and its contract is as it always was."""


def assumptions(config: RunConfig, symbols: Sequence[SymbolInfo]) -> list[str]:
    """``name: sentence`` for each assumption, in the order of the markets; a name may come once per
    market."""
    config = completed(config, symbols)
    known = {info.symbol: info for info in symbols}
    used = {product.symbol for product in config.products}
    margined = {product.symbol for product in config.products if product.kind == "futures"}
    margined |= {trader.symbol for trader in config.traders}
    margined |= {crowd.symbol for crowd in config.populations}
    found = [
        line
        for market in config.markets
        if market.symbol in used and market.symbol in known
        for line in _of_market(
            market, known[market.symbol], config.bars, margined=market.symbol in margined
        )
    ]
    if config.generator is not None:
        found = [*generator_assumptions(config.generator), *found]
    found += [
        f"population: {crowd.id}'s sizes, entries and leverages are drawn, and none of it is "
        f"recorded of {crowd.symbol}; the venue closes each position whole"
        for crowd in config.populations
        if not crowd.file
    ]
    return list(dict.fromkeys([*found, *_of_products(config, known)]))


def _of_market(
    market: MarketConfig, info: SymbolInfo, bars: str, *, margined: bool
) -> Iterator[str]:
    symbol = market.symbol
    yield from _of_funding(market, info)
    yield from _of_book(market, info)
    yield from pricing_assumptions(market)
    if margined or market.venue.preset != DEFAULT_PRESET:
        yield from venue_assumptions(market)
    if info.contract == "spot":
        yield (
            f"perpetual_priced_from_spot: {symbol} is a spot market; products "
            "hold a perpetual of the same price "
            "that the data do not contain"
        )
    if Kind.MARK in info.kinds and info.mark_coarse:
        yield (
            f"coarse_mark_ignored: {symbol}: recorded marks are too sparse "
            f"and were not used; {_value_of(market)}"
        )
    elif market.mark not in ("mark", "venue"):
        yield (
            f"mark_from_{market.mark}: {symbol}: no recorded mark "
            f"price is used; {_value_of(market)}"
        )
    if info.bar_ns is not None:
        yield (
            f"bars_as_ticks: {symbol}: prices come from bars of {info.bar_ns // 10**9} "
            f"s, seen as {bars}; what happens "
            "within a bar is assumed"
        )


def _value_of(market: MarketConfig) -> str:
    names = {"last": "the last trade", "mid": "the mid of the book", "venue": "the venue's own"}
    name = names.get(market.mark, "the recorded mark")
    return f"positions are valued at {name}"


def _of_funding(market: MarketConfig, info: SymbolInfo) -> Iterator[str]:
    funding, symbol = market.funding, market.symbol
    if funding.rate_8h is not None:
        yield (
            f"funding_constant: {symbol}: funding is {funding.rate_8h:g} "
            "every 8 hours, whatever the market did"
        )
    elif funding.file is not None:
        yield f"funding_from_file: {symbol}: funding rates are those of {funding.file}"
    elif funding.source == "premium":
        return
    elif funding.source == "none" or Kind.FUNDING not in info.kinds:
        recorded = Kind.FUNDING in info.kinds
        why = "the recorded funding is switched off" if recorded else "the data hold no funding"
        yield f"funding_zero: {symbol}: {why}; it is assumed 0"


def _of_book(market: MarketConfig, info: SymbolInfo) -> Iterator[str]:
    book, symbol = market.book, market.symbol
    if book.model == "depth":
        measured = DEPTH_AT_1PCT.get(market.contract.base or "") == book.depth_at_1pct
        source = "measured elsewhere, on a normal day before 2025-10-10" if measured else "assumed"
        yield (
            f"depth: {symbol}: {book.depth_at_1pct or 0:,.0f} quote "
            f"a side within 1 % of mid, {source}"
        )
    if book.model != "flat":
        yield (
            f"book_half_life: {symbol}: half of what our orders took is back "
            f"after {book.half_life_s:g} s, assumed"
        )
    else:
        yield f"unlimited_depth: {symbol}: the flat book fills any size at its half spread"
    if Kind.BBO not in info.kinds:
        yield (
            f"half_spread: {symbol}: no best bid and ask are recorded; half the spread is assumed "
            f"{book.half_spread_bps:g} bps"
        )


def venue_assumptions(market: MarketConfig) -> Iterator[str]:
    """What no source says of the venue's rules, of a market that is completed."""
    known = preset(market.venue.preset).assumptions(market.contract.base or "")
    for name, sentence in known.items():
        yield f"{name}: {market.symbol}: {market.venue.preset}: {sentence}"


def _of_products(config: RunConfig, known: dict[str, SymbolInfo]) -> Iterator[str]:
    for product in config.products:
        if product.terms.pack != NO_PACK:
            for name, sentence in pack(product.terms.pack).assumed.items():
                yield f"{name}: {product.id}: {sentence}"
            yield from _of_index(config, product, known)
        if any(policy in (LONG_BAND, SHORT_BAND) for policy in product.policies):
            yield (
                "gate_bands: 3x bands are Gate's rule: 3L trades outside "
                "[2.25, 4.125], 3S outside [1.5, 5.25]"
            )
        for policy in product.policies:
            yield from _of_policy(product.id, policy)
        yield from _of_trading(product)
        info = known.get(product.symbol)
        on_spot = product.kind in ("spot", "margin_loan")
        if on_spot and info is not None and info.contract != "spot":
            yield (
                f"spot_at_perpetual: {product.id} is valued at the price "
                f"of {product.symbol}, without funding"
            )
        if product.kind == "margin_loan":
            loan = product.loan or LoanTerms()
            yield (
                f"loan_terms: {product.id} pays {loan.hourly_rate:.3g} of its debt an hour, is "
                f"called at a margin level of {loan.call_level:g} and sold at {loan.sell_level:g}"
            )
        if product.hedge.margin_share < 1.0 or product.terms.nav != "basket":
            yield (
                f"topups: {product.id} is topped up at {product.hedge.topup_at:g} times "
                f"maintenance, to {product.hedge.margin_share:g} of its equity"
            )
    if any(product.kind == "fund" for product in config.products):
        yield (
            f"largest_aum: how large a product may be is told for a move of {MOVE:.0%} and "
            f"{SHARE:.0%} of an hour's volume, both assumed; at half the move it may be twice as "
            "large"
        )
    if any(product.latency_ms == 0.0 for product in config.products):
        yield "no_latency: hedge orders reach the book at once"
    if any(isinstance(product.hedge.plan, LimitThenMarket) for product in config.products):
        yield (
            "queue_position: of a level that shrinks without a trade, who cancelled is assumed "
            "(book.queue); an order that waits is cancelled at once"
        )
    yield from _of_fees(config)


def _of_index(
    config: RunConfig, product: ProductConfig, known: dict[str, SymbolInfo]
) -> Iterator[str]:
    """A pack that wants an index, of a market without one that NAV could follow."""
    (market,) = (each for each in config.markets if each.symbol == product.symbol)
    info = known.get(product.symbol)
    if info is not None and pack(product.terms.pack).formula_price == "index":
        fault = index_fault(market, info)
        if fault is not None:
            yield (
                f"index_is_mark: {product.id} follows the mark of {product.symbol}, as if it were "
                f"the index: {fault}"
            )


def _of_trading(product: ProductConfig) -> Iterator[str]:
    traded = product.terms.secondary
    if traded is not None:
        yield (
            f"secondary_market: {product.id}'s units trade at NAV and a premium: "
            f"{traded.depth_at_1pct:,.0f} quote of those who were turned away move it by 1 %, and "
            f"half of it is gone after {traded.half_life}, both assumed; issuers publish neither"
        )


def _of_fees(config: RunConfig) -> Iterator[str]:
    free = [
        product.id
        for product in config.products
        if product.terms.pack == NO_PACK and product.terms.management_fee == 0.0
    ]
    if len(free) == len(config.products):
        yield "no_management_fee: no management fee is charged"
    elif free:
        yield f"no_management_fee: no management fee is charged by {', '.join(free)}"


def _of_policy(product: str, policy: object) -> Iterator[str]:
    """What no issuer has told of the rule that a policy stands for."""
    if isinstance(policy, HiddenBand):
        yield (
            f"hidden_band: {product} trades at {policy.low:g} and {policy.high:g} and then to "
            f"{policy.magnitude:.4g}, assumed: the issuer told the range alone"
        )
    if isinstance(policy, LeverageBand) and policy.rebalance_to == "edge":
        yield (
            f"edge_inset: {product} goes {policy.inset:.3g} of the way from an edge to its "
            "target, assumed"
        )
    if isinstance(policy, FixedTerm):
        yield (
            f"term_volatility: {product} is quoted at a volatility of {policy.volatility:.3g} a "
            "year, without interest; how issuers quote is unpublished"
        )
    if isinstance(policy, KellyCapped):
        yield (
            f"expected_return: {product} expects {policy.expected_return:.3g} a year of the price, "
            "which nobody knows"
        )
