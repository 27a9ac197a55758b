"""The presets: what six venues publish, and what a configuration makes of it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.config.complaints import SettingError
from engine.config.settings import ContractConfig
from engine.config.venue_settings import (
    ContractFacts,
    VenueConfig,
    VenueLayer,
    laid_over,
    rules_of,
)
from engine.errors import ConfigError
from engine.units import asset_decimals
from engine.venue.rules import LiquidationRules, VenueRules
from engine.venue.tiers import TierTable, tier_fault

__all__ = ["Preset", "facts_of", "preset", "venue_rules"]

_FOLDER: Final = Path(__file__).parent / "venues"
_SIGNED: Final = {"maker", "interest"}
_HALF: Final = 0.5
_PORTION_MIN: Final = 1e-3
_CAP_MAX: Final = 1e15
"""Of a tier that ends; whole numbers of atoms beyond it mean nothing."""
_SHARES: Final = {
    *("portion", "drawdown", "fee", "backstop_below", "band_down", "market_deviation"),
    *("taker", "tails", "mark_beyond", "liquidator_fee", "liquidator_fee_max"),
}
"""Fields of the rules that are shares of a whole, at most 1."""
_LONGER: Final = {
    "liquidation": ("slot_ns",),
    "mark": ("every_ns", "basis_every_ns", "basis_tau_ns", "pair_tau_ns"),
    "funding": ("interval_ns", "rate_interval_ns", "sample_ns", "window_ns"),
}
"""Times by which something is divided."""


class PresetLayer(VenueLayer, frozen=True, kw_only=True):
    """What a preset states for one asset, or for all."""

    contract: ContractFacts | None = None
    assumed: dict[str, str] | None = None


class Preset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: facts with their sources, and which of them are assumed.

    Attributes:
        as_of: of what date.
        assumed: a sentence for each thing that no source says, by name.
        elsewhere: the same, of base assets without tiers of their own.
        default: for every base asset; ``assets`` lie over it.
    """

    title: str
    as_of: str
    sources: tuple[str, ...]
    default: PresetLayer
    assumed: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    assets: dict[str, PresetLayer] = {}

    def layer(self, base: str) -> PresetLayer:
        """What is stated for a base asset."""
        layer = laid_over(self.assets.get(base), self.default)
        assert layer is not None
        return layer

    def assumptions(self, base: str) -> dict[str, str]:
        """What of a base asset's rules is assumed: a sentence by name."""
        own = self.assets.get(base)
        general = self.elsewhere if own is None or own.tiers is None else {}
        special = own.assumed if own is not None else None
        return {**self.assumed, **general, **(special or {})}


@cache
def preset(name: str) -> Preset:
    """The preset of that name, as its file says it."""
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Preset)


def facts_of(venue: VenueConfig, base: str, kind: str) -> ContractFacts:
    """What the preset says about a contract of a kind.

    Its fees are those of the stated volume, else the contract's own, else those of no volume.
    """
    layer = preset(venue.preset).layer(base)
    facts = layer.contract or ContractFacts()
    known = (
        facts
        if facts.kind == kind
        else ContractFacts(taker_fee=facts.taker_fee, maker_fee=facts.maker_fee)
    )
    stated = known.taker_fee is not None and venue.volume is None and venue.fees is None
    fees = (venue.fees or layer.fees or ()) if not stated else ()
    reached = [tier for tier in fees if tier.volume <= (venue.volume or 0.0)]
    if not reached:
        return known
    return msgspec.structs.replace(known, taker_fee=reached[-1].taker, maker_fee=reached[-1].maker)


def venue_rules(venue: VenueConfig, contract: ContractConfig) -> VenueRules:
    """The rules of a market, with everything in them looked at.

    Args:
        venue: the configuration.
        contract: completed.

    Raises:
        SettingError: with a path inside the venue's settings.
    """
    layer = laid_over(venue, preset(venue.preset).layer(contract.base or ""))
    assert layer is not None
    rules = rules_of(layer, venue.preset, venue.insurance_fund)
    _check_tiers(rules)
    if venue.tiers is None:
        _check_asset(rules, contract)
    for path, value in _floats(msgspec.to_builtins(rules), ()):
        _check(path, value)
    _check_fees(rules)
    _check_ramp(rules.liquidation)
    _check_times(rules)
    _check_parts(rules)
    try:
        TierTable(rules.margin, asset_decimals(contract.quote or ""))
    except ConfigError as error:
        raise SettingError(("margin", "open_interest"), str(error)) from None
    return rules


