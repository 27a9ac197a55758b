"""Every exception of ours.

A refusal is an event, not an exception. What is raised here is for a person (configuration, data),
for the service (the world is away) or for nobody (a broken promise).
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "FeedError",
    "InputError",
    "InterruptedRunError",
    "InvariantError",
    "LevsimError",
    "OutOfRangeError",
    "OverTimeError",
    "PolicyError",
    "ReplayMismatchError",
    "SnapshotError",
]


class LevsimError(Exception):
    """Base of all our exceptions; ``exit_code`` is what the command returns for it."""

    exit_code = 1


class ConfigError(LevsimError):
    """A configuration, scenario or policy that cannot be used; the message says where and what to
    do."""

    exit_code = 3


class PolicyError(ConfigError):
    """A policy that cannot be found, loaded or called; "not found" and "broken" have different
    messages."""


class InputError(LevsimError):
    """Data that cannot be read; the message names the file and the line."""

    exit_code = 4


class FeedError(LevsimError):
    """The world is away (broker, network).

    Args:
        message: what happened, where.
        retriable: whether trying again may help; ``service`` alone acts on it.
    """

    def __init__(self, message: str, *, retriable: bool = True) -> None:
        super().__init__(message)
        self.retriable = retriable


class InterruptedRunError(LevsimError):
    """A signal ended what can be gone on with; ``exit_code`` is that of shells, 128 and the
    signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "interrupted; what is finished is kept, the same command goes on from there"
        )
        self.exit_code = 128 + number


class InvariantError(LevsimError):
    """A broken promise of ours, never caught in the heart: stop without committing."""


class ReplayMismatchError(LevsimError):
    """A replay of the journal came to another state than the one committed; nothing is repaired."""

    exit_code = 5


class OutOfRangeError(LevsimError):
    """A product grew beyond what 64 bits can count: the run ends there, in a sentence."""


class SnapshotError(LevsimError):
    """A snapshot that this code or this configuration cannot restore."""

    exit_code = 3


class OverTimeError(BaseException):
    """The time of a run is up; no ``Exception``, so that no policy takes it for one of its own."""
