"""A book that is a formula: a depth that grows with the distance.

It has a cumulative depth per side of ``D(u) = A * (u / 1 %)^beta`` quote, ``u`` in per cent from
the best price, ``beta`` one number inside 1 % and another outside; what we took is a negative
overlay that recovers by a half-life, and nothing is extrapolated beyond the last distance: the rest
is unfilled. The operator may say that for a time only a share of it is there.

Closed form of a sweep of ``Q`` inside 1 %: the last quote lies at ``u = (Q / A)^(1 / beta)``, the
average at ``u * beta / (beta + 1)``. Depths of 3.5 and 16.53 millions at 0.1 and 1 % make beta
0.674; ten millions then reach 0.4745 %, and cost 0.1911 % on average.

Source of the shape: reference venue notes, equation 1 (Binance perpetual depth 2023-2026); ``A``
per symbol in ``DEPTH_AT_1PCT``, half-life assumed.
"""

from __future__ import annotations

from typing import Final

from engine.exact import exp2, power
from engine.venue.depth_state import DepthState
from engine.venue.taking import Taken, Top

__all__ = ["ASSUMED_DEPTH", "BETA_FAR", "BETA_NEAR", "DEPTH_AT_1PCT", "DepthBook"]

DEPTH_AT_1PCT: Final[dict[str, float]] = {
    "BTC": 244.0e6,
    "ETH": 116.9e6,
    "SOL": 40.0e6,
    "XRP": 23.9e6,
    "DOGE": 15.9e6,
}
"""Quote per side within 1 % of mid on a normal day before 2025-10-10, by base asset."""
ASSUMED_DEPTH: Final = 10.0e6
"""The same for a base asset nobody measured: assumed."""

BETA_NEAR: Final = 0.67
BETA_FAR: Final = 1.13
_EDGE_PCT: Final = 10.0
_SURELY: Final = 0.99
"""So much of what lies within 1 % is there, however the powers round."""


