"""Background populations: what of their settings cannot be, and their positions, drawn or read.

Draws are words of Philox, keyed by the seed and the place, and become numbers by tables and by ``+
- * /`` alone: the same positions on every machine.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.config.complaints import SettingError, nearest
from engine.config.settings import ContractConfig, CrowdConfig, RunConfig
from engine.config.venues import venue_rules
from engine.errors import ConfigError
from engine.exact import exp2, normal_cdf
from engine.units import asset_decimals, total, whole_lots
from engine.venue.crowd import CrowdSpec
from engine.venue.crowd_opening import LOTS_MAX, WORTH_MAX

__all__ = ["check_crowds", "check_draws", "crowd_of", "homeless"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

CROWD_MAX: Final = 5_000_000
"""Positions of one population."""
_NODES: Final = 16
"""Of the normal distribution, a standard deviation."""
_REACH: Final = 4
_LOG2_E: Final = 1.4426950408889634
_COLUMNS: Final = ("size", "entry", "wallet", "leverage")
_WALLET_MAX: Final = 1e10
_TOGETHER_MAX: Final = 2**62
"""Lots of all positions of a population: their sum fits 64 bits."""

Path_ = tuple[str | int, ...]


def check_crowds(config: RunConfig) -> None:
    """Look at the background populations, of a completed configuration.

    Raises:
        SettingError: with the place of the first setting that cannot be.
    """
    names: set[str] = set()
    for number, crowd in enumerate(config.populations):
        path: Path_ = ("populations", number)
        fault = homeless(config, crowd)
        if fault:
            raise SettingError((*path, "symbol"), fault)
        if not crowd.id or crowd.id in names:
            said = f'population "{crowd.id}" is nameless or configured twice'
            raise SettingError((*path, "id"), said)
        names.add(crowd.id)
        check_draws(path, crowd)


def homeless(config: RunConfig, crowd: CrowdConfig) -> str | None:
    """Why a population cannot be in its market; ``None`` where it can."""
    symbols = [market.symbol for market in config.markets]
    if crowd.symbol not in symbols:
        return f'no market of the run is "{crowd.symbol}"{nearest(crowd.symbol, symbols)}'
    if crowd.symbol not in {product.symbol for product in config.products}:
        return f"{crowd.id}: {crowd.symbol} has no product; its prices would wake nobody"
    market = config.markets[symbols.index(crowd.symbol)]
    if not venue_rules(market.venue, market.contract).margin.tiers:
        return f"{crowd.id}: {crowd.symbol} trades where no margin is asked for"
    return None


def check_draws(path: Path_, crowd: CrowdConfig) -> None:
    """Look at what its positions are drawn from.

    Raises:
        SettingError: with the place of the first setting that cannot be.
    """
    bounds: list[tuple[str, float, float, float]] = [
        ("count", crowd.count, 0 if crowd.file else 1, CROWD_MAX),
        ("size", crowd.size, 1e-6, 1e15),
        ("size_spread", crowd.size_spread, 0.0, 10.0),
        ("entry_spread", crowd.entry_spread, 0.0, 0.2),
        ("long_share", crowd.long_share, 0.0, 1.0),
    ]
    for name, value, low, high in bounds:
        if not low <= value <= high:
            said = f"{crowd.id}: {name} must be from {low:g} to {high:g}, was {value!r}"
            raise SettingError((*path, name), said)
    weights = [weight for _, weight in crowd.leverages]
    fits = all(1.0 <= each <= 1_000.0 for each, _ in crowd.leverages)
    fits = fits and all(0.0 <= weight < math.inf for weight in weights)
    if not fits or not math.fsum(weights) > 0.0:
        said = f"{crowd.id}: leverages are [leverage, weight], from 1 to 1,000, not all of weight 0"
        raise SettingError((*path, "leverages"), said)
    if crowd.file and crowd.count:
        said = f"{crowd.id}: positions are drawn (count) or read (file), not both"
        raise SettingError((*path, "count"), said)


def crowd_of(
    crowd: CrowdConfig, number: int, market: int, contract: ContractConfig, seed: int
) -> CrowdSpec:
    """The positions of a population that was checked, the ``number``-th of the run."""
    tells, waits = crowd.tell == "positions", crowd.opens == "told"
    if crowd.file:
        lots, entries, wallets, leverages = _read(crowd.file, contract)
        return CrowdSpec(
            id=crowd.id,
            market=market,
            sizes=lots,
            entries=entries,
            wallets=wallets,
            leverages=leverages,
            absolute=True,
            tells_rows=tells,
            waits=waits,
        )
    own = seed if crowd.seed is None else crowd.seed
    size, side, entry, leverage = (_uniform(own, 4 * number + n, crowd.count) for n in range(4))
    sizes = crowd.size * _lognormal(size, crowd.size_spread)
    return CrowdSpec(
        id=crowd.id,
        market=market,
        sizes=(sizes * np.where(side < crowd.long_share, 1.0, -1.0)).tobytes(),
        entries=_lognormal(entry, crowd.entry_spread).tobytes(),
        leverages=_picked(leverage, crowd.leverages).tobytes(),
        tells_rows=tells,
        waits=waits,
    )


def _uniform(seed: int, stream: int, count: int) -> F64:
    """From 0 up to below 1, one a position."""
    key = np.array([seed, stream], np.uint64)
    words = np.random.Philox(key=key).random_raw(count)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _lognormal(uniform: F64, spread: float) -> F64:
    """Median 1; ``spread`` is the standard deviation of its logarithm, cut at four of them."""
    steps = range(-_REACH * _NODES, _REACH * _NODES + 1)
    below = np.array([normal_cdf(step / _NODES) for step in steps])
    value = np.array([exp2(step / _NODES * spread * _LOG2_E) for step in steps])
    inside = np.clip(uniform, below[0], below[-1])
    left = np.clip(below.searchsorted(inside, "right") - 1, 0, len(below) - 2)
    share = (inside - below[left]) / (below[left + 1] - below[left])
    found: F64 = value[left] + share * (value[left + 1] - value[left])
    return found


def _picked(uniform: F64, weighted: Sequence[tuple[float, float]]) -> F64:
    values = np.array([value for value, _ in weighted])
    upto: F64 = np.cumsum(np.array([weight for _, weight in weighted], np.float64))
    place = (upto / upto[-1]).searchsorted(uniform, "right")
    return np.asarray(values.take(np.minimum(place, len(values) - 1)))


def _read(file: str, contract: ContractConfig) -> tuple[bytes, bytes, bytes, bytes]:
    """Lots, entries, wallets and leverages of a CSV with ``size,entry,wallet,leverage``."""
    path = Path(file)
    try:
        rows = list(_rows(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    if not 1 <= len(rows) <= CROWD_MAX:
        raise ConfigError(f"{path}: {len(rows):,} positions, expected 1 to {CROWD_MAX:,}")
    asset = (contract.base if contract.kind == "inverse" else contract.quote) or ""
    atoms = 10.0 ** asset_decimals(asset)
    lots = [_lots_in(f"{path}:{line}", values, contract, atoms) for line, values in rows]
    if (together := total(map(abs, lots))) > _TOGETHER_MAX:
        most = f"at most {_TOGETHER_MAX:.3g}"
        raise ConfigError(f"{path}: positions of {together:.3g} lots together, expected {most}")
    table = np.array([values for _, values in rows])
    return (
        np.array(lots, np.int64).tobytes(),
        np.ascontiguousarray(table[:, 1]).tobytes(),
        np.round(table[:, 2] * atoms).astype(np.int64).tobytes(),
        np.ascontiguousarray(table[:, 3]).tobytes(),
    )


def _lots_in(where: str, values: list[float], contract: ContractConfig, atoms: float) -> int:
    """Whole lots of a row that can be."""
    size, entry, wallet, leverage = values
    lot, inverse = contract.lot_size or 1.0, contract.kind == "inverse"
    if not lot <= abs(size) < math.inf:
        said = f"size must be finite and a lot ({lot:g}) at least, short negative, was {size:g}"
        raise ConfigError(f"{where}: {said}")
    lots = whole_lots(size, lot)
    if lots is None:
        raise ConfigError(f"{where}: size must be whole lots of {lot:g}, was {size!r}")
    if not 0.0 < entry < math.inf:
        raise ConfigError(f"{where}: entry must be finite and > 0, was {entry:g}")
    face = abs(size) * (contract.contract_size or 1.0)
    quote = contract.quote or ""
    for count, most, unit in (
        (abs(lots), LOTS_MAX, "lots"),
        (face if inverse else face * entry, WORTH_MAX / 10 ** asset_decimals(quote), quote),
        (face / entry if inverse else 0.0, WORTH_MAX / atoms, contract.base),
    ):
        if count > most:
            said = f"a position of {count:.3g} {unit}; {most:.3g} at most are counted"
            raise ConfigError(f"{where}: {said}, divide it among rows")
    if not 1.0 / atoms <= wallet < _WALLET_MAX:
        said = f"wallet must be {1.0 / atoms:g} at least and below {_WALLET_MAX:g}, was {wallet:g}"
        raise ConfigError(f"{where}: {said}")
    if not 0.0 <= leverage <= 1_000.0:
        raise ConfigError(f"{where}: leverage must be from 0 to 1,000, was {leverage:g}")
    return lots


def _rows(path: Path) -> Iterator[tuple[int, list[float]]]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file of positions")
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in _COLUMNS[:3] if name not in (reader.fieldnames or ())]
        if missing:
            wanted = ",".join(_COLUMNS)
            raise ConfigError(f"{path}:1: expected columns {wanted}; {missing[0]} is missing")
        try:
            for row in reader:
                yield reader.line_num, _numbers(f"{path}:{reader.line_num}", row)
        except csv.Error as error:
            raise ConfigError(f"{path}:{reader.line_num + 1}: no CSV: {error}") from None


def _numbers(where: str, row: dict[str, str | None]) -> list[float]:
    try:
        return [float(row.get(name) or 0.0) for name in _COLUMNS]
    except ValueError:
        said = ",".join(str(row.get(name)) for name in _COLUMNS)
        raise ConfigError(f"{where}: expected {','.join(_COLUMNS)}, was {said!r}") from None
