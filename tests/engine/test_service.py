"""The skin moves rows in and outputs out, loses nothing, and stops when it must."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.engine import Engine, EngineSpec
from engine.errors import FeedError, InvariantError
from engine.events import CreationRequest, InputRejected, Malformed, Output, encode_event
from engine.market import MarketSpec
from engine.nav import nav_columns, value_users
from engine.outputs import Outputs
from engine.ports import Batch, Range
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.service import QUEUE_BATCHES_MAX, Progress, run_service, stop_on_signals
from engine.snapshot import restore, snapshot
from engine.ticks import Bbo, Kind, Step, Trades
from engine.venue.contract import ContractSpec
from feeds import codec
from feeds.kafka import KafkaLog
from feeds.log import Log, Outgoing, Place, Producer
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import Killed, MemoryLog
from feeds.sink import LogSink, UserNav, Valuation
from feeds.source import LogSource, starts
from feeds.topics import TickForm, Topics, ensure_topics, publish
from strategies.leverage_band import LeverageBand
from tests.brokers import kafka_brokers
from tests.feeds.log_contract import read_all

__all__ = ["kafka_brokers"]

T0 = 1_723_161_600_000_000_000
SYMBOL = "BTCUSDT"
_prefixes = itertools.count()


# A market, a product with two holders, and what a direct replay says ---------------------------


def a_spec() -> EngineSpec:
    """One 3x product whose band is touched often, two holders, NAVs each second."""
    return EngineSpec(
        symbols=(SYMBOL,),
        markets=(
            MarketSpec(symbol=0, contract=ContractSpec(symbol=SYMBOL, base="BTC", quote="USDT")),
        ),
        products=(
            ProductSpec(
                id="BTC3L", market=0, seed_atoms=10**12, holdings=((0, 10**9), (1, 3 * 10**9 + 1))
            ),
        ),
        policies=((LeverageBand(target=3.0, low=2.9, high=3.1),),),
        users=("alice", "bob"),
        sampling=Sampling(user_nav_every_ns=5_000_000_000, users_on_trade=True),
    )


def a_market(rows: int = 2_000, bad: int | None = 777) -> Step:
    """Quotes and trades in turn, 50 ms apart, on a wandering price; row ``bad`` is malformed."""
    places = np.arange(rows)
    steps = np.random.default_rng(5).normal(0.0, 0.002, rows)
    price = np.round(60_000.0 * (1.0 + np.cumsum(steps)), 1)
    ts_ns = T0 + places * 50_000_000
    quotes = (places % 2 == 0) & (places != bad)
    trades = (places % 2 == 1) & (places != bad)
    book = Bbo(
        sequence=places[quotes],
        symbol=0,
        ts_ns=ts_ns[quotes],
        bid=price[quotes] - 0.5,
        bid_size=np.ones(quotes.sum()),
        ask=price[quotes] + 0.5,
        ask_size=np.ones(quotes.sum()),
    )
    prints = Trades(
        sequence=places[trades],
        symbol=0,
        ts_ns=ts_ns[trades],
        price=price[trades],
        size=np.ones(trades.sum()),
        aggressor=np.ones(trades.sum(), np.int8),
        trade_id=places[trades],
    )
    row = Malformed(ts_ns=0, detail="half a line")
    messages = () if bad is None else ((bad, row),)
    return Step(first=0, end=rows, tables=(prints, book), messages=messages)


class Replayed:
    """What the engine says of a step when nothing is between: the yardstick of every test here."""

    def __init__(self, step: Step) -> None:
        engine = Engine(a_spec())
        parts = [engine.process(step), engine.finish()]
        self.events = [line for part in parts for line in part.lines]
        columns = nav_columns([block for part in parts for block in part.nav])
        self.navs = set(zip(columns["sequence"].tolist(), columns["ordinal"].tolist(), strict=True))
        self.users = {
            (block.sequence, block.ordinal + place)
            for part in parts
            for block in part.user_nav
            for place in range(len(block.units))
        }
        self.digest = engine.digest()


# The log, in memory and over the wire ------------------------------------------------------------


@pytest.fixture(params=["memory", pytest.param("wire", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A broker as one process sees it."""
    if request.param == "memory":
        yield MemoryLog(MemoryBroker())
        return
    log = KafkaLog(request.getfixturevalue("kafka_brokers"))
    yield log
    await log.close()