class DepthBook:
    """One symbol's book as a power of the distance, as far as our own orders see it.

    Args:
        half_spread_bps: distance of the first quote from mid where no best bid and ask are
            recorded.
        depth_at_1pct: quote per side within 1 % of it.
        half_life_s: time in which half of what we took is back.
        beta_near, beta_far: exponents inside 1 % and outside.

    Attributes:
        alive: shares of the bids and of the asks that are left after a move; see ``survival``.
    """

    __slots__ = (
        *("_average", "_betas", "_edge", "_full", "_half_life_ns", "_near", "_to_distance"),
        *("_last", "alive", "half_spread_bps", "state"),
    )

    def __init__(
        self,
        half_spread_bps: float = 0.0,
        depth_at_1pct: float = ASSUMED_DEPTH,
        half_life_s: float = 180.0,
        beta_near: float = BETA_NEAR,
        beta_far: float = BETA_FAR,
    ) -> None:
        self.half_spread_bps, self.state, self.alive = half_spread_bps, DepthState(), (1.0, 1.0)
        self._full = (depth_at_1pct, depth_at_1pct * power(_EDGE_PCT, beta_far))
        self._half_life_ns = half_life_s * 1e9
        # Inside 1 % and outside; the other way round; the average distance as a share of the last.
        self._betas = beta_near, beta_far
        self._to_distance = 1.0 / beta_near, 1.0 / beta_far
        self._average = beta_near / (beta_near + 1.0), beta_far / (beta_far + 1.0)
        self._near, self._edge = self._full
        # In which depth the last order ended where, and what ``_walked`` was there.
        self._last = (0.0, 0.0, 0.0)

    def take(
        self, side: int, notional: float, mid: float, half_spread: float, ts_ns: int
    ) -> tuple[float, float]:
        """Execute a market order.

        Args:
            side: +1 buys (takes asks), -1 sells.
            notional: size in quote, > 0.
            mid: quote per base.
            half_spread: recorded half spread as a share of mid; the model's own where negative.
            ts_ns: when the order meets the book.

        Returns:
            Share of the order that was filled, in [0, 1], and its average price.
        """
        self._see(side, ts_ns)
        self._recover(ts_ns, self._left(ts_ns))
        taken = self._taken(side, ts_ns)
        size = min(notional, self._edge - taken)
        if size <= 0.0:
            return 0.0, mid
        price = self._price(side, taken, size, mid, self._spread(half_spread))
        self._keep(side, taken + size)
        return (1.0 if size == notional else size / notional), price

    def best(self, side: int, top: Top) -> float | None:
        """The price of the first quote that an order of that side would take; ``None`` where our
        own orders have left nothing."""
        self._see(side, top.ts_ns)
        taken = self._taken(side, top.ts_ns)
        if taken >= self._edge:
            return None
        away = self._spread(top.half_spread) + self._distance(taken) * 0.01
        return top.mid * (1.0 + side * away)

    def offer(self, side: int, lots: int, notional: float, limit: float | None, top: Top) -> Taken:
        """What ``take_limited`` would fill; nothing is taken.

        Args:
            side: +1 buys (takes asks), -1 sells.
            lots: size, unsigned, > 0.
            notional: the same in quote.
            limit, top: worst price, ``None`` at market; the market around the book.
        """
        self._see(side, top.ts_ns)
        return self._fill(side, lots, notional, limit, top, self._taken(side, top.ts_ns))

    def _fill(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top, taken: float
    ) -> Taken:
        """``offer`` of a book of which so much is taken."""
        spread, mid = self._spread(top.half_spread), top.mid
        size, reason = self._edge - taken, "no_depth"
        if limit is not None:
            reach = (side * (limit / mid - 1.0) - spread) * 100.0
            # What is well within one per cent needs no look at how much lies within more.
            if reach < 1.0 or taken + notional > _SURELY * self._near:
                reached = self.within(reach) - taken
                if reached < size:
                    size, reason = reached, "limit"
        if size >= notional:
            filled, size, reason = lots, notional, ""
        else:
            filled = int(lots * (max(size, 0.0) / notional))
            size = notional * (filled / lots)
        if not filled:
            return Taken(0, mid, reason=reason)
        price = self._price(side, taken, size, mid, spread)
        # The last rounding may have passed the limit.
        if limit is not None and side * (price - limit) > 0.0:
            price = limit
        return Taken(filled, price, reason=reason)

    def take_limited(
        self, side: int, lots: int, notional: float, limit: float | None, top: Top
    ) -> Taken:
        """Execute an order up to a limit: what lies between the first quote that is left and the
        limit, whole lots, at the average of their prices; arguments as of ``offer``.

        At market this is ``take``, and what that leaves of the last lot is not filled.
        """
        if limit is None:
            share, price = self.take(side, notional, top.mid, top.half_spread, top.ts_ns)
            filled = lots if share == 1.0 else int(lots * share)
            return Taken(filled, price, reason="" if filled == lots else "no_depth")
        ts_ns, state, left = top.ts_ns, self.state, self._left(top.ts_ns)
        self._see(side, ts_ns)
        taken = (state.taken_ask if side > 0 else state.taken_bid) * left
        offer = self._fill(side, lots, notional, limit, top, taken)
        if offer.lots:
            self._recover(ts_ns, left)
            self._keep(side, taken + notional * (offer.lots / lots))
        return offer

    def depth(self, ts_ns: int) -> float:
        """Quote per side within 1 % that is there now, of the thinner side."""
        state, left = self.state, self._left(ts_ns)
        if self.alive[0] == self.alive[1]:
            self._see(1, ts_ns)
            return self._near - max(state.taken_bid, state.taken_ask) * left
        self._see(-1, ts_ns)
        bids = self._near - state.taken_bid * left
        self._see(1, ts_ns)
        return min(bids, self._near - state.taken_ask * left)

    def reach(self, side: int, ts_ns: int) -> float:
        """Per cent from the first quote of a side to the first that our orders have left."""
        self._see(side, ts_ns)
        return self._distance(self._taken(side, ts_ns))

    def set_reach(self, side: int, reach: float) -> None:
        """Our orders have left everything beyond so many per cent; as of the last of them."""
        self._see(side, self.state.ts_ns)
        self._keep(side, self.within(reach))

    def survive(self, bids: float, asks: float, ts_ns: int) -> None:
        """From now on such shares of the two sides are there; what our orders took of them shrinks
        and grows with them, so that the first price that is left stays where it is."""
        self._recover(ts_ns, self._left(ts_ns))
        state, (before_bids, before_asks) = self.state, self.alive
        state.taken_bid *= bids / before_bids
        state.taken_ask *= asks / before_asks
        self.alive = bids, asks

    def refilled(self, side: int) -> float:
        """Of how far an order of that side reaches, how far it would into the whole book."""
        return power(self.alive[side > 0], self._to_distance[0])

    @property
    def widened(self) -> float:
        """By how much the spread is wider than on a whole book."""
        return 1.0 / min(self.alive)

    def thin(self, scale: float, until_ns: int, half_ns: int) -> None:
        """From now on ``scale`` of the depth is there; what is missing comes back after
        ``until_ns``, half of it in each ``half_ns``."""
        state = self.state
        state.scale, state.thin_until_ns, state.thin_half_ns = scale, until_ns, half_ns

    def _see(self, side: int, ts_ns: int) -> None:
        """Take the depth that an order of that side meets: a function of time and state alone."""
        state, share = self.state, 1.0
        if state.scale != 1.0:
            over_ns = ts_ns - state.thin_until_ns
            if over_ns < 0:
                share = state.scale
            elif state.thin_half_ns:
                share = 1.0 + (state.scale - 1.0) * exp2(-over_ns / state.thin_half_ns)
        share *= self.alive[side > 0]
        self._near, self._edge = self._full[0] * share, self._full[1] * share

    def _spread(self, half_spread: float) -> float:
        return half_spread if half_spread >= 0.0 else self.half_spread_bps * 1e-4 * self.widened

    def _taken(self, side: int, ts_ns: int) -> float:
        taken = self.state.taken_ask if side > 0 else self.state.taken_bid
        return taken * self._left(ts_ns)

    def _keep(self, side: int, taken: float) -> None:
        if side > 0:
            self.state.taken_ask = taken
        else:
            self.state.taken_bid = taken

    def _recover(self, ts_ns: int, left: float) -> None:
        """Write down what is back by now; only an order may."""
        state = self.state
        state.taken_bid, state.taken_ask = state.taken_bid * left, state.taken_ask * left
        if ts_ns > state.ts_ns:
            state.ts_ns = ts_ns

    def _left(self, ts_ns: int) -> float:
        """Share of our takings that is not back yet: a closed form of the time since the last one,
        so that looking at the book never changes it."""
        state = self.state
        if ts_ns <= state.ts_ns or not (state.taken_bid or state.taken_ask):
            return 1.0
        return exp2((state.ts_ns - ts_ns) / self._half_life_ns)

    def _price(self, side: int, taken: float, size: float, mid: float, spread: float) -> float:
        """Average price of ``size`` quote behind the ``taken`` first."""
        # Orders of one instant follow each other: each begins where the last one ended.
        near, end, before = self._last
        if end != taken or near != self._near:
            before = self._walked(taken)
        after = self._walked(taken + size)
        self._last = self._near, taken + size, after
        return mid * (1.0 + side * (spread + (after - before) / size * 0.01))

    def within(self, reach: float) -> float:
        """Quote of a side within ``reach`` per cent of its first, before anybody took of it."""
        return self._near * power(min(max(reach, 0.0), _EDGE_PCT), self._betas[reach > 1.0])

    def _distance(self, size: float) -> float:
        """Per cent from the first quote of a side to the one behind ``size`` quote."""
        share = size / self._near
        return power(share, self._to_distance[share > 1.0])

    def _walked(self, size: float) -> float:
        """Integral of the distance (per cent) over the first ``size`` quote of a side."""
        near = self._near
        if size <= near:
            return size * power(size / near, self._to_distance[0]) * self._average[0]
        walked = size * power(size / near, self._to_distance[1]) - near
        return near * self._average[0] + self._average[1] * walked
