"""How a policy in a process of its own came to its end: what no replay can find out by itself.

Whether an answer came in time is a fact of the world, like the order of inputs. It is journalled
with them, and a replay repeats it without waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

__all__ = ["Ending", "asked", "expect", "taken_down"]


class Ending(Struct, frozen=True, array_like=True):
    """A question that was not answered.

    Attributes:
        policy: its number, counted over all products.
        engine: how many engines asked the policy before this one.
        due_ns, method: which question.
        error: what the product was told.
    """

    policy: int
    engine: int
    due_ns: int
    method: str
    error: str


def taken_down(policies: Sequence[Sequence[Any]]) -> tuple[Ending, ...]:
    """The endings of a run's policies since they were last taken down."""
    found = []
    for number, policy in _numbered(policies):
        found += [Ending(number, *ending) for ending in policy.endings]
        policy.endings.clear()
    return tuple(found)


def expect(
    policies: Sequence[Sequence[Any]], endings: Iterable[Ending], *, of_present: bool = False
) -> None:
    """Let the policies end as they did, when the same engine asks, or the ``of_present`` one."""
    known = dict(_numbered(policies))
    for ending in endings:
        policy = known.get(ending.policy)
        if policy is not None:
            engine = policy.engine if of_present else ending.engine
            policy.expect(engine, ending.due_ns, ending.method, ending.error)


@contextmanager
def asked(policies: Sequence[Sequence[Any]], endings: Iterable[Ending] = ()) -> Iterator[None]:
    """While inside they are asked, and come to these endings; behind it their processes end."""
    expect(policies, endings)
    try:
        yield
    finally:
        for _, policy in _numbered(policies):
            policy.close()


def _numbered(policies: Sequence[Sequence[Any]]) -> list[tuple[int, Any]]:
    each = (policy for listed in policies for policy in listed)
    return [(number, p) for number, p in enumerate(each) if hasattr(p, "endings")]
