"""The points of a market that feels what is traded: its marks, and the premiums of its funding."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.felt_premium import FeltPremiums
from engine.market_state import MarketSpec
from engine.points import PricingSpec
from engine.pricing import Pricing
from engine.rows import Column, Rows
from engine.ticks import Funding, Kind, Marks
from engine.units import NEVER_NS
from engine.venue.funding import next_scheduled
from engine.venue.impact import ImpactState
from engine.venue.price_rules import FundingRules, IndexSource, MarkRules

__all__ = ["Felt"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
Sampled = tuple[int, float, float]
"""When a premium is taken, the book's own middle and the index then."""


class Felt(Pricing):
    """Makes the points of one market: the last price heard up to each is the index, moved by what
    trades left for good; the book stands where they left it.

    A point is made where something was heard since the one before.
    """

    __slots__ = (
        *("_bases", "_carry", "_funding", "_interval_ns", "_kind", "_masked", "_owns", "_spec"),
        "impact",
    )

    def __init__(self, symbol: int, kind: Kind, market: MarketSpec, impact: ImpactState) -> None:
        spec = market.impact
        assert spec is not None
        self._kind, self._spec, self.impact = kind, spec, impact
        self._funding, self._interval_ns = market.funding, market.venue.funding.interval_ns
        premium = market.funding.premium
        if premium is not None:
            _check_grids(premium, spec.every_ns)
            self._interval_ns = premium.interval_ns
        made = PricingSpec(
            sources=(IndexSource(symbol=symbol),),
            mark=MarkRules(every_ns=spec.every_ns, basis_every_ns=spec.every_ns),
            premium=premium,
            margins=spec.margins,
        )
        super().__init__(symbol, made, market.funding)
        self.open(None)

    def open(self, _rows: Rows | None) -> None:
        """A new step begins."""
        self._clear()
        self.points.forget()
        self._bases = self._carry = self._owns = np.zeros(0)
        self._masked = np.zeros(0, np.bool_)

    def advance(self, rows: Rows, up_to_ns: int, before: int) -> None:
        """Make the points up to a time, of rows with a sequence below ``before``."""
        state, every, column = self.points.state, self._spec.every_ns, rows.by_kind[self._kind]
        if state.next_ns == NEVER_NS:
            if column is None:
                return
            state.next_ns = -(-column.run.item(0) // every) * every
        if state.next_ns > up_to_ns:
            return
        times = np.arange(state.next_ns, up_to_ns + 1, every)
        state.next_ns = int(times[-1]) + every
        bases, heard_ns = self._heard(times, before, column)
        fresh = heard_ns > times - every
        if not fresh.any():
            return
        bases, times = bases[fresh], times[fresh]
        self._bases = np.concatenate((self._bases, bases))
        carry = self._carried(times, before, rows.by_kind[Kind.FUNDING])
        self._carry = np.concatenate((self._carry, carry))
        if self._funding.premium is not None:
            own = self._own(times, bases, before, rows.by_kind[Kind.INDEX])
            self._owns = np.concatenate((self._owns, own))
            masked = times < self.points.state.masked_ns[0]
            self._masked = np.concatenate((self._masked, masked))
            if self.impact.instant_ns == NEVER_NS:
                self.impact.instant_ns = self.points.next_instant(times.item(0) - 1)
        known = self.column.run if self.column is not None else np.zeros(0, np.int64)
        made = np.concatenate((known, times))
        table = Marks(sequence=made, symbol=self._symbols[0], ts_ns=made, price=np.zeros(len(made)))
        before_them = np.zeros(0) if self.column is None else self.column.prices
        assert before_them is not None
        prices = np.concatenate((before_them, bases))
        self.column = Column(table, made, prices, 0.0, np.inf)
        self.feel(len(known))

    def _heard(self, times: I64, before: int, column: Column | None) -> tuple[F64, I64]:
        """The last price up to each time, and when it was said; of rows below ``before``."""
        impact = self.impact
        bases, heard_ns = np.full(len(times), impact.heard), np.full(len(times), impact.heard_ns)
        if column is None:
            return bases, heard_ns
        rows = self._rows_at(times, before, column)
        assert column.prices is not None
        here = rows >= 0
        bases[here], heard_ns[here] = column.prices[rows[here]], column.run[rows[here]]
        return bases, heard_ns

    def _own(self, times: I64, bases: F64, before: int, column: Column | None) -> F64:
        """How far the input's price lay from its index at each time, as a factor: as of the last
        point at which that was new."""
        said = self.points.state.heard[1]
        index, seen_ns = np.full(len(times), said.index), np.full(len(times), said.index_ns)
        if column is not None:
            rows = self._rows_at(times, before, column)
            assert column.prices is not None
            here = rows >= 0
            index[here], seen_ns[here] = column.prices[rows[here]], column.run[rows[here]]
        fresh = (seen_ns > times - self._spec.every_ns) & (index > 0.0)
        known = self._owns.item(-1) if len(self._owns) else self.impact.own
        factors = np.concatenate(([known], np.where(fresh, bases / np.where(fresh, index, 1.0), 1)))
        places = np.where(np.concatenate(([True], fresh)), np.arange(len(factors)), 0)
        found: F64 = factors.take(np.maximum.accumulate(places))[1:]
        return found

    def _rows_at(self, times: I64, before: int, column: Column) -> I64:
        """The market's last row up to each time, of those below ``before``; -1 where there is
        none."""
        stops: I64 = np.minimum(column.run.searchsorted(times, "right"), column.row_at(before))
        own = column.rows_of(self._symbols[0])
        if own is not None:
            stops = np.append(-1, own).take(own.searchsorted(stops)) + 1
        return stops - 1

    def _carried(self, times: I64, before: int, column: Column | None) -> F64:
        """What the funding still to come is worth at each time, a share of the index."""
        if self._funding.recorded:
            state = self.points.state
            rates, next_ns = np.full(len(times), state.rate), np.full(len(times), state.funding_ns)
            if column is not None:
                table = column.table
                assert isinstance(table, Funding)
                rows = self._rows_at(times, before, column)
                here = rows >= 0
                rates[here], next_ns[here] = table.rate[rows[here]], table.next_ns[rows[here]]
            left_ns = next_ns - times
            return np.where(left_ns >= 0, rates * (left_ns / self._interval_ns), 0.0)
        if self._funding.premium is not None:
            return self._expected(times)
        carried, first = np.zeros(len(times)), 0
        while first < len(times):
            instant_ns, rate = next_scheduled(self._funding, times.item(first))
            if instant_ns == NEVER_NS:
                break
            stop = int(times.searchsorted(instant_ns))
            carried[first:stop] = rate * ((instant_ns - times[first:stop]) / self._interval_ns)
            first = stop
        return carried

    def _expected(self, times: I64) -> F64:
        """The same where the rate is made of premiums: the last one, up to the next instant, at
        which nothing is left of it."""
        after, rate = times.item(0) - 1, self.points.state.rate
        carried, first = np.zeros(len(times)), 0
        while rate and first < len(times):
            instant_ns = self.points.next_instant(after)
            stop = int(times.searchsorted(instant_ns, "right"))
            carried[first:stop] = rate * ((instant_ns - times[first:stop]) / self._interval_ns)
            first, after = stop, instant_ns
        return carried

    def settle(self, ts_ns: int, rules: FundingRules) -> None:
        """A funding instant: another rate is expected at the points after it."""
        self.points.settle(ts_ns, rules)
        self.impact.instant_ns = self.points.next_instant(ts_ns)
        column = self.column
        row = column.row_at(ts_ns + 1) if column is not None else 0
        if column is not None and row < len(column):
            self._carry[row:] = self._expected(column.run[row:])
            self.feel(row)

    def sampled(self, first: int, stop: int, premiums: FeltPremiums) -> list[Sampled]:
        """Where premiums are taken, of these points of the step."""
        column, impact = self.column, self.impact
        if column is None:
            return []
        times = column.run[first:stop]
        due = premiums.due(times)
        due = due[~self._masked[first:stop][due]]
        if not len(due):
            return []
        times, bases, owns = times[due], self._bases[first:stop][due], self._owns[first:stop][due]
        middles = bases * impact.felt(impact.passing_at(self._spec, times))
        indexes = bases * impact.middle / owns
        return list(zip(times.tolist(), middles.tolist(), indexes.tolist(), strict=True))

    def feel(self, first: int) -> None:
        """Make the points from the ``first`` of this step on anew."""
        column, impact, spec = self.column, self.impact, self._spec
        if column is None or first >= len(column):
            return
        assert column.prices is not None
        bases, carry, times = self._bases[first:], self._carry[first:], column.run[first:]
        if impact.is_still:
            zeros = np.zeros(len(bases))
            column.prices[first:] = impact.marks(spec, bases, carry, zeros, zeros)
            return
        steps = (times - impact.at_ns) // spec.every_ns
        passing, basis = impact.ahead(spec, int(steps[-1]))
        passing = np.concatenate(([impact.passing], passing)).take(steps)
        basis = np.concatenate(([impact.basis], basis)).take(steps)
        marks = impact.marks(spec, bases, carry, passing, basis)
        masked = times < self.points.state.masked_ns[0]
        if masked.any():  # of three legs the book alone is left
            marks = np.where(masked, bases * impact.felt(passing), marks)
        column.prices[first:] = marks

    def base(self, row: int) -> float:
        """What the input said at a point of this step."""
        return float(self._bases.item(row))

    def close(self, rows: Rows) -> None:
        """The step ends: what it said last is remembered."""
        column = rows.by_kind[self._kind]
        symbol = self._symbols[0]
        row = column.last(symbol, rows.end) if column is not None else -1
        if column is not None and row >= 0:
            assert column.prices is not None
            self.impact.heard, self.impact.heard_ns = column.prices.item(row), column.run.item(row)
        if self._funding.premium is not None:
            self._close_own(rows.by_kind[Kind.INDEX], rows.end)
        column = rows.by_kind[Kind.FUNDING]
        row = column.last(symbol, rows.end) if column is not None else -1
        if column is not None and row >= 0:
            table = column.table
            assert isinstance(table, Funding)
            self.points.announce(table.rate.item(row), table.next_ns.item(row))

    def _close_own(self, column: Column | None, end: int) -> None:
        row = column.last(self._symbols[0], end) if column is not None else -1
        if column is not None and row >= 0:
            assert column.prices is not None
            said = self.points.state.heard[1]
            said.index, said.index_ns = column.prices.item(row), column.run.item(row)
        if len(self._owns):
            self.impact.own = self._owns.item(-1)


def _check_grids(rules: FundingRules, every_ns: int) -> None:
    """Premiums are taken, and become a rate, at points of the marks."""
    sample_ns = rules.sample_ns
    if sample_ns % every_ns and every_ns % sample_ns:
        raise ConfigError("premiums and marks lie on grids of which one holds the other")
    if rules.interval_ns % every_ns or rules.offset_ns % every_ns:
        raise ConfigError("funding is settled at points of the marks' own grid")
