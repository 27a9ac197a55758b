"""Captures of venues whose books go by level: a scan that finds their markets, and their rows.

A file that follows another of the same venue within ``JOINED_NS`` continues it; after a longer
pause all books wait for an image. A symbol without an image of its book, with fewer than 100 lines
and fewer than 1 in 100 of those of the most frequent one, is no market, unless it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from msgspec import Struct, field, structs

from engine.ticks import Kind
from engine.units import MINUTE_NS
from feeds.formats.capture_lines import UNREADABLE, CaptureReader, Plan, is_heard
from feeds.formats.files import line_batches
from feeds.formats.format import Block, Content, Market, markets_of
from feeds.formats.said import Dialect, Said, Terms
from feeds.gauge import Gauge

__all__ = ["JOINED_NS", "LevelCapture"]

JOINED_NS: Final = MINUTE_NS
LINES_AT_ONCE: Final = 256
"""An image of a book is a line of thousands of rows: fewer lines than rows wanted are read on."""
RARE_LINES: Final = 100
RARE_SHARE: Final = 0.01
REASONS_MAX: Final = 10
"""Symbols whose refusal a message tells."""
_TOO_FEW: Final = "has too few lines to be a market; ask for it with --symbol"


class _Seen(Struct):
    """What a scan found of one symbol."""

    lines: int = 0
    image: bool = False
    kinds: set[Kind] = set()
    terms: Counter[Terms] = field(default_factory=Counter)


class _Scan(Struct):
    """What one pass over a file found."""

    symbols: dict[str, _Seen] = {}
    first_ns: int = 0
    received_first_ns: int = 0
    received_last_ns: int = 0


class LevelCapture:
    """A format; the venue's dialect says the rest."""

    def __init__(self, dialect: Dialect, name: str = "") -> None:
        self.name = name or f"{dialect.venue} websocket capture"
        self._dialect = dialect

    def open(self, path: str, symbol: str | None, /) -> list[Content]:
        """One stream; the whole file is scanned, so a broken one is found here."""
        scan = self._scan(path)
        wanted = (symbol or "").upper()
        most = max((seen.lines for seen in scan.symbols.values()), default=0)
        plan = Plan(refused={}, units={}, quoted=set())
        markets = []
        for name, seen in scan.symbols.items():
            terms = seen.terms.most_common(1)[0][0] if seen.terms else None
            listing = self._dialect.listing(name, terms)
            rare = seen.lines < RARE_LINES and seen.lines < RARE_SHARE * most
            if isinstance(listing, str):
                plan.refused[name] = listing
            elif rare and not seen.image and name != wanted:
                plan.refused[name] = _TOO_FEW
            else:
                markets.append(_market(listing.market, seen))
                plan.units[name] = listing.unit
                if Kind.BBO in seen.kinds:
                    plan.quoted.add(name)
        told = [f"{name} {why}" for name, why in islice(plan.refused.items(), REASONS_MAX)]
        return [
            Content(
                path=path,
                markets=tuple(markets),
                first_ns=scan.first_ns,
                chain=f"capture:{self.name}",
                received_ns=(scan.received_first_ns, scan.received_last_ns),
                detail=plan,
                marketless=f"{path}: a {self.name} without a market that can be simulated: "
                f"{'; '.join(told) or 'no line names one'}",
            )
        ]

    def blocks(self, chain: Sequence[Content], rows: int, gauge: Gauge, /) -> Iterator[Block]:
        """The lines' rows in line order."""
        reader = self._reader(chain)
        for number, content in enumerate(chain):
            if number and not _joined(chain[number - 1], content):
                reader.lose_books()
            for first, lines in line_batches(content.path, gauge):
                for start in range(0, len(lines), LINES_AT_ONCE):
                    reader.read(content.path, first + start, lines[start : start + LINES_AT_ONCE])
                    if reader.rows >= rows:
                        yield reader.flush()
        if reader.rows:
            yield reader.flush()

    def sync_breaks(self, chain: Sequence[Content], /) -> int:
        """How often a book got lost; reads all of the files."""
        reader = self._reader(chain)
        for number, content in enumerate(chain):
            if number and not _joined(chain[number - 1], content):
                reader.lose_books()
            for first, lines in line_batches(content.path):
                reader.read(content.path, first, lines)
                reader.flush()
        return reader.breaks

    def _reader(self, chain: Sequence[Content]) -> CaptureReader:
        markets = markets_of(chain)
        plan = Plan(refused={}, units={}, quoted=set())
        for content in reversed(chain):
            plan.refused.update(content.detail.refused)
            plan.units.update(content.detail.units)
            plan.quoted |= content.detail.quoted
        first_ns = next((content.first_ns for content in chain if content.first_ns), 0)
        return CaptureReader(self._dialect, markets, plan, first_ns)

    def _scan(self, path: str) -> _Scan:
        scan = _Scan()
        for _, lines in line_batches(path):
            for line in lines:
                with suppress(*UNREADABLE):
                    decoded = self._dialect.decode(line)
                    if decoded is not None:
                        _note(scan, *decoded)
        return scan


def _note(scan: _Scan, ingest_ns: int, heard: Sequence[Said]) -> None:
    scan.received_first_ns = scan.received_first_ns or ingest_ns
    scan.received_last_ns = max(scan.received_last_ns, ingest_ns)
    for said in heard:
        seen = scan.symbols.setdefault(said.symbol, _Seen())
        seen.lines += 1
        seen.terms.update(said.terms)
        seen.image = seen.image or said.image is not None
        if said.prints:
            seen.kinds.add(Kind.TRADE)
        if said.quotes:
            seen.kinds.add(Kind.BBO)
        for state in said.states:
            told = (state.mark_price, state.index_price, state.rate)
            kinds = (Kind.MARK, Kind.INDEX, Kind.FUNDING)
            seen.kinds |= {
                kind for kind, value in zip(kinds, told, strict=True) if value is not None
            }
        if not scan.first_ns:
            scan.first_ns = next((ts for ts in said.times if is_heard(ts, ingest_ns)), 0)


def _market(market: Market, seen: _Seen) -> Market:
    derived = {Kind.LEVEL, Kind.BBO} if seen.image else set()
    return structs.replace(market, kinds=tuple(sorted(seen.kinds | derived)))


def _joined(before: Content, after: Content) -> bool:
    return after.received_ns[0] - before.received_ns[1] <= JOINED_NS
