"""The 16 waves of auto-deleveraging of 10 October 2025, shared out again by our rules.

The published tables say per wave what winners had to give up to cover the gap between mark and
fill prices (``needed``), what the venue's queue took, and what other rules would have taken. They
name no accounts, so what depends on accounts is worked out on a stand-in population: as many
accounts as the wave had fills, over its coins by the money each needs, sizes falling as ``rank **
-1.15``. That exponent meets the published concentration of all victims (the largest 15.7 % of the
notional, the first ten 45.8 %); it is not fitted to the answer.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct

from engine.errors import InputError
from engine.venue.sharing import integer_shares, pro_rata

__all__ = [
    "EXPONENT",
    "CoinGap",
    "Shares",
    "Wave",
    "positions",
    "queue_overshoot",
    "read",
    "shared",
    "totals",
]

EXPONENT: Final = 1.15
"""Of the stand-in accounts' sizes."""
EXPONENTS: Final = (1.0, 1.1, EXPONENT, 1.2)
"""All that meet the published concentration about as well."""
LOTS: Final = 100_000_000
"""Lots in a contract, where contracts can be split as finely as the venue's books do."""

_WAVES: Final = "policy_per_wave_metrics.csv"
_GAPS: Final = "wave_coin_gap_per_contract.csv"
_LOSERS: Final = "bad_debt_loser_waves.csv"
_SHOCKS: Final = "per_shock_metrics_queue.csv"

F64 = np.ndarray[Any, np.dtype[np.float64]]


class CoinGap(Struct, frozen=True):
    """One coin of a wave: contracts closed, and quote lost on each."""

    coin: str
    contracts: float
    per_contract: float


class Wave(Struct, frozen=True, kw_only=True):
    """One wave as published; money in USD.

    Attributes:
        needed: what winners had to give up.
        capacity: what they had to give: unrealised profit within equity.
        fills: of the wave.
        queue: what the venue's queue took.
        pro_rata_share, integer, optimal: the published model's haircut of wealth pro-rata, and what
            its integer pro-rata and its optimal integer rule take.
        gaps: by coin.
    """

    wave: int
    needed: float
    capacity: float
    fills: int
    queue: float
    pro_rata_share: float
    integer: float
    optimal: float
    gaps: tuple[CoinGap, ...]

    @property
    def resummed(self) -> float:
        """``needed`` again, from the coins."""
        return math.fsum(gap.contracts * gap.per_contract for gap in self.gaps)


class Shares(Struct, frozen=True, kw_only=True):
    """One wave under our rules; overshoot is what is taken less what is needed, USD.

    Attributes:
        haircut: share of every winner's profit under wealth pro-rata.
        wealth, contracts, lots: overshoot of wealth pro-rata, of integer pro-rata in whole
            contracts, and of the same in lots.
        contracts_range: of the second, over the exponents that are as good.
    """

    wave: int
    haircut: float
    wealth: float
    contracts: float
    lots: float
    contracts_range: tuple[float, float]


def read(folder: str | Path) -> list[Wave]:
    """The published waves, in time order.

    Raises:
        InputError: if a table is missing, or not as expected.
    """
    gaps: dict[str, list[CoinGap]] = {}
    try:
        for row in _rows(folder, _GAPS):
            gap = CoinGap(row["coin"], _of(row, "qty_contracts"), _of(row, "gap_per_contract_usd"))
            gaps.setdefault(row["wave"], []).append(gap)
        fills = {row["wave"]: int(_of(row, "n_rows")) for row in _rows(folder, _LOSERS)}
        return [
            Wave(
                wave=int(_of(row, "wave")),
                needed=_of(row, "budget_needed"),
                capacity=_of(row, "total_cap"),
                fills=fills[row["wave"]],
                queue=_of(row, "budget_prod"),
                pro_rata_share=_of(row, "max_pct_pr"),
                integer=_of(row, "budget_contract_pr"),
                optimal=_of(row, "budget_fixed_point_ilp_integer"),
                gaps=tuple(gaps[row["wave"]]),
            )
            for row in _rows(folder, _WAVES)
        ]
    except KeyError as error:
        raise InputError(f"{folder}: no row or column {error} for a wave of {_WAVES}") from None


