"""Who is auto-deleveraged first: the published scores of the venues, and the queue they make.

A score is worked out for every account on the other side of a position that nobody can pay for; the
highest is closed first. All of it is elementwise: 100,000 candidates rank in a few ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np

from engine import philox
from engine.errors import InputError
from engine.venue.rules import Ranking

__all__ = [
    "Candidates",
    "leverage",
    "order",
    "quantile",
    "risk_weights",
    "scores",
    "unrealised",
]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_FINE: Final = float(1 << 40)
"""Parts of a leverage of one: so fine that the shares of a billion lots are right to a lot."""
_LEAST_MARGIN: Final = 1e-9
"""Quote; a maintenance of nothing makes a margin ratio without end, which no number holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Accounts that could take a part, one element each; shapes (n,). Money in quote.

    Attributes:
        account: the venue's number of the account.
        lots: signed, long positive.
        entry: average entry price, > 0.
        mark: the mark price, one number for all, > 0; shape (s, 1) for several instants, of which
            what follows is then shape (s, n).
        notional: unsigned value of the position at the mark.
        wallet: cash, unrealised profit apart.
        equity: wallet and unrealised profit of the account (of the position, where isolated).
        maintenance: its maintenance margin.
        leverage: with which the position was opened (the largest where cross and never set); 0
            where the effective one is meant. Gate alone asks.
        inverse: settled in coin, so that profit counts in ``1 / price``.
    """

    account: I64
    lots: I64
    entry: F64
    mark: float | F64
    notional: F64
    wallet: F64
    equity: F64
    maintenance: F64
    leverage: F64
    inverse: bool = False

    def __post_init__(self) -> None:
        """Refuse what no rule can rank.

        Raises:
            InputError: if a number is not finite, a price or notional not above zero, or a margin
                negative.
        """
        columns = ("entry", "notional", "wallet", "equity", "maintenance", "leverage")
        for name in columns:
            column = getattr(self, name)
            if column.shape[-1] != len(self.lots) or not np.isfinite(column).all():
                raise InputError(f"ADL candidates: {name} must be finite, one an account")
        mark = np.asarray(self.mark)
        if not ((mark > 0.0) & (mark < inf)).all() or not (self.entry > 0.0).all():
            raise InputError("ADL candidates: mark and entry must be finite and > 0")
        if not (self.notional > 0.0).all() or not (self.maintenance >= 0.0).all():
            raise InputError("ADL candidates: notional must be > 0, maintenance not negative")

    @property
    def side(self) -> F64:
        """+1 long, -1 short, 0 flat."""
        return np.sign(self.lots).astype(np.float64)


def unrealised(candidates: Candidates) -> F64:
    """Profit of each position as a share of its value at entry, signed.

    A short from 120 marked 100: ``20 / 120 = 16.67 %``. Inverse: of the coins that the entry was
    worth, ``1 - entry / mark`` for a long.
    """
    of, by = candidates.entry, candidates.mark
    if candidates.inverse:
        return candidates.side * (1.0 - of / by)
    return candidates.side * (by - of) / of


def leverage(candidates: Candidates) -> F64:
    """Effective leverage, notional over equity; infinity without equity.

    BitMEX: ``|MV| / (MV - bankrupt value)``; for an account with one position that is the same.
    """
    times: F64 = candidates.notional / _given(candidates)
    return np.where(candidates.equity > 0.0, times, inf)


def _given(candidates: Candidates) -> F64:
    """Equity, or 1 where there is none: such scores are replaced."""
    return np.where(candidates.equity > 0.0, candidates.equity, 1.0)


def scores(ranking: Ranking, candidates: Candidates) -> F64:
    """Score of each candidate, shape (n,); the highest is closed first.

    A candidate without equity (zero or less) has nothing to give and is itself about to be
    liquidated: it comes after all others, at minus infinity (Binance publishes 0 for it).

    Raises:
        ValueError: if the ranking has none: ``dydx`` walks, ``drift`` and ``pro_rata`` share.
    """
    rule = _SCORES.get(ranking)
    if rule is None:
        raise ValueError(f"ranking {ranking!r} has no scores")
    none = 0.0 if ranking == "binance" else -inf
    return np.where(candidates.equity > 0.0, rule(candidates, _given(candidates)), none)


def _bitmex(candidates: Candidates, equity: F64) -> F64:
    """Profit: PNL% times leverage; loss: PNL% over leverage.

    The short from 120 with 600 of equity on 1,000 of notional: ``0.16667 * 1.6667 = 0.27778``.
    Also MEXC, XT, CoinEx, Poloniex, ABIT, and Bybit's leveraged return.

    Source: support.bitmex.com 18589621443357; help.bybit.com 900000031623.
    """
    share, times = unrealised(candidates), candidates.notional / equity
    score: F64 = np.maximum(share, 0.0) * times + np.minimum(share, 0.0) / times
    return score


def _binance(candidates: Candidates, equity: F64) -> F64:
    """``max(0, UPNL) / max(1, WB) * MM / (WB + UPNL)``.

    The same short, wallet 400 and 10 of maintenance: ``200 / 400 * 10 / 600 = 0.008333``.

    Source: dev.binance.vision/t/17801.
    """
    profit = np.maximum(equity - candidates.wallet, 0.0)
    score: F64 = profit / np.maximum(candidates.wallet, 1.0) * (candidates.maintenance / equity)
    return score


def _okx(candidates: Candidates, equity: F64) -> F64:
    """Profit: PNL% over margin ratio; loss: PNL% times margin ratio (equity over maintenance).

    The same short: ``0.16667 / (600 / 10) = 0.0027778``. Also GRVT, Bity, sunx.

    Source: help.grvt.io 9637899.
    """
    share = unrealised(candidates)
    ratio = equity / np.maximum(candidates.maintenance, _LEAST_MARGIN)
    score: F64 = np.maximum(share, 0.0) / ratio + np.minimum(share, 0.0) * ratio
    return score


def _gate(candidates: Candidates, equity: F64) -> F64:
    """PNL% times leverage, for profits and losses alike.

    Source: Gate announcement 28762 (since 2022-11-22).
    """
    chosen = candidates.leverage
    times = np.where(chosen > 0.0, chosen, candidates.notional / equity)
    score: F64 = unrealised(candidates) * times
    return score


def _hyperliquid(candidates: Candidates, equity: F64) -> F64:
    """``mark / entry * notional / account value``; ``entry / mark`` for shorts, which is our
    reading: the page gives the long's form alone.

    The same short: ``1.2 * 1,000 / 600 = 2``. It may close an account at a loss, if its leverage is
    high.

    Source: docs.hyperodd.com/trading/adl, quoting Hyperliquid.
    """
    gone = candidates.mark / candidates.entry
    gone = np.where(candidates.lots > 0, gone, 1.0 / gone)
    score: F64 = gone * (candidates.notional / equity)
    return score


def _risk_aware(candidates: Candidates, equity: F64) -> F64:
    """Leverage: the weight by which a risk-aware sharing falls on an account.

    Source: Chitra, arXiv:2512.01112, with ``g = 1``.
    """
    times: F64 = candidates.notional / equity
    return times


def risk_weights(candidates: Candidates) -> list[int]:
    """By which the risk-aware sharing falls on each candidate: its leverage as a whole number of
    small parts, so that lots are shared exactly; nothing falls on who has no equity."""
    weights = np.maximum(scores("risk_aware", candidates), 0.0) * _FINE
    return [int(weight) for weight in weights.tolist()]


_SCORES: Final[dict[str, Callable[[Candidates, F64], F64]]] = {
    "bitmex": _bitmex,
    "bybit": _bitmex,
    "binance": _binance,
    "okx": _okx,
    "gate": _gate,
    "hyperliquid": _hyperliquid,
    "risk_aware": _risk_aware,
}


def order(
    ranking: Ranking, candidates: Candidates, *, seed: int = 0, path: int = 0, sequence: int = 0
) -> I64:
    """Places of the candidates in the order they are closed, shape (n,); ties by place.

    ``dydx`` has no scores: it starts at a candidate drawn for ``(seed, path, sequence)`` and walks
    the list round from there. ``drift`` and ``pro_rata`` share among all: the order is the list's.
    """
    places = np.arange(len(candidates.lots), dtype=np.int64)
    if ranking in _SCORES:
        return np.argsort(-scores(ranking, candidates), kind="stable").astype(np.int64)
    if ranking == "dydx" and len(places):
        start = philox.below(len(places), seed, path, sequence)
        return np.concatenate((places[start:], places[:start]))
    return places


def quantile(place: int, count: int) -> float:
    """Share of the queue that is not ahead of a candidate: 1 for the first to be closed (place 0),
    ``1 / count`` for the last. What venues show as lights: five from 0.8 on.

    Raises:
        ValueError: if the place is not in the queue.
    """
    if not 0 <= place < count:
        raise ValueError(f"place {place} is not in a queue of {count}")
    return (count - place) / count
