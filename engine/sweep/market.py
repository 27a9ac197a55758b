"""What a run of a sweep is run on: a path of the generator, or the one market that was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import msgspec

from engine.config import RunConfig
from engine.config.scenarios import staging_of
from engine.provenance import Data
from engine.sweep.plan import Setup
from engine.ticks import Step
from feeds.generators import FORMAT, Generator, generated
from feeds.merge import merge_requests
from feeds.recording import open_recording
from feeds.requests import unpacked_requests
from feeds.synthetic import Synthetic
from feeds.unrecorded import Unrecorded

__all__ = ["market_of", "steps_of"]

_ROWS: Final = 1 << 20
"""Of a step at most: nobody waits for the outputs of a path, so it is taken in few bites."""


def market_of(config: RunConfig, setup: Setup, path: int) -> Data:
    """The market of one path; without data and generator the sample.

    Raises:
        LevsimError: if the data cannot be opened.
    """
    if setup.data:
        return open_recording([Path(each) for each in setup.data], symbol=setup.symbol)
    if config.generator is not None:
        return generated(config.generator, config.seed, path)
    return Synthetic()


def steps_of(config: RunConfig, setup: Setup, path: int) -> Iterable[Step]:
    """The rows of one path, in few large steps, as its scenarios make them."""
    market = market_of(config, setup, path)
    if config.generator is not None and not setup.data:
        packed = msgspec.msgpack.encode(config.generator)
        rows = partial(_shared, _generated(packed, config.seed, path))
        market = Unrecorded(FORMAT, FORMAT, market.symbols, 0, rows)
    steps: Iterable[Step] = market.steps(bars=config.bars, block_rows=_ROWS)
    if config.scenarios:
        steps = staging_of(config, market, path).steps(iter(steps))
    if setup.requests:
        steps = merge_requests(iter(steps), unpacked_requests(setup.requests))
    return steps


def _shared(steps: Sequence[Step]) -> Iterator[tuple[Step, float]]:
    return ((step.shifted(-step.first), 1.0) for step in steps)


@lru_cache(1)
def _generated(packed: bytes, seed: int, path: int) -> tuple[Step, ...]:
    """The rows of a generated path, kept for the points that share it."""
    generator = msgspec.msgpack.decode(packed, type=Generator)
    return tuple(generated(generator, seed, path).steps(block_rows=_ROWS))
