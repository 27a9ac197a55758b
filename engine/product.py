"""A product's arithmetic: leverage on a line, the prices of its edges, units against money.

Between trades a product's NAV is a straight line in the mark, ``NAV(p) = intercept + slope * p``;
exposure is ``slope * p``. Everything here follows from those two numbers.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

from engine.offering import ANYTIME, Offering
from engine.plans import NOW, Plan
from engine.secondary import SecondaryTerms
from engine.splits import SplitTerms
from engine.units import DAY_NS, NEVER_NS

__all__ = [
    "HedgeTerms",
    "LoanTerms",
    "ProductSpec",
    "Terms",
    "bankruptcy_price",
    "jumped",
    "price_at_leverage",
    "units_for",
]


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holders were promised, apart from leverage.

    Attributes:
        pack: name of the rule pack the terms come from; ``none`` where they are written out.
        nav: how NAV is defined; ``basket``: the equity of the hedge account, costs fall on holders;
            ``formula``: the last rebalance's, moved by its leverage times the price's move since,
            and the hedge is the issuer's risk; ``quoted``: what its policy quotes, and between two
            quotes as of a formula.
        formula_price: which price a formula follows; the hedge stands at the mark in any case.
        management_fee: share of NAV per ``fee_every_ns``, paid to the issuer.
        fee_every_ns: interval of the management fee, counted from 1970-01-01 UTC.
        fee_at_ns: how long after the beginning of its interval it is charged.
        fees: ``(from when, share)`` of later rules, in order of time; ``management_fee`` before.
        create_fee, redeem_fee: share of the money of a request that the issuer keeps.
        dealing_fees: ``(from when, create_fee, redeem_fee)`` of later rules, in order of time.
        least_quote: smallest request, quote atoms.
        while_rebalancing: what happens to requests while a rebalance is under way.
        offering: at which times, and how much, is created and redeemed.
        split: when units are merged or split.
        secondary: how its units trade beside; nobody asks where that is not said.
        offerings, splits: ``(from when, what)`` of later rules, in order of time.
    """

    pack: str = "none"
    nav: Literal["basket", "formula", "quoted"] = "basket"
    formula_price: Literal["mark", "index"] = "mark"
    management_fee: float = 0.0
    fee_every_ns: int = DAY_NS
    fee_at_ns: int = 0
    fees: tuple[tuple[int, float], ...] = ()
    create_fee: float = 0.0
    redeem_fee: float = 0.0
    dealing_fees: tuple[tuple[int, float, float], ...] = ()
    least_quote: int = 0
    while_rebalancing: Literal["refuse", "queue"] = "refuse"
    offering: Offering = ANYTIME
    split: SplitTerms | None = None
    offerings: tuple[tuple[int, Offering], ...] = ()
    splits: tuple[tuple[int, SplitTerms | None], ...] = ()
    secondary: SecondaryTerms | None = None

    @property
    def promised(self) -> bool:
        """Whether holders have a promise, and the hedge is the issuer's."""
        return self.nav != "basket"

    def fees_of_requests(self, ts_ns: int) -> tuple[float, float]:
        """Of creations and of redemptions, in force at an instant."""
        fees = self.create_fee, self.redeem_fee
        for from_ns, create, redeem in self.dealing_fees:
            fees = (create, redeem) if from_ns <= ts_ns else fees
        return fees

    def offering_at(self, ts_ns: int) -> Offering:
        """Windows, batches and caps in force at an instant."""
        found = self.offering
        for from_ns, later in self.offerings:
            found = later if from_ns <= ts_ns else found
        return found

    def next_offering_ns(self, ts_ns: int) -> int:
        """The first instant after ``ts_ns`` at which a window opens or closes, a day of caps turns,
        or other rules begin."""
        first = self.offering_at(ts_ns).next_edge_ns(ts_ns)
        return min(first, min((at for at, _ in self.offerings if at > ts_ns), default=NEVER_NS))

    def split_at(self, ts_ns: int) -> SplitTerms | None:
        """Rules of splits in force at an instant."""
        found = self.split
        for from_ns, later in self.splits:
            found = later if from_ns <= ts_ns else found
        return found

    def next_split_ns(self, ts_ns: int) -> int:
        """The first instant after ``ts_ns`` at which the rules of then may split or merge."""
        since_ns, rules = 0, self.split
        for until_ns, later in (*self.splits, (NEVER_NS, None)):
            if rules is not None and until_ns > ts_ns:
                found = rules.next_ns(max(ts_ns, since_ns - 1))
                if found < until_ns:
                    return found
            since_ns, rules = until_ns, later
        return NEVER_NS

    def fee_rate(self, ts_ns: int) -> float:
        """The management fee in force at an instant."""
        rate = self.management_fee
        for from_ns, later in self.fees:
            rate = later if from_ns <= ts_ns else rate
        return rate

    def next_fee_ns(self, ts_ns: int) -> int:
        """The first instant after ``ts_ns`` at which a fee is due; never where there is none."""
        if not (self.management_fee or any(rate for _, rate in self.fees)):
            return NEVER_NS
        every = self.fee_every_ns
        return ((ts_ns - self.fee_at_ns) // every + 1) * every + self.fee_at_ns


class HedgeTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the hedge reaches the venue: ``latency_ns`` from decision to book, ``retry_ns`` before an
    unfilled rest is sent again (twice as long after each refusal, see ``engine.booking``),
    ``reserve_atoms`` set aside by the issuer against a negative NAV,
    ``when_stale`` for orders that meet a market without fresh prices, ``plan`` for openings and
    rebalances whose decision names none.

    ``account``: ``segregated``, a margin account of its own, or ``omnibus``, that of all such
    products of the market, whose orders net where they reach the book in the same instant; with an
    ``account_name`` that of all products which name it, on whatever market.
    ``margin_share`` of the product's money lies at the venue, the rest in the issuer's treasury,
    and only what lies at the venue stands between the hedge and its liquidation; of that
    collateral, open profit apart, ``haircut`` does not count as margin. Where it comes down to
    ``topup_at`` times maintenance a top-up is ordered, which arrives ``topup_latency_ns`` later."""

    latency_ns: int = 0
    retry_ns: int = 1_000_000_000
    reserve_atoms: int = 0
    account: Literal["segregated", "omnibus"] = "segregated"
    account_name: str = ""
    margin_share: float = 1.0
    haircut: float = 0.0
    topup_latency_ns: int = 0
    topup_at: float = 2.0
    when_stale: Literal["hold", "refuse"] = "hold"
    plan: Plan = NOW

    def shares(self, name: str) -> bool:
        """Whether it is one of the omnibus account of that name; of its market's, where empty."""
        return self.account == "omnibus" and self.account_name == name


class LoanTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A margin loan: ``hourly_rate`` is the share of the debt charged on every hour of UTC; assets
    over debt at or below ``call_level`` call the borrower, at or below ``sell_level`` are sold.

    Levels as Binance's cross margin has them, the rate (7.3 % a year): assumed.
    """

    hourly_rate: float = 1.0 / 120_000.0
    call_level: float = 1.3
    sell_level: float = 1.1


class ProductSpec(Struct, frozen=True, kw_only=True):
    """One product as the heart needs it; policies are bound beside it.

    Attributes:
        id: its name.
        market: index of its market.
        kind: ``fund`` follows its policies. The others are what users compare it with, and trade
            once: ``spot`` buys and holds, without funding; ``futures`` holds ``leverage`` times its
            margin until it is liquidated; ``margin_loan`` buys spot with borrowed money (or sells
            borrowed coins) and pays interest.
        leverage: signed, of ``futures`` and ``margin_loan``: notional over the money put in.
        stake: of ``futures``: the share of the money that is put in; the rest is its owner's at
            the venue (``hedge.margin_share`` 1: cross) or elsewhere (``stake``: isolated).
        loan: of ``margin_loan``.
        seed_atoms: the issuer's own units, quote atoms at the start.
        population: ``(count, quote atoms)``: the first so many users spend that at the start.
        holdings: ``(user index, quote atoms)`` spent at the start beyond that, in user order.
        limit: largest |leverage| a policy may ask for.
        edges: ``(notional as a share of NAV, leverage it needs)`` at the far edges of its bands: a
            tier must allow it, or an order that adds is refused; ``None``: no tier is asked, as of
            a claim, whose leverage is its holders' and not the hedge's, which the issuer margins.
        safe_mode: what becomes of the product when a policy faults. ``hold``: what it holds it
            holds, and its other policies go on. ``cut``: it is cut to ``safe_leverage`` where it
            has more; from then on only de-risking policies are asked, and only to reduce, and what
            the venue takes of a basket by force is not bought back.
        safe_leverage: magnitude.
    """

    id: str
    market: int
    kind: Literal["fund", "spot", "futures", "margin_loan"] = "fund"
    leverage: float = 1.0
    stake: float = 1.0
    loan: LoanTerms = LoanTerms()
    seed_atoms: int
    population: tuple[int, int] = (0, 0)
    holdings: tuple[tuple[int, int], ...] = ()
    terms: Terms = Terms()
    hedge: HedgeTerms = HedgeTerms()
    limit: float = 10.0
    edges: tuple[tuple[float, float], ...] | None = None
    safe_mode: Literal["hold", "cut"] = "hold"
    safe_leverage: float = 1.0

    def opening_target(self, *, inverse: bool) -> float:
        """Leverage that the one trade of a product without policies leads to: exposure over NAV.

        The margin of an inverse contract is coins, which are one times long on their own: 10x
        futures on it are an exposure of 11.
        """
        if self.kind == "futures":
            put_in = float(self.leverage) * self.stake
            return put_in + 1.0 if inverse else put_in
        return float(self.leverage) if self.kind == "margin_loan" else 1.0


def bankruptcy_price(intercept: float, slope: float) -> float:
    """Mark price at which the product's NAV is zero.

    ``NAV(p) = intercept + slope * p``, so ``p = -intercept / slope``. Holding 3 BTC bought at 100
    with 100 of NAV (intercept -200) the product is bankrupt at 66.67.

    Args:
        intercept: NAV at price zero, quote; negative when exposure exceeds NAV.
        slope: base amount, long positive; not zero.

    Returns:
        Quote per base. Zero or less means that no positive price bankrupts the product.

    Raises:
        ZeroDivisionError: if ``slope`` is zero.
    """
    return -intercept / slope


def price_at_leverage(intercept: float, slope: float, leverage: float) -> float:
    """Mark price at which a product's leverage is ``leverage``; zero or less if there is none.

    ``slope * p = leverage * (intercept + slope * p)``, so ``p = leverage * intercept / (slope * (1
    - leverage))``. A product with 300 of exposure on 100 of NAV at a price of 100 (intercept -200,
    slope 3) has leverage 4.125 at 88, and 2.25 at 120.

    Args:
        intercept: NAV at price zero, quote.
        slope: base amount, long positive; not zero.
        leverage: signed; not 1 (leverage 1 is met at every price or none).

    Source: band algebra, leverage at price ratio x is ``L x / (1 + L (x - 1))``.
    """
    return leverage * intercept / (slope * (1.0 - leverage))


def units_for(quote: int, units_total: int, nav: int) -> int:
    """Units that ``quote`` atoms buy at NAV, rounded down: the pool is never diluted."""
    return quote * units_total // nav


def jumped(edges: tuple[float, float], mark: float) -> float | None:
    """The edge that a mark lies beyond; ``None`` where it is at or between them."""
    low, high = edges
    if mark < low < math.inf:
        return low
    return high if -math.inf < high < mark else None
