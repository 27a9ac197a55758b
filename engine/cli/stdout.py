"""stdout is for results: whatever else is printed while a command runs, by a user's policy for one,
goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final, TextIO

__all__ = ["kept_for_results", "results"]

_STREAMS: Final[list[TextIO]] = []
"""stdout of each command that runs, the innermost last."""


@contextmanager
def kept_for_results() -> Iterator[None]:
    """A command runs: ``print`` goes to stderr, and ``results`` to what was stdout."""
    _STREAMS.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
        _STREAMS[-1].flush()
    finally:
        _STREAMS.pop()


def results() -> TextIO:
    """Where results go."""
    return _STREAMS[-1] if _STREAMS else sys.stdout
