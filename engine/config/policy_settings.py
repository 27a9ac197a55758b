"""Policies as a configuration file says them: built-in ones by their parameters, a user's own by
where it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from engine.durations import Duration
from strategies import BuiltIn

__all__ = ["PolicyConfig", "UserPolicyConfig"]


class UserPolicyConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="user", tag_field="type"
):
    """A policy of the user's own.

    ``path`` is ``FILE.py:Class``, ``package.module:Class`` or the name of an installed plug-in,
    ``params`` go to its constructor, ``review`` is the grid on which a small policy is asked;
    ``on_out_of_range``: what becomes of an answer beyond the product's limit.

    ``isolate``: it runs in a process of its own, where it has ``answer_within`` for each answer and
    ``memory_mb`` of memory, and neither clock nor network.
    """

    path: str
    review: Duration | None = None
    on_out_of_range: Literal["refuse", "clamp"] = "refuse"
    isolate: bool = False
    answer_within: Duration = "1s"
    memory_mb: Annotated[int, Meta(ge=1, le=1_000_000)] = 512
    params: dict[str, Any] = {}


PolicyConfig = BuiltIn | UserPolicyConfig