def queue_overshoot(folder: str | Path) -> tuple[float, float]:
    """``(overshoot, residual)`` of the queue in equity, USD, added up again from the shocks: taken
    beyond each shock's deficit, and left of it."""
    over, left = [], []
    for row in _rows(folder, _SHOCKS):
        beyond = _of(row, "budget_queue_usd") - _of(row, "deficit_usd")
        over.append(max(beyond, 0.0))
        left.append(max(-beyond, 0.0))
    return math.fsum(over), math.fsum(left)


def shared(wave: Wave) -> Shares:
    """A wave shared out by wealth, by whole contracts and by lots, on stand-in accounts."""
    accounts = [size * gap.per_contract for gap, sizes in positions(wave) for size in sizes]
    at_stake = np.array(accounts)
    wealth = pro_rata(at_stake * (wave.capacity / math.fsum(accounts)), wave.needed)
    by_exponent = [_integer(wave, 1, exponent) for exponent in EXPONENTS]
    return Shares(
        wave=wave.wave,
        haircut=float(wealth.share[0]),
        wealth=wealth.raised - wave.needed,
        contracts=_integer(wave, 1, EXPONENT),
        lots=_integer(wave, LOTS, EXPONENT),
        contracts_range=(min(by_exponent), max(by_exponent)),
    )


def positions(wave: Wave, exponent: float = EXPONENT) -> Iterator[tuple[CoinGap, F64]]:
    """The stand-in population: each coin of a wave that costs something, with the sizes of its
    accounts in contracts, largest first."""
    costs = [gap for gap in wave.gaps if gap.contracts * gap.per_contract > 0.0]
    money = math.fsum(gap.contracts * gap.per_contract for gap in costs)
    for gap in costs:
        count = max(1, round(wave.fills * gap.contracts * gap.per_contract / money))
        sizes = np.arange(1, count + 1, dtype=np.float64) ** -exponent
        yield gap, sizes * (gap.contracts / math.fsum(sizes))


def _integer(wave: Wave, lots: int, exponent: float) -> float:
    """Overshoot of integer pro-rata where a contract has ``lots`` lots: no account is cut by more
    whole lots than it holds, so what it holds beyond them is not covered."""
    taken = []
    for gap, sizes in positions(wave, exponent):
        held = [int(size * lots + 1e-9) for size in sizes]
        wanted = min(math.ceil(gap.contracts * lots), sum(held))
        taken.append(sum(integer_shares(held, wanted)) / lots * gap.per_contract)
    return math.fsum(taken) - wave.resummed


def _rows(folder: str | Path, name: str) -> list[Mapping[str, str]]:
    path = Path(folder) / name
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV table: {error}") from None


def _of(row: Mapping[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"no number in column {column}: {row.get(column)!r}") from None
    if not math.isfinite(value):
        raise InputError(f"column {column} must be finite, was {value}")
    return value


def totals(waves: Sequence[Wave], shares: Sequence[Shares]) -> dict[str, float]:
    """Sums over the waves: needed, our overshoots, the published ones."""
    return {
        "needed": math.fsum(wave.needed for wave in waves),
        "wealth": math.fsum(share.wealth for share in shares),
        "contracts": math.fsum(share.contracts for share in shares),
        "lots": math.fsum(share.lots for share in shares),
        "published_contracts": math.fsum(wave.integer - wave.needed for wave in waves),
        "published_optimal": math.fsum(wave.optimal - wave.needed for wave in waves),
        "queue": math.fsum(wave.queue - wave.needed for wave in waves),
    }
