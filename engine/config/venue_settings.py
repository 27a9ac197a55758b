"""A venue's rules as settings: the same names as in ``engine.venue.rules``, each may be left open.

The structs here are made from those of the rules, so that there is one list of names: every field
may be missing, ``cooldown_ns`` is ``cooldown`` with a text such as ``30s``, and where the
rules know ``None`` the text ``none`` says it. A preset's file and a configuration are of the same
form; what the configuration says is laid over the preset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Struct, structs

from engine.durations import Duration, duration_ns
from engine.venue.price_rules import FundingRules, MarkRules, PriceRules
from engine.venue.rules import (
    AdlRules,
    FeeTier,
    InsuranceRules,
    LiquidationRules,
    MarginRules,
    OrderRules,
    Rules,
    Tier,
    VenueRules,
)
from engine.venue.tiers import deductions

__all__ = ["PRESETS", "ContractFacts", "VenueConfig", "VenueLayer", "laid_over", "rules_of"]

T = TypeVar("T", bound=Struct)

PresetName = Literal["binance", "bybit", "gate", "bitmex", "hyperliquid", "dydx"]
PRESETS: Final[tuple[PresetName, ...]] = (
    "binance",
    "bybit",
    "gate",
    "bitmex",
    "hyperliquid",
    "dydx",
)
NONE: Final = "none"
_NS: Final = "_ns"
_BESIDE: Final = {"tiers", "balance"}
"""Fields of the rules that have a place of their own in the settings."""


def _open(rules: type[Struct]) -> Any:
    """The struct of settings of some rules."""
    fields: list[tuple[str, Any, Any]] = []
    for field in structs.fields(rules):
        if field.name in _BESIDE:
            continue
        kind: Any = Duration if field.name.endswith(_NS) else field.type
        if NoneType in get_args(field.type):
            kind = kind | Literal["none"]
        fields.append((field.name.removesuffix(_NS), kind | None, None))
    name = rules.__name__.replace("Rules", "Config")
    return msgspec.defstruct(
        name, fields, module=__name__, frozen=True, kw_only=True, forbid_unknown_fields=True
    )


if TYPE_CHECKING:
    OrderConfig: TypeAlias = Any
    MarginConfig: TypeAlias = Any
    LiquidationConfig: TypeAlias = Any
    InsuranceConfig: TypeAlias = Any
    AdlConfig: TypeAlias = Any
    MarkConfig: TypeAlias = Any
    FundingFormulaConfig: TypeAlias = Any
else:
    OrderConfig = _open(OrderRules)
    MarginConfig = _open(MarginRules)
    LiquidationConfig = _open(LiquidationRules)
    InsuranceConfig = _open(InsuranceRules)
    AdlConfig = _open(AdlRules)
    MarkConfig = _open(MarkRules)
    FundingFormulaConfig = _open(FundingRules)


class TierConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One risk limit; a deduction that is left open is what makes maintenance continuous."""

    cap: float
    max_leverage: float
    rate: float
    deduction: float | None = None
    initial_rate: float | None = None


class VenueLayer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules that a preset or a configuration states; ``None`` says nothing."""

    tiers: tuple[TierConfig, ...] | None = None
    fees: tuple[FeeTier, ...] | None = None
    orders: OrderConfig | None = None
    margin: MarginConfig | None = None
    liquidation: LiquidationConfig | None = None
    insurance: InsuranceConfig | None = None
    adl: AdlConfig | None = None
    mark: MarkConfig | None = None
    funding: FundingFormulaConfig | None = None


class VenueConfig(VenueLayer, frozen=True, kw_only=True):
    """The venue's rules: a preset, and what is to differ from it.

    ``insurance_fund``, in quote, pays first for a product whose last fill left less than nothing.
    ``volume``, quote within 30 days, chooses among the preset's fees.
    """

    preset: PresetName = "binance"
    insurance_fund: float = 0.0
    volume: float | None = None


class ContractFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a preset says about a contract of its ``kind``; of another kind only its fees count."""

    kind: Literal["linear", "inverse"] = "linear"
    price_step: float | None = None
    lot_size: float | None = None
    taker_fee: float | None = None
    maker_fee: float | None = None


def laid_over(above: T | None, below: T | None) -> T | None:
    """Two structs of one type, one over the other: its fields hold where they say something.
    Structs inside likewise; lists are taken whole."""
    if above is None or below is None:
        return below if above is None else above
    found: dict[str, Any] = {}
    for name in below.__struct_fields__:
        over, under = getattr(above, name, None), getattr(below, name)
        both = isinstance(over, Struct) and isinstance(under, Struct)
        found[name] = laid_over(over, under) if both else under if over is None else over
    return type(below)(**found)


def rules_of(layer: VenueLayer, name: str, balance: float) -> VenueRules:
    """The rules that a complete layer states; what even it leaves open are the rules' defaults.

    Args:
        layer: a preset with a configuration laid over it.
        name: of the venue.
        balance: of the insurance fund at the start, quote.
    """
    return VenueRules(
        name=name,
        orders=OrderRules(**_stated(layer.orders, OrderRules)),
        margin=MarginRules(**_stated(layer.margin, MarginRules), tiers=_tiers(layer.tiers or ())),
        liquidation=LiquidationRules(**_stated(layer.liquidation, LiquidationRules)),
        insurance=InsuranceRules(**_stated(layer.insurance, InsuranceRules), balance=balance),
        adl=AdlRules(**_stated(layer.adl, AdlRules)),
        fees=layer.fees or (),
        mark=MarkRules(**_stated(layer.mark, MarkRules)),
        funding=FundingRules(**_stated(layer.funding, FundingRules)),
    )


def _stated(settings: Struct | None, rules: type[Rules | PriceRules]) -> dict[str, Any]:
    stated: dict[str, Any] = {}
    for name in rules.__struct_fields__ if settings is not None else ():
        value = getattr(settings, name.removesuffix(_NS), None)
        if value is not None:
            stated[name] = duration_ns(value) if name.endswith(_NS) else _meant(value)
    return stated


def _meant(value: Any) -> Any:
    return None if value == NONE else value


def _tiers(rows: Sequence[TierConfig]) -> tuple[Tier, ...]:
    caps, rates = [row.cap for row in rows], [row.rate for row in rows]
    finite = all(map(math.isfinite, [*caps[:-1], *rates]))
    exact = deductions(caps, rates) if finite else [0.0] * len(rows)
    return tuple(
        Tier(
            cap=row.cap,
            max_leverage=row.max_leverage,
            rate=row.rate,
            deduction=exact[number] if row.deduction is None else row.deduction,
            initial_rate=row.initial_rate,
        )
        for number, row in enumerate(rows)
    )
