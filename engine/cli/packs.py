"""``pack list`` and ``pack show``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.config.packs import Pack, Rules

__all__ = ["list_packs", "show_pack"]


def list_packs(*, json: Json = False) -> int:
    """Rule packs, how many rules each has had, and how many of their values are assumed."""
    from engine.cli import showing
    from engine.config import pack, pack_names

    found = [(name, pack(name)) for name in pack_names()]
    if json:
        rows = [
            {
                "name": name,
                "title": each.title,
                "nav": each.nav,
                "rules": [f"{rules.since:%Y-%m-%d}" for rules in each.rules],
                "assumed": len(each.assumed),
            }
            for name, each in found
        ]
        showing.emit_json({"packs": rows})
        return 0
    for name, each in found:
        since = ", ".join(f"{rules.since:%Y-%m-%d}" for rules in each.rules)
        showing.emit(f"{name}: {each.title}; rules from {since}; assumed {len(each.assumed)}")
    showing.emit(
        "levsim pack show NAME shows one; terms = { pack = NAME } in [[products]] takes it,"
    )
    showing.emit("each rule in its time, or with as_of = DATE those of that day")
    return 0


def show_pack(name: str, *, json: Json = False) -> int:
    """All rules of a pack, its sources and assumptions."""
    from engine.cli import showing
    from engine.config import SettingError, nearest, pack, pack_names

    if name not in pack_names():
        raise SettingError((), f'there is no rule pack "{name}"{nearest(name, pack_names())}')
    known = pack(name)
    if json:
        showing.emit_json(_shown(name, known))
        return 0
    for line in _lines(name, known):
        showing.emit(line)
    return 0


def _shown(name: str, known: Pack) -> dict[str, Any]:
    import msgspec

    return {"name": name, **msgspec.to_builtins(known)}


def _lines(name: str, known: Pack) -> Iterator[str]:
    import msgspec

    yield f"{name}: {known.title}"
    nav = "formula on the index" if known.formula_price == "index" else known.nav
    yield f"nav: {nav}; the management fee every {known.fee_every} at {known.fee_at} UTC"
    yield from _dealt(known)
    for rules in known.rules:
        yield f"from {rules.since:%Y-%m-%d %H:%M} UTC:"
        yield from (f"    {line}" for line in _dealt(rules))
        for fee in ("management_fee", "create_fee", "redeem_fee"):
            yield f"    {fee} = {getattr(rules, fee):g}"
        if rules.rebalance_at_start:
            yield f"    rebalanced to {rules.rebalance_at_start:g}x then"
        for policy in rules.policies:
            settings = msgspec.to_builtins(policy)
            kind = settings.pop("type")
            told = ", ".join(f"{key} = {value}" for key, value in settings.items())
            yield f"    {kind}: {told}"
    yield "sources:"
    yield from (f"    {source}" for source in known.sources)
    yield "assumed:"
    yield from (f"    {key}: {sentence}" for key, sentence in known.assumed.items())


def _dealt(rules: Pack | Rules) -> Iterator[str]:
    """How units are created, redeemed and merged, where that is said."""
    import msgspec

    if rules.offering is not None:
        settings = msgspec.to_builtins(rules.offering)
        told = ", ".join(f"{key} = {value}" for key, value in settings.items() if value is not None)
        yield f"created and redeemed: {told}"
    if rules.split is not None:
        rule = rules.split
        if rule.merge_below:
            below = f"where NAV is below {rule.merge_below:g}"
            yield f"merged {rule.merge} to 1 at {rule.at} UTC {below}"
        for each in rule.announced:
            yield f"{each.old} units became {each.new} on {each.at}"
