"""NAVs conflate, events never: what an open step may hold of users' NAVs is bounded.

A NAV is a sample of something that goes on; whoever is behind wants to know how it stands, not how
it stood. Where a step holds too many, older samples give way to newer ones of the same product
before anything is encoded. Events, NAVs of products and dead letters are facts and stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.outputs import Outputs, UserNavBlock

__all__ = ["USER_NAVS_MAX", "conflate", "count_user_navs"]

USER_NAVS_MAX: Final = 4_000_000
"""User NAVs that a step may hold: 80 MB as blocks."""


def count_user_navs(outputs: Outputs) -> int:
    """User NAVs in what one call of the heart said."""
    return sum(len(block.units) for block in outputs.user_nav)


def conflate(parts: Sequence[Outputs], most: int) -> int:
    """Take out the oldest samples that a newer one replaces, until ``most`` user NAVs are left.

    The last sample of all holders of a product replaces every earlier one of that product, also
    those of single holders; what it does not replace stays, so that more than ``most`` may be left.

    Args:
        parts: what was said, in order; ``user_nav`` of each may become shorter.
        most: user NAVs that are to be left.

    Returns:
        How many user NAVs are left.
    """
    left = sum(len(block.units) for part in parts for block in part.user_nav)
    last: dict[int, UserNavBlock] = {
        block.product: block for part in parts for block in part.user_nav if block.users is None
    }
    passed: set[int] = set()
    for part in parts:
        kept: list[UserNavBlock] = []
        for block in part.user_nav:
            if last.get(block.product) is block:
                passed.add(block.product)
            replaced = block.product in last and block.product not in passed
            if replaced and left > most:
                left -= len(block.units)
            else:
                kept.append(block)
        part.user_nav = kept
        if left <= most:
            break
    return left
