"""``venue list`` and ``venue show``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.config.venues import Preset

__all__ = ["list_venues", "show_venue"]

Symbol = Annotated[
    str, Parameter(help="Whose rules: they differ by base asset, and by kind of contract.")
]


def list_venues(*, json: Json = False) -> int:
    """Presets of venues, and how old their facts are."""
    from engine.cli import showing
    from engine.config import PRESETS, preset

    found = [(name, preset(name)) for name in PRESETS]
    if json:
        rows = [
            {
                "name": name,
                "title": each.title,
                "as_of": each.as_of,
                "assets": list(each.assets),
                "assumed": len({*each.assumed, *each.elsewhere}),
            }
            for name, each in found
        ]
        showing.emit_json({"venues": rows})
        return 0
    for name, each in found:
        own = ", ".join(each.assets)
        showing.emit(f"{name}: {each.title}, as of {each.as_of}; rules of their own: {own}")
    showing.emit("levsim venue show NAME [--symbol SYMBOL] shows one; venue = { preset = NAME } in")
    showing.emit("[[markets]] takes it, and each rule may be changed beside it")
    return 0


def show_venue(name: str, *, symbol: Symbol | None = None, json: Json = False) -> int:
    """All rules of a preset, its sources and assumptions; of its contract on BTC if no other."""
    from engine.cli import showing
    from engine.config import PRESETS, SettingError, nearest, preset

    if name not in PRESETS:
        raise SettingError((), f'there is no venue "{name}"{nearest(name, PRESETS)}')
    known = preset(name)
    shown = _shown(name, known, symbol or _usual(known))
    if json:
        showing.emit_json(shown)
        return 0
    for line in _lines(shown):
        showing.emit(line)
    return 0


def _usual(known: Preset) -> str:
    """The symbol of its contract on BTC."""
    facts = known.layer("BTC").contract
    return "XBTUSD" if facts is not None and facts.kind == "inverse" else "BTCUSDT"


def _shown(name: str, known: Preset, symbol: str) -> dict[str, Any]:
    """Everything, as plain data; no cap is ``None``."""
    import msgspec

    from engine.config import facts_of, venue_rules
    from engine.config.settings import ContractConfig, VenueConfig
    from feeds.formats.names import market

    at = market("", symbol, None)
    base = at.base
    kind: Literal["inverse", "linear"] = "inverse" if at.contract == "inverse" else "linear"
    venue = VenueConfig(preset=name)  # type: ignore[arg-type]  # one of the names
    contract = ContractConfig(kind=kind, base=base, quote=at.quote)
    rules = _finite(msgspec.to_builtins(venue_rules(venue, contract)))
    return {
        "name": name,
        "title": known.title,
        "as_of": known.as_of,
        "symbol": symbol,
        "sources": list(known.sources),
        "assumed": known.assumptions(base),
        "contract": msgspec.to_builtins(facts_of(venue, base, kind)),
        **{key: rule for key, rule in rules.items() if key != "name"},
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if value == math.inf else value


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    yield f"{shown['name']}: {shown['title']}, as of {shown['as_of']}, for {shown['symbol']}"
    for section, rules in shown.items():
        if isinstance(rules, dict) and section != "assumed":
            yield f"{section}:"
            for key, value in rules.items():
                if key != "tiers":
                    yield f"    {key} = {_said(value)}"
    yield "tiers:"
    for tier in shown["margin"]["tiers"]:
        cap = "any size" if tier["cap"] is None else f"to {tier['cap']:,.0f}"
        yield (
            f"    {cap}: {tier['max_leverage']:g}x, maintenance {tier['rate'] * 100:g} %, "
            f"less {tier['deduction']:,.0f}"
        )
    yield "sources:"
    yield from (f"    {source}" for source in shown["sources"])
    yield "assumed:"
    yield from (f"    {name}: {sentence}" for name, sentence in shown["assumed"].items())


def _said(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
