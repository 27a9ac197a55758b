"""From a configuration to what the heart needs, with every setting checked against the data and the others."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from engine.config.complaints import SettingError, nearest
from engine.config.lineup import completed, mark_sources
from engine.config.settings import (
    FundingConfig,
    MarketConfig,
    OutputConfig,
    PopulationConfig,
    ProductConfig,
    RunConfig,
    UserPolicyConfig,
    duration_ns,
)
from engine.engine import EngineSpec
from engine.errors import ConfigError, LevsimError
from engine.market import MarketSpec
from engine.policy import Policy
from engine.product import HedgeTerms, ProductSpec, Terms
from engine.sampler import Sampling
from engine.signals import SignalSpec
from engine.ticks import Funding, Kind
from engine.units import MILLISECOND_NS, SECOND_NS, asset_decimals
from engine.venue.book import BookSpec
from engine.venue.contract import ContractSpec
from engine.venue.funding import FundingSpec
from feeds.recording import SymbolInfo, open_recording
from strategies import MarginFloor
from strategies.user import load_policy

__all__ = ["USERS_SAMPLED_MAX", "check", "spec_of"]

USERS_SAMPLED_MAX: Final = 10_000
"""Up to so many users are valued at the cadence where ``users = "auto"``."""
_SECONDS_MAX: Final = 10**11
"""A whole number up to here is a time in seconds; each further unit is a thousand times larger."""


def spec_of(config: RunConfig, symbols: Sequence[SymbolInfo]) -> EngineSpec:
    """What the heart needs to run a configuration on data with these symbols.

    Raises:
        SettingError: a setting that the data or the others contradict.
        PolicyError: a user's policy that cannot be loaded.
    """
    config = completed(config, symbols)
    check(config, symbols)
    places = {info.symbol: place for place, info in enumerate(symbols)}
    markets = tuple(
        _market(number, market, places[market.symbol]) for number, market in enumerate(config.markets)
    )
    holdings = _holdings(config, {m.contract.symbol: m.contract.quote for m in markets})
    numbers = {market.symbol: number for number, market in enumerate(config.markets)}
    products = tuple(
        _product(product, numbers[product.symbol], markets, holdings[product.id])
        for product in config.products
    )
    policies = tuple(_policies(product) for product in config.products)
    funding = [market.funding for market in markets]
    return EngineSpec(
        symbols=tuple(info.symbol for info in symbols),
        markets=markets,
        products=products,
        policies=policies,
        population=config.population.count,
        users=tuple(user.id for user in config.users),
        sampling=_sampling(config.output, config.population.count + len(config.users)),
        config_hash=sha256(msgspec.msgpack.encode([config, funding, symbols])).hexdigest(),
    )


# Checks ------------------------------------------------------------------------------------------


def check(config: RunConfig, symbols: Sequence[SymbolInfo]) -> None:
    """Look at every setting of a completed configuration.

    Raises:
        SettingError: with the path of the first one that is wrong.
    """
    known = {info.symbol: info for info in symbols}
    configured: set[str] = set()
    for number, market in enumerate(config.markets):
        path: tuple[str | int, ...] = ("markets", number)
        if market.symbol not in known:
            raise SettingError((*path, "symbol"), _no_symbol(market.symbol, known))
        if market.symbol in configured:
            raise SettingError((*path, "symbol"), f"market {market.symbol} is configured twice")
        configured.add(market.symbol)
        _check_market(path, market, known[market.symbol])
    ids: set[str] = set()
    for number, product in enumerate(config.products):
        path = ("products", number)
        if product.id in ids:
            raise SettingError((*path, "id"), f"product {product.id} is configured twice")
        if product.symbol not in known:
            raise SettingError((*path, "symbol"), _no_symbol(product.symbol, known))
        ids.add(product.id)
        _check_product(path, product)
    _check_users(config, [product.id for product in config.products])


def _no_symbol(symbol: str, known: dict[str, SymbolInfo]) -> str:
    return f'the data hold no symbol "{symbol}"{nearest(symbol, known)}'


def _require(condition: bool, path: tuple[str | int, ...], wants: str, value: object) -> None:  # noqa: FBT001
    if not condition:
        raise SettingError(path, f"{path[-1]} must be {wants}, was {value!r}")


def _check_range(path: tuple[str | int, ...], owner: Any, names: Sequence[str], low: float) -> None:
    """Each of these settings is finite and at least ``low``; above it where ``low`` is -0.0."""
    strict = math.copysign(1.0, low) < 0.0
    for name in names:
        value = getattr(owner, name)
        good = value is None or (math.isfinite(value) and (value > 0.0 if strict else value >= low))
        _require(good, (*path, name), "> 0" if strict else f">= {low:g}", value)


def _check_market(path: tuple[str | int, ...], market: MarketConfig, info: SymbolInfo) -> None:
    _check_range((*path, "contract"), market.contract, ("price_step", "lot_size", "contract_size"), -0.0)
    _check_range((*path, "contract"), market.contract, ("taker_fee", "maker_fee"), 0.0)
    _check_range((*path, "book"), market.book, ("half_life_s", "depth_at_1pct"), -0.0)
    _check_range((*path, "book"), market.book, ("half_spread_bps",), 0.0)
    _check_range((*path, "signals"), market.signals, ("vol_half_life", "trend_half_life"), -0.0)
    _check_range((*path, "signals"), market.signals, ("window", "stale_after"), 1)
    for name in ("stale_after", "frozen_after"):
        _require(_longer(getattr(market, name), 1), (*path, name), "longer than 0", getattr(market, name))
    every = market.signals.every
    _require(_longer(every, MILLISECOND_NS), (*path, "signals", "every"), "at least 1 ms", every)
    recorded = mark_sources(info)
    if not recorded:
        raise SettingError((*path, "symbol"), f"{market.symbol}: the data hold no price of it")
    if market.mark != "auto" and market.mark not in recorded:
        coarse = market.mark == "mark" and info.mark_coarse and Kind.MARK in info.kinds
        lack = "are too sparse to value positions" if coarse else "are not in the data"
        names = {"mark": "recorded marks", "mid": "quotes", "last": "trades"}
        raise SettingError(
            (*path, "mark"), f'{market.symbol}: {names[market.mark]} {lack}; mark can be {", ".join(recorded)}'
        )
    _check_funding((*path, "funding"), market.funding, info)


def _longer(text: str | None, least_ns: int) -> bool:
    return text is None or duration_ns(text) >= least_ns


def _check_funding(path: tuple[str | int, ...], funding: FundingConfig, info: SymbolInfo) -> None:
    if funding.rate_8h is not None and funding.file is not None:
        raise SettingError(path, "funding wants either rate_8h or file")
    if funding.rate_8h is not None:
        _require(abs(funding.rate_8h) < 1.0, (*path, "rate_8h"), "a share between -1 and 1", funding.rate_8h)
    if funding.file is not None:
        try:
            _instants(funding.file, info.symbol)
        except LevsimError as error:
            raise SettingError((*path, "file"), str(error)) from None


def _check_product(path: tuple[str | int, ...], product: ProductConfig) -> None:
    _require(bool(product.id) and not set(product.id) & set("/\\\n\r\t\0 "), (*path, "id"), "a name without spaces or slashes", product.id)
    _check_range(path, product, ("seed_capital", "limit"), -0.0)
    _check_range(path, product, ("latency_ms",), 0.0)
    _check_range((*path, "hedge"), product.hedge, ("reserve",), 0.0)
    _check_range((*path, "hedge"), product.hedge, ("retry_ms",), -0.0)
    fee = product.terms.management_fee
    _require(0.0 <= fee < 1.0, (*path, "terms", "management_fee"), "a share from 0 to below 1", fee)
    every = product.terms.fee_every
    _require(_longer(every, MILLISECOND_NS), (*path, "terms", "fee_every"), "at least 1 ms", every)
    if not product.policies:
        raise SettingError((*path, "policies"), f"product {product.id} has no policies; it would never trade")
    for number, policy in enumerate(product.policies):
        target = getattr(policy, "target", getattr(policy, "high", 0.0))
        if abs(target) > product.limit:
            raise SettingError(
                (*path, "policies", number),
                f"{product.id}: leverage {target:g} is beyond the product's limit {product.limit:g}",
            )
        if isinstance(policy, UserPolicyConfig) and not _longer(policy.review, MILLISECOND_NS):
            raise SettingError((*path, "policies", number, "review"), "review must be at least 1 ms")


def _check_users(config: RunConfig, products: list[str]) -> None:
    names: set[str] = set()
    population = config.population
    _check_range(("population",), population, ("count",), 0)
    _check_range(("population",), population, ("quote",), -0.0)
    for number, product in enumerate(population.products or ()):
        _require_product(("population", "products", number), product, products)
    for number, user in enumerate(config.users):
        path = ("users", number)
        if user.id in names:
            raise SettingError((*path, "id"), f"user {user.id} is configured twice")
        tail = user.id[1:]
        if user.id[:1] == "u" and tail.isascii() and tail.isdigit() and int(tail) <= population.count:
            raise SettingError((*path, "id"), f"user {user.id} is one of the population; choose another name")
        _require(bool(user.id), (*path, "id"), "a name", user.id)
        names.add(user.id)
        for product, quote in user.holdings.items():
            place = (*path, "holdings", product)
            _require_product(place, product, products)
            good = math.isfinite(quote) and quote > 0.0
            _require(good, place, "quote > 0", quote)


def _require_product(path: tuple[str | int, ...], product: str, products: list[str]) -> None:
    if product not in products:
        raise SettingError(path, f'there is no product "{product}"{nearest(product, products)}')


# The heart's structs -------------------------------------------------------------------------------


def _atoms(quote: float, asset: str) -> int:
    return round(quote * 10 ** asset_decimals(asset))


def _market(number: int, market: MarketConfig, symbol: int) -> MarketSpec:
    contract, book, signals = market.contract, market.book, market.signals
    assert contract.kind is not None and contract.base is not None and contract.quote is not None
    assert contract.lot_size is not None and contract.contract_size is not None
    assert market.stale_after is not None and market.frozen_after is not None and signals.every is not None
    if market.mark == "auto":
        raise SettingError(("markets", number, "mark"), f"{market.symbol}: no price could be its mark")
    depth = {} if book.depth_at_1pct is None else {"depth_at_1pct": book.depth_at_1pct}
    return MarketSpec(
        symbol=symbol,
        contract=ContractSpec(
            symbol=market.symbol,
            kind=contract.kind,
            base=contract.base,
            quote=contract.quote,
            price_step=contract.price_step,
            lot_size=contract.lot_size,
            contract_size=contract.contract_size,
            taker_fee=contract.taker_fee,
            maker_fee=contract.maker_fee,
        ),
        book=BookSpec(
            model=book.model,
            half_spread_bps=book.half_spread_bps,
            half_life_s=book.half_life_s,
            **depth,
        ),
        funding=_funding(market.funding, market.symbol),
        signals=SignalSpec(
            every_ns=duration_ns(signals.every),
            vol_half_life=signals.vol_half_life,
            trend_half_life=signals.trend_half_life,
            window=signals.window,
            stale_after=signals.stale_after,
        ),
        mark_source=market.mark,
        stale_after_ns=duration_ns(market.stale_after),
        frozen_after_ns=duration_ns(market.frozen_after),
    )


def _product(
    product: ProductConfig, number: int, markets: Sequence[MarketSpec], holdings: tuple[tuple[int, int], ...]
) -> ProductSpec:
    quote, terms, hedge = markets[number].contract.quote, product.terms, product.hedge
    return ProductSpec(
        id=product.id,
        market=number,
        kind=product.kind,
        seed_atoms=_atoms(product.seed_capital, quote),
        holdings=holdings,
        terms=Terms(
            pack=terms.pack,
            nav=terms.nav,
            management_fee=terms.management_fee,
            fee_every_ns=duration_ns(terms.fee_every),
            while_rebalancing=terms.while_rebalancing,
        ),
        hedge=HedgeTerms(
            latency_ns=round(product.latency_ms * MILLISECOND_NS),
            retry_ns=round(hedge.retry_ms * MILLISECOND_NS),
            reserve_atoms=_atoms(hedge.reserve, quote),
            when_stale=hedge.when_stale,
        ),
        limit=product.limit,
    )


def _policies(product: ProductConfig) -> tuple[Policy, ...]:
    """A product's policies; a user's own gets a margin floor beside it where none is listed."""
    loaded: list[Policy] = []
    for policy in product.policies:
        if isinstance(policy, UserPolicyConfig):
            review_ns = None if policy.review is None else duration_ns(policy.review)
            loaded.append(
                load_policy(policy.path, policy.params, review_ns=review_ns, limit=product.limit)
            )
        else:
            loaded.append(policy)
    own = any(isinstance(policy, UserPolicyConfig) for policy in product.policies)
    if own and not any(isinstance(policy, MarginFloor) for policy in product.policies):
        loaded.append(MarginFloor())
    return tuple(loaded)


def _holdings(config: RunConfig, quotes: dict[str, str]) -> dict[str, tuple[tuple[int, int], ...]]:
    """By product: ``(user index, quote atoms)``. Products with the same population share its rows."""
    population: PopulationConfig = config.population
    shared: dict[int, tuple[tuple[int, int], ...]] = {}
    found = {}
    for product in config.products:
        quote = quotes[product.symbol]
        rows: tuple[tuple[int, int], ...] = ()
        if population.count and (population.products is None or product.id in population.products):
            atoms = _atoms(population.quote, quote)
            if atoms not in shared:
                shared[atoms] = tuple((user, atoms) for user in range(population.count))
            rows = shared[atoms]
        named = tuple(
            (population.count + number, _atoms(user.holdings[product.id], quote))
            for number, user in enumerate(config.users)
            if product.id in user.holdings
        )
        found[product.id] = rows + named if named else rows
    return found


def _sampling(output: OutputConfig, users: int) -> Sampling:
    few = output.users == "all" or (output.users == "auto" and users <= USERS_SAMPLED_MAX)
    return Sampling(
        nav_every_ns=duration_ns(output.nav_every),
        user_nav_every_ns=duration_ns(output.user_nav_every) if few and users else 0,
    )


# Funding -----------------------------------------------------------------------------------------


def _funding(funding: FundingConfig, symbol: str) -> FundingSpec:
    if funding.file is not None:
        return FundingSpec(recorded=False, instants=_instants(funding.file, symbol))
    if funding.rate_8h is not None:
        return FundingSpec(recorded=False, rate_8h=funding.rate_8h)
    return FundingSpec(recorded=funding.source == "recorded")


def _instants(file: str, symbol: str) -> tuple[tuple[int, float], ...]:
    """Instants with their rates, in time order: of a CSV with ``ts,rate``, or of a recording that holds funding."""
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"{file}: no such file of funding rates")
    if path.suffix.lower() == ".csv":
        rates = dict(_csv_rates(path))
    else:
        rates = _recorded_rates(file, symbol)
    if not rates:
        raise ConfigError(f"{file}: no funding rates in it")
    return tuple(sorted(rates.items()))


def _csv_rates(path: Path) -> Iterator[tuple[int, float]]:
    with path.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if not row or (number == 1 and not row[-1].strip().lstrip("+-")[:1].isdigit()):
                continue
            try:
                ts_ns, rate = _instant_ns(row[0].strip()), float(row[1])
            except (ValueError, IndexError):
                raise ConfigError(f"{path}:{number}: expected ts,rate, was {','.join(row)!r}") from None
            if not abs(rate) < 1.0:
                raise ConfigError(f"{path}:{number}: a rate is a share between -1 and 1, was {rate}")
            yield ts_ns, rate


def _instant_ns(text: str) -> int:
    if text.isascii() and text.isdigit():
        ts = int(text)
        scale = 10**9
        while ts > _SECONDS_MAX * 10**9 // scale and scale > 1:
            scale //= 1_000
        return ts * scale
    time = datetime.fromisoformat(text)
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


def _recorded_rates(file: str, symbol: str) -> dict[int, float]:
    recording = open_recording([file], symbol=symbol)
    rates: dict[int, float] = {}
    for step in recording.steps():
        table = step.table(Kind.FUNDING)
        if table is not None:
            assert isinstance(table, Funding)
            own = table.symbols() == _own_place(recording.symbols, symbol)
            rates.update(zip(table.next_ns[own].tolist(), table.rate[own].tolist(), strict=True))
    return rates


def _own_place(symbols: Sequence[SymbolInfo], symbol: str) -> int:
    """The symbol's place in a file of funding; a file of one symbol is taken to be it."""
    names = [info.symbol for info in symbols]
    if symbol in names:
        return names.index(symbol)
    if len(names) == 1:
        return 0
    raise ConfigError(f"no funding of {symbol}{nearest(symbol, names)}")


_ = np
