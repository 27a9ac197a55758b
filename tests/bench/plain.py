"""The first yardstick: the loop over ticks that one would write in plain Python, and write well.

Every tick is judged (finite, positive, not late), every product's both edges are compared with it,
and every product is valued at every second. A breach is sized, filled with a fee, posted in a
double-entry ledger and stated as three events. It leaves out what else the engine does: encoding
events, the digests, the attribution of costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from engine.events import OrderFilled, OrderSent, Output, ProductLaunched, Rebalanced
from engine.ticks import NOT_MARKET, Kind, Marks, Step
from tests.bench.contest import Score
from tests.bench.tapes import SAMPLE_NS, SEED_ATOMS, Lineup

__all__ = ["Plain"]

FEE_OVER: Final = 4
FEE_UNDER: Final = 10_000
DRAW_IN: Final = 1e-12
TRADE, BBO, MARK = int(Kind.TRADE), int(Kind.BBO), int(Kind.MARK)
_VALUES: Final = {
    Kind.TRADE: ("price", "size", "aggressor", "trade_id"),
    Kind.BBO: ("bid", "ask", "bid_size", "ask_size"),
    Kind.MARK: ("price", "price", "price", "price"),
}


def _merged(step: Step) -> Iterator[tuple[Any, ...]]:
    """The rows of all tables in the order of the input: kind, time and four values."""
    tables = step.tables
    order = np.concatenate([table.sequence for table in tables]).argsort()
    columns = [
        np.concatenate([np.full(len(table), int(table.KIND)) for table in tables]),
        np.concatenate([table.ts_ns for table in tables]),
        *(
            np.concatenate([getattr(table, _VALUES[table.KIND][place]) for table in tables])
            for place in range(4)
        ),
    ]
    return zip(*(column[order].tolist() for column in columns), strict=True)


class Plain:
    """Cash and lots of product ``n`` are balances ``2 n`` and ``2 n + 1``; the book's, the fees and
    the rest follow."""

    def __init__(self, lineup: Lineup) -> None:
        count = len(lineup)
        self.lineup = lineup
        self.everyone = range(count)
        self.edges = [(n, math.inf, -math.inf) for n in self.everyone]
        self.balances = [0] * (2 * count + 7)
        self.book_cash, self.book_lots, self.fees = 2 * count, 2 * count + 1, 2 * count + 2
        self.issuer, self.reserve, self.units = 2 * count + 3, 2 * count + 4, 2 * count + 5
        self.launched = [False] * count
        self.orders = [0] * count
        self.mark = 0.0
        self.last_ns = 0
        self.next_ns = -1
        self.sequence = 0
        self.rejected = self.rebalances = self.transfers = 0
        self.events: list[Output] = []
        self.top = (0.0, 0.0)
        self.last_id = -1
        if lineup.mixed:
            self.process = self.process_mixed  # type: ignore[method-assign]

    def process(self, step: Step) -> tuple[list[Output], list[float]]:
        """Events, and NAVs one after the other."""
        (table,) = step.tables
        assert isinstance(table, Marks)
        events: list[Output] = []
        navs: list[float] = []
        self.events = events
        edges, mark, last_ns, next_ns = self.edges, self.mark, self.last_ns, self.next_ns
        if next_ns < 0:
            next_ns = -(-int(table.ts_ns[0]) // SAMPLE_NS) * SAMPLE_NS
        for row, (ts_ns, price) in enumerate(
            zip(table.ts_ns.tolist(), table.price.tolist(), strict=True), step.first
        ):
            if not 0.0 < price < math.inf or ts_ns < last_ns:
                self.rejected += 1
                continue
            last_ns = ts_ns
            while next_ns < ts_ns:
                self._value(navs, mark)
                next_ns += SAMPLE_NS
            mark = price
            for number, low, high in edges:
                if not low < price < high:
                    self._rebalance(number, price, price, price, ts_ns, row)
        self.mark, self.last_ns, self.next_ns = mark, last_ns, next_ns
        return events, navs

    def process_mixed(self, step: Step) -> tuple[list[Output], list[float]]:
        """``process`` for steps of trades, book tops and marks: every row is judged."""
        events: list[Output] = []
        navs: list[float] = []
        self.events = events
        edges, mark, last_ns, next_ns = self.edges, self.mark, self.last_ns, self.next_ns
        bid, ask = self.top
        last_id = self.last_id
        if next_ns < 0:
            next_ns = -(-min(int(t.ts_ns[0]) for t in step.tables) // SAMPLE_NS) * SAMPLE_NS
        for row, (kind, ts_ns, one, two, three, four) in enumerate(_merged(step), step.first):
            if ts_ns < last_ns:
                self.rejected += 1
                continue
            if kind == TRADE:
                if not (0.0 < one < math.inf and two >= 0.0 and three < NOT_MARKET):
                    self.rejected += 1
                    continue
                if four <= last_id:
                    self.rejected += 1
                    continue
                last_id = four
            elif kind == BBO:
                if not (0.0 < one < two < math.inf and three >= 0.0 and four >= 0.0):
                    self.rejected += 1
                    continue
            elif not 0.0 < one < math.inf:
                self.rejected += 1
                continue
            last_ns = ts_ns
            while next_ns < ts_ns:
                self._value(navs, mark)
                next_ns += SAMPLE_NS
            if kind == BBO:
                bid, ask = one, two
            elif kind == MARK:
                mark = one
                for number, low, high in edges:
                    if not low < mark < high:
                        self._rebalance(number, mark, bid or mark, ask or mark, ts_ns, row)
        self.mark, self.last_ns, self.next_ns = mark, last_ns, next_ns
        self.top, self.last_id = (bid, ask), last_id
        return events, navs

    def finish(self) -> tuple[list[Output], list[float]]:
        """The samples up to the last tick."""
        navs: list[float] = []
        while self.next_ns <= self.last_ns:
            self._value(navs, self.mark)
            self.next_ns += SAMPLE_NS
        return [], navs

    def _value(self, navs: list[float], mark: float) -> None:
        balances, most = self.balances, 2 * len(self.everyone)
        navs += [
            cash + lots * mark
            for cash, lots in zip(balances[0:most:2], balances[1:most:2], strict=True)
        ]

    def _post(self, source: int, target: int, amount: int) -> None:
        balances = self.balances
        balances[source] -= amount
        balances[target] += amount
        self.transfers += 1

    def _rebalance(
        self, number: int, price: float, bid: float, ask: float, ts_ns: int, sequence: int
    ) -> None:
        """``price`` is the mark; the order meets the best bid or ask."""
        balances, say = self.balances, self.events.append
        name, target = f"P{number}", self.lineup.targets[number]
        cash_at, lots_at = 2 * number, 2 * number + 1
        opening = not self.launched[number]
        ordinal = 4 * number if opening else len(self.events)
        if opening:
            self._launch(number, price, ts_ns, sequence)
            ordinal += 1
        cash, held = balances[cash_at], balances[lots_at]
        nav = cash + math.floor(held * price)
        lots = int(target * nav / price) - held
        if lots == 0:
            return
        before = held * price / (cash + held * price)
        purpose = "opening" if opening else "rebalance"
        order = self.orders[number]
        self.orders[number] += 1
        place: dict[str, Any] = {"sequence": sequence, "ts_ns": ts_ns, "product": name}
        say(
            OrderSent(
                ordinal=ordinal,
                order=order,
                lots=lots,
                purpose=purpose,
                arrives_ns=ts_ns,
                mark_price=price,
                **place,
            )
        )
        mid = (bid + ask) * 0.5
        paid = mid * (1.0 + math.copysign((ask - bid) * 0.5 / mid, lots))
        hedge = math.floor(-lots * mid)
        impact = math.floor(-lots * paid) - hedge
        fee = -(-abs(hedge + impact) * FEE_OVER // FEE_UNDER)
        self._post(self.book_lots, lots_at, lots)
        self._post(self.book_cash, cash_at, hedge)
        self._post(self.book_cash, cash_at, impact)
        self._post(cash_at, self.fees, fee)
        say(
            OrderFilled(
                ordinal=ordinal + 1,
                symbol="BTCUSDT",
                order=order,
                purpose=purpose,
                lots=lots,
                price=paid,
                mid_price=mid,
                mark_price=price,
                hedge_atoms=hedge,
                spread_impact_atoms=impact,
                fee_atoms=fee,
                **place,
            )
        )
        cash, held = balances[cash_at], balances[lots_at]
        self.rebalances += not opening
        say(
            Rebalanced(
                ordinal=ordinal + 2,
                reason=f"leverage {before:.4g} beyond the band",
                target=target,
                leverage_before=before,
                leverage_after=held * price / (cash + held * price),
                lots=lots,
                position_lots=held,
                mark_price=price,
                nav_atoms=cash + math.floor(held * price),
                cost_atoms=fee - impact,
                decided_ns=ts_ns,
                opening=opening,
                **place,
            )
        )
        self._watch(number, cash, held, target)

    def _launch(self, number: int, price: float, ts_ns: int, sequence: int) -> None:
        self.launched[number] = True
        self._post(self.issuer, 2 * number, 0)  # users have no part in it
        self._post(self.issuer, 2 * number, SEED_ATOMS)
        self._post(self.units, self.units, 0)
        self._post(self.units, self.units, SEED_ATOMS)
        self._post(self.issuer, self.reserve, 0)
        self.events.append(
            ProductLaunched(
                sequence=sequence,
                ordinal=4 * number,
                ts_ns=ts_ns,
                product=f"P{number}",
                symbol="BTCUSDT",
                mark_price=price,
                equity_atoms=SEED_ATOMS,
                units=SEED_ATOMS,
            )
        )

    def _watch(self, number: int, cash: int, held: int, target: float) -> None:
        """Between which prices leverage is inside its band."""
        sign = math.copysign(1.0, target)
        low, high = sign * self.lineup.lows[number], sign * self.lineup.highs[number]
        at_low = low * cash / (held * (1.0 - low))
        at_high = high * cash / (held * (1.0 - high))
        below, above = (at_high, at_low) if cash < 0 else (at_low, at_high)
        self.edges[number] = (number, below * (1.0 + DRAW_IN), above * (1.0 - DRAW_IN))

    def rows(self, outputs: list[tuple[list[Output], list[float]]]) -> list[Any]:
        return [navs for _, navs in outputs if navs]

    def count(self, outputs: list[tuple[list[Output], list[float]]]) -> int:
        return sum(len(events) for events, _ in outputs)

    def close(self, score: Score) -> None:
        balances, mark, tally = self.balances, self.mark, score.tally
        tally.rebalances, tally.transfers = self.rebalances, self.transfers
        tally.navs = [
            float(balances[2 * n] + math.floor(balances[2 * n + 1] * mark)) for n in self.everyone
        ]
