"""One piece of work as a process of its own, for its whole time and its memory: ``python -m
tests.bench.once ...``."""

from __future__ import annotations

import sys

from msgspec import json

__all__ = ["main"]


def race(who: str, work: str, ticks: str, block: str) -> object:
    """One contestant, one run."""
    from tests.bench.contest import play
    from tests.bench.races import CONTESTANTS
    from tests.bench.tapes import WORK, tape

    lineup = WORK[work]
    return play(CONTESTANTS[who](lineup), lineup, tape(int(ticks)), int(block))


WORKS = {"race": race}


def main(arguments: list[str]) -> None:
    """Do the named work; its answer goes out as JSON."""
    sys.stdout.buffer.write(json.encode(WORKS[arguments[0]](*arguments[1:])))


if __name__ == "__main__":
    main(sys.argv[1:])