@pytest.fixture
def topics() -> Topics:
    """Topics of this test's own."""
    return Topics(f"service-{next(_prefixes)}.")


async def published(log: Log, topics: Topics, step: Step, form: TickForm = "block") -> None:
    """The step is in the topic of ticks."""
    await ensure_topics(log, topics, user_partitions=2)
    producer = await log.producer()
    await publish(producer, topics, [step], (SYMBOL,), form=form)
    await producer.close()


async def served(
    log: Log,
    topics: Topics,
    engine: Engine,
    *,
    positions: dict[str, int] | None = None,
    wrap: Callable[[Producer], Any] = lambda producer: producer,
    **options: Any,
) -> Progress:
    """The service has run to the end of the recording."""
    places = starts(positions or {"ticks/0": 0}, topics.prefix)
    source = LogSource(log, places, (SYMBOL,), prefix=topics.prefix, finite=True)
    valuation = Valuation(nav_columns, value_users, engine.users.name, ("BTC3L",), (SYMBOL,))
    sink = LogSink(wrap(await log.producer()), topics, valuation)
    return await run_service(engine, source, sink, retry_seconds=0.001, **options)


class Published:
    """What is in the output topics, read by somebody else, repeats dropped by their names."""

    def __init__(self) -> None:
        self.events: dict[tuple[int, int], bytes] = {}
        self.navs: dict[tuple[int, int], dict[str, Any]] = {}
        self.users: dict[tuple[int, int], UserNav] = {}
        self.letters: list[Any] = []
        self.records = 0

    @classmethod
    async def read(cls, log: Log, topics: Topics) -> Published:
        """All four topics from the beginning."""
        seen = cls()
        for record in await read_all(log, topics.events):
            event = msgspec.json.decode(record.value or b"")
            seen._take(seen.events, event, record.value)
        for record in await read_all(log, topics.nav):
            nav = msgspec.json.decode(record.value or b"")
            assert nav["shard"] == 0
            seen._take(seen.navs, nav, nav)
        for record in await read_all(log, topics.nav_users):
            user = msgspec.json.decode(record.value or b"", type=UserNav)
            assert record.key == user.user.encode()
            seen._take(seen.users, msgspec.structs.asdict(user), user)
        seen.letters = list(await read_all(log, topics.dead_letters))
        return seen

    def _take(self, into: dict[tuple[int, int], Any], fields: dict[str, Any], value: Any) -> None:
        self.records += 1
        name = (fields["sequence"], fields["ordinal"])
        assert into.setdefault(name, value) == value, f"two records of the name {name} differ"

    def check(self, expected: Replayed) -> None:
        """Byte for byte what a direct replay says, and no name is missing."""
        assert [self.events[name] for name in sorted(self.events)] == expected.events
        assert set(self.navs) == expected.navs
        assert set(self.users) == expected.users


@pytest.mark.parametrize("form", ["block", "msgpack", "json"])
async def test_live_equals_replay(log: Log, topics: Topics, form: TickForm) -> None:
    """A recording published, consumed, processed and published again says what a direct replay
    says: a row lost, doubled or moved by codec, source, service or sink changes the digest."""
    market = a_market()
    expected = Replayed(market)
    await published(log, topics, market, form)
    engine = Engine(a_spec())
    progress = await served(log, topics, engine)
    assert (progress.sequence, progress.finished) == (2_000, True)
    assert engine.digest() == expected.digest
    seen = await Published.read(log, topics)
    seen.check(expected)
    assert seen.records == len(expected.events) + len(expected.navs) + len(expected.users)
    kinds = [msgspec.json.decode(line)["event"] for line in expected.events]
    assert kinds.count("rebalanced") > 20
    assert len(expected.users) > 60
    assert {user.user for user in seen.users.values()} == {"alice", "bob"}