def _floats(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], float]]:
    """Every number in plain data, with its place."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _floats(each, (*path, key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _floats(each, (*path, number))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def _check(path: tuple[str | int, ...], value: float) -> None:
    name = next(str(part) for part in reversed(path) if isinstance(part, str))
    if name == "balance" or (name == "cap" and "tiers" in path):
        return  # looked at with the others of their kind
    if not math.isfinite(value):
        raise SettingError(path, f"{name} must be finite, was {value}")
    if value < 0.0 and name not in _SIGNED:
        raise SettingError(path, f"{name} must be >= 0, was {value:g}")
    if abs(value) > 1.0 and (name in _SHARES or name in _SIGNED):
        raise SettingError(path, f"{name} must be a share of at most 1, was {value:g}")


def _check_tiers(rules: VenueRules) -> None:
    fault = tier_fault(rules.margin.tiers)
    if fault is not None:
        number, field, what = fault
        raise SettingError(("tiers", number, field), f"tier {number + 1}: {what}")
    for number, tier in enumerate(rules.margin.tiers):
        if _CAP_MAX < tier.cap < math.inf:
            said = f"cap must be at most {_CAP_MAX:g}, or inf for no end, was {tier.cap:g}"
            raise SettingError(("tiers", number, "cap"), f"tier {number + 1}: {said}")


def _check_asset(rules: VenueRules, contract: ContractConfig) -> None:
    """A preset's tiers in coin are of its inverse contracts: of a linear one they say nothing."""
    if contract.kind == "linear" and rules.margin.caps_in == "settlement":
        base, quote = contract.base, contract.quote
        raise SettingError(
            ("preset",),
            f"{rules.name} counts its tiers of {base} in {base}, for inverse contracts, and this "
            f"one is linear; give it tiers of its own, in {quote}, or the preset of another venue",
        )


def _check_ramp(rules: LiquidationRules) -> None:
    """A fee that rises does not end below what it begins with."""
    least, most = rules.liquidator_fee, rules.liquidator_fee_max
    if most is not None and most < least:
        what = f"liquidator_fee_max must be at least liquidator_fee, {least:g}, was {most:g}"
        raise SettingError(("liquidation", "liquidator_fee_max"), what)


def _check_times(rules: VenueRules) -> None:
    for part, names in _LONGER.items():
        for name in names:
            if getattr(getattr(rules, part), name) <= 0:
                said = name.removesuffix("_ns")
                raise SettingError((part, said), f"{said} must be longer than nothing")


def _check_parts(rules: VenueRules) -> None:
    """A fund may lose something, a mark is made of something, a mean is of something, and a step
    closes something."""
    if rules.liquidation.steps == "portion" and rules.liquidation.portion < _PORTION_MIN:
        was = rules.liquidation.portion
        said = f"portion must be at least {_PORTION_MIN:g}, or a step closes next to nothing"
        raise SettingError(("liquidation", "portion"), f"{said}, was {was:g}")
    if not rules.insurance.drawdown:
        said = "drawdown must be above 0, the share of its peak that the fund may lose"
        raise SettingError(("insurance", "drawdown"), said)
    if not rules.mark.legs:
        raise SettingError(("mark", "legs"), "legs must name one leg at least")
    if rules.mark.basis_points < 1:
        said = f"basis_points must be at least 1, was {rules.mark.basis_points}"
        raise SettingError(("mark", "basis_points"), said)
    if rules.funding.tails >= _HALF:
        said = f"tails must be below 0.5 at each end, was {rules.funding.tails:g}"
        raise SettingError(("funding", "tails"), said)


def _check_fees(rules: VenueRules) -> None:
    """A venue that pays the maker more than it takes from the taker pays for every trade."""
    if rules.fees and rules.fees[0].volume != 0.0:
        first = rules.fees[0].volume
        raise SettingError(("fees", 0, "volume"), f"fees begin at a volume of 0, was {first:g}")
    volume = -1.0
    for number, tier in enumerate(rules.fees):
        path = ("fees", number)
        if tier.volume <= volume:
            raise SettingError(path, f"fee tiers must ascend by volume, {tier.volume:g} does not")
        if tier.maker + tier.taker < 0.0:
            rebate = f"the maker's rebate {-tier.maker:g}"
            raise SettingError(path, f"{rebate} must not exceed the taker's fee {tier.taker:g}")
        volume = tier.volume
