"""What the operator may say to a running engine, and the time of it.

A command is obeyed at its time, or at once where it is dated earlier than the engine's clock (0
means at once). Its id names it: a second one of the same id is refused.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct, structs

__all__ = [
    "Command",
    "ForceTarget",
    "GateCreations",
    "HaltMarket",
    "PauseProduct",
    "ProductCommand",
    "ResumeMarket",
    "ResumeProduct",
]


class Instruction(Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    """Base of what the operator says.

    Attributes:
        ts_ns: exchange time of the command; one of the past is obeyed at once.
        id: names the command.
    """

    ts_ns: Annotated[int, Meta(ge=0, lt=2**63 - 1)]
    id: str

    @property
    def detail(self) -> str:
        """What the command says beside whom it is for."""
        return ""


class HaltMarket(Instruction, frozen=True, gc=False, kw_only=True, tag="halt"):
    """Take a market for stale until it is resumed, whatever prices come."""

    symbol: str
    reason: str = ""

    @property
    def detail(self) -> str:
        return self.reason


class ResumeMarket(Instruction, frozen=True, gc=False, kw_only=True, tag="resume"):
    """The next fresh price of a halted market resumes it."""

    symbol: str


class PauseProduct(Instruction, frozen=True, gc=False, kw_only=True, tag="pause"):
    """Ask a product's policies no more and deal no requests; bankruptcy still closes it."""

    product: str


class ResumeProduct(Instruction, frozen=True, gc=False, kw_only=True, tag="unpause"):
    """Ask a paused product's policies again, at once."""

    product: str


class ForceTarget(Instruction, frozen=True, gc=False, kw_only=True, tag="target"):
    """Trade to a signed target leverage now, paused or not."""

    product: str
    target: float

    def __post_init__(self) -> None:
        structs.force_setattr(self, "target", float(self.target))
        if not math.isfinite(self.target):
            raise ValueError(f"target must be finite, was {self.target}")

    @property
    def detail(self) -> str:
        return f"target {self.target!r}"


class GateCreations(Instruction, frozen=True, gc=False, kw_only=True, tag="gate"):
    """Refuse creations while ``closed``; redemptions go on."""

    product: str
    closed: bool

    @property
    def detail(self) -> str:
        return "closed" if self.closed else "open"


ProductCommand = PauseProduct | ResumeProduct | ForceTarget | GateCreations
Command = HaltMarket | ResumeMarket | ProductCommand
