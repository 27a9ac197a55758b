"""Titles that say what is seen, from the same numbers that the pictures show."""

from __future__ import annotations

from typing import Any

from engine.report.amounts import MEANINGS, biggest_causes
from engine.report.table import CAUSES, SPLIT, split_of
from engine.report.verdict import promise
from engine.report.words import (
    MINUS,
    date_of,
    moved,
    number,
    percent,
    plural,
    points,
    underlying_of,
)

__all__ = [
    "leverage_title",
    "policy_words",
    "terms_words",
    "underwater_title",
    "value_title",
    "waterfall_title",
]

Object = dict[str, Any]

_EVEN = 0.0005
_ONCE = {
    "spot": "bought once and held",
    "futures": "opened once, at the mercy of the venue",
    "margin_loan": "drawn once, at the mercy of the lender",
}


def value_title(name: str, product: Object) -> str:
    """``BTC3L lost 25.0 %, 4.5 points worse than 3 x BTC``."""
    got, myth = product["return"], product["multiple_return"]
    if abs(got - myth) < _EVEN:
        return f"{name} {moved(got)}, just as {promise(product)} would have"
    side = "better" if got > myth else "worse"
    return f"{name} {moved(got)}, {points(got, myth)} {side} than {promise(product)}"


def waterfall_title(name: str, product: Object) -> str:
    """``BTC3L gave back 4.1 % to compounding``: the biggest cause beyond direction."""
    biggest = _causes(product)
    if not biggest:
        return f"Nothing but direction moved {name}"
    cause, share = biggest[0]
    words = (SPLIT | CAUSES)[cause]
    if share < 0:
        return f"{name} gave back {percent(-share, signed=False)} to {words}"
    return f"{name} gained {percent(share, signed=False)} from {words}"


def waterfall_note(product: Object) -> str:
    """What the cause in the title stands for."""
    biggest = _causes(product)
    return MEANINGS.get(biggest[0][0], "") if biggest else ""


def _causes(product: Object) -> list[tuple[str, float]]:
    return biggest_causes({**split_of(product), **product["attribution"]}, product["equity_start"])


def leverage_title(name: str, product: Object) -> str:
    """``Leverage ranged 2.66 to 4.11; 1 rebalance, no forced cuts``."""
    leverage = product["leverage"]
    if leverage["min"] is None:
        return f"{name} held nothing"
    low, high = (number(leverage[end]) for end in ("min", "max"))
    ranged = f"Leverage stayed at {low}" if low == high else f"Leverage ranged {low} to {high}"
    if product["kind"] != "fund":
        return f"{ranged}: {_ONCE[product['kind']]}"
    return (
        f"{ranged}: {plural(product['rebalances'], 'rebalance')}, "
        f"{plural(product['deleveragings'], 'forced cut')}"
    )


def underwater_title(name: str, product: Object, underlying: float) -> str:
    """``BTC3L was down 53.8 % at worst, BTC 19.6 %``.

    Args:
        name: the product.
        product: its figures.
        underlying: the worst drawdown of what it follows, not above zero.
    """
    own = percent(abs(product["max_drawdown"]), signed=False)
    market = percent(abs(underlying), signed=False)
    return f"{name} was down {own} at worst, {underlying_of(product)} {market}"


def status_words(product: Object, events: list[Object]) -> str:
    """``closed on 12 March 2020: nav not positive``; nothing for a product that runs."""
    for event in events:
        if event["event"] == "product_closed":
            return f"closed on {date_of(event['ts_ns'])}: {event['reason'].replace('_', ' ')}"
    return "" if product["status"] == "active" else str(product["status"])


def terms_words(product: Object, follows: str) -> str:
    """What a product is beside its policies: ``10x futures: ...``, ``Rules of gate-3l; NAV follows
    the index``; nothing for a fund of its own terms on the mark.

    Args:
        product: of the configuration.
        follows: the price that its NAV does.
    """
    kind, leverage = product.get("kind"), product.get("leverage", 1.0)
    if kind == "futures":
        return f"{leverage:g}x futures: liquidated where equity no longer covers maintenance"
    if kind == "margin_loan":
        loan = product.get("loan") or {}
        levels = [f"{key.replace('_', ' ')} {value:g}" for key, value in loan.items()]
        return f"{leverage:g}x margin loan{': ' if levels else ''}{', '.join(levels)}"
    pack = product.get("terms", {}).get("pack", "none")
    told = [] if pack == "none" else [f"rules of {pack}"]
    told += ["NAV follows the index"] if follows == "index" else []
    words = "; ".join(told)
    return words[:1].upper() + words[1:]


def policy_words(policy: Object) -> str:
    """A policy with its parameters: ``leverage_band (target 3, low 2.25, high 4.125)``."""
    parameters = [
        f"{key} {_parameter(value)}"
        for key, value in policy.items()
        if key != "type" and not isinstance(value, dict | list)
    ]
    return f"{policy.get('type', 'policy')} ({', '.join(parameters)})"


def _parameter(value: Any) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}".replace("-", MINUS) if known else str(value)
