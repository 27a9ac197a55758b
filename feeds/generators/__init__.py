"""Generated markets: one model a module, all drawn into the same rows, each labelled synthetic.

A path is a function of ``(generator, seed, path)`` and of nothing else: the same bits on every
machine, in blocks of any size, in any order of paths.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from feeds.generators.gbm import Gbm
from feeds.generators.model import Model
from feeds.generators.source import Generated

__all__ = ["FORMAT", "Generated", "Generator", "generated", "generator_assumptions"]

Generator = Gbm
"""``[generator]`` of a configuration; ``model`` says which."""

FORMAT = "generated"
"""Stands where the format of a file would."""


def generated(generator: Generator, seed: int, path: int | None = None) -> Generated:
    """A market of that generator, used like a recording.

    Args:
        generator: the model with its parameters.
        seed: 0 or more, below 2**64.
        path: which of the seed's paths, 0 or more, below 2**63; the generator's own without.
    """
    return Generated(generator, seed, generator.path if path is None else path, FORMAT)


def generator_assumptions(generator: Generator) -> Iterator[str]:
    """``name: sentence`` of what a result on that market leans on."""
    told = msgspec.to_builtins(generator)
    own = [
        f"{name} {_said(told[name])}"
        for name in generator.__struct_fields__
        if name not in Model.__struct_fields__ and told[name] not in ({}, None)
    ]
    parameters = f" ({', '.join(own)})" if own else ""
    yield (
        f"generated_market: prices are drawn from {told['model']}{parameters}, "
        f"path {generator.path}; nobody traded there"
    )


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
