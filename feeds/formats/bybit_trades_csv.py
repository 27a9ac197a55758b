"""Bybit's trade CSV of contracts: ``timestamp,symbol,side,size,price,tickDirection,trdMatchID,...``
with times in seconds. Contracts in USD are inverse, of 1 USD each; those in USDT are in coins.

There is no time of receipt: the exchange's stands in its place.
"""

from __future__ import annotations

import re
from typing import Final

from feeds.formats.bybit_capture import Bybit
from feeds.formats.csv_lines import fields_of, number
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import SIDES, Print, Said, said_of

__all__ = ["BybitTradesCsv"]

HEADER: Final = b"timestamp,symbol,side,size,price,tickDirection,trdMatchID"
_FIELDS: Final = 7
_SECONDS: Final = re.compile(r"(\d{9,10})(?:\.(\d{1,9}))?")
_FIRST: Final = re.compile(rb"\d{9,10}(?:\.\d+)?,")


class _Lines(Bybit):
    """See the module."""

    no_book = re.compile(rb"")

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        if line.startswith(HEADER):
            return None
        fields = fields_of(line, _FIELDS)
        time = _SECONDS.fullmatch(fields[0])
        if time is None:
            raise ValueError(f"{fields[0][:40]!r} is no time in seconds")
        ts_ns = int(time[1]) * 10**9 + int((time[2] or "0").ljust(9, "0"))
        said = said_of(fields[1])
        side = SIDES.get(fields[2], 0)
        said.prints.append(Print(ts_ns, number(fields[4]), number(fields[3]), side, fields[6]))
        return ts_ns, [said]


class BybitTradesCsv(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_Lines(), "Bybit trades CSV")

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header is Bybit's and the first row begins with seconds."""
        header, _, rest = head.partition(b"\n")
        return header.startswith(HEADER) and _FIRST.match(rest) is not None
