"""The issuer's book: what he earned and owes, what hedging cost, and how large products may be.

Of a formula product he owes NAV and has the hedge: what the hedge's fills, funding and fees cost is
his, against the fees that holders pay. Of a basket product holders bear these, and what they are
owed is the hedge.

How large a product may be is told three ways, each the NAV at which a move of 10 % makes it trade
as much as that way allows (a product of leverage L trades ``L (L - 1)`` times the move of its NAV):
by the venue's tiers, by the depth within 1 % of mid at the end of the run, and by a tenth of what
was traded in an hour of the run. 3x trades 0.6 of its NAV: 6,000,000 of depth carry 10,000,000.

Of an omnibus account he is told how far it is from its end: at which mark of each of its markets,
and at which common move of all of them, the venue liquidates it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.attribution import attribution
from engine.engine import Engine
from engine.handler import Handler
from engine.market import Market
from engine.omnibus import OmnibusAccount
from engine.risk_limits import nav_max
from engine.rundir import RunWriter
from engine.turnover import Turnover
from engine.units import HOUR_NS, asset_decimals
from engine.venue.limits import limits_of

__all__ = ["MOVE", "SHARE", "issuer_book"]

MOVE: Final = 0.1
SHARE: Final = 0.1
_SUMS: Final = ("liability", "hedge_equity", "profit", "deficits_paid")
_COSTS: Final = ("spread_impact", "basis", "fees", "funding", "liquidation", "adl")


def issuer_book(engine: Engine, writer: RunWriter, turnover: Turnover) -> dict[str, Any]:
    """All products' books, each in its quote asset, and by asset the sums of those he issued:
    futures, loans and spot are nobody's issue."""
    books: dict[str, Any] = {}
    for market in engine.markets:
        for handler in market.handlers:
            if handler.state.status != "pending":
                books[handler.spec.id] = {
                    **_book(engine, market, handler),
                    "largest_aum": _largest(engine, market, handler, turnover),
                }
    return {
        "products": books,
        "by_asset": _by_asset(
            [books[p.id] for p in engine.spec.products if p.kind == "fund" and p.id in books]
        ),
        "accounts": _accounts(engine),
        "netting": _netting(engine, writer),
        "largest_aum_for": {"move": MOVE, "participation": SHARE, "seconds": HOUR_NS // 10**9},
    }


def _by_asset(books: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What is in one asset can be added up; what is in several cannot."""
    return {
        asset: {
            name: math.fsum(book[name] for book in books if book["asset"] == asset)
            for name in _SUMS
        }
        for asset in dict.fromkeys(book["asset"] for book in books)
    }


def _book(engine: Engine, market: Market, handler: Handler) -> dict[str, Any]:
    """The seed put in, fees received, deficits paid, what its own units are worth now; what holders
    are owed against the hedge, and fees against what hedging cost."""
    account, mark = handler.account, market.state.mark
    scale = 10.0 ** -asset_decimals(account.contract.quote_asset)
    parts, hedge = attribution(account, mark), attribution(account.book, mark)
    equity, liability = account.book.nav(mark), account.nav(mark)
    held = engine.ledger.balance("issuer", f"{handler.spec.id}:units")
    worth = held * liability // account.units if account.units else 0
    seed, dealt = handler.spec.seed_atoms, account.state.dealing_fees
    fees, paid, gap = -parts["management_fee"], parts["issuer"], 0
    if account.formula:
        paid, gap = hedge["issuer"], equity - liability
    costs = -sum(hedge[cause] for cause in _COSTS)
    told: dict[str, Any] = {
        "asset": account.contract.quote_asset,
        "seed": seed * scale,
        "seed_value_end": worth * scale,
        "management_fees": fees * scale,
        "dealing_fees": dealt * scale,
        "deficits_paid": paid * scale,
        "insurance_paid": parts["insurance"] * scale,
        "profit": (worth - seed + fees + dealt - paid + gap) * scale,
        "liability": liability * scale,
        "hedge_equity": equity * scale,
        "hedge_costs": {cause: -hedge[cause] * scale for cause in _COSTS},
        "costs_borne_by": "issuer" if account.formula else "holders",
        "fees_less_costs": (fees + dealt - costs) * scale,
        "unhedged_seconds": handler.unhedged_ns(engine.time_ns) / 1e9,
    }
    if account.formula:
        causes = {cause: value * scale for cause, value in hedge.items()}
        told["hedge"] = {
            "equity": equity * scale,
            "liability": liability * scale,
            "attribution": causes,
        }
    return told


def _largest(
    engine: Engine, market: Market, handler: Handler, turnover: Turnover
) -> dict[str, float | None]:
    """The NAV that fits, quote; ``None`` where nothing is known, or nothing bounds it."""
    account, contract, mark = handler.account, market.contract, market.state.mark
    scale = 10.0 ** -asset_decimals(contract.quote_asset)
    tier = nav_max(handler.spec, market.listing, mark)
    target = account.state.target
    traded = abs(target * (target - 1.0)) * MOVE
    depth = market.book.depth(engine.time_ns)
    hours = (engine.time_ns - handler.state.launched_ns) / HOUR_NS
    symbol, volume = market.spec.symbol, 0.0
    if contract.inverse:
        volume = turnover.size.get(symbol, 0) * contract.spec.contract_size
    else:
        volume = turnover.worth.get(symbol, 0) * contract.spec.contract_size
    hourly = volume / max(hours, 1.0) * SHARE
    return {
        "tier": None if tier is None else tier * scale,
        "depth": depth / traded if depth > 0.0 and traded else None,
        "participation": hourly / traded if hourly and traded else None,
    }


def _accounts(engine: Engine) -> dict[str, Any]:
    """Omnibus accounts as they stand, in what they are settled in, by name.

    ``down`` and ``up`` are the move of all their marks together, as a share of these, that leaves
    them short of margin; ``liquidated`` and ``bankrupt`` the mark of one market while those of the
    others stay; ``None``: no such move or mark ends it.
    """
    found: dict[str, Any] = {}
    if engine.margins is None:
        return found
    listings = engine.margins.desk.listings
    for account in dict.fromkeys(engine.margins.behind.values()):
        if not isinstance(account, OmnibusAccount) or not account.products:
            continue
        markets = engine.markets
        marks = [market.state.mark for market in markets]
        limits = limits_of(account, listings, marks)
        contract = markets[account.markets[0]].contract
        atoms = contract.settlement_atoms
        found[account.name] = {
            "asset": contract.settlement_asset,
            "products": account.products,
            "equity": limits.stand.margin / atoms,
            "maintenance": limits.stand.maintenance / atoms,
            "is_short": limits.is_short,
            "markets": {
                markets[limit.market].contract.spec.symbol: {
                    "position": limit.lots * markets[limit.market].contract.spec.lot_size,
                    "mark": marks[limit.market],
                    "maintenance": limit.maintenance / atoms,
                    "liquidated": limit.liquidated,
                    "bankrupt": limit.bankrupt,
                }
                for limit in limits.positions
            },
            "down": limits.down,
            "up": limits.up,
        }
    return found


def _netting(engine: Engine, writer: RunWriter) -> dict[str, Any]:
    """What orders of omnibus accounts that met each other saved, by market: the taker's fee of both
    sides; spread and impact come on top."""
    found: dict[str, Any] = {}
    for market in engine.markets:
        contract, lots_at = market.contract, writer.crossed.get(market.spec.contract.symbol, ())
        if lots_at:
            crossed = math.fsum(contract.quote_notional(lots, mid) for lots, mid in lots_at)
            found[contract.spec.symbol] = {
                "crosses": len(lots_at),
                "crossed": crossed,
                "fees_saved": 2.0 * crossed * contract.spec.taker_fee,
            }
    return found
