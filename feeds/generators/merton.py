"""Merton's jump diffusion: now and then a normal jump."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feeds.chance import U64
from feeds.generators.draws import standard_normals, table_mean
from feeds.generators.jumps import Jumping

__all__ = ["Merton"]

F64 = np.ndarray[Any, np.dtype[np.float64]]


class Merton(Jumping, frozen=True, kw_only=True, tag="merton"):
    """Jumps of the logarithm of the price are normal.

    Attributes:
        jump_mean: of a jump: -0.05 is about 5 % down.
        jump_sd: standard deviation of a jump.

    Source: Merton, "Option pricing when underlying stock returns are discontinuous" (1976).
    """

    jump_mean: Annotated[float, Meta(ge=-5.0, le=5.0)] = -0.05
    jump_sd: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.05

    def mean_factor(self) -> float:
        return table_mean(self.jump_mean, self.jump_sd)

    def sizes(self, words: U64) -> F64:
        return self.jump_mean + self.jump_sd * standard_normals(words)
