"""A process of its own for one policy of a user's: loaded and asked here, bounded and guarded.

A question is answered by a pure function of view and state: random numbers begin anew with each.
What is forbidden is told even where the policy hides it.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
from pathlib import Path
from typing import Final

import msgspec

from engine.errors import PolicyError
from engine.policy import Policy, PolicyAnswerError
from strategies.forbidding import ForbiddenError, Guard
from strategies.questions import (
    Answer,
    Hello,
    Question,
    Wanted,
    packed_decision,
    read_frame,
    write_frame,
)
from strategies.small import SmallPolicy
from strategies.user import load_policy

__all__: list[str] = []

_PARENT_DIED: Final = 1
"""``prctl(PR_SET_PDEATHSIG)``: nobody is left to ask us."""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)


def _bound_memory(megabytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _loaded(wanted: Wanted, guard: Guard) -> tuple[Policy | None, Hello]:
    try:
        policy = load_policy(
            wanted.name,
            wanted.params,
            review_ns=wanted.review_ns,
            limit=wanted.limit,
            clamp=wanted.clamp,
        )
        state = msgspec.msgpack.encode(policy.initial_state())
    except (PolicyError, ForbiddenError) as error:
        refused = str(error)
    else:
        refused = ""
    if guard.caught:
        refused = f"{wanted.name} tried, while it was loaded, to {guard.caught}"
    if refused:
        return None, Hello(error=refused)
    hello = Hello(
        name=str(getattr(policy, "name", type(policy).__name__)),
        uses_signals=policy.uses_signals,
        uses_high_water=policy.uses_high_water,
        de_risking=policy.de_risking,
        timed=isinstance(policy, SmallPolicy),
        state=state,
    )
    return policy, hello


def _answered(policy: Policy, guard: Guard, question: Question) -> Answer:
    random.seed(question.view.due_ns)
    name = str(getattr(policy, "name", type(policy).__name__))
    kind = type(policy.initial_state())
    try:
        state = msgspec.convert(msgspec.msgpack.decode(question.state), kind)
        decision = None
        if question.method == "decide":
            decision, state = policy.decide(question.view, state)
        watch = policy.watch(question.view, state)
        answer = Answer(packed_decision(decision), msgspec.msgpack.encode(state), watch)
    except ForbiddenError:
        answer = Answer()
    except PolicyAnswerError as error:
        answer = Answer(error=str(error), spent=isinstance(error.__cause__, MemoryError))
    except MemoryError:
        answer = Answer(spent=True)
    except BaseException as error:  # noqa: BLE001  # a user's class may raise anything
        answer = Answer(error=f"{name} raised {type(error).__name__}: {error}")
    if guard.caught:
        return Answer(
            error=f"{name} tried to {guard.caught}; what a policy may know is in its view"
        )
    return answer


def main() -> None:
    """Serve one policy until nobody asks any more."""
    asked = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    _die_with_parent()
    wanted = msgspec.msgpack.decode(read_frame(asked), type=Wanted)
    guard = Guard()
    guard.arm()
    _bound_memory(wanted.memory_mb)
    guard.armed = True
    policy, hello = _loaded(wanted, guard)
    write_frame(told, hello)
    if policy is None:
        return
    decoder = msgspec.msgpack.Decoder(Question)
    while frame := read_frame(asked):
        answer = _answered(policy, guard, decoder.decode(frame))
        write_frame(told, answer)


if __name__ == "__main__":
    main()
