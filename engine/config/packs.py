"""Rule packs: real products by name, each rule with the time from which it held."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

import strategies
from engine.config.complaints import SettingError, nearest
from engine.config.offering_settings import OfferingConfig, SplitConfig
from engine.config.offerings import offering_of, split_of
from engine.config.settings import PolicyConfig, ProductConfig, TermsConfig
from engine.durations import Duration, duration_ns
from engine.errors import ConfigError
from engine.offering import ANYTIME, Offering
from engine.policy import Policy
from engine.product import Terms
from engine.splits import SplitTerms
from engine.units import DAY_NS, MINUTE_NS, NEVER_NS, SECOND_NS
from strategies import BuiltIn
from strategies.in_force import InForce, StartOver

__all__ = [
    "NO_PACK",
    "Pack",
    "Rules",
    "check_pack",
    "pack",
    "pack_names",
    "pack_policies",
    "pack_terms",
    "policies_told",
]

NO_PACK: Final = "none"
T = TypeVar("T")
_FOLDER: Final = Path(strategies.__file__).parent / "packs"
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Rules(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """What held from ``from`` on; ``rebalance_at_start``: a leverage that was traded to then,
    whatever it was before. ``offering`` and ``split``: where they were others than the pack's."""

    since: datetime
    policies: tuple[BuiltIn, ...]
    management_fee: float = 0.0
    create_fee: float = 0.0
    redeem_fee: float = 0.0
    rebalance_at_start: float = 0.0
    offering: OfferingConfig | None = None
    split: SplitConfig | None = None

    @property
    def from_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return int(self.since.timestamp()) * SECOND_NS


class Pack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: the rules of one product, with their sources, and what of them is assumed.

    Attributes:
        nav, formula_price: as in ``Terms``; the mark stands for an index that the data do not hold.
        fee_every, fee_at: when the management fee is charged; ``fee_at`` is a time of the day, UTC.
        offering: when and how much is created and redeemed, where its issuer says so.
        split: when its units are merged.
        rules: by time, the oldest first.
        assumed: a sentence for each thing that no source says, by name.
    """

    title: str
    sources: tuple[str, ...]
    rules: tuple[Rules, ...]
    nav: Literal["basket", "formula"] = "basket"
    formula_price: Literal["mark", "index"] = "mark"
    fee_every: Duration = "1d"
    fee_at: str = "00:00"
    offering: OfferingConfig | None = None
    split: SplitConfig | None = None
    assumed: dict[str, str] = {}

    def __post_init__(self) -> None:
        times = [rules.since for rules in self.rules]
        if not times or times != sorted(set(times)):
            raise ValueError("a pack wants rules, the oldest first")
        if not _CLOCK.fullmatch(self.fee_at):
            raise ValueError(f"fee_at: {self.fee_at!r} is no time of the day; expected HH:MM")

    def in_force(self, as_of: datetime) -> Rules:
        """The rules of an instant; the first ones, before them all."""
        place = bisect_right([rules.since for rules in self.rules], as_of)
        return self.rules[max(place - 1, 0)]


@cache
def pack_names() -> tuple[str, ...]:
    """All packs, by name."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@cache
def pack(name: str) -> Pack:
    """The pack of that name, as its file says it.

    Raises:
        ConfigError: naming the nearest one, where there is none.
    """
    if name not in pack_names():
        raise ConfigError(f'there is no rule pack "{name}"{nearest(name, pack_names())}')
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Pack)


