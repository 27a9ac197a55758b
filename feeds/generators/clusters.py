"""Events that excite further events: a Hawkes process, drawn as families.

Each event has a Poisson number of children, each after an exponential time, and those have children
in turn; what nobody excited arrives at a constant rate. That is the process whose intensity jumps
at each event and decays exponentially.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.exact import exp2
from feeds.generators.draws import Draws, Purpose, exponential, fractions
from feeds.generators.grid import Grid

__all__ = ["Clusters", "check_events"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
F64 = np.ndarray[Any, np.dtype[np.float64]]

_LN2: Final = 0.6931471805599453
_LOG2_E: Final = 1.4426950408889634
_CHILDREN_MAX: Final = 40
_GENERATIONS_MAX: Final = 100_000
_WARM_UP: Final = 30.0
"""So many times the memory of the process is drawn before the start, and not shown."""
_EVENTS_MAX: Final = 30_000_000
"""Of a symbol in a chunk: some GB."""
_WARM_CHUNK: Final = (1 << 40) - 1
"""In the place of a chunk: the time before the start."""


def check_events(grid: Grid, rate: float, branching: float, half_life_s: float) -> None:
    """Whether the events of a chunk, and those before the start, fit in memory.

    Raises:
        ValueError: with how many there would be.
    """
    chunk_s = grid.chunk_steps * grid.step_ns / 1e9
    warm_s = _WARM_UP * half_life_s / _LN2 / (1.0 - branching)
    events = rate * max(chunk_s, warm_s)
    if events > _EVENTS_MAX:
        less = "step" if chunk_s > warm_s else "half_life"
        raise ValueError(
            f"{events:.2g} events would be drawn at once, expected at most {_EVENTS_MAX:.2g}; "
            f"make the {less} shorter"
        )


class Clusters:
    """The events of several symbols.

    Args:
        rate: events of a symbol per second, children and all, in the long run.
        branching: mean number of children of an event, below 1.
        half_life_s: in which half of an event's excitement is gone.
        spread: share of children that are another symbol's, each of the others alike.

    Source: Hawkes and Oakes, "A cluster process representation of a self-exciting process" (1974).
    """

    def __init__(
        self,
        draws: Draws,
        symbols: int,
        rate: float,
        branching: float,
        half_life_s: float,
        spread: float = 0.0,
    ) -> None:
        self._draws = draws
        self._symbols = symbols
        self._base = rate * (1.0 - branching)
        self._decay_s = half_life_s / _LN2
        self._memory_s = self._decay_s / (1.0 - branching)
        self._shares = _poisson(branching)
        self._spread = spread if symbols > 1 else 0.0
        none = np.empty(0)
        self._waiting = [none] * symbols
        """Children that are born behind the end of the last chunk: seconds behind it."""

    def chunks(self, grid: Grid) -> Iterator[list[I64]]:
        """For each chunk the events of each symbol, in order: ns behind its beginning."""
        warm_s = _WARM_UP * self._memory_s
        self._drawn(_WARM_CHUNK, warm_s)
        length_ns = grid.chunk_steps * grid.step_ns
        for chunk in range(grid.chunks):
            found = self._drawn(chunk, length_ns / 1e9)
            yield [np.minimum(np.floor(at * 1e9).astype(np.int64), length_ns - 1) for at in found]

    def _drawn(self, chunk: int, length_s: float) -> list[F64]:
        """Sorted times of a stretch, children of earlier ones among them."""
        born = [
            np.concatenate((waiting, self._arrivals(symbol, chunk, length_s)))
            for symbol, waiting in enumerate(self._waiting)
        ]
        all_times: list[list[F64]] = [[] for _ in born]
        later: list[list[F64]] = [[] for _ in born]
        for generation in range(_GENERATIONS_MAX):
            for symbol, times in enumerate(born):
                inside = times < length_s
                all_times[symbol].append(times[inside])
                later[symbol].append(times[~inside] - length_s)
                born[symbol] = times[inside]
            if not any(len(times) for times in born):
                break
            born = self._children(born, chunk, generation)
        self._waiting = [np.concatenate(times) for times in later]
        return [np.sort(np.concatenate(times)) for times in all_times]

    def _arrivals(self, symbol: int, chunk: int, length_s: float) -> F64:
        """Events that nobody excited."""
        expected = self._base * length_s
        count = math.ceil(expected + 10.0 * math.sqrt(expected) + 30.0)
        words = self._draws.words(Purpose.ARRIVALS, symbol, chunk, count)
        if not self._base:
            return np.empty(0)
        with np.errstate(over="ignore"):  # later than all numbers
            times: F64 = np.cumsum(exponential(words) / self._base)
        return times[times < length_s]

    def _children(self, parents: list[F64], chunk: int, generation: int) -> list[F64]:
        born: list[list[F64]] = [[] for _ in parents]
        for symbol, times in enumerate(parents):
            place = chunk | generation << 40
            words = self._draws.words(Purpose.OFFSPRING, symbol, place, len(times))
            counts = np.searchsorted(self._shares, fractions(words), "right")
            told = np.repeat(times, counts)
            words = self._draws.words(Purpose.DELAYS, symbol, place, len(told))
            told = told + exponential(words) * self._decay_s
            for other, own in enumerate(self._owners(symbol, place, len(told))):
                born[other].append(told[own])
        return [np.concatenate(times) for times in born]

    def _owners(self, symbol: int, place: int, count: int) -> list[Any]:
        """For each symbol which of the children of a symbol are its."""
        if not self._spread:
            every = np.ones(count, np.bool_)
            return [every if each == symbol else ~every for each in range(self._symbols)]
        words = self._draws.words(Purpose.OWNERS, symbol, place, count)
        # Above the spread a child stays; below, each of the others has its part.
        part = np.floor(fractions(words) * ((self._symbols - 1) / self._spread))
        away = np.where(part < self._symbols - 1, part + 1, 0.0).astype(np.int64)
        owner = (symbol + away) % self._symbols
        return [owner == each for each in range(self._symbols)]


def _poisson(mean: float) -> F64:
    """Shape (_CHILDREN_MAX,): the chance of at most 0, 1, ... of a Poisson distribution."""
    term = exp2(-mean * _LOG2_E)
    total, shares = 0.0, []
    for number in range(_CHILDREN_MAX):
        total += term
        shares.append(total)
        term *= mean / (number + 1)
    return np.array(shares)
