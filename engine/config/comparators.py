"""Futures, margin loans and the venue's other customers: what of their settings cannot be."""

from __future__ import annotations

import math
from typing import Final

from engine.config.complaints import SettingError, nearest
from engine.config.settings import (
    ContractConfig,
    ProductConfig,
    RunConfig,
    TraderConfig,
    UserPolicyConfig,
)
from engine.config.venues import venue_rules
from engine.product import LoanTerms
from engine.units import UNIT_STEPS, UNITS_MAX, asset_decimals, whole_lots
from engine.venue.tiers import TierTable
from strategies import FixedTerm

__all__ = [
    "BORROWED",
    "LEVERAGE_MAX",
    "LOTS_MAX",
    "check_comparator",
    "check_traders",
    "lots_of",
    "trader_names",
]

BORROWED: Final = ("futures", "margin_loan")
LEVERAGE_MAX: Final = 1_000.0
TRADERS_MAX: Final = 1_000_000
LOTS_MAX: Final = 2.0**52
"""Beyond these a run would mean nothing, and its whole numbers would leave 64 bits."""

Path = tuple[str | int, ...]


def check_comparator(path: Path, product: ProductConfig) -> None:
    """A product either has policies, or is borrowed once with a leverage of its owner's.

    Raises:
        SettingError: naming the setting that does not belong to its kind, or cannot be.
    """
    if product.terms.nav != "basket" and product.kind != "fund":
        raise SettingError((*path, "terms", "nav"), f"{product.id}: a formula is for a fund")
    _check_quoted(path, product)
    if product.loan is not None and product.kind != "margin_loan":
        raise SettingError((*path, "loan"), f"{product.id}: only a margin_loan has loan terms")
    _check_stake(path, product)
    if product.kind not in BORROWED:
        if product.leverage is not None:
            raise SettingError(
                (*path, "leverage"),
                f"{product.id}: leverage is of futures and margin_loan; that of a {product.kind} "
                "is its policies'",
            )
        if not product.policies and product.terms.pack == "none":
            raise SettingError(
                (*path, "policies"), f"product {product.id} has no policies; it would never trade"
            )
        return
    if product.policies:
        raise SettingError(
            (*path, "policies"),
            f"{product.id}: {product.kind} has no policies; it is opened once with its leverage",
        )
    if product.leverage is None:
        raise SettingError(path, f"{product.id}: {product.kind} wants a leverage")
    _check_leverage((*path, "leverage"), product.leverage, product)
    if product.kind == "margin_loan":
        _check_loan(path, product.leverage, product)


def _check_quoted(path: Path, product: ProductConfig) -> None:
    """A claim has one policy, which says what it is worth; a leverage has those that keep it."""
    quoted = product.terms.nav == "quoted"
    for number, policy in enumerate(product.policies):
        if isinstance(policy, FixedTerm) and not quoted:
            raise SettingError(
                (*path, "policies", number),
                f'{product.id}: fixed_term quotes what a unit is worth; set terms.nav = "quoted"',
            )
        if quoted and not isinstance(policy, FixedTerm | UserPolicyConfig):
            raise SettingError(
                (*path, "policies", number),
                f'{product.id}: terms.nav = "quoted" is for a claim such as fixed_term; this '
                "policy keeps a leverage",
            )
    if quoted and len(product.policies) > 1:
        raise SettingError(
            (*path, "policies", 1), f"{product.id}: a claim has one policy, that quotes it"
        )


def _check_stake(path: Path, product: ProductConfig) -> None:
    if not 0.0 < product.stake <= 1.0:
        raise SettingError(
            (*path, "stake"),
            f"{product.id}: stake must be a share above 0 and at most 1, was {product.stake!r}",
        )
    if product.kind != "futures" and product.stake != 1.0:
        raise SettingError((*path, "stake"), f"{product.id}: stake is of futures")
    if product.kind != "futures" and product.margin != "isolated":
        raise SettingError(
            (*path, "margin"),
            f"{product.id}: margin is of futures; hedges share one by hedge.account",
        )


def _check_leverage(path: Path, leverage: float, product: ProductConfig) -> None:
    if not 0.0 < abs(leverage) <= LEVERAGE_MAX:
        raise SettingError(
            path, f"leverage must not be 0, nor beyond {LEVERAGE_MAX:g}, was {leverage!r}"
        )
    if product.kind == "margin_loan" and 0.0 < leverage <= 1.0:
        raise SettingError(path, f"{product.id}: a loan of {leverage:g}x borrows nothing")


