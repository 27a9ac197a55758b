"""Policies by name: built in, ``FILE.py:Class``, ``package.module:Class``, or an installed plug-in.

A class with ``watch`` and ``decide`` is taken as it is; one with ``target(market, position)`` is
asked on a grid. Constructor arguments are the parameters. Errors tell "not found" from "broken",
with file, line and nearest name.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from engine.errors import PolicyError
from engine.policy import Policy
from engine.units import DAY_NS, MILLISECOND_NS
from strategies import BuiltIn
from strategies.answers import explained
from strategies.full import full_policy
from strategies.small import SmallPolicy
from strategies.user_class import (
    check_kept,
    check_target,
    did_you_mean,
    line_of,
    made,
    place_line,
    review_ns_of,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["BUILT_IN", "built_in_name", "load_policy", "plug_ins", "policy_file"]

BUILT_IN: Final[dict[str, type]] = {cls.__struct_config__.tag: cls for cls in get_args(BuiltIn)}
"""Classes of the built-in policies, by the name that a configuration uses."""
_REVIEW_NS_MAX: Final = 36_525 * DAY_NS
_GROUP: Final = "levsim.policies"
_NEEDED: Final = (
    "initial_state",
    "watch",
    "decide",
    "uses_signals",
    "uses_high_water",
    "de_risking",
)


def built_in_name(name: str) -> str | None:
    """The built-in policy meant by ``name`` (``trend-vol`` is ``trend_vol``), if it is one."""
    tag = name.replace("-", "_")
    return tag if tag in BUILT_IN else None


def plug_ins() -> dict[str, str]:
    """Installed policies: name and where it is, of the entry points ``levsim.policies``."""
    return {name: point.value for name, point in _installed().items()}


def policy_file(name: str) -> Path | None:
    """The file that a policy named ``FILE.py:Class`` is in."""
    file = name.rpartition(":")[0]
    return Path(file) if file.endswith(".py") else None


def load_policy(
    name: str,
    params: Mapping[str, Any],
    *,
    review_ns: int | None = None,
    limit: float = 10.0,
    clamp: bool = False,
) -> Policy:
    """A user's policy, ready to be asked. What its code prints meanwhile is no result of ours: it
    goes to stderr.

    Args:
        name: ``FILE.py:Class``, ``package.module:Class`` or an installed plug-in.
        params: keyword arguments of its constructor; texts are turned into the numbers it
            annotates.
        review_ns: grid on which a small policy is asked; its own ``review``, else a minute, where
            ``None``.
        limit: largest magnitude that it may answer.
        clamp: whether an answer beyond is brought back to it; it is a fault without.

    Raises:
        PolicyError: in a sentence, with file and line where there are any.
    """
    cls = _find(name)
    with _broken(name, "use"), redirect_stdout(sys.stderr):
        return _policy_of(cls, params, review_ns, limit=limit, clamp=clamp)


def _policy_of(
    cls: type, params: Mapping[str, Any], review_ns: int | None, *, limit: float, clamp: bool
) -> Policy:
    if all(callable(getattr(cls, method, None)) for method in ("watch", "decide")):
        lacking = [each for each in _NEEDED if not hasattr(cls, each)]
        if lacking:
            raise PolicyError(
                f"{cls.__name__} has watch and decide, and lacks {', '.join(lacking)}{line_of(cls)}"
            )
        return full_policy(made(cls, params), limit=limit, clamp=clamp)
    check_target(cls)
    check_kept(cls)
    grid_ns = review_ns_of(getattr(cls, "review", None), cls) if review_ns is None else review_ns
    if not MILLISECOND_NS <= grid_ns <= _REVIEW_NS_MAX:
        raise PolicyError(
            f"{cls.__name__}: review must be from 1 ms to a hundred years, was {grid_ns} ns"
        )
    model = made(cls, params)
    return SmallPolicy.around(model, review_ns=grid_ns, limit=limit, clamp=clamp)


# Finding ------------------------------------------------------------------------------


def _find(name: str) -> type:
    where, colon, wanted = name.rpartition(":")
    if where.endswith(".py") or name.endswith(".py"):
        file = where if colon and where.endswith(".py") else name
        shown = _shown(file)
        return _class_in(_run_file(shown), wanted if file == where else "", shown)
    if colon:
        return _class_in(_import(where), wanted, where)
    installed = _installed()
    if name in installed:
        with _broken(f"plug-in {name} ({installed[name].value})"):
            found = installed[name].load()
        if not inspect.isclass(found):
            raise PolicyError(f"plug-in {name}: {installed[name].value} is no class")
        return found
    raise PolicyError(_unknown(name, installed))


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # dear, and mostly nobody asks

    return {point.name: point for point in entry_points(group=_GROUP)}


def _shown(file: str) -> str:
    """A file as people name it: from the working folder where it lies inside."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _unknown(name: str, installed: Iterable[str]) -> str:
    plugged = sorted(installed)
    return (
        f"unknown policy {name!r}.{did_you_mean(name, [*BUILT_IN, *plugged])}\n"
        f"  built in: {', '.join(BUILT_IN)}; installed plug-ins: {', '.join(plugged) or 'none'}\n"
        "  or give your own as FILE.py:CLASS or package.module:CLASS"
    )


