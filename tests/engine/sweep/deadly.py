"""Work that dies, for tests of who survives it; in a module, so that workers can import it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import msgspec

from engine.sweep.plan import Chunk, Job
from engine.sweep.work import work

__all__ = [
    "POISON",
    "die",
    "die_once",
    "double",
    "job_of",
    "keep_it",
    "poisonous",
    "raise_it",
    "stubborn",
    "worthless",
]

POISON = (1, 5)
"""Point and path whose run ends its process."""


class StubbornError(Exception):
    """Made of two things and packed as one: nobody can unpack it."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")


class LostError(Exception):
    """It comes out as another exception than went in."""

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return OSError, ("the disk is full",)


class ClingingError(Exception):
    """It holds what cannot be packed."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.lock = threading.Lock()


class Riddle:
    """It can be packed, and not be unpacked."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return raise_it, ("no such thing",)


def double(number: int) -> int:
    return 2 * number


def die(_number: int) -> None:
    """As a process does that is killed, or runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def raise_it(text: str) -> None:
    raise ValueError(text)


def keep_it(what: str) -> Any:
    """Raise, or answer, what does not come through a pipe as it went in."""
    if what == "riddle":
        return Riddle()
    if what == "lock":
        return threading.Lock()
    if what == "stubborn":
        raise StubbornError("an odd one", "noon")
    raise LostError(what) if what == "lost" else ClingingError(what)


def job_of(packed: bytes) -> Job:
    return msgspec.msgpack.decode(packed, type=Job)


def poisonous(packed: bytes) -> bytes:
    """``work``, but for one run."""
    chunk = job_of(packed).chunk
    if _holds_poison(chunk):
        die(0)
    return work(packed)


def stubborn(packed: bytes) -> bytes:
    """``work``, but for one run, which raises what cannot be sent."""
    if _holds_poison(job_of(packed).chunk):
        raise StubbornError("a path of thorns", "noon\nand more")
    return work(packed)


def worthless(packed: bytes) -> bytes:
    """Nothing is ever worked."""
    raise StubbornError("nothing", str(len(packed) > 0))


def _holds_poison(chunk: Chunk) -> bool:
    point, path = POISON
    return chunk.point <= point < chunk.point_end and chunk.path <= path < chunk.path_end


def die_once(packed: bytes) -> bytes:
    """``work``, but the first try of every chunk dies; a file in the working folder remembers."""
    number = job_of(packed).chunk.number
    tried = Path(f"tried-{number}")
    if not tried.exists():
        tried.touch()
        die(0)
    return work(packed)
