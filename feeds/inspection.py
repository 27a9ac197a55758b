"""What a recording holds and where it is poor, as plain data."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from engine.units import SECOND_NS

__all__ = ["Inspection", "Refused", "Stretch", "SymbolInspection", "when"]


class Stretch(Struct, frozen=True):
    """From the last row before to the first row after."""

    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long it lasted."""
        return self.end_ns - self.start_ns


class SymbolInspection(Struct, frozen=True, kw_only=True):
    """One symbol; its span and gaps are those of its prices, its range and frozen stretches those
    of the rows that count in a run. ``duplicates``: trade ids that did not rise; ``crossed``: rows
    whose bid is at or above their ask; ``late``: other rows earlier than one of their kind that
    counted before. Times in ns, prices quote per base (0.0 without any)."""

    symbol: str
    contract: str
    rows: dict[str, int]
    first_ns: int
    last_ns: int
    price_min: float
    price_max: float
    gap_threshold_ns: int
    gaps: int
    longest_gaps: tuple[Stretch, ...]
    frozen: int
    longest_frozen: tuple[Stretch, ...]
    duplicates: int
    late: int
    crossed: int
    bad_prices: int


class Refused(Struct, frozen=True):
    """Rows that a feed refused, of one reason and symbol (``None`` where it is unknown), and what
    it said of the first."""

    reason: str
    symbol: str | None
    rows: int
    first: str


class Inspection(Struct, frozen=True, kw_only=True):
    """A recording. ``refused``: rows that its feed could read and not use, while ``malformed`` are
    those it could not read. ``book_breaks``: gaps in L2 streams after which the book waited for an
    image."""

    rows: int
    rows_by_kind: dict[str, int]
    first_ns: int
    last_ns: int
    symbols: tuple[SymbolInspection, ...]
    malformed: int
    malformed_first: str
    refused: tuple[Refused, ...]
    bars_without_trades: int
    book_breaks: int
    formats: tuple[str, ...]
    files: int
    skipped: tuple[tuple[str, str], ...]

    def table(self) -> list[tuple[str, ...]]:
        """A row a symbol, the header first; texts only."""
        header = ("symbol", "rows", "kinds", "from", "to", "low", "high", "gaps", "longest gap")
        poor = ("duplicates", "late", "crossed", "bad prices", "frozen")
        lines: list[tuple[str, ...]] = [(*header, *poor)]
        for one in self.symbols:
            priced = one.price_max > 0
            longest = one.longest_gaps[0].length_ns if one.longest_gaps else 0
            lines.append(
                (
                    one.symbol,
                    f"{sum(one.rows.values()):,}",
                    ", ".join(f"{kind} {count:,}" for kind, count in one.rows.items()),
                    when(one.first_ns),
                    when(one.last_ns),
                    f"{one.price_min:,.10g}" if priced else "",
                    f"{one.price_max:,.10g}" if priced else "",
                    f"{one.gaps:,}",
                    f"{longest / SECOND_NS:.10g} s" if longest else "",
                    f"{one.duplicates:,}",
                    f"{one.late:,}",
                    f"{one.crossed:,}",
                    f"{one.bad_prices:,}",
                    f"{one.frozen:,}",
                )
            )
        return lines


def when(ts_ns: int) -> str:
    """A time as people read it, to the millisecond."""
    time = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S}.{ts_ns % SECOND_NS // 1_000_000:03d}"
