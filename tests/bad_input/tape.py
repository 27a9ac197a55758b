"""A few hundred trades, as rows, as CSV, as lines of a capture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["CAPTURE", "DATA", "START_MS", "capture", "csv_of", "events_in", "story", "tape"]

DATA: Final = "BTCUSDT-aggTrades.csv"
CAPTURE: Final = "capture.raw"
START_MS: Final = 1_723_100_000_000
HEADER: Final = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
)
_REJECTED: Final = "input_rejected"

Row = tuple[Any, ...]


def tape(count: int = 300) -> list[Row]:
    """Rows ``(id, price, size, ms, buyer is maker)``, one a second; the price swings by 20 %."""
    wave = [abs((n * 3) % 240 - 120) / 120.0 for n in range(count)]
    return [
        (1_000 + 10 * n, f"{60_000.0 * (0.9 + 0.2 * w):.1f}", "0.5", START_MS + 1_000 * n, "true")
        for n, w in enumerate(wave)
    ]


def csv_of(rows: list[Row]) -> str:
    lines = [f"{i},{price},{size},{i},{i},{ms},{maker}" for i, price, size, ms, maker in rows]
    return "\n".join([HEADER, *lines]) + "\n"


def capture(count: int = 300) -> list[str]:
    """The same market as captured lines: trades, and a book top behind each."""
    lines = []
    for i, price, size, ms, _ in tape(count):
        trade = {"e": "trade", "E": ms, "T": ms, "s": "BTCUSDT", "t": i, "p": price, "q": size}
        trade |= {"X": "MARKET", "m": True}
        top = {"e": "bookTicker", "u": i, "s": "BTCUSDT", "T": ms, "E": ms, "B": "3", "A": "3"}
        top |= {"b": f"{float(price) - 1:.1f}", "a": f"{float(price) + 1:.1f}"}
        lines += [f"{(ms + 20) * 10**6} {_compact(event)}" for event in (trade, top)]
    return lines


def _compact(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))


def events_in(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_bytes().splitlines()]


def story(run_dir: Path) -> list[dict[str, Any]]:
    """What happened but for rejections, without the numbers of the inputs."""
    return [
        {key: value for key, value in event.items() if key not in ("sequence", "ordinal")}
        for event in events_in(run_dir)
        if event["event"] != _REJECTED
    ]
