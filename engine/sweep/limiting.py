"""A limit to how long a run may take by the clock: what never ends shall not hold up a sweep."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.errors import OverTimeError

__all__ = ["within"]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what is done within take so long, 0 as long as it likes.

    Raises:
        OverTimeError: in the midst of it, when the time is up.
    """
    if not seconds:
        yield
    elif threading.current_thread() is threading.main_thread():
        yield from _alarmed(seconds)
    else:
        yield from _interrupted(seconds)


def _alarmed(seconds: float) -> Iterator[None]:
    """A worker of a local pool: the system's own alarm, which ends a sleep, too."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise OverTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _interrupted(seconds: float) -> Iterator[None]:
    """A thread, as of a cluster's worker: it is interrupted at its next step of Python."""
    thread, lock, state = threading.get_ident(), threading.Lock(), {"under_way": True}

    def ring() -> None:
        with lock:
            if state["under_way"]:
                state["under_way"] = False
                kind = ctypes.py_object(OverTimeError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            state["under_way"] = False
