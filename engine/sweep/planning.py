"""From what somebody typed to a plan: every point of the grid resolved and checked beforehand."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa

from engine.config import RunConfig, load_config, placed, spec_of
from engine.config.scenarios import (
    ScenarioFile,
    base_of,
    in_place,
    load_scenario,
    scenarios_of,
    staging_of,
    under,
)
from engine.config.settings import UserPolicyConfig
from engine.errors import ConfigError
from engine.inputs import open_market
from engine.provenance import VERSION
from engine.sweep.expected import check_expected
from engine.sweep.grid import axes_of, points_of
from engine.sweep.market import market_of
from engine.sweep.plan import Plan, Setup
from engine.sweep.screening import check_screenable
from feeds.formats.files import sha256
from feeds.requests import load_requests, packed_requests
from strategies.user import policy_file

__all__ = ["PATHS", "planned"]

PATHS: Final = 1_000
"""Of a generator, where nobody says how many."""
_PRODUCT: Final = re.compile(r"products[.\[]([^.\]]+)")


def planned(
    base: str | Path | None,
    *,
    sets: Sequence[str] = (),
    policies: Sequence[str] = (),
    paths: int | None = None,
    scenarios: Sequence[str | Path] = (),
    data: Sequence[str | Path] = (),
    symbol: str | None = None,
    screened: bool = False,
    requests: str | Path | None = None,
    seconds: float = 0.0,
) -> Plan:
    """The plan of a sweep.

    Args:
        base: TOML; the standard line-up without.
        sets: ``KEY=VALUE``, and axes: ``KEY=a,b,c``, ``KEY=a:b:n``.
        policies: as ``levsim run --policy``; several are an axis.
        paths: of the generator; a recorded market has one.
        scenarios: laid over every path, by name or TOML file.
        data: files and folders, where there is no generator.
        symbol: for files that do not name theirs.
        screened: without frictions, for products that can be.
        requests: JSON lines of creations, redemptions and commands, for every path.
        seconds: that a run may take; 0 as long as it likes.

    Raises:
        LevsimError: for anything that a run of one of the points would refuse, before any runs.
    """
    if paths is not None and paths < 1:
        raise ConfigError(f"--paths must be 1 or more, was {paths}")
    plain, axes = axes_of(sets, policies)
    setup = _setup(data, symbol, requests, seconds)
    if setup.requests and screened:
        raise ConfigError("--requests: without frictions nobody deals; leave out --screen")
    files = [load_scenario(each) for each in scenarios]
    configs, inputs = list[bytes](), dict[str, str]()
    for values in points_of(axes):
        chosen = dict(zip((axis.key for axis in axes), values, strict=True))
        policy = chosen.pop("policy", policies[0] if policies else None)
        own = [*plain, *(f"{key}={value}" for key, value in chosen.items())]
        config = _resolved(base, own, policy, setup, files)
        _check(config, screened=screened)
        configs.append(msgspec.msgpack.encode(config))
        inputs |= _files(config)
    _check_different(configs, [axis.key for axis in axes], list(points_of(axes)))
    first = msgspec.msgpack.decode(configs[0], type=RunConfig)
    if not (made := not setup.data and first.generator is not None):
        if paths is not None and paths > 1:
            raise ConfigError(
                f"--paths {paths}: a recorded market is one path; a table [generator] in the "
                "configuration makes as many as you like"
            )
        inputs |= {each.path: each.sha256 for each in market_of(first, setup, 0).inputs}
        paths = 1
    return Plan(
        axes=tuple(axes),
        configs=tuple(configs),
        paths=paths or PATHS,
        setup=setup,
        versions=_versions(),
        inputs=inputs,
        generated=made,
        owners=tuple(_owner(axis.key, first) for axis in axes),
        screened=screened,
    )


def _check(config: RunConfig, *, screened: bool) -> None:
    if screened:
        check_screenable(config)
    check_expected(config, screened=screened)


def _check_different(
    configs: Sequence[bytes], keys: Sequence[str], points: Sequence[tuple[str, ...]]
) -> None:
    """Two points that come to one configuration would be ranked against each other."""
    seen: dict[bytes, tuple[str, ...]] = {}
    for config, values in zip(configs, points, strict=True):
        other = seen.setdefault(config, values)
        if other is not values:
            differ = [place for place, value in enumerate(values) if value != other[place]]
            one, two = (
                ", ".join(f"{keys[place]}={each[place]}" for place in differ)
                for each in (other, values)
            )
            raise ConfigError(
                f"--set: {one} and {two} come to the same configuration; give each setting once, "
                "by one name, with values that differ"
            )


def _setup(
    data: Sequence[str | Path], symbol: str | None, requests: str | Path | None, seconds: float
) -> Setup:
    if not 0.0 <= seconds < math.inf:
        raise ConfigError(f"--path-seconds must be 0 or more, was {seconds:g}")
    asked = packed_requests(load_requests(requests)) if requests is not None else b""
    return Setup(tuple(str(Path(each).resolve()) for each in data), symbol, asked, seconds)


def _versions() -> dict[str, str]:
    return {
        "levsim": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }


def _owner(key: str, config: RunConfig) -> str:
    """Whose setting a key is, of the products; empty where it is none of theirs."""
    match = _PRODUCT.match(key)
    if match is None:
        return ""
    ids = [product.id for product in config.products]
    return ids[int(match[1])] if match[1].isdigit() else match[1]


def _resolved(
    base: str | Path | None,
    sets: list[str],
    policy: str | None,
    setup: Setup,
    files: Sequence[ScenarioFile],
) -> RunConfig:
    """The configuration of a point, whole and checked as a run would check it."""
    own = scenarios_of(base)
    laid = (*own, *(each.scenario for each in files))
    stage = None if setup.data else base_of(laid)
    market = open_market([Path(each) for each in setup.data], base, sets, setup.symbol, stage)
    config = load_config(base, sets, symbols=market.symbols, policy=policy)
    if laid:
        config = under(config, laid, stage)
    with placed(base, sets), in_place(files, len(own)):
        spec_of(config, market.symbols)
        if config.scenarios:
            staging_of(config, market)
    return config


def _files(config: RunConfig) -> dict[str, str]:
    """Hashes of the files of users' own policies, and of funding rates."""
    named = [
        str(file)
        for product in config.products
        for policy in product.policies
        if isinstance(policy, UserPolicyConfig) and (file := policy_file(policy.path))
    ]
    named += [market.funding.file for market in config.markets if market.funding.file]
    return {name: sha256(name) for name in dict.fromkeys(named)}
