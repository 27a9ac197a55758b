"""Users' totals over several products and engines are the sums of what the engines tell of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.engine import Engine, EngineSpec
from engine.errors import FeedError
from engine.events import CreationRequest, RedemptionRequest
from engine.outputs import Outputs
from engine.ports import Batch, Mark, Taken
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.shares import value_users
from engine.ticks import Step
from engine.units import SECOND_NS
from engine.valuing import first_units, valuation_of
from feeds.codec import BadRecord, schema_header, schema_of
from feeds.log import RECORDS_MAX, Log, Outgoing, Place, partition_of
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.records import PRODUCT_NAV, Recorder
from feeds.topics import Topics
from feeds.totalling import Totalling
from feeds.totals import USER_TOTAL, Totals, UserTotal
from strategies.leverage_band import LeverageBand
from tests.engine.serving import T0, a_market, a_spec, some_topics
from tests.feeds.log_contract import read_all

PARTITIONS = 3
ROWS = 1_200
Request = CreationRequest | RedemptionRequest


def a_configuration(products: Mapping[str, float]) -> EngineSpec:
    """Products with other targets and other holders each; everybody is valued each second."""
    spec = a_spec()
    specs, policies = [], []
    for number, (name, target) in enumerate(products.items()):
        holdings = ((20, 10**9 + number), (21 - number, 7 * 10**8 + 3))
        specs.append(
            ProductSpec(
                id=name,
                market=0,
                seed_atoms=10**12,
                population=(20 - 5 * number, 10**8 + 7),
                holdings=holdings,
            )
        )
        band = sorted((target * 0.97, target * 1.03), key=abs)
        policies.append((LeverageBand(target=target, low=abs(band[0]), high=abs(band[1])),))
    return replace(
        spec,
        products=tuple(specs),
        policies=tuple(policies),
        population=20,
        sampling=Sampling(nav_every_ns=SECOND_NS, user_nav_every_ns=SECOND_NS),
    )


def a_day(requests: Mapping[int, Request], *, later: int = 0) -> Step:
    """A market, with a request in the place of a row here and there."""
    market = a_market(ROWS, bad=None)
    tables = []
    for table in market.tables:
        kept = table.take(np.flatnonzero(~np.isin(table.sequence, list(requests))))
        tables.append(kept.replaced(ts_ns=kept.ts_ns + later))
    return Step(first=0, end=ROWS, tables=tuple(tables), messages=tuple(sorted(requests.items())))


def asked(row: int, user: str, product: str, **what: float) -> tuple[int, Request]:
    """A request in the place of a row."""
    kind: Any = CreationRequest if "quote" in what else RedemptionRequest
    return row, kind(ts_ns=T0 + row * 50_000_000, id=f"{row}", user=user, product=product, **what)


LEFT = a_configuration({"BTC3L": 3.0, "BTC3S": -3.0})
RIGHT = a_configuration({"BTC2L": 2.0})
WHOLE = replace(LEFT, products=LEFT.products + RIGHT.products)
REQUESTS_LEFT = dict(
    [
        asked(200, "carol", "BTC3L", quote=5_000.0),
        # At the very instant of a sample, and just behind one.
        asked(240, "u3", "BTC3S", quote=77.0),
        asked(401, "carol", "BTC3L", units=1_000.0),
        asked(600, "alice", "BTC3S", units=10.0),
        asked(601, "u21", "BTC3L", quote=12.0),
    ]
)
REQUESTS_RIGHT = dict(
    [asked(300, "carol", "BTC2L", quote=9.0), asked(1_100, "bob", "BTC2L", units=1.0)]
)


class Engines:
    """What one engine says of a day, in the topics step by step, and the sums of it."""

    def __init__(self, spec: EngineSpec, day: Step, shard: int) -> None:
        self.spec = spec
        self.shard = shard
        self.sums: dict[int, dict[str, int]] = {}
        self._engine = Engine(spec)
        self._day = day

    async def say(self, log: Log, topics: Topics, first: int, end: int) -> None:
        """Some rows, in transactions of a few hundred."""
        recorder = Recorder(
            topics, valuation_of(self.spec), shard=self.shard, user_partitions=PARTITIONS
        )
        producer = await log.producer(f"{topics.prefix}{self.shard}")
        for start in range(first, end, 150):
            step = self._day.between(start, min(start + 150, end))
            outputs = self._engine.process(step)
            self._add(outputs)
            parts = [(Batch(step), outputs)]
            taken = Taken(Mark(), (), parts, self._engine.users.name)
            await producer.begin()
            await producer.send(list(recorder.records(taken)))
            await producer.commit()
        await producer.close()

    def _add(self, outputs: Outputs) -> None:
        for block in outputs.user_nav:
            if block.reason == "cadence":
                navs = value_users(block.units, block.product_nav_atoms, block.units_total)
                of_users = self.sums.setdefault(block.sequence, defaultdict(int))
                for user, nav in enumerate(navs.tolist()):
                    of_users[self._engine.users.name(user)] += nav


def engines() -> tuple[Engines, Engines]:
    """Two shards; the second one's day is a little later."""
    return (
        Engines(LEFT, a_day(REQUESTS_LEFT), 0),
        Engines(RIGHT, a_day(REQUESTS_RIGHT, later=130_000_000), 1),
    )


def a_stage(
    log: Log, topics: Topics, users: Sequence[int] = range(PARTITIONS), every_ns: int = 0
) -> Totalling:
    """A process that keeps the totals of some user shards."""
    totals = Totals(topics.nav_totals, PARTITIONS, users, first_units(WHOLE), value_users)
    return Totalling(log, topics, totals, every_ns)


