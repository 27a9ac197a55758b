"""Tapes that look for trouble: prices a few ulps from the edges, times a nanosecond from the
alarms, and bad rows.

A tape is grown against a running heart, because only the heart knows where its edges are; the
finished tape is plain data and is replayed through whatever is compared.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

from engine.commands import (
    Command,
    DegradeMarket,
    ForceTarget,
    GateCreations,
    HaltMarket,
    PauseProduct,
    ResumeMarket,
    ResumeProduct,
    ThinBook,
)
from engine.engine import Engine, EngineSpec
from engine.events import CancellationRequest, CreationRequest, RedemptionRequest
from engine.market import MarketSpec
from engine.sampler import Sampling
from engine.ticks import NOT_MARKET, Kind, Step
from engine.units import NEVER_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule, TrendVol
from tests.builders import T0, a_contract, a_malformed, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.observers import Fallible, Ratchet

__all__ = ["Grower", "a_random_spec", "a_random_tape", "aimed"]

MINUTE_NS = 60 * SECOND_NS
_SOURCE = {"mark": Kind.MARK, "mid": Kind.BBO, "last": Kind.TRADE, "venue": Kind.BBO}
_START = (20_000.0, 30_000.0)
_GAPS_NS = (0, 0, 1, 10**6, 10**8, SECOND_NS, SECOND_NS, 3 * SECOND_NS, 10 * SECOND_NS)


def a_random_spec(random: Random, *, symbols: int | None = None) -> EngineSpec:
    """One or two markets and three to seven products of all kinds, with latencies, fees, thin books
    and funding."""
    count = symbols or random.choice((1, 1, 2))
    markets = tuple(_a_market(random, number) for number in range(count))
    products = []
    for number in range(random.randint(3, 7)):
        market = random.randrange(count)
        products.append(
            _a_product(random, number, market, inverse=markets[market].contract.kind == "inverse")
        )
    sampling = Sampling(
        nav_every_ns=random.choice((0, SECOND_NS, 7 * SECOND_NS)),
        user_nav_every_ns=random.choice((0, 0, 30 * SECOND_NS)),
        users_on_trade=random.random() < 0.3,
    )
    users = ("alice", "bob")
    return a_spec(*products, markets=markets, users=users, population=2, sampling=sampling)


def _a_market(random: Random, symbol: int) -> MarketSpec:
    inverse = random.random() < 0.3
    name = ("BTCUSD" if inverse else "BTCUSDT") + str(symbol)
    funding = random.choice(
        (
            FundingSpec(recorded=True),
            FundingSpec(recorded=False, rate_8h=random.choice((0.0003, -0.0003))),
            FundingSpec(
                recorded=False,
                instants=tuple((T0 + n * MINUTE_NS, 0.001 * (-1) ** n) for n in range(1, 20, 2)),
            ),
        )
    )
    book = random.choice(
        (
            BookSpec(model="flat", half_spread_bps=random.choice((0.0, 1.0))),
            BookSpec(model="depth", depth_at_1pct=244e6, half_life_s=20.0),
            BookSpec(model="depth", depth_at_1pct=1e5, half_life_s=5.0),
        )
    )
    return a_market(
        symbol,
        contract=a_contract(name, inverse=inverse, taker_fee=random.choice((0.0, 0.0004))),
        funding=funding,
        book=book,
        mark_source=random.choice(("mark", "mid", "last")),
        stale_after_ns=random.choice((30 * SECOND_NS, MINUTE_NS)),
        frozen_after_ns=random.choice((2 * MINUTE_NS, 20 * SECOND_NS)),
    )


def _a_product(random: Random, number: int, market: int, *, inverse: bool) -> Any:
    kinds = ("band", "band", "short", "floor", "trend", "trend_short", "schedule", "both")
    kind = random.choice((*kinds, "ratchet", "fallible"))
    sign = -1.0 if kind in ("short", "trend_short") else 1.0
    width = random.choice((0.001, 0.02, 0.3))
    band = LeverageBand(target=3.0 * sign, low=3.0 - width, high=3.0 + width)
    trend = TrendVol(
        direction=int(sign), review_s=random.choice((10.0, 30.0)), fast_move=0.01, step=0.05
    )
    policies: dict[str, tuple[Any, ...]] = {
        "band": (band,),
        "short": (band, MarginFloor(max_leverage=4.0)),
        "floor": (Schedule(target=3.0, every_s=900.0), MarginFloor(max_leverage=3.2)),
        "trend": (trend,),
        "trend_short": (trend, MarginFloor(max_leverage=5.0, cut_to=1.5)),
        "schedule": (Schedule(target=random.choice((2.0, -1.5, 10.0)), every_s=60.0),),
        "ratchet": (Ratchet(every_s=random.choice((3, 20))),),
        "fallible": (Fallible(answer=random.choice((None, math.nan, 99.0))), band),
        "both": (LeverageBand(target=9.0, low=2.0, high=500.0), MarginFloor(max_leverage=1000.0)),
    }
    product = a_product(
        f"P{number}",
        market,
        seed_atoms=random.choice((10**9, 10**11, 4 * 10**11)),
        holdings=((0, 5 * 10**8), (2, 10**9)),
        latency_ns=random.choice((0, 0, 250_000_000, 5 * SECOND_NS)),
        retry_ns=random.choice((2 * SECOND_NS, 700_000_000)),
        reserve_atoms=random.choice((0, 10**7)),
        when_stale=random.choice(("hold", "refuse")),
        management_fee=random.choice((0.0, 0.0001)),
        fee_every_ns=random.choice((MINUTE_NS, 90 * SECOND_NS)),
        while_rebalancing=random.choice(("refuse", "queue")),
    )
    return product, policies[kind]


def aimed(price: float, ulps: int) -> float:
    """The float ``ulps`` steps away from a price."""
    towards = math.inf if ulps > 0 else -math.inf
    for _ in range(abs(ulps)):
        price = math.nextafter(price, towards)
    return price


def a_random_tape(
    random: Random,
    spec: EngineSpec,
    rows: int,
    *,
    aim: bool = True,
    commands: float = 0.0,
    troubled: bool = False,
    requests: float = 0.05,
) -> Step:
    """A tape of that many rows; ``aim``: at this run's own edges, to a few ulps; ``commands``: what
    share of the rows are the operator's; ``troubled``: he speaks of venues in trouble as well;
    ``requests``: what share are the users'."""
    grower = Grower(random, spec, aim, commands, troubled)
    grower.requests = requests
    return a_tape(grower.grow(rows))


