"""What each rule of auto-deleveraging does to the same winners: scored on a drawn population after
a fall that leaves longs bankrupt.

All rules close as many lots as the bankrupt hold, at their average bankruptcy price; they differ in
whose. A winner gives up what his lots would have earned between that price and the mark.

Source of the measures: Chitra, arXiv:2512.01112. The population is drawn, not recorded.
"""

from __future__ import annotations

import math
from typing import Any, Final, get_args

import numpy as np
from msgspec import Struct

from engine.config.crowd_settings import CrowdConfig
from engine.config.crowds import crowd_of
from engine.config.settings import ContractConfig
from engine.config.venue_settings import VenueConfig
from engine.config.venues import venue_rules
from engine.errors import ConfigError
from engine.ledger import Ledger
from engine.venue.adl import taken_from
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from engine.venue.crowd import Crowd
from engine.venue.crowd_columns import standings, values
from engine.venue.crowd_opening import open_crowd
from engine.venue.held import Held, candidates
from engine.venue.ranking import order, risk_weights
from engine.venue.rules import Ranking
from engine.venue.sharing import integer_shares, weighted_shares
from engine.venue.standing import Listing

__all__ = ["Score", "Scored", "scored"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_PRICE: Final = 50_000.0
_SHARED: Final = ("pro_rata", "drift")
_LOT: Final = 1e-6


class Score(Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        accounts: that were closed, wholly or in part.
        ptsr: what the richest winner has left, over the whole deficit.
        pmr: the same over the largest single deficit.
        overshoot: money taken beyond the deficit, as a share of it.
        regret: share of what was taken that others would have given under equal shares of profit.
        largest: share of all that was taken which the hardest hit gave.
    """

    ranking: str
    accounts: int
    ptsr: float
    pmr: float
    overshoot: float
    regret: float
    largest: float


class Scored(Struct, frozen=True, kw_only=True):
    """All rules on one population; money in quote."""

    bankrupt: int
    winners: int
    deficit: float
    largest_deficit: float
    scores: tuple[Score, ...]


def scored(count: int = 20_000, fall: float = 0.1, seed: int = 7) -> Scored:
    """Score every rule.

    Args:
        count: positions, drawn as a background population is.
        fall: of the mark, a share.

    Raises:
        ConfigError: if nobody is bankrupt after it, or the winners hold too little.
    """
    crowd = _crowd(count, seed)
    mark = _PRICE * (1.0 - fall)
    equity, _ = standings(crowd.listing, crowd.lots, crowd.cash, crowd.cost, mark)
    broke = np.flatnonzero((crowd.lots > 0) & (equity < 0))
    winners = np.flatnonzero((crowd.lots < 0) & (equity > 0))
    needed, held = int(crowd.lots[broke].sum()), -crowd.lots[winners]
    if not len(broke):
        raise ConfigError(f"after a fall of {fall:.0%} nobody is bankrupt; a deeper one, or more")
    if needed > int(held.sum()):
        raise ConfigError(f"after a fall of {fall:.0%} shorts hold less than the bankrupt; less")
    deficits = -equity[broke] / 1e6
    per_lot = float(deficits.sum()) / needed
    worth = values(crowd.listing, crowd.lots[winners], mark)
    profit = np.maximum((worth - crowd.cost[winners]) / 1e6, 0.0)
    columns = Held(crowd.leverage[winners])
    columns.lots, columns.cash = crowd.lots[winners], crowd.cash[winners].astype(np.float64)
    columns.cost = crowd.cost[winners].astype(np.float64)
    ranked = candidates([crowd.listing], 0, columns, {0: mark})
    found = []
    for ranking in get_args(Ranking):
        lots = _closed(ranking, ranked, held, needed, profit, seed)
        found.append(
            _score(ranking, np.asarray(lots * per_lot, np.float64), profit, deficits, lots)
        )
    return Scored(
        bankrupt=len(broke),
        winners=len(winners),
        deficit=float(deficits.sum()),
        largest_deficit=float(deficits.max()),
        scores=tuple(found),
    )


def _crowd(count: int, seed: int) -> Crowd:
    config = ContractConfig(kind="linear", base="BTC", quote="USDT", lot_size=_LOT)
    rules = venue_rules(VenueConfig(preset="binance"), config)
    contract = Contract(ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT", lot_size=_LOT))
    drawn = CrowdConfig(id="drawn", symbol="BTCUSDT", count=count)
    crowd = Crowd(crowd_of(drawn, 0, 0, config, seed), Listing(contract, rules), Ledger())
    open_crowd(crowd, _PRICE)
    return crowd


def _closed(ranking: Ranking, ranked: Any, held: I64, needed: int, profit: F64, seed: int) -> I64:
    """Lots of each winner that a rule closes."""
    if ranking in _SHARED:
        return np.array(integer_shares(held.tolist(), needed), np.int64)
    if ranking == "risk_aware":
        return np.array(weighted_shares(held.tolist(), risk_weights(ranked), needed), np.int64)
    places = order(ranking, ranked, seed=seed).tolist()
    taken = taken_from(places, held.tolist(), needed)
    lots = np.zeros(len(profit), np.int64)
    lots[list(taken.places)] = taken.lots
    return lots


def _score(ranking: str, given: F64, profit: F64, deficits: F64, lots: I64) -> Score:
    total = float(deficits.sum())
    equal = profit * (math.fsum(given) / math.fsum(profit))
    left = float((profit - given).max())
    return Score(
        ranking=ranking,
        accounts=int(np.count_nonzero(lots)),
        ptsr=left / total,
        pmr=left / float(deficits.max()),
        overshoot=math.fsum(given) / total - 1.0,
        regret=math.fsum(np.abs(given - equal)) / 2.0 / math.fsum(given),
        largest=float(given.max()) / math.fsum(given),
    )