async def told(log: Log, topics: Topics) -> list[UserTotal]:
    """All totals, each in the partition of its user."""
    totals = []
    for record in await read_all(log, topics.nav_totals):
        assert schema_of(record.headers) == USER_TOTAL
        assert record.partition == partition_of(record.key, PARTITIONS)
        total = msgspec.json.decode(record.value or b"", type=UserTotal)
        assert (record.key, total.asset) == (total.user.encode(), "USDT")
        totals.append(total)
    return totals


def check(totals: Sequence[UserTotal], said: Sequence[Engines]) -> set[tuple[tuple[int, int], ...]]:
    """Each total is the sum of the engines' own NAVs of that user on the sequences of its vector;
    returns the vectors."""
    sums = {engine.shard: engine.sums for engine in said}
    for total in totals:
        own = [sums[shard][sequence].get(total.user, 0) for shard, sequence in total.stands_on]
        assert total.total_atoms == sum(own), total
    return {total.stands_on for total in totals}


async def test_totals_are_sums(log: Log) -> None:
    """Over three products of two engines, before and after creations and redemptions of users who
    were there and of newcomers: every total equals the sum of what the engines say of that user on
    the sequences that it names."""
    topics, (left, right) = some_topics(), engines()
    await log.create(topics.specs(shards=2, user_partitions=PARTITIONS))
    for end in range(300, ROWS + 1, 300):
        await left.say(log, topics, end - 300, end)
        await right.say(log, topics, end - 300, end)
        await a_stage(log, topics).run(asyncio.Event(), once=True)
    totals = await told(log, topics)
    vectors = check(totals, (left, right))
    last = (0, max(left.sums)), (1, max(right.sums))
    assert last in vectors
    names = {total.user for total in totals if total.stands_on == last}
    assert names == {"alice", "bob", "carol", "u21", *(f"u{n}" for n in range(1, 21))}


async def test_every_instant() -> None:
    """As the engine goes on, totals follow at each sample and none is wrong: a change counts from
    the sample at its own instant on."""
    log, topics, (left, right) = MemoryLog(MemoryBroker()), some_topics(), engines()
    await log.create(topics.specs(shards=2, user_partitions=PARTITIONS))
    stop = asyncio.Event()
    stage = a_stage(log, topics)
    running = asyncio.create_task(stage.run(stop))
    for row in range(0, ROWS, 10):
        await left.say(log, topics, row, row + 10)
        await right.say(log, topics, row, row + 10)
        for _ in range(20):
            await asyncio.sleep(0)
    stop.set()
    await running
    vectors = check(await told(log, topics), (left, right))
    assert len(vectors) > 100
    assert {s for v in vectors for n, s in v if n == 0} == set(left.sums)


async def test_shared_by_processes() -> None:
    """Processes with disjoint user shards tell together what one tells; however many events there
    are, those before a sample are taken before it is."""
    log, topics, said = MemoryLog(MemoryBroker()), some_topics(), engines()
    await log.create(topics.specs(shards=2, user_partitions=PARTITIONS))
    producer = await log.producer()
    await producer.send([Outgoing(topics.events, b'{"event":"rebalanced"}')] * 5 * RECORDS_MAX)
    for engine in said:
        await engine.say(log, topics, 0, ROWS)
    await a_stage(log, topics).run(asyncio.Event(), once=True)
    alone = {total.user: total for total in await told(log, topics)}
    assert len(alone) == 24
    for number in range(PARTITIONS):
        log.broker.partition(Place(topics.nav_totals, number)).entries.clear()
    for users in ((0, 2), (1,)):
        await a_stage(log, topics, users).run(asyncio.Event(), once=True)
    together = await told(log, topics)
    assert {total.user: total for total in together} == alone
    check(together, said)


async def test_once_in_a_while() -> None:
    """Told once in so much of event time, and at the end of a run in any case."""
    log, topics, said = MemoryLog(MemoryBroker()), some_topics(), engines()
    await log.create(topics.specs(shards=2, user_partitions=PARTITIONS))
    for row in range(0, ROWS, 300):
        for engine in said:
            await engine.say(log, topics, row, row + 300)
    await a_stage(log, topics, every_ns=3_600 * SECOND_NS).run(asyncio.Event(), once=True)
    vectors = check(await told(log, topics), said)
    assert ((0, max(said[0].sums)), (1, max(said[1].sums))) in vectors
    assert len(vectors) <= 2


async def test_what_cannot_be_right_is_refused() -> None:
    """Deleted events, a product that nobody configured, and foreign records end in a sentence."""
    log, topics, (left, _) = MemoryLog(MemoryBroker()), some_topics(), engines()
    await log.create(topics.specs(shards=2, user_partitions=PARTITIONS))
    await left.say(log, topics, 0, 300)
    stranger = Totals(topics.nav_totals, PARTITIONS, (0,), first_units(RIGHT), value_users)
    with pytest.raises(BadRecord, match="BTC3L is not configured"):
        await Totalling(log, topics, stranger, 0).run(asyncio.Event(), once=True)
    producer = await log.producer()
    for record, reason in (
        (Outgoing(topics.nav, b"{}", None, schema_header(b"product-nav/2")), "product-nav/2"),
        (Outgoing(topics.nav, b"{}", None, schema_header(PRODUCT_NAV)), "missing"),
    ):
        await producer.send([record])
        with pytest.raises(BadRecord, match=reason):
            await a_stage(log, topics).run(asyncio.Event(), once=True)
        log.broker.partition(Place(topics.nav)).entries.pop()
    await log.truncate(Place(topics.events), 1)
    with pytest.raises(FeedError, match="unit changes were deleted"):
        await a_stage(log, topics).run(asyncio.Event(), once=True)