async def test_malformed_in_the_middle(log: Log, topics: Topics) -> None:
    """A record that cannot be decoded is a dead letter and an `InputRejected`, and the stream goes
    on; one that raised out of the decoder would stop every consumer behind it for ever."""
    market = a_market(600, bad=None)
    await ensure_topics(log, topics)
    producer = await log.producer()
    await publish(producer, topics, [market.between(0, 300)], (SYMBOL,), form="json", end=False)
    garbage = Outgoing(
        topics.ticks, b'{"kind":"trade",', None, codec.schema_header(codec.TICK_JSON)
    )
    await producer.send([garbage])
    await publish(producer, topics, [market.between(300, 600)], (SYMBOL,), form="msgpack")
    await producer.close()
    progress = await served(log, topics, Engine(a_spec()))
    assert progress.sequence == 601
    seen = await Published.read(log, topics)
    rejected = [
        event
        for event in map(msgspec.json.decode, seen.events.values())
        if event["event"] == "input_rejected"
    ]
    assert [(event["sequence"], event["reason"]) for event in rejected] == [(300, "malformed")]
    (letter,) = seen.letters
    headers = dict(letter.headers)
    assert letter.value == garbage.value
    assert (headers["input"], headers["offset"], headers["sequence"]) == (
        b"ticks/0",
        b"300",
        b"300",
    )
    assert headers["reason"].startswith(b"malformed: ")
    assert max(sequence for sequence, _ in seen.events) > 301


async def test_refused_rows_are_dead_letters(topics: Topics) -> None:
    """A row that the heart refuses is copied to the dead letters with its reason: nothing is
    dropped silently, and NaN survives the copy."""
    market = a_market(100, bad=None)
    prints = market.table(Kind.TRADE)
    assert isinstance(prints, Trades)
    price = prints.price.copy()
    price[20] = np.nan
    tables = (prints.replaced(price=price), market.tables[1])
    log = MemoryLog(MemoryBroker())
    await published(log, topics, Step(first=0, end=100, tables=tables))
    await served(log, topics, Engine(a_spec()))
    (letter,) = (await Published.read(log, topics)).letters
    headers = dict(letter.headers)
    assert (headers["reason"], headers["sequence"]) == (b"not_finite", b"41")
    tick = codec.SingleCodec((SYMBOL,)).tick(letter.value)
    assert np.isnan(tick.values[0])
    assert tick.ts_ns == T0 + 41 * 50_000_000


