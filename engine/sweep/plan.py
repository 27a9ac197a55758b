"""What a sweep consists of: points, paths, and the chunks that they are worked in.

A chunk is a rectangle of points and paths, and its result a function of the plan and of those two
ranges. How many workers there are, and what was finished when, is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from engine.config import RunConfig
from engine.errors import ConfigError
from engine.sweep.grid import Axis, points_of

__all__ = ["CHUNKS_LEAST", "RUNS_MAX", "Chunk", "Job", "Plan", "Setup"]

RUNS_MAX: Final = 10_000_000
"""Runs of a sweep: paths times points."""
CHUNKS_LEAST: Final = 24
"""So many there are at least where there are so many runs: work for many workers, and little lost
with one of them."""
_RUNS: Final = 100
"""Of a chunk, at most: a few seconds of work, and megabytes at most."""
_POINTS: Final = 10
"""Of a chunk, at most: they share the paths, which are made once."""
_SCHEMA: Final = "levsim-sweep/1"


class Chunk(Struct, frozen=True, array_like=True):
    """Points ``[point, point_end)`` on paths ``[path, path_end)``; ``number`` says which it is."""

    number: int
    point: int
    point_end: int
    path: int
    path_end: int

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return (self.point_end - self.point) * (self.path_end - self.path)

    def halves(self) -> tuple[Chunk, Chunk]:
        """Itself in two, by paths as long as it has several."""
        if self.path_end - self.path > 1:
            middle = (self.path + self.path_end) // 2
            return (
                msgspec.structs.replace(self, path_end=middle),
                msgspec.structs.replace(self, path=middle),
            )
        middle = (self.point + self.point_end) // 2
        return (
            msgspec.structs.replace(self, point_end=middle),
            msgspec.structs.replace(self, point=middle),
        )


class Setup(Struct, frozen=True):
    """What all points share.

    Attributes:
        data: recorded files; none where paths are generated, or for the sample.
        symbol: for files that do not name theirs.
        requests: of users and the operator, packed (``feeds.requests``); they come on every path.
        seconds: that a run may take; 0 as long as it likes.
    """

    data: tuple[str, ...] = ()
    symbol: str | None = None
    requests: bytes = b""
    seconds: float = 0.0


class Job(Struct, frozen=True):
    """All that a worker must know to work a chunk, wherever it is.

    Attributes:
        configs: the configuration of each of its points, packed.
    """

    setup: Setup
    chunk: Chunk
    configs: tuple[bytes, ...]


class Plan(Struct, frozen=True, dict=True):
    """A sweep.

    Attributes:
        axes: of the grid.
        configs: the resolved configuration of each point, packed (``msgpack``), in the order of
            ``points``.
        paths: how many.
        versions: of what makes the numbers.
        inputs: hashes of the recorded files, and of policies.
        generated: whether paths are made by a generator.
        screened: whether runs are screened without frictions, and not run by the engine.
        owners: by axis the product whose setting it is, ``""`` where it concerns all.
    """

    axes: tuple[Axis, ...]
    configs: tuple[bytes, ...]
    paths: int
    setup: Setup = Setup()
    versions: dict[str, str] = {}
    inputs: dict[str, str] = {}
    generated: bool = False
    owners: tuple[str, ...] = ()
    screened: bool = False

    def __post_init__(self) -> None:
        if self.paths < 1:
            raise ConfigError(f"--paths must be 1 or more, was {self.paths}")
        if self.runs > RUNS_MAX:
            raise ConfigError(
                f"{self.runs:,} runs ({len(self.configs):,} points x {self.paths:,} paths), "
                f"{RUNS_MAX:,} at most"
            )

    @property
    def runs(self) -> int:
        """Paths times points."""
        return self.paths * len(self.configs)

    @cached_property
    def quotes(self) -> dict[str, str]:
        """The quote asset of each product."""
        config = msgspec.msgpack.decode(self.configs[0], type=RunConfig)
        assets = {market.symbol: market.contract.quote or "" for market in config.markets}
        return {product.id: assets[product.symbol] for product in config.products}

    @cached_property
    def points(self) -> list[tuple[str, ...]]:
        """The values of each point."""
        return list(points_of(self.axes))

    @cached_property
    def id(self) -> str:
        """What makes it this sweep and no other."""
        content = msgspec.msgpack.encode((_SCHEMA, self), order="sorted")
        return sha256(content).hexdigest()

    @cached_property
    def chunks(self) -> list[Chunk]:
        """All chunks, in the order of their rows in the result."""
        return list(self._chunks())

    def _chunks(self) -> Iterator[Chunk]:
        runs = max(1, min(_RUNS, self.runs // CHUNKS_LEAST))
        points = min(_POINTS, len(self.configs), runs)
        paths = max(1, runs // points)
        number = 0
        for point in range(0, len(self.configs), points):
            for path in range(0, self.paths, paths):
                yield Chunk(
                    number,
                    point,
                    min(point + points, len(self.configs)),
                    path,
                    min(path + paths, self.paths),
                )
                number += 1

    def job(self, chunk: Chunk) -> Job:
        """A chunk, or a part of one, with all that it needs."""
        return Job(self.setup, chunk, self.configs[chunk.point : chunk.point_end])

    def sets(self, point: int) -> list[str]:
        """``KEY=VALUE`` texts that make a point; a policy's name is none of them."""
        values = zip(self.axes, self.points[point], strict=True)
        return [f"{axis.key}={value}" for axis, value in values if axis.key != "policy"]

    def own(self, point: int, product: str) -> tuple[tuple[str, str], ...]:
        """Axes and values of a point, without settings of other products: those reach a product
        through the book that they share alone."""
        values = zip(self.axes, self.points[point], self.owners, strict=True)
        return tuple((axis.key, value) for axis, value, owner in values if owner in ("", product))

    def label(self, point: int, product: str) -> str:
        """A point in words: ``target=1.5, policy=vol_target``; empty where nothing is the
        product's."""
        own = self.own(point, product)
        return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in own)

    def first_of(self, point: int, product: str) -> int:
        """The first point at which all that is the product's own is as at ``point``."""
        return self._firsts(product)[point]

    def _firsts(self, product: str) -> list[int]:
        known = self._known_firsts.get(product)
        if known is None:
            seen: dict[tuple[tuple[str, str], ...], int] = {}
            known = [
                seen.setdefault(self.own(point, product), point)
                for point in range(len(self.configs))
            ]
            self._known_firsts[product] = known
        return known

    @cached_property
    def _known_firsts(self) -> dict[str, list[int]]:
        return {}
