"""How the outputs of an engine are valued when they become records: its own arithmetic, by name."""

from __future__ import annotations

from functools import partial

from engine.engine import EngineSpec
from engine.formula import formula_nav
from engine.nav import exact_navs, nav_columns
from engine.shares import value_users
from engine.units import UNIT_STEPS, asset_decimals
from engine.users import Users
from engine.venue.contract import Contract
from feeds.records import Valuation
from feeds.totals import FirstUnits

__all__ = ["first_units", "valuation_of"]


def first_units(spec: EngineSpec) -> list[FirstUnits]:
    """What users hold of each product when it is launched, as `engine.dealing` issues it."""
    users = Users(spec.population, spec.users)
    issued = []
    for product in spec.products:
        asset = spec.markets[product.market].contract.quote
        step = UNIT_STEPS // 10 ** asset_decimals(asset)
        count, each = product.population
        named = tuple((users.name(user), quote * step) for user, quote in product.holdings)
        issued.append(FirstUnits(product.id, asset, count, each * step, named))
    return issued


def valuation_of(spec: EngineSpec) -> Valuation:
    """What a recorder of this engine's outputs needs to know of it."""
    contracts = [Contract(market.contract) for market in spec.markets]
    read_off = [
        formula_nav if product.terms.promised else contracts[product.market].line_nav
        for product in spec.products
    ]

    return Valuation(
        nav_columns,
        value_users,
        partial(exact_navs, read_off=read_off),
        tuple(product.id for product in spec.products),
        spec.symbols,
        tuple(10 ** asset_decimals(contracts[each.market].quote_asset) for each in spec.products),
        spec.population,
    )
