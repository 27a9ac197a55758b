"""Who holds what at the start: products that are there, money and lots that can be counted."""

from __future__ import annotations

import math

from engine.config.comparators import LOTS_MAX
from engine.config.complaints import SettingError, check_range, nearest, require
from engine.config.settings import ProductConfig, RunConfig
from engine.units import UNIT_STEPS, UNITS_MAX, asset_decimals

__all__ = ["check_lots", "check_money", "check_users"]


def check_users(config: RunConfig, products: list[str]) -> None:
    """Each user and the population have a name of their own, and hold what there is."""
    names: set[str] = set()
    population = config.population
    check_range(("population",), population, ("count",), 0)
    check_range(("population",), population, ("quote",), -0.0)
    for number, product in enumerate(population.products or ()):
        _require_product(("population", "products", number), product, products)
    for number, user in enumerate(config.users):
        path = ("users", number)
        if user.id in names:
            raise SettingError((*path, "id"), f"user {user.id} is configured twice")
        tail = user.id[1:]
        if (
            user.id[:1] == "u"
            and tail.isascii()
            and tail.isdigit()
            and int(tail) <= population.count
        ):
            raise SettingError(
                (*path, "id"), f"user {user.id} is one of the population; choose another name"
            )
        require(bool(user.id), (*path, "id"), "a name", user.id)
        names.add(user.id)
        for product, quote in user.holdings.items():
            place = (*path, "holdings", product)
            _require_product(place, product, products)
            good = math.isfinite(quote) and quote > 0.0
            require(good, place, "quote > 0", quote)


def check_money(config: RunConfig, path: tuple[str | int, ...], product: ProductConfig) -> float:
    """What is put in at the start can be counted: at least an atom each, and not too much.
    Returns it."""
    quote = {market.symbol: market.contract.quote for market in config.markets}[product.symbol]
    least = 10.0 ** -asset_decimals(quote or "")
    wants = f"at least {least:.{asset_decimals(quote or '')}f}, the smallest amount of {quote}"
    put_in, population = product.seed_capital, config.population
    require(put_in >= least, (*path, "seed_capital"), wants, put_in)
    if population.count and population.holds(product):
        require(population.quote >= least, ("population", "quote"), wants, population.quote)
        put_in += population.count * population.quote
    for number, user in enumerate(config.users):
        amount = user.holdings.get(product.id)
        if amount is not None:
            require(amount >= least, ("users", number, "holdings", product.id), wants, amount)
            put_in += amount
    most = UNITS_MAX / UNIT_STEPS
    if put_in > most:
        raise SettingError(
            (*path, "seed_capital"),
            f"{product.id}: {put_in:g} {quote} at the start (seed_capital and all holdings) are "
            f"more than can be counted; at most {most:,.0f}",
        )
    return put_in


def check_lots(
    config: RunConfig,
    path: tuple[str | int, ...],
    product: ProductConfig,
    put_in: float,
    decade: float | None,
) -> None:
    """The lots that the start can buy at the data's prices fit 64 bits, and a thousand times as
    many."""
    (contract,) = (m.contract for m in config.markets if m.symbol == product.symbol)
    price = decade if contract.kind == "linear" else 1.0
    if not price or not contract.lot_size or not contract.contract_size:
        return
    most = max(product.limit, abs(product.leverage or 0.0))
    lots = put_in * most / (price * contract.lot_size * contract.contract_size)
    if lots > LOTS_MAX:
        raise SettingError(
            (*path, "seed_capital"),
            f"{product.id}: {put_in:g} {contract.quote} at {most:g} times, in lots of "
            f"{contract.lot_size:g} at a price of about {price:g}, are more lots than can be "
            f"counted; use a smaller seed_capital or a larger lot_size of {product.symbol}",
        )


def _require_product(path: tuple[str | int, ...], product: str, products: list[str]) -> None:
    if product not in products:
        raise SettingError(path, f'there is no product "{product}"{nearest(product, products)}')
