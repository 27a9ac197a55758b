"""Each symbol has one partition, by a rule that is for ever; order is kept within it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.errors import FeedError
from engine.events import CreationRequest, Malformed
from engine.ticks import Step
from feeds import codec
from feeds.log import Place
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import TickForm, homes_of, publish
from feeds.source import LogSource
from feeds.topics import Topics, ensure_topics
from tests.feeds.log_contract import read_all
from tests.feeds.test_codec import SYMBOLS, a_step, same

FORMS = ("block", "msgpack", "json")
NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")


def test_the_rule() -> None:
    """The partition of a symbol is the CRC-32 of its name modulo the count: whoever publishes must
    come to these numbers, and a change of the rule would move symbols between shards."""
    assert homes_of(NAMES, 1) == [0, 0, 0, 0, 0]
    assert homes_of(NAMES, 2) == [1, 0, 0, 0, 0]
    assert homes_of(NAMES, 3) == [0, 0, 2, 1, 2]


@pytest.mark.parametrize("form", FORMS)
async def test_a_shard_gets_its_symbols(form: TickForm) -> None:
    """In each partition are the rows of its own symbols, all of them, in their order, bit for bit;
    and its own end."""
    step, partitions = a_step(400), 2
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics(), shards=partitions)
    rows = await publish(
        await log.producer(), Topics(), [step], SYMBOLS, form=form, partitions=partitions
    )
    assert rows == 400
    homes = np.array(homes_of(SYMBOLS, partitions))
    assert set(homes.tolist()) == {0, 1}
    seen = 0
    for number in range(partitions):
        tables = [table.take(homes[table.symbols()] == number) for table in step.tables]
        kept = [table for table in tables if len(table)]
        order = np.sort(np.concatenate([table.sequence for table in kept] or [np.zeros(0, int)]))
        expected = Step(
            first=0,
            end=len(order),
            tables=tuple(t.numbered(np.searchsorted(order, t.sequence)) for t in kept),
        )
        source = LogSource(log, {Place("ticks", number): 0}, SYMBOLS, finite=True)
        batch = await source.read(0)
        assert batch is not None
        same(batch.step, expected)
        assert await source.read(batch.step.end) is None
        assert batch.dead_letters == ()
        seen += len(order)
        await source.close()
    assert seen == 400
    ends = [
        msgspec.json.decode(record.value or b"")["rows"]
        for record in await read_all(log, "ticks")
        if codec.schema_of(record.headers) == codec.END
    ]
    assert sum(ends) == 400
    assert len(ends) == partitions


async def test_rows_without_a_symbol() -> None:
    """A row that could not be read names no symbol: it goes to the first partition, and is not
    lost."""
    bad = Malformed(ts_ns=0, detail="half a line")
    rows = a_step(10)
    step = Step(first=0, end=11, tables=rows.tables, messages=((10, bad),))
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics(), shards=2)
    assert await publish(await log.producer(), Topics(), [step], SYMBOLS, partitions=2) == 11
    found = [
        record.partition
        for record in await read_all(log, "ticks")
        if codec.schema_of(record.headers) == codec.MALFORMED
    ]
    assert found == [0]


@pytest.mark.parametrize("form", FORMS)
async def test_rows_of_an_unknown_symbol(form: TickForm) -> None:
    """They go to the first partition as rows of no symbol, where the engine refuses and
    dead-letters them. Catches a tape with one of them that cannot be published as blocks."""
    step = a_step(60)
    tables = [t.replaced(symbol=(t.symbols() - 1).astype(np.int32)) for t in step.tables]
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics(), shards=2)
    tape = [Step(first=0, end=60, tables=tuple(tables))]
    assert (
        await publish(await log.producer(), Topics(), tape, SYMBOLS, form=form, partitions=2) == 60
    )
    source = LogSource(log, {Place("ticks", 0): 0}, SYMBOLS, finite=True)
    batch = await source.read(0)
    await source.close()
    assert batch is not None
    strange = sum(int((t.symbols() < 0).sum()) for t in batch.step.tables)
    assert strange == sum(int((t.symbols() < 0).sum()) for t in tables) > 0
    assert len(batch.dead_letters) == (1 if form == "block" else strange)


async def test_requests_among_several_shards() -> None:
    """A request names a product, and only its engine knows the symbol: it is refused, not sent to
    a shard that would refuse it for its user."""
    request = CreationRequest(ts_ns=1, id="a", user="alice", product="BTC3L", quote=5.0)
    log = MemoryLog(MemoryBroker())
    await ensure_topics(log, Topics(), shards=2)
    step = Step(first=0, end=1, messages=((0, request),))
    with pytest.raises(FeedError, match="which of the 2 shards"):
        await publish(await log.producer(), Topics(), [step], SYMBOLS, partitions=2)