def _check_loan(path: Path, leverage: float, product: ProductConfig) -> None:
    loan, place = product.loan or LoanTerms(), (*path, "loan")
    if not 0.0 <= loan.hourly_rate < 1.0:
        raise SettingError(
            (*place, "hourly_rate"),
            f"hourly_rate must be a share from 0 to below 1, was {loan.hourly_rate!r}",
        )
    if not 1.0 < loan.sell_level < loan.call_level < math.inf:
        raise SettingError(
            (*place, "sell_level"),
            f"loan wants 1 < sell_level < call_level, was {loan.sell_level!r} and "
            f"{loan.call_level!r}",
        )
    owed = leverage - 1.0 if leverage > 0.0 else -leverage
    level = 1.0 + 1.0 / owed
    if level <= loan.call_level:
        raise SettingError(
            (*path, "leverage"),
            f"{product.id}: at {leverage:g}x assets are {level:.4g} times the debt, and the "
            f"borrower is called at {loan.call_level:g}",
        )


def trader_names(trader: TraderConfig) -> list[str]:
    """The names of all that are configured alike."""
    if trader.count == 1:
        return [trader.id]
    return [f"{trader.id}-{number}" for number in range(1, trader.count + 1)]


def lots_of(trader: TraderConfig, contract: ContractConfig) -> int:
    """The position in lots; 0 where it is no whole number of them."""
    return whole_lots(trader.size, contract.lot_size or 1.0) or 0


def check_traders(config: RunConfig) -> None:
    """Look at the venue's other customers, of a completed configuration.

    Raises:
        SettingError: with the place of the first setting that cannot be.
    """
    symbols = [market.symbol for market in config.markets]
    held = {product.symbol for product in config.products}
    names: set[str] = set()
    count = 0
    for number, trader in enumerate(config.traders):
        path: Path = ("traders", number)
        if trader.symbol not in symbols:
            raise SettingError(
                (*path, "symbol"),
                f'no market of the run is "{trader.symbol}"{nearest(trader.symbol, symbols)}',
            )
        if trader.symbol not in held:
            idle = f"{trader.id}: {trader.symbol} has no product; its prices would wake nobody"
            raise SettingError((*path, "symbol"), idle)
        count += trader.count
        if trader.count < 1 or count > TRADERS_MAX:
            raise SettingError(
                (*path, "count"),
                f"count must be >= 1, and traders at most {TRADERS_MAX:,}, was {trader.count}",
            )
        own = trader_names(trader)
        if not trader.id or not names.isdisjoint(own):
            raise SettingError(
                (*path, "id"), f'trader "{trader.id}" is nameless or configured twice'
            )
        names.update(own)
        _check_trader(config, path, trader)


def _check_trader(config: RunConfig, path: Path, trader: TraderConfig) -> None:
    (market,) = (each for each in config.markets if each.symbol == trader.symbol)
    contract = market.contract
    inverse = contract.kind == "inverse"
    asset = (contract.base if inverse else contract.quote) or ""
    atom, most = 10.0 ** -asset_decimals(asset), UNITS_MAX / UNIT_STEPS
    for name, low, high in (
        ("wallet", atom, most),
        ("entry", 5e-324, math.inf),
        ("leverage", 0.0, LEVERAGE_MAX),
    ):
        value = getattr(trader, name)
        if not (low <= value <= high and math.isfinite(value)):
            raise SettingError(
                (*path, name),
                f"{trader.id}: {name} must be finite, >= {low:g} and <= {high:g}, was {value!r}",
            )
    lots = lots_of(trader, contract) if math.isfinite(trader.size) else 0
    if not 1 <= abs(lots) <= LOTS_MAX:
        raise SettingError(
            (*path, "size"),
            f"{trader.id}: size must be whole lots of {contract.lot_size:g}, at least one and at "
            f"most {LOTS_MAX:.3g}, was {trader.size!r}",
        )
    rules = venue_rules(market.venue, contract)
    if not trader.leverage or not rules.margin.tiers:
        return
    in_coins = inverse and rules.margin.caps_in == "settlement"
    size = abs(trader.size) * (contract.contract_size or 1.0)
    worth = size / trader.entry if in_coins else size if inverse else size * trader.entry
    decimals = asset_decimals(asset if in_coins else contract.quote or "")
    allowed = TierTable(rules.margin, decimals).max_leverage(int(worth * 10**decimals))
    if trader.leverage > allowed:
        raise SettingError(
            (*path, "leverage"),
            f"{trader.id}: {rules.name} allows a position of {worth:,.4g} at most {allowed:g}x, "
            f"was {trader.leverage:g}",
        )