def check_pack(path: tuple[str | int, ...], product: ProductConfig) -> None:
    """Look whether a product whose terms name a pack leaves its rules to it.

    Raises:
        SettingError: with the place of what contradicts it.
    """
    terms, place = product.terms, (*path, "terms")
    if terms.pack == NO_PACK:
        if terms.as_of is not None:
            raise SettingError((*place, "as_of"), "as_of says which rules of a pack hold; name one")
        return
    try:
        pack(terms.pack)
    except ConfigError as error:
        raise SettingError((*place, "pack"), str(error)) from None
    if terms.as_of is not None:
        _as_of(place, terms.as_of)
    if product.kind != "fund":
        raise SettingError((*place, "pack"), f"{product.id}: a rule pack is for a fund")
    if product.policies:
        raise SettingError(
            (*path, "policies"), f'{product.id}: its policies are those of the pack "{terms.pack}"'
        )
    plain = TermsConfig()
    own = ("nav", "formula_price", "management_fee", "fee_every", "create_fee", "redeem_fee")
    for name in own:
        if getattr(terms, name) != getattr(plain, name):
            raise SettingError(
                (*place, name), f'{product.id}: {name} is the pack\'s "{terms.pack}"'
            )


def policies_told(product: ProductConfig) -> Iterator[tuple[tuple[str | int, ...], PolicyConfig]]:
    """The policies of a product, its own or those of its pack in force, each with its place."""
    if product.terms.pack == NO_PACK:
        for number, policy in enumerate(product.policies):
            yield ("policies", number), policy
        return
    for rules in _rules(product):
        for policy in rules.policies:
            yield ("terms", "pack"), policy


def pack_policies(product: ProductConfig) -> tuple[Policy, ...]:
    """The pack's policies, each for the time of its rules."""
    held = _rules(product)
    if len(held) == 1:
        return held[0].policies
    begins = [0, *(rules.from_ns for rules in held[1:])]
    ends = [*begins[1:], NEVER_NS]
    found: list[Policy] = []
    for rules, begin, end in zip(held, begins, ends, strict=True):
        if rules.rebalance_at_start and begin:
            found.append(StartOver(rules.rebalance_at_start, begin))
        found += [InForce(policy, begin, end) for policy in rules.policies]
    return tuple(found)


def pack_terms(product: ProductConfig, atoms: int = 1) -> Terms:
    """The pack's terms, and what the product says beside it; ``atoms`` a quote."""
    known, held = pack(product.terms.pack), _rules(product)
    offerings = [_offering(product, rules, atoms) for rules in held]
    splits = [_split(product, rules) for rules in held]
    hours, minutes = map(int, known.fee_at.split(":"))
    return Terms(
        pack=product.terms.pack,
        nav=known.nav,
        management_fee=held[0].management_fee,
        fee_every_ns=duration_ns(known.fee_every),
        fee_at_ns=(hours * 60 + minutes) * MINUTE_NS % DAY_NS,
        fees=tuple((rules.from_ns, rules.management_fee) for rules in held[1:]),
        create_fee=held[0].create_fee,
        redeem_fee=held[0].redeem_fee,
        dealing_fees=tuple((each.from_ns, each.create_fee, each.redeem_fee) for each in held[1:]),
        while_rebalancing=product.terms.while_rebalancing,
        offering=offerings[0],
        split=splits[0],
        offerings=_later(held, offerings),
        splits=_later(held, splits),
    )


def _offering(product: ProductConfig, rules: Rules, atoms: int) -> Offering:
    """As the product says it, else these rules, else the whole pack."""
    chosen = product.terms.offering or rules.offering or pack(product.terms.pack).offering
    return ANYTIME if chosen is None else offering_of((), chosen, atoms)


def _split(product: ProductConfig, rules: Rules) -> SplitTerms | None:
    chosen = product.terms.split or rules.split or pack(product.terms.pack).split
    return None if chosen is None else split_of((), chosen)


def _later(held: tuple[Rules, ...], found: list[T]) -> tuple[tuple[int, T], ...]:
    """What changed, and when."""
    changed = zip(held[1:], found, found[1:], strict=False)
    return tuple((rules.from_ns, now) for rules, before, now in changed if now != before)


def _rules(product: ProductConfig) -> tuple[Rules, ...]:
    """Those of one instant where ``as_of`` names one, else all."""
    known, as_of = pack(product.terms.pack), product.terms.as_of
    return known.rules if as_of is None else (known.in_force(_as_of((), as_of)),)


def _as_of(place: tuple[str | int, ...], text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(
            (*place, "as_of"), f"as_of: {text!r} is no date such as 2025-12-24"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