def _class_in(module: types.ModuleType, wanted: str, where: str) -> type:
    found = getattr(module, wanted, None) if wanted else None
    if inspect.isclass(found):
        return found
    own = [
        name
        for name, each in vars(module).items()
        if inspect.isclass(each) and each.__module__ == module.__name__
    ]
    there = f"Classes there: {', '.join(own) or 'none'}"
    if not wanted:
        raise PolicyError(f"{where}: which class? Give it as {where}:CLASS. {there}")
    if found is not None:
        raise PolicyError(f"{where}: {wanted} is no class but {type(found).__name__}. {there}")
    raise PolicyError(f"{where} has no class {wanted!r}.{did_you_mean(wanted, own)} {there}")


def _run_file(file: str) -> types.ModuleType:
    """The module of a file, read and run anew; nothing is written beside it."""
    path = Path(file)
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        beside = (
            [str(each) for each in sorted(path.parent.glob("*.py"))] if path.parent.is_dir() else []
        )
        raise PolicyError(f"no such file: {file}.{did_you_mean(file, beside)}") from None
    except OSError as error:
        raise PolicyError(f"could not read {file}: {error.strerror}") from None
    name = f"levsim_user_{sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    here = _importable(str(path.resolve().parent))
    with _broken(file), here, redirect_stdout(sys.stderr):
        code = compile(source, file, "exec")
        exec(code, vars(module))  # noqa: S102  # running the user's own file is the purpose
    return module


def _import(name: str) -> types.ModuleType:
    with _broken(name), _importable(str(Path.cwd())), redirect_stdout(sys.stderr):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise PolicyError(
                    f"no module {error.name!r}: it is neither installed nor in the working folder "
                    "(a file is given as FILE.py:CLASS)"
                ) from None
            raise


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """Let what lies in ``folder`` be imported, after everything else, and without leaving byte code
    there."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = before


@contextmanager
def _broken(what: str, doing: str = "import") -> Iterator[None]:
    """Whatever a user's code raises while it is loaded becomes a sentence with its place."""
    try:
        yield
    except PolicyError:
        raise
    except SyntaxError as error:
        where = f"\n  at {error.filename}:{error.lineno}" if error.filename else ""
        raise PolicyError(
            f"could not {doing} {what}: {type(error).__name__}: {error.msg}{where}"
        ) from None
    except BaseException as error:  # noqa: BLE001  # a user's module may raise anything
        said = f"{explained(error)}{place_line(error)}"
        raise PolicyError(f"could not {doing} {what}: {said}") from None
