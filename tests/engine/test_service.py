"""The skin moves rows in and outputs out exactly once, recovers from the journal, and stops when it
must."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from msgspec.structs import replace

from engine.errors import FeedError, ReplayMismatchError, SnapshotError
from engine.events import CreationRequest
from engine.ports import Taken
from engine.service import QUEUE_BATCHES_MAX, serve, stop_on_signals
from engine.steps import Pace
from engine.ticks import Kind, Step, Trades
from feeds import codec
from feeds.journal import Journal, StepCommitted
from feeds.kafka import KafkaLog
from feeds.log import Log, Outgoing, Place, Producer, ProducerFencedError
from feeds.memory_broker import MemoryBroker, Partition
from feeds.memory_log import MemoryLog
from feeds.publishing import TickForm, publish
from feeds.shard import LogShard
from feeds.spoken import has_spoken
from feeds.topics import Topics, ensure_topics
from tests.engine.serving import (
    QUICK,
    SYMBOL,
    T0,
    Audit,
    Replayed,
    a_market,
    a_shard,
    a_spec,
    published,
    served,
    some_topics,
)
from tests.feeds.log_contract import read_all

HANGS_SECONDS = 300.0
"""What takes so long hangs; a machine with much else to do is slow."""


@pytest.fixture
def topics() -> Topics:
    """Topics of this test's own."""
    return some_topics()


@pytest.mark.parametrize("form", ["block", "msgpack", "json"])
async def test_live_equals_replay(log: Log, topics: Topics, form: TickForm) -> None:
    """A recording published, consumed, processed and published again says what a direct replay
    says: a row lost, doubled or moved by codec, source, service or sink changes the digest."""
    market = a_market()
    expected = Replayed(market)
    await published(log, topics, market, form)
    engine, progress = await served(log, topics)
    assert (progress.mark.sequence, progress.mark.finished) == (2_000, True)
    assert engine.digest() == expected.digest
    seen = await Audit.read(log, topics)
    seen.check(expected)
    kinds = [msgspec.json.decode(line)["event"] for line in expected.events]
    assert kinds.count("rebalanced") > 20
    assert len(expected.users) > 60
    names = {msgspec.json.decode(line)["user"] for line in seen.users.values()}
    assert names == {"alice", "bob"}


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
    _, progress = await served(log, topics)
    assert progress.mark.sequence == 601
    seen = await Audit.read(log, topics)
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
    await served(log, topics)
    (letter,) = (await Audit.read(log, topics)).letters
    headers = dict(letter.headers)
    assert (headers["reason"], headers["sequence"]) == (b"not_finite", b"41")
    tick = codec.SingleCodec((SYMBOL,)).tick(letter.value or b"")
    assert np.isnan(tick.values[0])
    assert tick.ts_ns == T0 + 41 * 50_000_000


class Faulty:
    """A shard whose producer fails where it is told to: the world is away, before or after the
    broker did what it was asked for."""

    def __init__(self, shard: LogShard, fails: Callable[[str], str | None]) -> None:
        self._shard = shard
        self._fails = fails
        self.sessions = 0

    async def open(self) -> Any:
        session = await self._shard.open()
        self.sessions += 1
        session.sink._producer = FaultyProducer(session.sink._producer, self._fails)
        return session


class FaultyProducer:
    """Raises ``before`` or ``after`` the call, as ``fails(name)`` says."""

    def __init__(self, producer: Producer, fails: Callable[[str], str | None]) -> None:
        self._producer = producer
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            when = self._fails(name)
            if when == "before":
                raise FeedError(f"{name}: the broker is away")
            result = await getattr(self._producer, name)(*arguments)
            if when == "after":
                raise FeedError(f"{name}: no answer came")
            return result

        return call


