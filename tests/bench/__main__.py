"""``python -m tests.bench [--smoke | --quick] [--json FILE] [names...]``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from msgspec import json

from tests.bench import (
    footprint,
    holders,
    latency,
    live,
    races,
    replays,
    reviews,
    streams,
    users,
    venue,
)
from tests.bench.table import Row, Scale, environment, show

BENCHMARKS: Final[dict[str, Callable[[Scale], list[Row]]]] = {
    "w1": races.race_w1,
    "w2": races.race_w2,
    "mixed": races.race_mixed,
    "rebalance": races.rebalance,
    "venue": venue.venue,
    "crowd": venue.crowd,
    "reviews": reviews.reviews,
    "shipped": replays.shipped,
    "symbols": replays.symbols,
    "l2": replays.recorded_book,
    "users": users.users,
    "live": live.live,
    "memory": footprint.memory,
    "start": footprint.start,
    "kafka": streams.streams,
    "latency": latency.latency,
    "holders": holders.holders,
    "memory50m": footprint.memory50m,
}
ON_REQUEST: Final = ("memory50m",)


def main(arguments: list[str]) -> int:
    """Measure what is asked for; exit code 0 whatever the figures are, for they judge a machine,
    too."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="tiny sizes; only equality is asked for"
    )
    parser.add_argument("--quick", action="store_true", help="no run of 10M ticks, fewer rounds")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(BENCHMARKS)}")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS and name != "wakes"]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    scale = Scale.tiny() if options.smoke else Scale.quick() if options.quick else Scale()
    # A line an event would be measured with the rest.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    names = options.names or [name for name in BENCHMARKS if name not in ON_REQUEST]
    rows: list[Row] = []
    for name in names:
        sys.stderr.write(f"{name} ...\n")
        rows += BENCHMARKS[name](scale)
    rows.append(races.wake_row(rows))
    show(rows, options.smoke)
    if options.json:
        record = {"environment": environment(), "smoke": options.smoke, "rows": rows}
        options.json.write_bytes(json.format(json.encode(record), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
