"""Steps from a log: bounded, in order, each record once, wherever a reader is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import FeedError
from engine.ports import Batch, Range, Source
from engine.ticks import Marks, Step
from feeds import codec
from feeds.building import STEP_ROWS_MAX
from feeds.log import RECORDS_MAX, Log, OffsetOutOfRangeError, Outgoing, Place, Polled, TopicSpec
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import TickForm, publish
from feeds.source import LogSource
from feeds.topics import Topics, ensure_topics
from tests.feeds.test_codec import SYMBOLS, a_step, same

ROWS = STEP_ROWS_MAX + 10_000


def marks(rows: int) -> Step:
    """Marks of one symbol."""
    numbers = np.arange(rows)
    price = np.arange(1.0, rows + 1.0, dtype=np.float64)
    table = Marks(sequence=numbers, symbol=1, ts_ns=numbers + 5, price=price)
    return Step(first=0, end=rows, tables=(table,))


async def a_log(step: Step, form: TickForm = "block") -> MemoryLog:
    """A log with the step in its topic of ticks."""
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics())
    await publish(await log.producer(), Topics(), [step], SYMBOLS, form=form)
    return log


def price_of(batch: Batch) -> Any:
    """Prices of the only table."""
    (table,) = batch.step.tables
    assert isinstance(table, Marks)
    return table.price


async def batches(source: Source) -> list[Batch]:
    """All batches to the end."""
    found: list[Batch] = []
    sequence = 0
    while (batch := await source.read(sequence)) is not None:
        assert batch.step.first == sequence
        found.append(batch)
        sequence = batch.step.end
    await source.close()
    return found


def a_source(log: Log) -> LogSource:
    """Reads the ticks from the beginning to the end."""
    return LogSource(log, {Place("ticks"): 0}, SYMBOLS, finite=True)


@pytest.mark.parametrize("form", ["block", "msgpack"])
async def test_steps_are_bounded(form: TickForm) -> None:
    """A poll may hold more rows than a step: what is left comes next, not twice, not never."""
    rows = ROWS if form == "block" else 5_200
    found = await batches(a_source(await a_log(marks(rows), form)))
    prices = np.concatenate([price_of(batch) for batch in found])
    assert prices.tolist() == (np.arange(rows) + 1.0).tolist()
    assert len(found) > 1
    assert all(len(batch.step) < STEP_ROWS_MAX + 5_000 for batch in found)


@pytest.mark.parametrize(("polls", "sizes"), [(1, [100] * 12 + [50]), (3, [300] * 4 + [50])])
async def test_full_polls_make_one_batch(polls: int, sizes: list[int]) -> None:
    """Whoever finds as many records as a poll may bring takes what the next ones bring with them,
    so many polls at most; one that brought fewer is the last, and nobody waits for another."""
    log = await a_log(marks(1_250), "msgpack")
    options: dict[str, Any] = {"finite": True, "records_max": 100, "polls_max": polls}
    found = await batches(LogSource(log, {Place("ticks"): 0}, SYMBOLS, **options))
    assert [len(batch.step) for batch in found] == sizes
    prices = np.concatenate([price_of(batch) for batch in found])
    assert prices.tolist() == (np.arange(1_250) + 1.0).tolist()


async def test_ranges_follow_each_other() -> None:
    """The ranges of a journal name each record once, in processing order."""
    found = await batches(a_source(await a_log(marks(ROWS))))
    ranges = [run for batch in found for run in batch.ranges]
    assert all(run.input == "ticks/0" for run in ranges)
    assert ranges[0].start == 0
    assert [run.start for run in ranges[1:]] == [run.end for run in ranges[:-1]]


async def test_closed_and_read_on() -> None:
    """A source that was closed in the middle of a poll goes on with the record it had not given."""
    source = a_source(await a_log(marks(ROWS)))
    first = await source.read(0)
    assert first is not None
    await source.close()
    second = await source.read(first.step.end)
    assert second is not None
    assert price_of(second)[0] == len(first.step) + 1.0
    assert second.step.end == ROWS


async def test_broker_away_and_back() -> None:
    """An error loses no record: the next read goes on where the last one was."""
    step = a_step(5_500)
    log = await a_log(step, "msgpack")
    source = a_source(log)
    first = await source.read(0)
    assert first is not None
    log.broker.available = False
    with pytest.raises(FeedError):
        await source.read(first.step.end)
    log.broker.available = True
    rest = await source.read(first.step.end)
    assert rest is not None
    same(rest.step, step.between(first.step.end, rest.step.end))


async def test_broker_away_between_two_polls() -> None:
    """What the first of them brought is not lost with the second: it is a batch, and the error
    comes to whoever reads on. Catches 500 rows that no journal names."""
    step = a_step(1_500)
    log = await a_log(step, "msgpack")
    source = a_source(log)
    poll = source._poll

    async def once(timeout_ms: int) -> Polled:
        polled = await poll(timeout_ms)
        log.broker.available = False
        return polled

    source._poll = once  # type: ignore[method-assign]
    first = await source.read(0)
    assert first is not None
    assert len(first.step) == RECORDS_MAX
    with pytest.raises(FeedError):
        await source.read(RECORDS_MAX)
    log.broker.available, source._poll = True, poll  # type: ignore[method-assign]
    rest = await source.read(RECORDS_MAX)
    assert rest is not None
    same(rest.step, step.between(RECORDS_MAX, 1_500))


async def test_lost_position_is_not_repaired() -> None:
    """Input that retention took away stops the source; starting at what is left would skip rows."""
    log = await a_log(a_step(100), "json")
    await log.truncate(Place("ticks"), 50)
    with pytest.raises(OffsetOutOfRangeError) as caught:
        await a_source(log).read(0)
    assert not caught.value.retriable


async def test_holes_are_no_rows() -> None:
    """Input written in transactions has markers between its records: they count as nothing."""
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics())
    producer = await log.producer("venue")
    step = a_step(90)
    for first in (0, 30, 60):
        await producer.begin()
        part = step.between(first, first + 30)
        await publish(producer, Topics(), [part], SYMBOLS, form="json", end=first == 60)
        await producer.commit()
    (batch,) = await batches(a_source(log))
    same(batch.step, step)
    assert batch.ranges == (Range("ticks/0", 0, 93),)


async def test_end_of_one_partition_is_not_the_end() -> None:
    """A finite reader goes on until every partition of ticks has ended; an end that cannot be read
    is a row like every bad record."""
    log = MemoryLog(MemoryBroker())
    await log.create([TopicSpec("ticks", partitions=2)])
    end, tick = codec.schema_header(codec.END), codec.schema_header(codec.TICK_JSON)
    value = b'{"kind":"mark","symbol":"BTCUSDT","ts_ns":1,"price":2.0}'
    sent = [Outgoing("ticks", b'{"rows":1}', None, end, 0), Outgoing("ticks", value, None, tick, 1)]
    sent += [Outgoing("ticks", b"{", None, end, 1), Outgoing("ticks", b'{"rows":1}', None, end, 1)]
    await (await log.producer()).send(sent)
    places = {Place("ticks", 0): 0, Place("ticks", 1): 0}
    found = await batches(LogSource(log, places, SYMBOLS, finite=True))
    assert sum(len(batch.step) for batch in found) == 2
    assert sum(len(batch.dead_letters) for batch in found) == 1


async def test_end_is_nothing_to_a_live_reader() -> None:
    """A live reader goes on behind the end of one recording with the next."""
    log = await a_log(a_step(10), "json")
    await publish(await log.producer(), Topics(), [a_step(20)], SYMBOLS, form="json")
    batch = await LogSource(log, {Place("ticks"): 0}, SYMBOLS).read(0)
    assert batch is not None
    assert len(batch.step) == 30
    assert batch.dead_letters == ()
