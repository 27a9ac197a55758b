"""What a run must say, recomputed from the raw rows by somebody who has never seen the engine.

One product on one market, row by row, in exact fractions; every row is looked at, there are no
watches. Money that moves is whole atoms (the payer rounds up, the payee down), all else is exact.
Nothing of ours is imported: the rules are those of the design document and of the docstrings of
the events, the arithmetic is its own.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil, floor, trunc
from typing import Any

from tests.oracle.account import ATOMS, UNIT_STEPS, Account, Order, decimal
from tests.oracle.case import HOUR, Case, Row

NEVER, ORDERS_MAX, COUNTED_MAX = 2**63 - 1, 1000, 2**58
HAIR, ULPS = Fraction(1, 10**11), Fraction(1, 10**15)


class RunawayError(Exception):
    """With a mid far below the mark each purchase seems to earn money for the next, for ever."""


class Oracle(Account):
    """Feed it rows, then ``end``. ``observed`` are the fill prices that the venue confirmed.

    ``close_calls`` counts decisions that hung on less than doubles can tell: no opinion on those.
    """

    def __init__(self, case: Case, observed: list[float] | None = None) -> None:
        super().__init__(case, observed)
        self.status, self.opened = "pending", False
        self.units: Counter[str] = Counter()  # steps by user; the issuer is ""
        self.pledged: Counter[str] = Counter()
        self.plan: Order | None = None
        self.deals: list[Order] = []
        self.waiting: list[tuple[int, Row]] = []  # from when on each may be dealt
        self.rates: dict[int, float] = {}  # recorded funding by instant, not yet settled
        self.grid: dict[int, int] = {}  # the next time of each schedule
        self.funding_at = self.fee_at = self.sample_at = NEVER
        self.equity_start = self.orders = self.close_calls = self.funded = self.rung = 0
        self.dealt: list[dict[str, Any]] = []
        self.refused: list[tuple[str, str]] = []
        self.samples: list[dict[str, Any]] = []

    # Time -------------------------------------------------------------------------------------

    def feed(self, row: tuple[Any, ...]) -> None:
        """One row: first what is due before it, then the row, then whoever minds its price."""
        kind, request = row[0], row[0] in ("create", "redeem", "stop", "take")
        ts = max(self.now, row[1])
        self._pass(ts if request else ts - 1)
        self._sample(ts - 1)
        self.now = ts
        if request:
            self._request(row, fresh=True)
        elif kind == "funding" and self.case.rate_8h is None and row[3] > self.funded:
            if row[3] > min(self.rates, default=NEVER) <= ts:
                self._pass(ts)  # it names the next instant: this one is over
            self.rates = {max(ts, row[3]): row[2]}  # what is not due yet may be renamed
        elif kind == "bbo":
            self.bbo = row[2], row[3]
            self._price("mid", (row[2] + row[3]) * 0.5)
        elif kind in ("mark", "trade", "index"):
            self._price(kind, row[2])

    def end(self) -> Oracle:
        """The input is over: what is due by now still happens."""
        self._pass(self.now)
        self._sample(self.now)
        return self

    def _price(self, source: str, price: float) -> None:
        if source == self.case.source:
            self.causes["price"] += self.slope * (Fraction(price) - Fraction(self.mark))
            self.mark = price
            if self.status == "pending":
                self._launch()
            self._ask(max(self.now - 1, self.rung))

    def _pass(self, until: int) -> None:
        while (due := min(self.alarms())) <= until:
            self._sample(due - 1)
            self.now = self.rung = due
            arrived = [order for order in self._under_way() if order.arrives <= due]
            for order in arrived:
                self._arrive(order)
            charged = self.fee_at == due and self.status == "active"
            if self._fund(due) | charged | bool(arrived) | self._timed(due):
                if charged:
                    self._charge()
                self._ask(due)
        self.rung = max(self.rung, until)

    def _timed(self, due: int) -> bool:
        return due in dict(self.waiting) or (due in self.grid.values() and self.nav > 0)

    def alarms(self) -> list[int]:
        """When something is due of itself."""
        times = [self.funding_at, *self.rates, *(o.arrives for o in self._under_way())]
        if self.status == "active":
            times += [self.fee_at, *(at for at, _ in self.waiting[:1] if at > self.rung)]
            times += [] if self.plan or self.nav <= 0 else self.grid.values()
        return times

    def _under_way(self) -> list[Order]:
        return sorted([*self.deals, *filter(None, [self.plan])], key=lambda o: o.number)

    def _sample(self, until: int) -> None:
        while self.sample_at <= until:
            units = self.units.total()
            self.samples.append({**self.state(), "ts": self.sample_at, "units": units})
            self.sample_at += self.case.nav_every

    def _launch(self) -> None:
        case, self.status = self.case, "active"
        for user, quote in (("", case.seed), *case.holdings):
            self.units[user] += quote * UNIT_STEPS // ATOMS
            self.equity_start += quote
        self.cash = ceil(self.equity_start / self.per_atom)
        self.book("rounding", self.cash - self.equity_start / self.per_atom)
        self.sample_at = -(-self.now // case.nav_every) * case.nav_every
        if case.management_fee:
            self.fee_at = (self.now // case.fee_every + 1) * case.fee_every
        if case.rate_8h is not None:
            self.funding_at = (self.now // (8 * HOUR) + 1) * 8 * HOUR

    def _fund(self, due: int) -> bool:
        rate = self.rates.pop(due, None)
        self.funded = due if rate is not None else self.funded
        if self.funding_at == due:
            rate, self.funding_at = self.case.rate_8h, due + 8 * HOUR
        if rate is None or not self.lots:
            return False
        size = floor(abs(self.cash_for(self.lots, self.mark)))
        self.pay("funding", ceil((size if self.lots > 0 else -size) * decimal(rate)))
        return True

    def _charge(self) -> None:
        self.fee_at += self.case.fee_every
        rate = decimal(self.case.management_fee)
        if self.whole > 0 and rate:  # what is less than an atom owes none
            self.pay("management_fee", ceil(ceil(self.whole * rate) / self.per_atom))

    # What the policies want -------------------------------------------------------------------

    def _ask(self, due: int) -> None:
        if self.status == "active" and self.nav <= 0:
            self.plan, self.status = None, "closing"
            self._send("close", -self.lots)
        elif self.status == "active":
            self._decide(due)
        self._serve(due)

    def _serve(self, due: int) -> None:
        while self.status == "active" and not self.plan and self.waiting:
            if self.waiting[0][0] > due:
                break
            self._request(self.waiting.pop(0)[1], fresh=False)

    def _decide(self, due: int) -> None:
        leverage, wants = self.slope * Fraction(self.price) / self.nav, []
        for place, (kind, *numbers) in enumerate(self.case.policies):
            if kind == "floor":
                if self._beyond(abs(leverage), numbers[0]):
                    wants.insert(0, ("deleverage", numbers[1] * (1 if leverage > 0 else -1)))
            elif self.plan:
                continue
            elif kind == "schedule" and due >= self.grid.get(place, 0):
                self.grid[place] = (due // numbers[1] + 1) * numbers[1]
                wants.append(("rebalance", numbers[0]))
            elif kind == "band":
                held = leverage if numbers[0] > 0 else -leverage
                low, high = not self._beyond(held, numbers[1]), self._beyond(held, numbers[2])
                if low or high or not self.opened:
                    wants.append(("rebalance", numbers[0]))
        if wants:
            self._act(*wants[0])

    def _decided(self, target: float) -> None:
        """A basket promises nothing."""

    def _beyond(self, held: Fraction, edge: float) -> bool:
        self.close_calls += abs(held - Fraction(edge)) < HAIR * (abs(held) + 1) ** 2
        return held >= Fraction(edge)

    def _act(self, purpose: str, target: float) -> None:
        nav, lot = self.whole, self.lot * ATOMS
        if self.case.inverse:  # the coins themselves are one times long
            exact = (Fraction(target) - 1) * nav / lot
            want = floor(exact) if target > 0 else ceil(exact)
        else:
            exact = Fraction(target) * nav / (lot * Fraction(self.mark))
            want = trunc(exact)
        self.close_calls += exact != round(exact) and abs(exact - round(exact)) < abs(exact) * ULPS
        if want == self.lots:
            if not self.plan:
                self._decided(target)
            return
        if self.plan:  # only what reduces further, or reduces where the plan adds, replaces it
            reverses = self._reverses(self.plan.lots, want - self.lots)
            if abs(target) >= abs(self.plan.target) and not reverses:
                return
        purpose = purpose if self.opened or purpose == "deleverage" else "opening"
        self.opened, self.plan = True, None
        self._decided(target)
        self._send(purpose, want - self.lots, target)

    # What the book does -----------------------------------------------------------------------

    def _send(self, purpose: str, lots: int, target: float = 0.0, request: Any = None) -> None:
        order = Order(self.orders, purpose, lots, self.now + self.case.latency, target, request)
        self.orders += 1
        counted = max(abs(self.cash), abs(self.lots + lots), abs(self.nav))
        if self.orders > ORDERS_MAX or counted > COUNTED_MAX:
            raise RunawayError(f"{self.orders} orders by {self.now}, the last of {lots} lots")
        self.slack["price"] += 2  # a decision may end a segment
        if request:
            self.deals.append(order)
        else:
            self.plan = order
        if not self.case.latency:
            self._arrive(order)

    def _arrive(self, order: Order) -> None:
        if order is self.plan:
            self.plan = None
            self.trade(order.number, order.purpose, order.lots)
            if order.purpose == "close":
                self.wind_up()
                self.status = "closed"
                self.refused += [(request[2], "closed") for _, request in self.waiting]
                self.waiting.clear()
        elif order in self.deals:
            self.deals.remove(order)
            self._deal(order)

    # Units against money ----------------------------------------------------------------------

    def _request(self, row: tuple[Any, ...], fresh: bool) -> None:
        side, _, name, user, amount = row
        quote, steps = trunc(decimal(amount) * ATOMS), trunc(decimal(amount) * UNIT_STEPS)
        total, reason, every = self.units.total(), "", self.case.batch
        at = (self.now // every + 1) * every if every and fresh and self.status == "active" else 0
        if self.status in ("pending", "closing") or (self.status, side) == ("closed", "create"):
            reason = "not_launched" if self.status == "pending" else "closed"
        elif self.whole <= 0 and self.status != "closed":
            reason = "nav_not_positive"
        elif self.plan and not self.case.queue:
            reason = "rebalancing"
        elif side == "create":
            reason = self._size(quote * total // self.whole)
        elif user not in self.units:
            reason = "unknown_user"
        elif steps > self.units[user] - self.pledged[user] or not steps:
            reason = "insufficient_units" if steps else "too_small"
        if reason:
            self.refused.append((name, reason))
        elif self.plan or at:
            self.waiting.append((at, row))
        else:
            self._hedge(row)

    def _hedge(self, row: tuple[Any, ...]) -> None:
        side, _, _, user, amount = row
        quote, steps = trunc(decimal(amount) * ATOMS), trunc(decimal(amount) * UNIT_STEPS)
        if side == "create":  # the share of basket and hedge cost that the money pays for
            whole, cost = self.whole, self._basket_cost()
            lots, blur = self.lots * quote / (whole + cost), 3 * max(self.per_atom, 1)
            # Nobody pays this cost yet: reckoned in whole atoms it is another by so many.
            sure = (whole + cost) / (whole + cost + blur)
            self.close_calls += cost > 0 and floor(abs(lots) * sure) != floor(abs(lots) / sure)
            self._send("creation", trunc(lots), request=row)
        else:
            self.pledged[user] += steps
            share = Fraction(self.lots * steps, self.units.total())
            self._send("redemption", -trunc(share), request=row)

    def _basket_cost(self) -> Fraction:
        mid, half = self.top()
        basket = abs(self.cash_for(self.lots, mid)) * self.per_atom
        return basket * (half + decimal(self.case.taker_fee))

    def _size(self, units: int) -> str:
        large = self.units.total() + units > 2**60  # they are counted in 64 bits
        return "too_large" if large else "too_small" if units <= 0 else ""

    def _deal(self, order: Order) -> None:
        assert order.request is not None
        side, _, name, user, amount = order.request
        quote, steps = trunc(decimal(amount) * ATOMS), trunc(decimal(amount) * UNIT_STEPS)
        self.pledged[user] -= steps if side == "redeem" else 0
        if self.status == "closing" or (self.status, side) == ("closed", "create"):
            self.refused.append((name, "closed"))
            return
        before, total = self.whole, self.units.total()
        self.trade(order.number, order.purpose, order.lots)
        cost = before - self.whole
        if side == "create":
            units = (quote - cost) * total // before if before > 0 else 0
            if reason := self._size(units):  # the hedge is not for the others to pay
                units, quote = 0, min(max(cost, 0), quote)
                if not quote:
                    self.refused.append((name, reason))
                    return
        else:
            units, quote = -steps, -max(0, before * steps // total - cost)
        self.take(quote)
        self.book("flows", quote / self.per_atom)
        self.units[user] += units
        deal = {"id": name, "ts": self.now, "units": abs(units), "cost": cost, "quote": abs(quote)}
        self.dealt.append({**deal, "nav": self.whole, "held": self.units[user]})
