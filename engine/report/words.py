"""Numbers, dates and names as words: signs are said, never only coloured."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from engine.units import asset_decimals

__all__ = [
    "DASH",
    "MINUS",
    "asset_of",
    "change",
    "date_of",
    "digits_of",
    "instant",
    "listed",
    "money",
    "moved",
    "multiple",
    "number",
    "percent",
    "plural",
    "points",
    "priced",
    "span",
    "title_of",
    "underlying_of",
    "whole_digits",
]

MINUS: Final = "−"
DASH: Final = "–"

_QUOTE_DECIMALS: Final = 6
_CENTS: Final = 2

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_QUOTES: Final = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "EUR", "DAI")
_BORROWED: Final = re.compile(r"^(?P<asset>.+)-(?P<what>FUT|LOAN)(?P<times>[0-9.]+)(?P<side>[LS])$")
_SMART: Final = re.compile(r"^(?P<asset>.+)-SMART-(?P<side>[LS])(@.*)?$")


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """``-1234.5`` as ``−1,234.50``; zero bears no sign."""
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0.,"):
        return text
    sign = MINUS if value < 0 else "+" if signed else ""
    return sign + text


def priced(value: float) -> str:
    """A price in cents, and at least five digits of a small one: ``94,012.50``, ``0.050000``."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return number(value, max(_CENTS, 4 - size))


def percent(value: float | None, digits: int = 1, *, signed: bool = True) -> str:
    """``-0.381`` as ``−38.1 %``; a dash for what is undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{number(100.0 * value, digits, signed=signed)} %"


def points(one: float, other: float) -> str:
    """How far two percentages lie apart as printed: ``4.5 points`` for -0.25 and -0.205."""
    return f"{number(abs(round(100.0 * one, 1) - round(100.0 * other, 1)), 1)} points"


def whole_digits(asset: str) -> int:
    """``digits_of`` where amounts are large: quote money without its cents."""
    digits = digits_of(asset)
    return 0 if digits == _CENTS else digits


def money(value: float, asset: str) -> str:
    """An amount with its asset: ``750,042.09 USDT``, ``0.00120000 BTC``."""
    return f"{number(value, digits_of(asset))} {asset}"


def digits_of(asset: str) -> int:
    """In how many digits an amount of an asset is told: cents of quote money, atoms of coins."""
    decimals = asset_decimals(asset)
    return decimals if decimals > _QUOTE_DECIMALS else _CENTS


def multiple(target: float, asset: str) -> str:
    """What the multiple promises: ``3 x BTC``, ``−3 x BTC``."""
    return f"{MINUS if target < 0 else ''}{abs(target):g} x {asset}"


def _share(value: float) -> str:
    """A magnitude in per cent: one digit, and no rounding up to everything."""
    size = abs(value)
    if 0.9995 <= size < 1.0:
        return "more than 99.9 %"
    return percent(size, 1, signed=False)


def moved(value: float) -> str:
    """What a product did: ``gained 1.2 %``, ``lost 38.1 %``, ``lost everything``."""
    if value <= -1.0:
        return "lost everything"
    if abs(value) < 0.0005:
        return "ended where it started"
    return f"{'gained' if value > 0 else 'lost'} {_share(value)}"


def change(value: float) -> str:
    """Where a market ended: ``12.3 % lower``, ``where it started (+0.0 %)``."""
    if abs(value) < 0.0005:
        return f"where it started ({number(100.0 * abs(value), 1)} %)"
    return f"{_share(value)} {'higher' if value > 0 else 'lower'}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 rebalance``, ``1,204 rebalances``, ``no rebalances``."""
    noun = one if count == 1 else many or f"{one}s"
    return f"{f'{count:,}' if count else 'no'} {noun}"


def _moment(ts_ns: int) -> datetime:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)


def date_of(ts_ns: int) -> str:
    """``12 March 2020``."""
    at = _moment(ts_ns)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def instant(ts_ns: int, *, seconds: bool = False) -> str:
    """``12 Mar 2020 10:42``, in UTC."""
    at = _moment(ts_ns)
    clock = f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"
    return f"{at.day} {_MONTHS[at.month - 1][:3]} {at.year} {clock}"


def span(seconds: float) -> str:
    """A length of time in its two largest units: ``1 d 4 h``, ``35 min``."""
    whole = round(seconds)
    sizes = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    for size, unit in sizes:
        if whole >= size and len(parts) < 2:
            parts.append(f"{whole // size} {unit}")
            whole %= size
    return " ".join(parts) or "0 s"


def asset_of(symbol: str) -> str:
    """The asset a perpetual is on: ``BTC`` of ``BTCUSDT``, ``XBTUSD`` and ``BTCUSD_PERP``."""
    name = re.split(r"[_\-/:]", symbol.upper())[0]
    for quote in _QUOTES:
        if name.endswith(quote) and len(name) > len(quote):
            name = name[: -len(quote)]
            break
    return "BTC" if name == "XBT" else name


def underlying_of(product: Mapping[str, Any]) -> str:
    """What a product's figures are told against: ``BTC``, or ``BTC index`` where its formula
    follows the index."""
    asset = asset_of(product["symbol"])
    return f"{asset} index" if product["follows"] == "index" else asset


def title_of(product: str, *, alone: bool) -> str:
    """A product's name in a sentence: its id, and for Smart Leverage and what is held instead the
    words.

    Args:
        product: the id.
        alone: whether the run has one market, so that its asset need not be said.
    """
    borrowed = _BORROWED.match(product)
    if borrowed is not None:
        what = "futures" if borrowed["what"] == "FUT" else "margin loan"
        side = " short" if borrowed["side"] == "S" else ""
        asset = "" if alone else f"{borrowed['asset']} "
        return f"{asset}{borrowed['times']}x {what}{side}"
    found = _SMART.match(product)
    if found is None or "@" in product:
        return product
    side = "long" if found["side"] == "L" else "short"
    return f"{'' if alone else found['asset'] + ' '}Smart Leverage {side}"