@pytest.mark.parametrize("name", ["begin", "send", "commit"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_any_error_of_the_producer_is_recovered_from(
    topics: Topics, name: str, when: str
) -> None:
    """After any error the state is dropped and comes back from the journal. A commit that was
    believed to have failed and had not would say everything of its step twice."""
    market = a_market(2_000)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market, "msgpack")
    due = every_seventh(name)
    shards: list[Faulty] = []

    def wrap(shard: LogShard) -> Faulty:
        shards.append(Faulty(shard, lambda called: when if due(called) else None))
        return shards[0]

    engine, progress = await served(
        log, topics, wrap=wrap, pace=replace(QUICK, snapshot_steps=1_000)
    )
    (await Audit.read(log, topics)).check(Replayed(market))
    assert engine.digest() == Replayed(market).digest
    assert shards[0].sessions > 2
    assert progress.sessions == shards[0].sessions
    assert progress.replayed > 0


def every_seventh(name: str) -> Callable[[str], bool]:
    """Whether a call is the seventh of that name, the fourteenth, and so on."""
    count = 0

    def due(called: str) -> bool:
        nonlocal count
        count += called == name
        return called == name and count % 7 == 0

    return due


async def test_a_broker_that_stays_away_ends_the_service(topics: Topics) -> None:
    """Attempts are bounded, and the error that ended them comes out."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(200))
    sessions: list[Faulty] = []

    def wrap(shard: LogShard) -> Faulty:
        sessions.append(Faulty(shard, lambda name: "before" if name == "send" else None))
        return sessions[0]

    with pytest.raises(FeedError, match="away"):
        await served(log, topics, wrap=wrap, pace=replace(QUICK, attempts_max=3))
    assert sessions[0].sessions == 3


async def test_the_older_engine_is_fenced(topics: Topics) -> None:
    """A second engine takes the shard over; the first one finds itself fenced at its next step and
    stops for good, and what it had not committed is said by the second, once."""
    market = a_market(2_000)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market, "msgpack")
    taken = asyncio.Event()
    goes_on = asyncio.Event()

    class Zombie(Faulty):
        async def open(self) -> Any:
            session = await super().open()
            commit = session.sink.commit

            async def slow(step: Taken) -> None:
                if step.mark.step == 3:
                    taken.set()
                    await goes_on.wait()
                await commit(step)

            session.sink.commit = slow
            return session

    first = asyncio.create_task(
        served(log, topics, wrap=lambda shard: Zombie(shard, lambda _: None))
    )
    await asyncio.wait_for(taken.wait(), HANGS_SECONDS)
    engine, _ = await served(log, topics)
    goes_on.set()
    with pytest.raises(ProducerFencedError):
        await first
    assert engine.digest() == Replayed(market).digest
    (await Audit.read(log, topics)).check(Replayed(market))


async def test_stopped_and_resumed(topics: Topics) -> None:
    """Stopped after any step, the next process goes on from the log alone: both together say what
    one says, and the second replays no more than what lies behind the last snapshot."""
    market = a_market(2_000)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market, "json")
    stop = asyncio.Event()

    class StopAtTwo(Faulty):
        async def open(self) -> Any:
            session = await super().open()
            commit = session.sink.commit

            async def counted(step: Taken) -> None:
                await commit(step)
                if step.mark.step == 2:
                    stop.set()

            session.sink.commit = counted
            return session

    _, progress = await served(
        log, topics, wrap=lambda shard: StopAtTwo(shard, lambda _: None), stop=stop
    )
    assert not progress.mark.finished
    assert 0 < progress.mark.sequence < 2_000
    engine, rest = await served(log, topics)
    assert rest.mark.finished
    assert rest.replayed == progress.mark.step % QUICK.snapshot_steps
    assert engine.digest() == Replayed(market).digest
    (await Audit.read(log, topics)).check(Replayed(market))


async def test_finished_is_finished(topics: Topics) -> None:
    """Served again after its end, a shard says nothing more and comes to the same digest."""
    market = a_market(500)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market)
    first, _ = await served(log, topics)
    before = await Audit.read(log, topics)
    again, progress = await served(log, topics)
    assert again.digest() == first.digest()
    assert progress.events == 0
    after = await Audit.read(log, topics)
    assert (after.events, after.navs, after.users) == (before.events, before.navs, before.users)


async def test_a_replay_that_differs_stops(topics: Topics) -> None:
    """Where the engine does not come to the journalled state, nothing is written: the message names
    the step and both digests."""
    market = a_market(1_000)
    log = MemoryLog(MemoryBroker())
    await published(log, topics, market, "msgpack")
    pace = replace(QUICK, snapshot_steps=1_000)
    await served(log, topics, pace=pace)
    topic = log.broker.partition(Place(topics.journal))
    for number, entry in enumerate(topic.entries):
        if entry.record is None or b"step" not in (entry.record.value or b""):
            continue
        step = msgspec.msgpack.decode(entry.record.value or b"", type=StepCommitted)
        if step.mark.step == 2:
            wrong = replace(step, mark=replace(step.mark, digest="0" * 64))
            value = Journal(log, Place(topics.journal), 0).record(wrong).value
            topic.entries[number] = replace(entry, record=replace(entry.record, value=value))
    with pytest.raises(ReplayMismatchError, match=r"step 2: .* state 0000") as raised:
        await served(log, topics, pace=pace)
    assert raised.value.exit_code == 5


async def test_another_configuration_is_refused(topics: Topics) -> None:
    """The state of one configuration is not gone on with under another."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(500))
    await served(log, topics)
    shard = a_shard(log, topics)
    shard._settings = replace(shard._settings, config_hash="another")
    with pytest.raises(SnapshotError, match="another configuration"):
        await serve(a_spec(), shard.open, pace=QUICK)


async def test_another_configuration_ends_nobody(topics: Topics) -> None:
    """Who comes with another configuration, or to a journal that cannot be read, is refused before
    it takes the shard over: the engine that runs goes on. Catches a slip that ends it."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(500, bad=None), "msgpack")
    await served(log, topics)
    running = await log.producer(f"{topics.prefix}levsim-0")
    other = a_shard(log, topics)
    other._settings = replace(other._settings, config_hash="another")
    with pytest.raises(SnapshotError, match="another configuration"):
        await serve(a_spec(), other.open, pace=QUICK)
    stranger = await log.producer()
    await stranger.send([Outgoing(topics.journal, b"{}", partition=0)])
    with pytest.raises(SnapshotError, match=r"journal/0 offset \d+: schema b'', this code reads"):
        await served(log, topics)
    await running.begin()
    await running.commit()


async def test_deleted_input_is_refused(topics: Topics) -> None:
    """Input that was deleted before it was processed is not skipped in silence."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(1_000), "msgpack")
    stop = asyncio.Event()
    running = asyncio.create_task(
        serve(a_spec(), a_shard(log, topics, finite=False).open, pace=QUICK, stop=stop)
    )
    async with asyncio.timeout(HANGS_SECONDS):
        await reached(log, topics, 1)
    stop.set()
    _, progress = await running
    await published(log, topics, a_market(10, bad=None), "msgpack")
    await log.truncate(Place(topics.ticks), progress.positions["ticks/0"] + 1)
    with pytest.raises((SnapshotError, FeedError), match="ticks/0"):
        await served(log, topics)


@pytest.mark.parametrize("cut", ["some", "all"])
async def test_input_deleted_below_a_journal_without_a_snapshot(topics: Topics, cut: str) -> None:
    """What the journal took is deleted, and there is no snapshot yet: it is said with both offsets
    before anything is replayed. Catches a replay that begins in the middle."""
    log, pace = MemoryLog(MemoryBroker()), replace(QUICK, snapshot_steps=1_000)
    await published(log, topics, a_market(500, bad=None), "msgpack")
    _, progress = await served(log, topics, pace=pace)
    taken = progress.positions["ticks/0"]
    await log.truncate(Place(topics.ticks), taken if cut == "all" else 3)
    said = f"ticks/0 holds offsets {taken if cut == 'all' else 3} to .* the journal goes on at 0"
    with pytest.raises(SnapshotError, match=said):
        await served(log, topics, pace=pace)


@pytest.mark.parametrize("lost", ["deleted", "made anew", "made anew before a snapshot"])
async def test_a_journal_that_was_deleted_is_refused(topics: Topics, lost: str) -> None:
    """To begin anew would say everything twice: nothing is written, however often it is tried.
    Catches an operator's retention on the journal, or a journal made anew beside the snapshots of
    the old one, or beside the events of a shard that has none yet."""
    log = MemoryLog(MemoryBroker())
    pace = replace(QUICK, snapshot_steps=1_000) if "before" in lost else QUICK
    await published(log, topics, a_market(500, bad=None), "msgpack")
    await served(log, topics, pace=pace)
    before = await read_all(log, topics.events)
    journal = log.broker.partition(Place(topics.journal))
    if lost == "deleted":
        await log.truncate(Place(topics.journal), journal.end)
    else:
        journal.entries.clear()
        journal.start = 0
    for _ in range(2):
        with pytest.raises(SnapshotError, match=r"the journal was deleted .* another --prefix"):
            await served(log, topics, pace=pace)
    assert await read_all(log, topics.events) == before


async def test_a_shard_that_comes_later_has_said_nothing(topics: Topics) -> None:
    """The events of another shard are not its own. Catches a second shard that never starts."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(500, bad=None), "msgpack")
    assert not await has_spoken(log, topics, 0)
    await served(log, topics)
    assert await has_spoken(log, topics, 0)
    assert not await has_spoken(log, topics, 1)


async def test_a_journal_made_anew_ends_the_engine_that_runs(topics: Topics) -> None:
    """Its next entry would lie at the beginning of another topic: the step is given up before it is
    committed. Catches steps whose order nobody can tell."""
    log = MemoryLog(MemoryBroker())
    market = a_market(1_000, bad=None)
    await ensure_topics(log, topics)
    producer = await log.producer()
    await publish(producer, topics, [market.between(0, 500)], (SYMBOL,), end=False)
    shard = a_shard(log, topics, finite=False)
    running = asyncio.create_task(serve(a_spec(), shard.open, pace=QUICK))
    async with asyncio.timeout(HANGS_SECONDS):
        await reached(log, topics, 500)
        before = await read_all(log, topics.events)
        journal = log.broker.partition(Place(topics.journal))
        journal.entries.clear()
        journal.start = 0
        await publish(producer, topics, [market.between(500, 1_000)], (SYMBOL,), end=False)
        with pytest.raises(SnapshotError, match=r"journal/0: .* offset 0, .* made anew"):
            await running
    await producer.close()
    assert await read_all(log, topics.events) == before


@pytest.mark.kafka
@pytest.mark.parametrize("brokers", ["kafka_brokers", "apache_brokers"])
@pytest.mark.parametrize("runs", [True, False], ids=["running", "restarted"])
async def test_a_journal_made_anew_on_a_broker(
    request: pytest.FixtureRequest, topics: Topics, brokers: str, runs: bool
) -> None:
    """Deleted and created again before there was a snapshot: whoever runs, and whoever comes, ends,
    and nothing more is said. Catches an offset that a broker's client carries over."""
    where, market = request.getfixturevalue(brokers), a_market(1_000, bad=None)
    log, admin = KafkaLog(where), AIOKafkaAdminClient(bootstrap_servers=where)
    await ensure_topics(log, topics, user_partitions=2)
    producer, stop = await log.producer(), asyncio.Event()
    await publish(producer, topics, [market.between(0, 500)], (SYMBOL,), end=False)
    shard, pace = a_shard(log, topics, finite=False), replace(QUICK, snapshot_steps=1_000)
    running = asyncio.create_task(serve(a_spec(), shard.open, pace=pace, stop=stop))
    async with asyncio.timeout(HANGS_SECONDS):
        await reached(log, topics, 500)
        before = await read_all(log, topics.events)
        if not runs:
            stop.set()
            await running
        await admin.start()
        await admin.delete_topics([topics.journal])
        await admin.close()
        await _created(log, topics)
        await publish(producer, topics, [market.between(500, 1_000)], (SYMBOL,), end=False)
        with pytest.raises(SnapshotError, match=r"the journal was (deleted|made anew)"):
            await (running if runs else serve(a_spec(), shard.open, pace=pace))
        assert await read_all(log, topics.events) == before
    await producer.close()
    await log.close()


async def _created(log: Log, topics: Topics) -> None:
    """The journal is there, and empty; brokers delete in their own time."""
    (spec,) = (spec for spec in topics.specs() if spec.name == topics.journal)
    place = Place(topics.journal)
    while True:
        with suppress(FeedError):
            await log.create([spec])
            if await log.bounds(place) == (0, 0):
                return
        await asyncio.sleep(0.05)


async def test_users_do_not_move_between_partitions(topics: Topics) -> None:
    """Partitions added to the users' NAVs move names from one to another: the engine stops as the
    stages behind it do. Catches a reader of one partition who waits for ever."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(500, bad=None), "msgpack")
    await served(log, topics)
    before = await read_all(log, topics.events)
    log.broker.topic(topics.nav_users).append(Partition())
    with pytest.raises(SnapshotError, match=r"nav.users has 3 partitions, expected 2: .* for ever"):
        await served(log, topics)
    assert await read_all(log, topics.events) == before


async def test_requests_arrive_live(log: Log, topics: Topics) -> None:
    """A request on its own topic is carried out among the ticks, its holder's NAV follows, and a
    replay of the journal finds it in its place."""
    market = a_market(400, bad=None)
    await ensure_topics(log, topics)
    producer = await log.producer()
    await publish(producer, topics, [market.between(0, 200)], (SYMBOL,), end=False)
    stop = asyncio.Event()
    pace = replace(QUICK, snapshot_steps=1_000)
    shard = a_shard(log, topics, finite=False)
    running = asyncio.create_task(serve(a_spec(), shard.open, pace=pace, stop=stop))
    async with asyncio.timeout(HANGS_SECONDS):
        await reached(log, topics, 200)
        request = CreationRequest(
            ts_ns=T0 + 200 * 50_000_000, id="r1", user="carol", product="BTC3L", quote=5_000.0
        )
        header = codec.schema_header(codec.REQUEST)
        sent = Outgoing(topics.requests, codec.encode_json(request), b"carol", header)
        await producer.send([sent])
        await reached(log, topics, 201)
        await publish(producer, topics, [market.between(200, 400)], (SYMBOL,))
        await reached(log, topics, 401)
        stop.set()
        engine, progress = await running
    await producer.close()
    assert progress.positions["requests/0"] == 1
    seen = await Audit.read(log, topics)
    events = [msgspec.json.decode(line) for line in seen.events.values()]
    created = [event for event in events if event["event"] == "units_created"]
    assert [(event["user"], event["sequence"]) for event in created] == [("carol", 200)]
    users = [msgspec.json.decode(line) for line in seen.users.values()]
    first = next(user for user in users if user["user"] == "carol")
    assert (first["sequence"], first["units"]) == (200, created[0]["user_units"])
    _, rest = await served(log, topics, pace=pace)
    assert rest.replayed == progress.mark.step
    assert rest.mark.sequence == engine.sequence


async def reached(log: Log, topics: Topics, sequence: int) -> None:
    """The rows below ``sequence`` are in committed steps."""
    done = 0
    while done < sequence:
        steps = (await Audit.read(log, topics)).steps
        done = steps[-1].mark.sequence if steps else 0
        await asyncio.sleep(0.01)


async def test_back_pressure(topics: Topics) -> None:
    """A commit that does not end stops the source after the bounded queue and one open step:
    memory is bounded."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(20_000, bad=None), "msgpack")
    gate, stop = asyncio.Event(), asyncio.Event()
    reads = 0

    class Slow(Faulty):
        async def open(self) -> Any:
            session = await super().open()
            commit, read = session.sink.commit, session.source.read

            async def slow(step: Taken) -> None:
                await gate.wait()
                await commit(step)

            async def counted(sequence: int) -> Any:
                nonlocal reads
                reads += 1
                return await read(sequence)

            session.sink.commit, session.source.read = slow, counted
            return session

    running = asyncio.create_task(
        served(log, topics, wrap=lambda shard: Slow(shard, lambda _: None), stop=stop)
    )
    for _ in range(2_000):
        await asyncio.sleep(0)
    # A step in the commit, a full one behind it, the queue, and a batch in the reader's hand.
    assert 3 <= reads <= QUEUE_BATCHES_MAX + 4
    stop.set()
    gate.set()
    _, progress = await running
    assert not progress.mark.finished


async def test_a_commit_that_hangs_is_noticed(topics: Topics) -> None:
    """A commit without an answer ends the process, or the service where nobody ends it; so does
    taking over without one."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(200))
    hung: list[bool] = []

    class Hangs(Faulty):
        async def open(self) -> Any:
            session = await super().open()

            async def commit(step: Taken) -> None:
                await asyncio.Event().wait()

            session.sink.commit = commit
            return session

    pace = replace(QUICK, commit_seconds_max=0.02)
    with pytest.raises(FeedError, match="hangs"):
        await served(log, topics, wrap=lambda s: Hangs(s, lambda _: None), pace=pace)

    class NeverOpens(Faulty):
        async def open(self) -> Any:
            await asyncio.Event().wait()

    short = replace(QUICK, open_seconds_max=0.02)
    with pytest.raises(FeedError, match="hangs"):
        await served(log, topics, wrap=lambda s: NeverOpens(s, lambda _: None), pace=short)

    class Ended(BaseException):
        pass

    def end() -> None:
        hung.append(True)
        raise Ended

    with pytest.raises(Ended):
        await served(log, topics, wrap=lambda s: Hangs(s, lambda _: None), pace=pace, hung=end)
    assert hung == [True]


async def test_a_step_waits_for_company(topics: Topics) -> None:
    """Input within ``step_ms`` goes into one transaction."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(2_000), "msgpack")
    _, alone = await served(log, topics)
    patient = some_topics()
    await published(log, patient, a_market(2_000), "msgpack")
    pace = Pace(step_ms=60_000.0, retry_seconds=0.001)
    _, together = await served(log, patient, pace=pace)
    assert together.mark.step == 1 < alone.mark.step


async def test_sigterm_ends_within_a_step(topics: Topics) -> None:
    """SIGTERM lets the step in hand be committed and ends; nothing committed is undone."""
    log = MemoryLog(MemoryBroker())
    await published(log, topics, a_market(600, bad=None))
    stop = asyncio.Event()
    shard = a_shard(log, topics, finite=False)
    with stop_on_signals(stop):
        running = asyncio.create_task(serve(a_spec(), shard.open, pace=QUICK, stop=stop))
        async with asyncio.timeout(HANGS_SECONDS):
            await reached(log, topics, 600)
            os.kill(os.getpid(), signal.SIGTERM)
            _, progress = await running
    assert progress.mark.sequence == 600
    assert not progress.mark.finished
