"""What a policy in a process of its own may not do: the reasons why its answer would be another one
the next time, and what would do harm outside.

This keeps out mistakes, and plain malice. It is no wall against code that sets out to break through
it: that needs a container or another machine.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["ForbiddenError", "Guard"]

_FORBIDDEN: Final = {
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.posix_spawn": "start a process",
    "os.exec": "start a process",
    "os.system": "start a process",
    "os.spawn": "start a process",
    "subprocess.Popen": "start a process",
    "os.kill": "send a signal",
    "os.killpg": "send a signal",
    "socket.__new__": "use the network",
    "socket.getaddrinfo": "use the network",
    "socket.gethostbyname": "use the network",
    "os.remove": "change files",
    "os.rename": "change files",
    "os.rmdir": "change files",
    "os.mkdir": "change files",
    "os.truncate": "change files",
    "os.link": "change files",
    "os.symlink": "change files",
    "os.chmod": "change files",
}
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CLOCKS: Final = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
    *("process_time", "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime"),
    *("clock_gettime_ns", "ctime", "localtime", "gmtime"),
)


class ForbiddenError(BaseException):
    """A policy did what no policy may; no ``except Exception`` of its own hides that."""


class _Likeness(type):
    """A class in the place of another, whose instances are its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


def _likeness(kind: type, **refused: Any) -> type:
    """A class like ``datetime`` or ``date``, which looks like it, too."""
    show: Any = kind.__repr__
    looks = {"__repr__": lambda own: f"datetime.{show(own)}", "__module__": kind.__module__}
    return _Likeness(kind.__name__, (kind,), {**refused, **looks})


class Guard:
    """What the policy did that it may not, the first of it."""

    def __init__(self) -> None:
        self.armed = False
        self.caught = ""

    def arm(self) -> None:
        """From now on nothing of it passes."""
        sys.addaudithook(self._hear)
        for name in _CLOCKS:
            setattr(time, name, self._refusing(f"read the clock (time.{name})"))
        time.sleep = self._refusing("wait by the clock (time.sleep)")
        self._hide_today()
        os.urandom = self._refusing("draw true randomness (os.urandom)")

    def forbid(self, what: str) -> None:
        if self.armed:
            self.caught = self.caught or what
            raise ForbiddenError(what)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        what = _FORBIDDEN.get(event)
        if what is not None:
            self.forbid(f"{what} ({event})")
        elif event == "open" and _writes(*arguments[1:]):
            self.forbid(f"write a file ({arguments[0]})")

    def _refusing(self, what: str) -> Callable[..., Any]:
        def refuse(*_arguments: Any, **_named: Any) -> Any:
            self.forbid(what)
            raise ForbiddenError(what)

        return refuse

    def _hide_today(self) -> None:
        """``datetime.now`` and its like, in modules that are loaded from here on."""
        refused = {
            name: staticmethod(self._refusing(f"read the clock (datetime.{name})"))
            for name in ("now", "utcnow", "today")
        }
        today = _likeness(dt.date, today=refused["today"])
        setattr(dt, "date", today)  # noqa: B010  # a type checker knows it as a type
        now = _likeness(dt.datetime, **refused)
        setattr(dt, "datetime", now)  # noqa: B010  # the same


def _writes(mode: Any = None, flags: Any = 0) -> bool:
    said = isinstance(mode, str) and any(letter in mode for letter in "wax+")
    return said or (isinstance(flags, int) and bool(flags & _WRITING))
