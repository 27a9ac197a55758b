"""``policy list``, ``policy new``, ``policy check``."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from cyclopts import Parameter

from engine.cli.running import Json, Sets

__all__ = ["check", "list_policies", "new"]


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
        given = ", ".join(
            name if default is None else f"{name} = {default}"
            for name, default in policy["parameters"].items()
        )
        showing.emit(f"    {given}")
    for name, place in sorted(installed.items()):
        showing.emit(f"{name}: installed plug-in, {place}")
    showing.emit(f"installed plug-ins: {len(installed) or 'none'}")
    showing.emit(
        "your own: --policy FILE.py:CLASS or package.module:CLASS with target(market, position); "
        "levsim policy new FILE.py writes one"
    )
    return 0


def new(
    file: Annotated[Path, Parameter(help="The file to write, for instance vol_cap.py.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Write a policy that works, to be changed."""
    from engine.cli import showing
    from strategies.template import write_template

    name = f"{file}:{write_template(file)}"
    if json:
        showing.emit_json({"file": str(file), "policy": name})
        return 0
    showing.emit(f"wrote {file}")
    showing.emit(f" check: levsim policy check {quote(name)}")
    showing.emit(f" run: levsim run --policy {quote(name)} --set policy.target_vol=0.4")
    return 0


def check(
    policy: Annotated[str, Parameter(help="NAME, FILE.py:CLASS or package.module:CLASS.")],
    /,
    *,
    sets: Sets = None,
    limit: Annotated[float, Parameter(help="Largest leverage that the product takes.")] = 10.0,
    json: Json = False,
) -> int:
    """Hold a policy to what every policy must keep; exit code 3 where it does not."""
    from engine.cli import showing
    from engine.config.replacing import made_policy
    from engine.errors import PolicyError
    from strategies.checking import BrokenPromiseError, check_policy

    made = made_policy(policy, sets or [], limit=limit)
    try:
        done = check_policy(made, limit=limit)
    except BrokenPromiseError as broken:
        raise PolicyError(f"{policy}: {broken}") from None
    if json:
        found = {"paths": done.paths, "ticks": done.ticks, "asked": done.asked}
        showing.emit_json({"policy": policy, "passed": True, **found, "review_us": done.review_us})
        return 0
    showing.emit(
        f"{policy} keeps its promises: asked {done.asked:,} times on {done.paths} paths of "
        f"{done.ticks:,} ticks together, an answer takes {done.review_us:.1f} us"
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