class Grower:
    """Feeds a heart row by row and looks where it hurts next."""

    def __init__(
        self,
        random: Random,
        spec: EngineSpec,
        aim: bool,
        commands: float,
        troubled: bool = False,
    ) -> None:
        self.random, self.spec, self.aim, self.commands = random, spec, aim, commands
        self.troubled, self.trouble = troubled, Random(len(spec.products))
        self.engine = Engine(spec)
        self.price = list(_START[: len(spec.symbols)])
        self.ts_ns = T0 + random.choice((0, 1, 333))
        self.trade_id = [100] * len(spec.symbols)
        self.number = 0
        self.quiet = 0
        self.requests = 0.05
        self.book = [1.0] * len(spec.symbols)

    def grow(self, rows: int) -> list[Any]:
        grown: list[Any] = []
        while len(grown) < rows:
            row = self._next()
            grown.append(row)
            step = a_tape([row])
            self.engine.process(step.shifted(len(grown) - 1))
        return grown

    def _next(self) -> Any:
        random = self.random
        if self.commands and random.random() < self.commands:
            return self._command()
        if random.random() < 0.04:
            return self._bad()
        if random.random() < self.requests:
            return self._request()
        self._advance()
        symbol = random.randrange(len(self.spec.symbols))
        market = self.spec.markets[symbol]
        source = _SOURCE[market.mark_source]
        kind = source if random.random() < 0.75 else random.choice(list(Kind))
        if abs(self.price[symbol] / self.book[symbol] - 1.0) > 0.01:
            # The book follows the mark, or fills at an old mid would pump money without end.
            return self._row(Kind.BBO, symbol, self.price[symbol])
        price = (
            self._price(symbol)
            if kind is source
            else self.price[symbol] * random.uniform(0.9995, 1.0005)
        )
        return self._row(kind, symbol, price)

    def _advance(self) -> None:
        random = self.random
        alarm = self.engine.agenda.next_ns()
        draw = random.random()
        if draw < 0.25 and self.ts_ns < alarm < NEVER_NS:
            self.ts_ns = max(self.ts_ns, alarm + random.choice((-1, 0, 0, 1)))
        elif draw < 0.97:
            self.ts_ns += random.choice(_GAPS_NS)
        else:
            self.ts_ns += random.choice((31, 61, 130)) * SECOND_NS

    def _price(self, symbol: int) -> float:
        random, price = self.random, self.price[symbol]
        self.quiet -= 1
        if self.quiet > 0:
            return price
        if random.random() < 0.01:
            self.quiet = 15
        low, high = self.engine.markets[symbol].edges.bounds()
        near = [edge for edge in (low, high) if 0.0 < edge < math.inf and 0.5 < edge / price < 2.0]
        draw = random.random()
        if near and self.aim and draw < 0.3:
            edge = random.choice(near) * random.choice((1.0, 1.0 - 1e-12, 1.0 + 1e-12))
            price = aimed(edge, random.randint(-3, 3))
        elif draw < 0.97:
            price *= 1.0 + random.gauss(0.0, 0.0007)
        elif draw < 0.99:
            price *= 1.0 + random.gauss(0.0, 0.02)
        else:
            price *= random.choice((0.85, 1.15))
        start = _START[symbol]
        price = min(max(price, start / 4.0), start * 4.0)
        self.price[symbol] = price
        return price

    def _row(self, kind: Kind, symbol: int, price: float) -> Any:
        random, ts = self.random, self.ts_ns
        if kind is Kind.BBO:
            self.book[symbol] = price
            # Half spreads that are a power of two of the price keep the mid where it was aimed.
            half = 2.0 ** (math.floor(math.log2(price)) - random.choice((12, 16)))
            return a_row(kind, ts, price - half, 1.0, price + half, 2.0, symbol=symbol)
        if kind is Kind.TRADE:
            self.trade_id[symbol] += 1
            return a_row(
                kind,
                ts,
                price,
                0.5,
                random.choice((-1, 0, 1)),
                self.trade_id[symbol],
                symbol=symbol,
            )
        if kind is Kind.FUNDING:
            instant = ts + random.choice((-5, 0, 1, 40, 40)) * SECOND_NS
            instant -= random.choice((0, instant % MINUTE_NS))
            return a_row(kind, ts, random.uniform(-0.002, 0.002), instant, symbol=symbol)
        if kind is Kind.LEVEL:
            return a_row(kind, ts, 1, price, 1.0, 0, symbol=symbol)
        if kind is Kind.HEARTBEAT:
            return a_row(kind, ts, symbol=symbol)
        return a_row(kind, ts, price, symbol=symbol)

    def _bad(self) -> Any:
        random, ts = self.random, self.ts_ns
        symbol = random.randrange(len(self.spec.symbols))
        price = self.price[symbol]
        wrong = random.choice(
            (math.nan, math.inf, 0.0, -price, price * 1e6, price * 1e-6, price * 150.0)
        )
        choice = random.randrange(9)
        if choice == 0:
            return a_row(random.choice((Kind.MARK, Kind.INDEX)), ts, wrong, symbol=symbol)
        if choice == 1:
            return a_row(Kind.BBO, ts, wrong, 1.0, wrong, 1.0, symbol=symbol)
        if choice == 2:
            return a_row(
                Kind.BBO, ts, price * 1.01, 1.0, price, random.choice((1.0, -1.0)), symbol=symbol
            )
        if choice == 3:
            late = self._row(random.choice(list(Kind)), symbol, price * 0.97)
            return (*late[:2], ts - random.choice((1, SECOND_NS, 100 * SECOND_NS)), late[3])
        if choice == 4:
            trade_id = self.trade_id[symbol] - random.choice((0, 1, 50))
            return a_row(Kind.TRADE, ts, price * 0.9, 1.0, 1, trade_id, symbol=symbol)
        if choice == 5:
            self.trade_id[symbol] += 1
            values = (price * 0.8, 1.0, NOT_MARKET, self.trade_id[symbol])
            return a_row(Kind.TRADE, ts, *values, symbol=symbol)
        if choice == 6:
            return a_row(Kind.MARK, ts, price, symbol=random.choice((-1, 99)))
        if choice == 7:
            return a_row(Kind.MARK, ts + 10**17, price, symbol=symbol)
        return a_malformed("half a line", ts_ns=random.choice((0, ts, ts + MINUTE_NS)))

    def _request(self) -> Any:
        random = self.random
        self.number += random.choice((1, 1, 1, 0))
        handler = random.choice(self.engine.handlers)
        busy = [h for h in self.engine.handlers if h.desk.state.plan is not None]
        if busy and random.random() < 0.5:
            handler = random.choice(busy)
        product = random.choice([handler.spec.id] * 15 + ["NONE"])
        alarm = self.engine.agenda.next_ns()
        ts = random.choice((self.ts_ns, self.ts_ns - SECOND_NS, self.ts_ns + SECOND_NS, alarm))
        if ts > self.ts_ns + 10 * SECOND_NS:
            ts = self.ts_ns
        if random.random() < 0.5:
            self.ts_ns = max(self.ts_ns, ts)
        who = random.choice(("alice", "u1", "u2", "carol", "dave", "nobody"))
        common = {"ts_ns": ts, "id": f"r{self.number}", "user": who, "product": product}
        waiting = [
            *(each.request for each in handler.dealing.queue),
            *handler.dealing.orders,
        ]
        if self.requests > 0.1 and waiting and random.random() < 0.15:
            taken = random.choice(waiting)
            common["user"] = random.choice((taken.user, taken.user, "nobody"))
            return CancellationRequest(request=random.choice((taken.id, taken.id, "r0")), **common)
        owners = [n for n, units in enumerate(handler.dealing.units.tolist()) if units > 0]
        if owners and random.random() < 0.5:
            owner = random.choice(owners)
            common["user"] = self.engine.users.name(owner)
            held = int(handler.dealing.units[owner])
            units = held * random.choice((1.0, 0.5, 0.01)) / 10**8
            if self.requests > 0.1 and random.random() < 0.5:
                account = handler.account
                nav = (account.intercept + account.slope * self.price[0]) / max(account.units, 1)
                way = random.choice(("at_or_below", "at_or_above"))
                common[way] = max(nav * 100 * random.uniform(0.97, 1.03), 1e-9)
            return RedemptionRequest(units=units, **common)
        if random.random() < 0.6:
            return CreationRequest(quote=random.choice((1e-7, 0.37, 250.0, 1e4, 3e6)), **common)
        return RedemptionRequest(units=random.choice((1e-9, 0.5, 100.0, 500.0, 1e7)), **common)

    def _command(self) -> Command:
        """Mostly what changes something; sometimes twice the same, or to nobody."""
        random = self.random
        self.number += random.choice((1, 1, 1, 1, 0))
        alarm = self.engine.agenda.next_ns()
        ts = random.choice((0, self.ts_ns, self.ts_ns - 1, self.ts_ns + SECOND_NS, alarm))
        if ts > self.ts_ns + 10 * SECOND_NS:
            ts = self.ts_ns
        if random.random() < 0.05:
            ts = self.ts_ns + 10**17
        named = {"ts_ns": ts, "id": f"c{self.number}"}
        handler, market = random.choice(self.engine.handlers), random.choice(self.engine.markets)
        paused = [h for h in self.engine.handlers if h.state.paused]
        busy = [h for h in self.engine.handlers if h.desk.state.plan is not None]
        draw = random.random()
        some = paused if draw < 0.6 else busy
        if some and random.random() < 0.5:
            handler = random.choice(some)
        if draw < 0.35:
            symbol = random.choice([market.spec.contract.symbol] * 20 + ["NONE"])
            halted = market.state.stale == "halted"
            if self.troubled and self.trouble.random() < 0.4:
                return self._degrade(symbol, named)
            if halted is (random.random() < 0.8):
                return ResumeMarket(symbol=symbol, **named)
            return HaltMarket(symbol=symbol, reason="for a while", **named)
        product = random.choice([handler.spec.id] * 20 + ["NONE"])
        if draw < 0.6:
            if handler.state.paused is (random.random() < 0.8):
                return ResumeProduct(product=product, **named)
            return PauseProduct(product=product, **named)
        if draw < 0.85:
            target = random.choice((0.0, 1.0, 1.5, 3.0, -3.0, -1.0, 5.0, 12.0))
            return ForceTarget(product=product, target=target, **named)
        return GateCreations(product=product, closed=random.random() < 0.6, **named)

    def _degrade(self, symbol: str, named: dict[str, Any]) -> Command:
        pick: Any = self.trouble.choice
        if self.trouble.random() < 0.25:
            until_ns = self.ts_ns + pick((0, SECOND_NS, 20 * SECOND_NS))
            scale, half = pick((1.0, 0.5, 0.01, 3.0)), pick((0, 1, 5_000))
            return ThinBook(
                symbol=symbol, scale=scale, until_ns=until_ns, half_life_ms=half, **named
            )
        return DegradeMarket(
            symbol=symbol,
            latency_ms=pick((0, 0, 1, 1_500)),
            refuse=pick((0.0, 0.0, 0.5, 1.0)),
            reduce_only=pick((True, False, False)),
            for_ms=pick((0, 1, 2_000, 10_000)),
            **named,
        )
