"""A statement as a table: whole atoms, so that a reader may add it up to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.report.statement import Statement
from engine.report.table import CAUSES, SPLIT
from engine.report.words import MINUS, percent

__all__ = ["MEANINGS", "WORDS", "amount", "biggest_causes", "lines_of", "words_of"]

MEANINGS: Final = {
    "direction": "the first multiple, bought once and held",
    "compounding": "each rebalance applies the multiple to the NAV of then, buying after rises and "
    "selling after falls: swings wear it out, trends add",
    "leverage_change": "other leverage was decided than at the start",
    "timing": "what was held differed from what was decided: orders under way, whole lots",
    "gap": "moves beyond an edge before the product could act",
    "spread_impact": "bought above mid, sold below it",
    "basis": "the mark differed from the middle of the book where we traded",
    "funding": "paid to, or received from, the other side of the perpetual",
    "management_fee": "the issuer's fee",
    "liquidation": "the venue closed the position beyond the mark, and took its fee",
    "insurance": "the venue's fund took what was left of the margin, or paid what was missing",
    "collateral": "the price of the asset that margin was paid in, or what a failed venue kept",
    "adl": "the venue closed the hedge at another price than the mark, to pay for others' losses",
    "flows": "brought or taken by those who came and went",
    "dealing": "spread, impact and fees of one's own requests",
}
"""What a part stands for, where its name does not say all."""

WORDS: Final = {**SPLIT, **CAUSES, "dealing": "one's own requests"}
_WIDTH: Final = 30
_EXPECTED: Final = ("price", "direction", "flows")
_SMALL: Final = 0.0005
"""Causes below this share of what was paid in are not called big."""


def amount(atoms: int, decimals: int, *, signed: bool = True) -> str:
    """Atoms in units of the asset, no digit left out: ``−1,234.500000``."""
    whole, rest = divmod(abs(atoms), 10**decimals)
    text = f"{whole:,}" + (f".{rest:0{decimals}d}" if decimals else "")
    sign = MINUS if atoms < 0 else "+" if signed and atoms else ""
    return sign + text


def lines_of(statement: Statement, decimals: int, currency: str = "") -> Iterator[str]:
    """From what was there to what is there, a line a cause; causes of nothing are left out. The
    indented ones sum to the price moves."""
    paid, causes = statement.worth_start, statement.causes
    shares = paid + statement.put_in
    head = "worth at the start" if paid or not statement.user else "nothing at the start"
    yield _line(head, amount(paid, decimals, signed=False), None, currency=currency)
    if statement.user and causes["flows"]:
        yield _line("paid in less got out", amount(causes["flows"], decimals), None)
    yield _line("price moves", amount(statement.price, decimals), _of(statement.price, shares))
    for part, atoms in statement.split.items():
        yield _line(words_of(part, atoms), amount(atoms, decimals), _of(atoms, shares), inner=True)
    for cause, atoms in causes.items():
        if atoms and not (statement.user and cause == "flows"):
            yield _line(WORDS[cause], amount(atoms, decimals), _of(atoms, shares))
    end = amount(statement.worth_end, decimals, signed=False)
    yield _line("worth at the end", end, None, currency=currency)


def words_of(part: str, value: float) -> str:
    """Compounding that takes is called by the name that holders know it by."""
    return "volatility decay" if part == "compounding" and value < 0 else WORDS[part]


def _of(atoms: int, paid: int) -> float | None:
    return atoms / paid if paid > 0 else None


def _line(
    words: str, text: str, share: float | None, *, inner: bool = False, currency: str = ""
) -> str:
    column = f"{'':>3}{text:>20}" if inner else f"{text:>20}"
    name = f"  {words}" if inner else words
    said = f" {currency}" if currency else percent(share, 2) if share is not None else ""
    return f"  {name:<{_WIDTH}}{column:<23}{said:>11}".rstrip()


def biggest_causes(parts: Mapping[str, float], paid: float) -> list[tuple[str, float]]:
    """What moved a result beyond direction, largest first: ``(name, share of what was paid)``."""
    if paid <= 0:
        return []
    shares = {name: parts[name] / paid for name in parts if name not in _EXPECTED}
    order = sorted(shares, key=lambda name: -abs(shares[name]))
    return [(name, shares[name]) for name in order if abs(shares[name]) >= _SMALL]
