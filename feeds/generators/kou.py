"""Kou's jump diffusion: now and then an exponential jump, up or down."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from feeds.chance import U64, uniforms
from feeds.generators.draws import exponential
from feeds.generators.jumps import Jumping
from feeds.generators.model import Share

__all__ = ["Kou"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
_SIDE_LANE = 0
"""The low 12 bits of a word, which the length leaves alone."""


class Kou(Jumping, frozen=True, kw_only=True, tag="kou"):
    """Jumps of the logarithm of the price are exponential, on either side.

    Attributes:
        up_share: share of jumps that go up.
        up_mean: mean of those, below 1: else the expected price has no end.
        down_mean: mean of the others, as a positive number.

    Source: Kou, "A jump-diffusion model for option pricing" (2002).
    """

    up_share: Share = 0.4
    up_mean: Annotated[float, Meta(gt=0.0, lt=0.95)] = 0.03
    down_mean: Annotated[float, Meta(gt=0.0, le=5.0)] = 0.05

    def mean_factor(self) -> float:
        up = self.up_share / (1.0 - self.up_mean)
        return up + (1.0 - self.up_share) / (1.0 + self.down_mean)

    def sizes(self, words: U64) -> F64:
        length = exponential(words)
        up = uniforms(words, _SIDE_LANE) < self.up_share
        return np.where(up, self.up_mean * length, -self.down_mean * length)
