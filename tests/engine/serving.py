"""What tests of the service share: a market whose product trades often, the yardstick of a direct
replay, the service run to its end, and an auditor that trusts nobody."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np

from engine.engine import Engine, EngineSpec
from engine.events import Malformed
from engine.market import MarketSpec
from engine.nav import nav_columns
from engine.ports import CLOCK
from engine.product import ProductSpec
from engine.sampler import Sampling
from engine.service import Pace, Progress, serve
from engine.ticks import Bbo, Step, Trades
from engine.valuing import valuation_of
from engine.venue.contract_spec import ContractSpec
from feeds import codec
from feeds.journal import JOURNAL, StepCommitted
from feeds.log import Log, Place, Record
from feeds.publishing import TickForm, publish
from feeds.shard import LogShard, ShardSettings
from feeds.topics import Topics, ensure_topics
from feeds.user_blocks import USER_NAV_BLOCK
from feeds.user_navs import USER_BLOCKS_ABOVE
from strategies.leverage_band import LeverageBand
from tests.feeds.log_contract import read_all
from tests.feeds.user_records import unpacked

__all__ = [
    "QUICK",
    "SYMBOL",
    "T0",
    "Audit",
    "Replayed",
    "a_market",
    "a_shard",
    "a_spec",
    "published",
    "served",
    "some_topics",
]

T0 = 1_723_161_600_000_000_000
SYMBOL = "BTCUSDT"
QUICK = Pace(step_ms=0.0, rows_max=1, snapshot_steps=5, retry_seconds=0.001)
"""A step a poll, and a snapshot every fifth: many of both in a short run."""
RECORDS_MAX = 50
_SESSION = uuid4().hex[:8]
_prefixes = itertools.count()


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
        config_hash="a configuration",
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
    """What the engine says of a step, and of those ``then``, when nothing is between: the yardstick
    of every test here."""

    def __init__(
        self, step: Step, spec: EngineSpec | None = None, *, then: Sequence[Step] = ()
    ) -> None:
        engine = Engine(spec or a_spec())
        parts = [*(engine.process(each) for each in (step, *then)), engine.finish()]
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


def some_topics() -> Topics:
    """Topics of one test's own, which a broker that was there before has not seen either."""
    return Topics(f"service-{_SESSION}-{next(_prefixes)}.")


async def published(log: Log, topics: Topics, step: Step, form: TickForm = "block") -> None:
    """The step is in the topic of ticks."""
    await ensure_topics(log, topics, user_partitions=2)
    producer = await log.producer()
    await publish(producer, topics, [step], (SYMBOL,), form=form)
    await producer.close()


def a_shard(
    log: Log,
    topics: Topics,
    *,
    shard: int = 0,
    finite: bool = True,
    spec: EngineSpec | None = None,
    user_blocks_above: int = USER_BLOCKS_ABOVE,
) -> LogShard:
    """The shard of `a_spec`, or of another engine."""
    spec = spec or a_spec()
    settings = ShardSettings(
        shard=shard,
        config_hash=spec.config_hash,
        version="test",
        finite=finite,
        records_max=RECORDS_MAX,
        polls_max=1,
        user_blocks_above=user_blocks_above,
    )
    return LogShard(log, topics, valuation_of(spec), settings)


async def served(
    log: Log,
    topics: Topics,
    *,
    wrap: Callable[[LogShard], Any] = lambda shard: shard,
    pace: Pace = QUICK,
    **options: Any,
) -> tuple[Engine, Progress]:
    """The service has run to the end of the recording."""
    shard = wrap(a_shard(log, topics))
    return await serve(a_spec(), shard.open, pace=pace, **options)


class Audit:
    """What is in the output topics, read twice: as the broker calls it committed, and all of it.

    Attributes:
        events, navs, users: committed records by ``(sequence, ordinal)``; a name given twice is a
            fault.
        letters: the dead letters.
        steps: the journal.
        aborted: output records that are in the log and were never committed.
    """

    def __init__(self) -> None:
        self.events: dict[tuple[int, int], bytes] = {}
        self.navs: dict[tuple[int, int], bytes] = {}
        self.users: dict[tuple[int, int], bytes] = {}
        self.letters: list[Record] = []
        self.steps: list[StepCommitted] = []
        self.aborted = 0

    @classmethod
    async def read(cls, log: Log, topics: Topics) -> Audit:
        """All topics from the beginning, each name once, nothing committed that is not there."""
        seen = cls()
        for topic, into in (
            (topics.events, seen.events),
            (topics.nav, seen.navs),
            (topics.nav_users, seen.users),
        ):
            committed = await read_all(log, topic)
            there = await read_all(log, topic, committed=False)
            seen.aborted += len(there) - len(committed)
            raw = {(record.partition, record.offset): record.value for record in there}
            for record in committed:
                assert raw[record.partition, record.offset] == record.value
                for value in _values(record):
                    fields = msgspec.json.decode(value)
                    name = (fields["sequence"], fields["ordinal"])
                    assert name not in into, f"{topic}: {name} twice"
                    into[name] = value
        seen.letters = list(await read_all(log, topics.dead_letters))
        decode = msgspec.msgpack.Decoder(Any).decode
        for record in await read_all(log, topics.journal):
            assert dict(record.headers)["schema"] == JOURNAL
            entry = decode(record.value or b"")
            if entry[0] == "step":
                seen.steps.append(msgspec.msgpack.decode(record.value or b"", type=StepCommitted))
        return seen

    def check(self, expected: Replayed) -> None:
        """Byte for byte what a direct replay says, no name missing, every input offset once."""
        assert [self.events[name] for name in sorted(self.events)] == expected.events
        assert set(self.navs) == expected.navs
        assert set(self.users) == expected.users
        assert [step.mark.step for step in self.steps] == list(range(1, len(self.steps) + 1))
        assert self.steps[-1].mark.finished
        reached: dict[str, int] = {}
        for step in self.steps:
            for run in step.ranges:
                # Offsets follow one another; of the clock, which is in no topic, times only rise.
                before = reached.get(run.input, 0)
                assert run.start == before or (run.input == CLOCK and run.start > before)
                assert run.end > run.start
                reached[run.input] = run.end


def _values(record: Record) -> list[bytes]:
    """The record, or those that its block stands for."""
    if codec.schema_of(record.headers) == USER_NAV_BLOCK:
        return [msgspec.json.encode(nav) for nav in unpacked(record)]
    return [record.value or b""]


def ticks_of(topics: Topics) -> Place:
    """The partition that the tests publish to."""
    return Place(topics.ticks, 0)
