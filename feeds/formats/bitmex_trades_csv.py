"""BitMEX's trade CSV, of all symbols of a day: ``timestamp,symbol,side,size,price,tickDirection,
trdMatchID,grossValue,homeNotional,foreignNotional[,trdType]``.

Times are ``2024-01-01D00:00:01.000000000`` or ISO. What a contract is paid in, its trades tell, as
in captures (``bitmex_capture``); sizes of inverse contracts are contracts. There is no time of
receipt: the exchange's stands in its place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from feeds.formats.bitmex_capture import Bitmex, Row, print_of, terms_of_trade
from feeds.formats.csv_lines import fields_of, number, optional
from feeds.formats.level_capture import LevelCapture
from feeds.formats.said import Said, said_of

__all__ = ["BitmexTradesCsv"]

HEADER: Final = b"timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue"
_FIELDS: Final = 10
_FIRST: Final = re.compile(rb"\d{4}-\d\d-\d\d[DT ]")


class _Lines(Bitmex):
    """See the module."""

    no_book = re.compile(rb"")

    def decode(self, line: bytes, /) -> tuple[int, list[Said]] | None:
        if line.startswith(HEADER):
            return None
        fields = fields_of(line, _FIELDS)
        time = fields[0].replace("D", "T", 1).removesuffix("Z")
        row = Row(
            symbol=fields[1],
            timestamp=datetime.fromisoformat(time).replace(tzinfo=UTC),
            side=fields[2],
            size=number(fields[3]),
            price=number(fields[4]),
            trade_id=fields[6] or None,
            trade_type=(fields[_FIELDS].strip() or None) if len(fields) > _FIELDS else None,
            gross_value=optional(fields[7]),
            home_notional=optional(fields[8]),
            foreign_notional=optional(fields[9]),
        )
        said = said_of(row.symbol)
        print_ = print_of(row)
        said.prints.append(print_)
        said.terms += terms_of_trade(row)
        return print_.ts_ns, [said]


class BitmexTradesCsv(LevelCapture):
    """See the module."""

    def __init__(self) -> None:
        super().__init__(_Lines(), "BitMEX trades CSV")

    def sniff(self, head: bytes, _path: str, /) -> bool:
        """Whether the header is BitMEX's and the first row begins with a date; Bybit's files have
        the same header and seconds."""
        header, _, rest = head.partition(b"\n")
        return header.startswith(HEADER) and _FIRST.match(rest) is not None
