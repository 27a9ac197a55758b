"""What scenarios change of a configuration, and what their holders ask for: who runs has bought
before, and a fund has a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from engine.config.settings import MarketConfig, ProductConfig, RunConfig, UserConfig
from engine.config.venue_settings import InsuranceConfig
from engine.events import CreationRequest, Message, RedemptionRequest
from feeds.scenarios import Placed
from feeds.scenarios.mishaps import Adl, CreationRush, RedemptionRun

__all__ = ["holders_ask", "scened"]


def scened(config: RunConfig, events: Sequence[Placed]) -> RunConfig:
    """The configuration under these events: completed before, checked after."""
    for placed in events:
        if isinstance(placed.event, Adl):
            markets = tuple(_insured(market, placed.event) for market in config.markets)
            config = replace(config, markets=markets)
    runs = [each for each in events if isinstance(each.event, RedemptionRun)]
    users = tuple(UserConfig(id=_name(each), holdings=_holdings(config, each)) for each in runs)
    return replace(config, users=(*config.users, *users)) if users else config


def holders_ask(config: RunConfig, events: Sequence[Placed]) -> Iterator[Message]:
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
    rules = venue.insurance or InsuranceConfig()
    rules = replace(rules, drawdown=event.drawdown)
    return replace(market, venue=replace(venue, insurance_fund=event.fund, insurance=rules))