class Forgetful:
    """A producer whose broker writes and then is away before it can say so, each third time."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    async def send(self, records: list[Outgoing]) -> list[int]:
        offsets = await self._producer.send(records)
        self._calls += 1
        if self._calls % 3 == 0:
            raise FeedError("no acknowledgement came")
        return offsets


async def test_sent_again_is_the_same(log: Log, topics: Topics) -> None:
    """An unacknowledged write is sent again under the same names: a reader that drops repeats sees
    the log of a direct replay, one that does not sees more."""
    market = a_market(1_200)
    expected = Replayed(market)
    await published(log, topics, market, "msgpack")
    await served(log, topics, Engine(a_spec()), wrap=Forgetful)
    seen = await Published.read(log, topics)
    seen.check(expected)
    assert seen.records > len(expected.events) + len(expected.navs) + len(expected.users)


@pytest.mark.parametrize("point", ["send.before", "send.half", "send.after", "poll.after"])
@pytest.mark.parametrize("passes", [1, 2, 4])
async def test_killed_and_restarted(point: str, passes: int, topics: Topics) -> None:
    """A process that dies anywhere in a step and starts again repeats, and loses nothing: a
    position moved before its outputs were accepted would leave a gap."""
    market = a_market(2_000)
    broker = MemoryBroker()
    await published(MemoryLog(broker), topics, market, "msgpack")
    process = MemoryLog(broker)
    process.kill_at(point, passes)
    with pytest.raises(Killed):
        await served(process, topics, Engine(a_spec()))
    heir = MemoryLog(broker)
    await served(heir, topics, Engine(a_spec()))
    (await Published.read(heir, topics)).check(Replayed(market))


async def test_stopped_and_resumed(topics: Topics) -> None:
    """Stopped after any step, a snapshot and the accepted positions are all it takes to go on: both
    runs together say what one says."""
    market = a_market(2_000)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market, "json")
    stop = asyncio.Event()
    engine = Engine(a_spec())

    class StopAfterTwo(Forgetful):
        async def send(self, records: list[Outgoing]) -> list[int]:
            self._calls += 1
            if self._calls == 2:
                stop.set()
            return await self._producer.send(records)

    progress = await served(log, topics, engine, wrap=StopAfterTwo, stop=stop)
    assert not progress.finished
    assert 0 < progress.sequence < 2_000
    assert progress.sequence == engine.sequence
    heir = restore(a_spec(), snapshot(engine))
    rest = await served(log, topics, heir, positions=progress.positions)
    assert rest.finished
    (await Published.read(log, topics)).check(Replayed(market))


async def reached(engine: Engine, sequence: int) -> None:
    """The engine has processed the rows below ``sequence``; the service offers no signal for it."""
    while engine.sequence < sequence:  # noqa: ASYNC110 - the heart has no events to wait for
        await asyncio.sleep(0.01)


async def test_requests_arrive_live(log: Log, topics: Topics) -> None:
    """A request on its own topic is carried out among the ticks, and its holder's NAV follows."""
    market = a_market(400, bad=None)
    await ensure_topics(log, topics)
    producer = await log.producer()
    await publish(producer, topics, [market.between(0, 200)], (SYMBOL,), end=False)
    stop, engine = asyncio.Event(), Engine(a_spec())
    places = {Place(topics.ticks): 0, Place(topics.requests): 0}
    source = LogSource(log, places, (SYMBOL,), prefix=topics.prefix)
    valuation = Valuation(nav_columns, value_users, engine.users.name, ("BTC3L",), (SYMBOL,))
    sink = LogSink(await log.producer(), topics, valuation, shard=3)
    running = asyncio.create_task(run_service(engine, source, sink, stop=stop))
    async with asyncio.timeout(20):
        await reached(engine, 200)
        request = CreationRequest(
            ts_ns=T0 + 200 * 50_000_000, id="r1", user="carol", product="BTC3L", quote=5_000.0
        )
        header = codec.schema_header(codec.REQUEST)
        sent = Outgoing(topics.requests, codec.encode_json(request), b"carol", header)
        await producer.send([sent])
        await reached(engine, 201)
        await publish(producer, topics, [market.between(200, 400)], (SYMBOL,))
        await reached(engine, 401)
        await asyncio.sleep(0.05)
        stop.set()
        progress = await running
    await producer.close()
    assert progress.positions["requests/0"] == 1
    events = [msgspec.json.decode(r.value or b"") for r in await read_all(log, topics.events)]
    created = [event for event in events if event["event"] == "units_created"]
    assert [(event["user"], event["sequence"]) for event in created] == [("carol", 200)]
    users = [
        msgspec.json.decode(record.value or b"", type=UserNav)
        for record in await read_all(log, topics.nav_users)
    ]
    first = next(user for user in users if user.user == "carol")
    assert (first.sequence, first.shard, first.units) == (200, 3, created[0]["user_units"])


# The service on its own, with a heart that only counts --------------------------------------------


class CountingHeart:
    """Says one fact a row; ``broken`` is a row at which it finds its own promise broken."""

    def __init__(self, broken: int = -1) -> None:
        self.sequence = 0
        self.finished = False
        self._broken = broken

    def process(self, step: Step) -> Outputs:
        assert step.first == self.sequence
        if step.first <= self._broken < step.end:
            raise InvariantError("the ledger does not sum to zero")
        self.sequence = step.end
        events: list[Output] = [
            InputRejected(sequence=sequence, ordinal=0, ts_ns=0, reason="malformed")
            for sequence in range(step.first, step.end)
        ]
        return Outputs(events, [encode_event(event) for event in events], [], [])

    def finish(self) -> Outputs:
        self.finished = True
        return Outputs.empty()


class ListSource:
    """Batches of ten rows, one record each, from a list; remembers how far it was asked."""

    def __init__(
        self, batches: int | None, faults: Iterator[FeedError | None] | None = None
    ) -> None:
        self.reads = 0
        self.closed = False
        self._batches = batches
        self._faults = faults or iter(())

    async def read(self, sequence: int) -> Batch | None:
        await asyncio.sleep(0)
        fault = next(self._faults, None)
        if fault is not None:
            raise fault
        if self.reads == self._batches:
            return None
        self.reads += 1
        run = Range("ticks/0", self.reads - 1, self.reads)
        return Batch(Step(first=sequence, end=sequence + 10), (run,))

    async def close(self) -> None:
        self.closed = True


