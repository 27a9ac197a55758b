"""What scenarios change of a configuration, and what their holders ask for: who runs has bought
before, a fund has a size, and a crowd that comes later is drawn beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from engine.commands import OpenPopulation
from engine.config.complaints import SettingError, nearest
from engine.config.crowd_settings import LEVERAGES, CrowdConfig
from engine.config.crowds import check_draws, homeless
from engine.config.settings import MarketConfig, ProductConfig, RunConfig, UserConfig
from engine.config.venue_settings import InsuranceConfig
from engine.events import CreationRequest, Message, RedemptionRequest
from feeds.scenarios import Placed, ScenarioError, Span
from feeds.scenarios.custody import Adl, Depeg, Population
from feeds.scenarios.events import Move
from feeds.scenarios.mishaps import CreationRush, FundingRate, RedemptionRun

__all__ = ["asked_for", "check_scened", "scened"]


def scened(config: RunConfig, events: Sequence[Placed]) -> RunConfig:
    """The configuration under these events: completed before, checked after."""
    for placed in events:
        if isinstance(placed.event, Adl):
            markets = tuple(_insured(market, placed.event) for market in config.markets)
            config = replace(config, markets=markets)
    runs = [each for each in events if isinstance(each.event, RedemptionRun)]
    users = tuple(UserConfig(id=_name(each), holdings=_holdings(config, each)) for each in runs)
    crowds = tuple(crowd for each in events for crowd in _crowds(config, each))
    return replace(
        config, users=(*config.users, *users), populations=(*config.populations, *crowds)
    )


def check_scened(config: RunConfig, events: Sequence[Placed]) -> None:
    """What the events would change can be changed.

    Raises:
        ScenarioError: with the place of the first that cannot.
    """
    recorded = [market.symbol for market in config.markets if market.book.model == "recorded"]
    for placed in events:
        where = ("events", placed.number)
        if recorded and isinstance(placed.event, Move):
            said = f"moves prices, which the recorded book of {recorded[0]} cannot follow; set "
            said = f'{placed.event.kind} {said}book = {{ model = "depth" }} of that market'
            raise ScenarioError(placed.scenario, (*where, "kind"), said)
        if isinstance(placed.event, Population):
            for crowd in _crowds(config, placed):
                fault = homeless(config, crowd)
                if fault:
                    raise ScenarioError(placed.scenario, (*where, "symbols"), fault)
                try:
                    check_draws(where, crowd)
                except SettingError as error:
                    raise ScenarioError(placed.scenario, error.path, error.sentence) from None
        elif isinstance(placed.event, FundingRate):
            _check_paid(placed, _markets(config, placed))
        elif isinstance(placed.event, Depeg):
            coins = [m.symbol for m in _markets(config, placed) if m.contract.kind == "inverse"]
            if coins and (placed.event.symbols or len(coins) == len(config.markets)):
                said = f"margin of {coins[0]} is the coin itself, which has no price but its mark"
                raise ScenarioError(placed.scenario, (*where, "symbols"), said)


def _check_paid(placed: Placed, markets: Sequence[MarketConfig]) -> None:
    """A rate can only be another where it is one that the rows say."""
    made = [each.funding for each in markets]
    told = [each.source == "recorded" and not each.file and each.rate_8h is None for each in made]
    if any(told) or not markets:
        return
    where = "made of premiums" if made[0].source == "premium" else "said by its configuration"
    said = f"funding is another rate than the rows say, and that of {markets[0].symbol} is {where}"
    said = f'{said}; set funding = {{ source = "recorded" }} of that market'
    raise ScenarioError(placed.scenario, ("events", placed.number, "kind"), said)


def asked_for(config: RunConfig, events: Sequence[Placed], span: Span) -> Iterator[Message]:
    """What holders ask for, and populations that come."""
    yield from _holders_ask(config, events)
    for placed in events:
        for crowd in _crowds(config, placed):
            yield OpenPopulation(
                ts_ns=max(placed.start_ns, span.first_ns),
                id=crowd.id,
                symbol=crowd.symbol,
                population=crowd.id,
            )


def _crowds(config: RunConfig, placed: Placed) -> Iterator[CrowdConfig]:
    """The populations of an event: one in each market, or one more like another."""
    event = placed.event
    if not isinstance(event, Population):
        return
    if event.like:
        known = [crowd.id for crowd in config.populations]
        if event.like not in known:
            said = f'no population of the run is "{event.like}"{nearest(event.like, known)}'
            raise ScenarioError(placed.scenario, ("events", placed.number, "like"), said)
        other = config.populations[known.index(event.like)]
        if other.file:
            said = f'the population "{event.like}" is read from a file; give count'
            raise ScenarioError(placed.scenario, ("events", placed.number, "like"), said)
        name, count = f"{_name(placed)}:{other.symbol}", round(other.count * event.scale)
        yield replace(other, id=name, count=count, opens="told")
        return
    for market in _markets(config, placed):
        yield CrowdConfig(
            id=f"{_name(placed)}:{market.symbol}",
            symbol=market.symbol,
            count=event.count,
            size=event.size,
            size_spread=event.size_spread,
            entry_spread=event.entry_spread,
            leverages=event.leverages or LEVERAGES,
            long_share=event.long_share,
            opens="told",
        )


def _markets(config: RunConfig, placed: Placed) -> list[MarketConfig]:
    own = placed.event.symbols
    return [market for market in config.markets if not own or market.symbol in own]


def _holders_ask(config: RunConfig, events: Sequence[Placed]) -> Iterator[Message]:
    """Creations and redemptions, in equal parts over the time of their events."""
    for placed in events:
        event, name = placed.event, _name(placed)
        if not isinstance(event, RedemptionRun | CreationRush):
            continue
        pause_ns = (placed.end_ns - placed.start_ns) // event.parts
        for product, bought in _holdings(config, placed).items():
            for part in range(event.parts):
                said: dict[str, Any] = {
                    "ts_ns": placed.start_ns + (part + 1) * pause_ns,
                    "id": f"{name}:{product}:{part}",
                    "user": name,
                    "product": product,
                }
                if isinstance(event, CreationRush):
                    yield CreationRequest(quote=bought / event.parts, **said)
                else:
                    yield RedemptionRequest(units=bought / event.parts, **said)


def _name(placed: Placed) -> str:
    return f"scenario-{placed.scenario}-{placed.number}"


def _holdings(config: RunConfig, placed: Placed) -> dict[str, float]:
    """Quote by product: so much that it is the event's share of all units, which cost one each at
    the start; for a creation that share of what the others put in."""
    event = placed.event
    assert isinstance(event, RedemptionRun | CreationRush)
    share = event.share_pct / 100.0
    if isinstance(event, RedemptionRun):
        share /= 1.0 - share
    return {
        product.id: _put_in(config, product) * share
        for product in config.products
        if product.kind == "fund" and (not event.symbols or product.symbol in event.symbols)
    }


def _put_in(config: RunConfig, product: ProductConfig) -> float:
    named = sum(user.holdings.get(product.id, 0.0) for user in config.users)
    counted = config.population.count if config.population.holds(product) else 0
    return product.seed_capital + counted * config.population.quote + named


def _insured(market: MarketConfig, event: Adl) -> MarketConfig:
    if event.symbols and market.symbol not in event.symbols:
        return market
    venue = market.venue
    if event.drawdown is not None:
        rules = replace(venue.insurance or InsuranceConfig(), drawdown=event.drawdown)
        venue = replace(venue, insurance=rules)
    if event.fund is not None:
        venue = replace(venue, insurance_fund=event.fund)
    return replace(market, venue=venue)
