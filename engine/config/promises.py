"""What a product promises: its terms and its policies, written out or by the name of a pack."""

from __future__ import annotations

from typing import Literal, cast

from msgspec.structs import replace

from engine.config.complaints import SettingError
from engine.config.offerings import offering_of, secondary_of, split_of
from engine.config.packs import NO_PACK, pack, pack_policies, pack_terms
from engine.config.pricing import makes_prices
from engine.config.settings import (
    MarketConfig,
    ProductConfig,
    RunConfig,
    TermsConfig,
    UserPolicyConfig,
)
from engine.durations import duration_ns
from engine.errors import PolicyError
from engine.offering import ANYTIME
from engine.policy import Policy
from engine.product import LoanTerms, Terms
from engine.secondary import SecondaryTerms
from engine.ticks import Kind
from engine.units import SECOND_NS, asset_decimals
from feeds.symbols import SymbolInfo
from strategies import MarginFloor, MarginLevel
from strategies.isolated import Isolation, isolated_policy
from strategies.user import load_policy

__all__ = ["check_formula_price", "formula_price_of", "index_fault", "policies_of", "terms_of"]


def index_fault(market: MarketConfig, info: SymbolInfo) -> str | None:
    """Why NAV cannot follow the index of a market; ``None`` where it can."""
    if Kind.INDEX not in info.kinds:
        return "the data hold no index rows of it"
    if makes_prices(market):
        return "its venue makes an index of its own, on a grid"
    return "its index feels what is traded (feedback)" if market.feedback else None


def formula_price_of(
    product: ProductConfig, market: MarketConfig, info: SymbolInfo
) -> Literal["mark", "index"]:
    """Which price a product's NAV follows: as its terms say; the mark, which is an assumption then,
    where those are a pack's and the market has no such index."""
    if product.terms.pack == NO_PACK:
        return product.terms.formula_price
    wanted = pack(product.terms.pack).formula_price
    return "mark" if index_fault(market, info) else wanted


def check_formula_price(
    config: RunConfig, path: tuple[str | int, ...], product: ProductConfig, info: SymbolInfo
) -> None:
    """Look whether what a product says of its own can follow the index.

    Raises:
        SettingError: with the place of what cannot.
    """
    if product.terms.formula_price != "index":
        return
    place = (*path, "terms", "formula_price")
    if product.terms.nav != "formula":
        said = f'{product.id}: formula_price says what a formula follows; it wants nav = "formula"'
        raise SettingError(place, said)
    (market,) = (each for each in config.markets if each.symbol == product.symbol)
    if fault := index_fault(market, info):
        raise SettingError(
            place,
            f"{product.id}: NAV cannot follow the index of {product.symbol}: {fault}; "
            'formula_price can be "mark"',
        )
    for number, policy in enumerate(product.policies):
        looks = ("uses_signals", "uses_high_water")
        if any(getattr(policy, name, True) for name in looks):
            raise SettingError(
                (*path, "policies", number),
                f'{product.id}: with formula_price = "index" policies look at leverage and time '
                "alone; signals and extremes, which this one may ask for, are kept of the mark",
            )


def terms_of(product: ProductConfig, quote: str) -> Terms:
    """A product's terms, its own or its pack's, in quote atoms of that asset."""
    terms, scale = product.terms, 10 ** asset_decimals(quote)
    least_quote = round(terms.least_quote * scale)
    if terms.pack != NO_PACK:
        return replace(
            pack_terms(product, scale), least_quote=least_quote, secondary=_secondary(terms, scale)
        )
    return Terms(
        nav=terms.nav,
        management_fee=terms.management_fee,
        fee_every_ns=duration_ns(terms.fee_every),
        create_fee=terms.create_fee,
        redeem_fee=terms.redeem_fee,
        least_quote=least_quote,
        while_rebalancing=terms.while_rebalancing,
        offering=ANYTIME if terms.offering is None else offering_of((), terms.offering, scale),
        split=None if terms.split is None else split_of((), terms.split),
        secondary=_secondary(terms, scale),
    )


def _secondary(terms: TermsConfig, scale: int) -> SecondaryTerms | None:
    return None if terms.secondary is None else secondary_of((), terms.secondary, scale)


def policies_of(place: tuple[str | int, ...], product: ProductConfig) -> tuple[Policy, ...]:
    """A product's policies; a user's own gets a margin floor beside it where none is listed, and a
    loan has its lender's.

    Raises:
        SettingError: naming the policy that cannot be loaded.
    """
    if product.kind == "margin_loan":
        loan = product.loan or LoanTerms()
        return (MarginLevel(call=loan.call_level, sell=loan.sell_level),)
    if product.terms.pack != NO_PACK:
        return pack_policies(product)
    loaded: list[Policy] = []
    for number, policy in enumerate(product.policies):
        if isinstance(policy, UserPolicyConfig):
            try:
                loaded.append(_own(policy, product.limit))
            except PolicyError as error:
                raise SettingError((*place, "policies", number, "path"), str(error)) from None
        else:
            loaded.append(policy)
    own = any(isinstance(policy, UserPolicyConfig) for policy in product.policies)
    if own and not any(isinstance(policy, MarginFloor) for policy in product.policies):
        loaded.append(MarginFloor())
    return tuple(loaded)


def _own(policy: UserPolicyConfig, limit: float) -> Policy:
    """A user's policy, in our process or in one of its own."""
    review_ns = None if policy.review is None else duration_ns(policy.review)
    clamp = policy.on_out_of_range == "clamp"
    name, params = policy.path, policy.params
    if not policy.isolate:
        return load_policy(name, params, review_ns=review_ns, limit=limit, clamp=clamp)
    seconds = duration_ns(policy.answer_within) / SECOND_NS
    bounds = Isolation(answer_seconds=seconds, memory_mb=policy.memory_mb)
    isolated = isolated_policy(
        name, params, review_ns=review_ns, limit=limit, clamp=clamp, isolation=bounds
    )
    return cast("Policy", isolated)