class ListSink:
    """Keeps what it accepted; raises the faults it is given first."""

    def __init__(self, faults: Iterator[FeedError | None] | None = None) -> None:
        self.sequences: list[int] = []
        self.attempts = 0
        self.closed = False
        self.gate: asyncio.Event | None = None
        self._faults = faults or iter(())

    async def write(self, outputs: Outputs, batch: Batch) -> None:
        self.attempts += 1
        if self.gate is not None:
            await self.gate.wait()
        fault = next(self._faults, None)
        if fault is not None:
            raise fault
        self.sequences += [event.sequence for event in outputs.events]

    async def close(self) -> None:
        self.closed = True


def away(times: int, *, retriable: bool = True) -> Iterator[FeedError | None]:
    """The broker is away so many times."""
    return (FeedError("broker is away", retriable=retriable) for _ in range(times))


async def test_to_the_end() -> None:
    """Every row once, in order, then the end of the input reaches the heart."""
    heart, source, sink = CountingHeart(), ListSource(20), ListSink()
    progress = await run_service(heart, source, sink)
    assert sink.sequences == list(range(200))
    assert progress == Progress(200, {"ticks/0": 20}, steps=21, events=200, finished=True)
    assert heart.finished
    assert source.closed
    assert sink.closed


async def test_retries_are_bounded() -> None:
    """A broker that comes back is waited for; one that stays away ends the service with its error,
    at the position that was accepted last."""
    sink = ListSink(away(3))
    progress = await run_service(CountingHeart(), ListSource(5), sink, retry_seconds=0.001)
    assert sink.sequences == list(range(50))
    assert progress.finished
    for source, sink in (
        (ListSource(5), ListSink(away(1_000))),
        (ListSource(5, away(1_000)), ListSink()),
    ):
        with pytest.raises(FeedError, match="away"):
            await run_service(CountingHeart(), source, sink, attempts_max=4, retry_seconds=0.001)
        assert sink.sequences == []
        assert sink.attempts in (0, 4)
        assert source.closed
        assert sink.closed


async def test_hopeless_errors_stop_at_once() -> None:
    """A fenced producer or a lost position gets no second attempt."""
    sink = ListSink(away(1, retriable=False))
    with pytest.raises(FeedError):
        await run_service(CountingHeart(), ListSource(5), sink)
    assert sink.attempts == 1


async def test_broken_promise_is_not_caught() -> None:
    """An `InvariantError` comes out as itself, and nothing of its step was written."""
    sink = ListSink()
    with pytest.raises(InvariantError, match="ledger"):
        await run_service(CountingHeart(broken=25), ListSource(None), sink)
    assert sink.sequences == list(range(20))
    assert sink.closed


async def test_back_pressure() -> None:
    """A sink that does not answer stops the source after the bounded queue: memory is bounded."""
    source, sink, stop = ListSource(None), ListSink(), asyncio.Event()
    sink.gate = asyncio.Event()
    running = asyncio.create_task(run_service(CountingHeart(), source, sink, stop=stop))
    for _ in range(200):
        await asyncio.sleep(0)
    assert source.reads == QUEUE_BATCHES_MAX + 2
    stop.set()
    sink.gate.set()
    progress = await running
    assert progress.sequence == len(sink.sequences) == 10
    assert not progress.finished


async def test_stop_while_idle() -> None:
    """A quiet input does not hold up the end."""
    source, stop = ListSource(1), asyncio.Event()
    quiet = asyncio.Event()

    async def read(sequence: int) -> Batch | None:
        if sequence:
            await quiet.wait()
        return await ListSource.read(source, sequence)

    source.read = read  # type: ignore[method-assign]
    running = asyncio.create_task(run_service(CountingHeart(), source, ListSink(), stop=stop))
    await asyncio.sleep(0.01)
    stop.set()
    progress = await asyncio.wait_for(running, 1)
    assert (progress.sequence, progress.finished) == (10, False)


async def test_sigterm_ends_within_a_step() -> None:
    """SIGTERM lets the step in hand be accepted and ends; nothing accepted is undone."""
    stop, sink = asyncio.Event(), ListSink()
    with stop_on_signals(stop):
        running = asyncio.create_task(
            run_service(CountingHeart(), ListSource(None), sink, stop=stop)
        )
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        progress = await asyncio.wait_for(running, 5)
    assert progress.sequence == len(sink.sequences) > 0
