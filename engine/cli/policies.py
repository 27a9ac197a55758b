"""``policy list``."""

from __future__ import annotations

from typing import Any

from engine.cli.running import Json

__all__ = ["list_policies"]


def list_policies(*, json: Json = False) -> int:
    """Built-in policies and installed plug-ins."""
    from engine.cli import showing
    from strategies.user import BUILT_IN, plug_ins

    built_in: list[dict[str, Any]] = [
        {"name": name, "does": _first_sentence(cls), "parameters": _parameters(cls)}
        for name, cls in BUILT_IN.items()
    ]
    installed = plug_ins()
    if json:
        showing.emit_json({"built_in": built_in, "plug_ins": installed})
        return 0
    for policy in built_in:
        showing.emit(f"{policy['name']}: {policy['does']}")
        for name, default in policy["parameters"].items():
            showing.emit(f"    {name}{'' if default is None else f' = {default}'}")
    plugged = ", ".join(f"{name} ({place})" for name, place in sorted(installed.items()))
    showing.emit(f"installed plug-ins: {plugged or 'none'}")
    showing.emit(
        "your own: --policy FILE.py:CLASS or package.module:CLASS with target(market, position)"
    )
    return 0


def _first_sentence(cls: type) -> str:
    words = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return words.replace("``", "")


def _parameters(cls: type) -> dict[str, Any]:
    """Names with their defaults; ``None`` where there is none."""
    import msgspec

    return {
        field.encode_name: None if field.default is msgspec.NODEFAULT else field.default
        for field in msgspec.structs.fields(cls)
    }
