"""One symbol, row by row: what it last said, whether it is silent, its signals and its funding."""

from __future__ import annotations

import math
from bisect import bisect_right
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine import philox
from engine.events import MarketResumed, MarketStale
from engine.points import Points
from engine.policy import MarketView
from engine.signals import Signals
from engine.ticks import Kind
from engine.units import NEVER_NS
from engine.venue.book import book_of
from engine.venue.contract import Contract
from engine.venue.funding import next_instant
from engine.venue.queue import pass_level, pass_quote, pass_trade
from tests.reference import desk, traded
from tests.reference.book import PlainBook

if TYPE_CHECKING:
    from tests.reference.judge import Row
    from tests.reference.product import Product

MARK_KIND = {"mark": Kind.MARK, "mid": Kind.BBO, "last": Kind.TRADE, "venue": None}
EIGHT_HOURS_NS = 8 * 3_600 * 10**9


class Market:
    """The market as of the last row; ``spec`` is a ``MarketSpec`` of ``engine.market``."""

    def __init__(self, spec: Any, log: Any, funds: dict[str, int], seed: int) -> None:
        self.spec, self.log, self.funds, self.seed = spec, log, funds, seed
        self.contract = Contract(spec.contract)
        asset = self.contract.quote_asset
        funds[asset] = funds.get(asset, 0) + spec.insurance_atoms
        self.book: Any = PlainBook(spec)
        if spec.book.model != "recorded":
            self.book = book_of(spec.book, spec.contract, spec.stale_after_ns)
        self.signals = Signals(spec.signals)
        self.products: list[Product] = []
        self.resting: list[tuple[Any, ...]] = []
        self.counting: list[Any] = []
        self.kind = MARK_KIND[spec.mark_source]
        self.now_ns = self.due_ns = 0
        self.mark = self.previous = self.last = self.index = self.bid = self.ask = self.rate = 0.0
        self.seen_ns = self.changed_ns = self.index_ns = 0
        self.stale, self.stale_since = "", 0
        self.degraded, self.degraded_until_ns = (0, 0.0, False), NEVER_NS
        self.frozen_ns = 0
        self.collateral, self.defaulted = 1.0, False
        self.grid_ns = self.funding_ns = NEVER_NS
        self.funded_ns, self.funded_rate = 0, 0.0
        self._open_cell()
        self.points = Points(spec.pricing, spec.funding) if spec.pricing else None
        self.point_ns = NEVER_NS

    def _open_cell(self) -> None:
        self.cell_low, self.cell_high, self.cell_fresh = math.inf, -math.inf, False

    def hear(self, row: Row) -> bool:
        """Take a row in; whether it is a price that positions are valued with."""
        values = row.values
        if row.kind is Kind.TRADE:
            self.last = row.price
            for order in self.counting:
                order.traded += round(values["size"] / self.contract.spec.lot_size)
        elif row.kind is Kind.LEVEL:
            if isinstance(self.book, PlainBook):
                self.book.hear(row)
        elif row.kind is Kind.INDEX and self.points is None:
            self.index, self.index_ns = row.price, row.ts_ns
        elif row.kind is Kind.BBO:
            self.bid, self.ask = values["bid"], values["ask"]
        elif row.kind is Kind.FUNDING and self.spec.funding.recorded:
            self.funding_ns = max(values["next_ns"], self.now_ns)
            self.rate = values["rate"]
        if row.kind is not self.kind:
            return False
        self.take(row.price, row.ts_ns, self.due_ns + 1)
        return True

    def take(self, price: float, ts_ns: int, first_ns: int) -> None:
        """A price that positions are valued with; the grid begins at ``first_ns`` at the
        earliest."""
        self.repeated = price == self.mark
        if not self.repeated:
            self.changed_ns = ts_ns
        self.previous, self.mark, self.seen_ns = self.mark, price, ts_ns
        self.cell_low, self.cell_high = (
            min(self.cell_low, self.mark),
            max(self.cell_high, self.mark),
        )
        self.cell_fresh = True
        if self.grid_ns == NEVER_NS:
            every = self.spec.signals.every_ns
            self.grid_ns = -(-first_ns // every) * every

    # What the venue makes -------------------------------------------------------------------------

    def listen(self, row: Row, now_ns: int) -> None:
        """Any row: what the venue's own prices are made of."""
        points = self.points
        if points is None or not self.products:
            return
        if self.point_ns == NEVER_NS:
            self.point_ns = -(-now_ns // points.grid_ns) * points.grid_ns
        own_funding = row.kind is Kind.FUNDING and row.symbol == self.spec.symbol
        if own_funding and not self.is_late(row):
            points.announce(row.values["rate"], row.values["next_ns"])
        followed = [self.spec.symbol, *(source.symbol for source in points.spec.sources)]
        recorded = [False, *(source.recorded for source in points.spec.sources)]
        for place, said in enumerate(points.state.heard):
            if followed[place] != row.symbol:
                continue
            if row.kind is Kind.INDEX and recorded[place]:
                said.index, said.index_ns = row.price, row.ts_ns
            elif row.kind is Kind.BBO and not recorded[place]:
                said.bid, said.ask = row.values["bid"], row.values["ask"]
                said.book_ns = row.ts_ns
            elif row.kind is Kind.TRADE and not recorded[place]:
                said.last, said.last_ns = row.price, row.ts_ns

    def make_point(self) -> bool:
        """The next point of the venue's grid; whether it made a mark."""
        points, ts_ns = self.points, self.point_ns
        assert points is not None
        points.forget()
        points.at(ts_ns)
        self.point_ns += points.grid_ns
        self.index = points.state.index
        for _, rate in points.settled:
            self.rate = rate
        for _, kind, said in points.notices:
            self.log.say(kind, symbol=self.spec.contract.symbol, **said)
        if points.mark is None:
            return False
        self.take(points.mark.price, ts_ns, ts_ns)
        return True

    def survive(self, now_ns: int) -> None:
        """Time passed: what is left of the book's depth, where that is felt."""

    def match(self, row: Row) -> list[tuple[Product, Any, int]]:
        """The row goes by our orders in their queues, the oldest first; whom it fills with how
        much. What a trade at their price gave the first is not there for the next."""
        found, given = [], {1: 0, -1: 0}
        for *_, product, order in self.resting:
            queue = order.queue
            lots = self._pass(row, queue, given)
            if lots:
                found.append((product, order, lots))
        return found

    def _pass(self, row: Row, queue: Any, given: dict[int, int]) -> int:
        values, buys = row.values, queue.side > 0
        if row.kind is Kind.TRADE:
            size = self.contract.lots_in(values["size"])
            here = row.price == queue.price
            left = size - given[queue.side] if here else size
            lots = pass_trade(queue, row.price, max(0, left), values["aggressor"])
            given[queue.side] += lots if here else 0
            return lots
        if row.kind is Kind.LEVEL and self.spec.book.model == "recorded":
            if values["side"] != queue.side:
                return pass_quote(queue, row.price) if values["size"] else 0
            if row.price == queue.price:
                self._tell(queue, values["size"])
        if row.kind is Kind.BBO and self.spec.book.model != "recorded":
            lots = pass_quote(queue, values["ask" if buys else "bid"])
            best, size = ("bid", "bid_size") if buys else ("ask", "ask_size")
            if values[best] == queue.price:
                self._tell(queue, values[size])
            elif (values[best] < queue.price) == buys:
                self._tell(queue, 0.0)
            return lots
        return 0

    def _tell(self, queue: Any, size: float) -> None:
        lots = float(self.contract.lots_in(size))
        pass_level(self.spec.book.queue, queue, lots, self.spec.contract.lot_size)

    def ahead(self, side: int, price: float) -> float:
        """Lots of others before a new order at a price."""
        if isinstance(self.book, PlainBook):
            return self.book.ahead(side, price)
        if not self.bid:
            return math.inf
        better = price > self.bid if side > 0 else price < self.ask
        return 0.0 if better else math.inf

    def top(self) -> tuple[float, float]:
        """Mid and half the spread as a share of it; the mark and -1 where no book is recorded."""
        if self.bid <= 0.0:
            return self.mark, -1.0
        mid = (self.bid + self.ask) * 0.5
        return mid, (self.ask - self.bid) * 0.5 / mid

    @property
    def followed(self) -> bool:
        """Whether the NAV of any product follows the index."""
        return any(product.follows for product in self.products)

    def view_of_index(self) -> MarketView:
        """What policies see of a product that follows the index."""
        old = self.now_ns - self.index_ns >= self.spec.stale_after_ns
        return MarketView(self.now_ns, self.index, self.index, self.index, stale=old)

    def view(self, uses_signals: bool) -> MarketView:
        """What policies see; products without signals do not mind whether these are stale."""
        if not uses_signals:
            return MarketView(self.now_ns, self.mark, self.mark, self.mark)
        index, signals = self.index or self.mark, self.signals
        return MarketView(
            ts_ns=self.now_ns,
            mark=self.mark,
            price=self.last or self.mark,
            index=index,
            basis_bps=(self.mark / index - 1.0) * 1e4,
            funding_rate=self.rate,
            spread_bps=max(self.top()[1], 0.0) * 2e4,
            depth=self.book.depth(self.now_ns),
            ewma_vol=signals.ewma_vol,
            realised_vol=signals.realised_vol,
            parkinson_vol=signals.parkinson_vol,
            trend=signals.trend,
            drawdown=signals.drawdown(self.mark),
            stale=signals.stale,
            step_price=signals.state.price,
        )

    # Staleness ------------------------------------------------------------------------------------

    def next_check_ns(self) -> int:
        """When the market goes stale if nothing comes."""
        if self.stale or not self.products or self.products[0].status == "pending":
            return NEVER_NS
        silent, frozen = self.spec.stale_after_ns, self.spec.frozen_after_ns
        return max(min(self.seen_ns + silent, self.changed_ns + frozen), self.now_ns)

    def go_stale(self) -> None:
        silent = self.now_ns - self.seen_ns >= self.spec.stale_after_ns
        if silent:
            self._be_stale("gap", self.seen_ns)
        else:
            self._be_stale("frozen", self.changed_ns)

    def _be_stale(self, reason: str, since_ns: int) -> None:
        self.stale, self.stale_since = reason, since_ns
        symbol = self.spec.contract.symbol
        self.log.say(MarketStale, symbol=symbol, reason=reason, since_ns=since_ns)
        for product in self.products:
            traded.look(product)

    def halt(self) -> str | None:
        """The operator stops the market; why not, where it is refused."""
        if not self.products or self.products[0].status == "pending":
            return "not_launched"
        if self.stale == "halted":
            return "halted"
        self._be_stale("halted", self.stale_since if self.stale else self.now_ns)
        return None

    @property
    def trouble(self) -> tuple[int, float, bool]:
        """Delay, share refused and whether only reducing orders are taken, as of now."""
        return self.degraded if self.now_ns < self.degraded_until_ns else (0, 0.0, False)

    def degrade(self, command: Any) -> str | None:
        """The operator: the venue is slow, refuses orders, or takes only those that reduce."""
        wanted = (command.latency_ms * 10**6, command.refuse, command.reduce_only)
        until = self.now_ns + command.for_ms * 10**6 if command.for_ms and any(wanted) else NEVER_NS
        now = self.degraded_until_ns if any(self.trouble) else NEVER_NS
        if (wanted, until) == (self.trouble, now):
            return "degraded" if any(wanted) else "not_degraded"
        self.degraded, self.degraded_until_ns = wanted, until
        return None

    def thin(self, command: Any) -> str | None:
        """The operator: so much of a book that is a formula is there."""
        if self.spec.book.model != "depth":
            return "no_depth_book"
        self.book.thin(command.scale, command.until_ns, command.half_life_ms * 10**6)
        return None

    def freeze(self, until_ns: int) -> str | None:
        """The operator: no top-up arrives before."""
        if max(until_ns, self.now_ns) == max(self.frozen_ns, self.now_ns):
            return "frozen" if until_ns > self.now_ns else "not_frozen"
        self.frozen_ns = until_ns
        for product in self.products:
            desk.freeze(product)
        return None

    def mask(self, command: Any, symbols: tuple[str, ...]) -> str | None:
        """The operator: sources of the index are out of order, or count again."""
        if command.source and command.source not in symbols:
            return "unknown_source"
        if self.points is None or not self.products:
            return "no_index"
        until = self.now_ns + command.for_ms * 10**6 if command.for_ms else NEVER_NS
        source = symbols.index(command.source) if command.source else None
        return self.points.mask(source, self.now_ns, until if command.masked else 0)

    def refuses(self, product: Any, order: Any, lots: int, held: int) -> str:
        """Why the venue takes nothing of an order now."""
        _, share, only_reducing = self.trouble
        if only_reducing and (held * lots >= 0 or abs(lots) > abs(held)):
            return "reduce_only"
        path = (product.number + 1) << 32 | order.number
        drawn = Fraction(philox.word(self.seed, path, self.now_ns), 2**64)
        return "refused" if drawn < Fraction(share) else ""

    def lift(self) -> str | None:
        """The next fresh price resumes a halted market."""
        if self.stale != "halted":
            return "not_halted"
        if self.defaulted:
            return "defaulted"
        self.stale = "gap"
        return None

    def resumes(self) -> bool:
        """Whether the price just heard is a fresh one."""
        return self.stale == "gap" or (self.stale == "frozen" and not self.repeated)

    def resume(self) -> None:
        self.stale = ""
        self.log.say(
            MarketResumed,
            symbol=self.spec.contract.symbol,
            price=self.mark,
            stale_ns=self.now_ns - self.stale_since,
        )
        for product in self.products:
            product.release(self.now_ns)
            traded.look(product)

    # Clocks ---------------------------------------------------------------------------------------

    def feed_grid(self) -> None:
        """A grid point passed."""
        self.signals.step(self.mark, self.cell_high, self.cell_low, self.cell_fresh)
        self._open_cell()
        self.grid_ns += self.spec.signals.every_ns

    def is_late(self, row: Row) -> bool:
        """A funding row whose instant is over: its rate is for nobody any more."""
        recorded = row.kind is Kind.FUNDING and self.spec.funding.recorded
        return recorded and row.values["next_ns"] <= self.funded_ns

    def funding_index(self) -> float | None:
        """Where positions pay by the index: that, if there is one."""
        wanted = self.spec.venue.funding.priced_at == "index" and self.index > 0.0
        return self.index if wanted else None

    def settle_funding(self) -> None:
        """The funding instant: everybody pays or receives at once, then the next instant is looked
        up."""
        for product in self.products:
            product.settle_funding(self.rate)
        self.funded_ns, self.funded_rate = self.now_ns, self.rate
        self.schedule_funding()

    def schedule_funding(self) -> None:
        """The next instant that the configuration knows; recorded ones come with the rows."""
        spec = self.spec.funding
        self.funding_ns = NEVER_NS
        if spec.recorded:
            return
        if spec.premium:
            self.funding_ns = next_instant(spec.premium, self.now_ns)
        elif spec.instants:
            place = bisect_right([ns for ns, _ in spec.instants], self.now_ns)
            if place < len(spec.instants):
                self.funding_ns, self.rate = spec.instants[place]
        elif spec.rate_8h is not None:
            self.funding_ns = (self.now_ns // EIGHT_HOURS_NS + 1) * EIGHT_HOURS_NS
            self.rate = spec.rate_8h
