"""Generated markets: one model a module, all drawn into the same rows, each labelled synthetic.

A path is a function of ``(generator, seed, path)`` and of nothing else: the same bits on every
machine, in blocks of any size, in any order of paths. Add a model by writing one module and naming
it in ``Generator``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from feeds.generators.bootstrap import Bootstrap
from feeds.generators.contagion import Contagion
from feeds.generators.garch import Garch
from feeds.generators.gbm import Gbm
from feeds.generators.hawkes import Hawkes
from feeds.generators.heston import Heston
from feeds.generators.kou import Kou
from feeds.generators.merton import Merton
from feeds.generators.model import Model
from feeds.generators.regimes import Regimes
from feeds.generators.source import Generated

__all__ = ["FORMAT", "Generated", "Generator", "generated", "generator_assumptions"]

Generator = Gbm | Merton | Kou | Heston | Garch | Regimes | Hawkes | Contagion | Bootstrap
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
        if name not in Model.__struct_fields__
    ]
    yield (
        f"generated_market: prices are drawn from {told['model']} ({', '.join(own)}), "
        f"path {generator.path}; nobody traded there"
    )


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return f"{len(value)}"
    return str(value)
