"""Work that dies, for tests of who survives it; in a module, so that workers can import it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from engine.sweep.plan import Job
from engine.sweep.work import work

__all__ = ["POISON", "die", "die_once", "double", "job_of", "poisonous", "raise_it"]

POISON = (1, 5)
"""Point and path whose run ends its process."""


def double(number: int) -> int:
    return 2 * number


def die(_number: int) -> None:
    """As a process does that is killed, or runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def raise_it(text: str) -> None:
    raise ValueError(text)


def job_of(packed: bytes) -> Job:
    return msgspec.msgpack.decode(packed, type=Job)


def poisonous(packed: bytes) -> bytes:
    """``work``, but for one run."""
    chunk = job_of(packed).chunk
    point, path = POISON
    if chunk.point <= point < chunk.point_end and chunk.path <= path < chunk.path_end:
        die(0)
    return work(packed)


def die_once(packed: bytes) -> bytes:
    """``work``, but the first try of every chunk dies; a file in the working folder remembers."""
    number = job_of(packed).chunk.number
    tried = Path(f"tried-{number}")
    if not tried.exists():
        tried.touch()
        die(0)
    return work(packed)
