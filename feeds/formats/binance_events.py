"""Binance's websocket events and REST snapshot as structs, and the exchange time of each.

Exchange time is ``T`` where the event has it, else ``E``; in ``markPriceUpdate`` ``T`` is the next
funding, so ``E`` counts. Spot's bookTicker has neither.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from feeds.formats.gathering import Pairs

__all__ = [
    "BARE",
    "ENVELOPE",
    "ENVELOPED",
    "SPACED_ENVELOPE",
    "Event",
    "decode_line",
    "exchange_ns",
    "time_ns",
]

_TIME_MAX: Final = 9 * 10**15


class Event(Struct, gc=False):
    """Every event in one: Binance's one-letter names, numbers decoded from their strings."""

    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    U: int = -1
    u: int = -1
    pu: int = -1
    b: float | Pairs | None = None
    B: float | None = None
    a: float | Pairs | None = None
    A: float | None = None
    p: float | None = None
    q: float | None = None
    t: int = -1
    X: str = "MARKET"
    m: bool | None = None
    i: float | None = None
    r: float | None = None
    lastUpdateId: int = -1  # noqa: N815 - the name on the wire
    symbol: str = ""
    bids: Pairs | None = None
    asks: Pairs | None = None

    @property
    def event(self) -> str:
        """The event's name; spot's bookTicker and the snapshot have none of their own."""
        if self.e:
            return self.e
        if self.lastUpdateId >= 0:
            return "snapshot"
        return "bookTicker" if self.B is not None and self.A is not None else ""


class Envelope(Struct, gc=False):
    """What a combined stream puts around an event."""

    data: Event


# Not strict: numbers come as strings. The decoder takes plain ASCII decimals only (no blanks, no
# underscores).
BARE: Final = msgspec.json.Decoder(Event, strict=False)
ENVELOPED: Final = msgspec.json.Decoder(Envelope, strict=False)
ENVELOPE: Final = b'{"stream"'
SPACED_ENVELOPE: Final = re.compile(rb'\s*\{\s*"(?:stream|data)"\s*:')
"""The same by any writer of JSON."""


def decode_line(line: bytes) -> Event | None:
    """The event of a line, or ``None`` if it cannot be read."""
    body = line.partition(b" ")[2]
    try:
        if SPACED_ENVELOPE.match(body):
            return ENVELOPED.decode(body).data
        return BARE.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def exchange_ns(line: bytes) -> int:
    """The exchange time of a line, or 0 if it has none."""
    event = decode_line(line)
    if event is None:
        return 0
    try:
        return time_ns(event.E if event.e == "markPriceUpdate" else event.T or event.E)
    except ValueError:
        return 0


def time_ns(time: int) -> int:
    """An event's time, ms or us, in ns.

    Raises:
        ValueError: if it is neither.
    """
    # Spot streams can be asked for microseconds.
    if not 0 <= time < _TIME_MAX:
        raise ValueError(f"{time} is no time in ms or us")
    return time * (1_000_000 if time < 10**14 else 1_000)
