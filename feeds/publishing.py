"""A recording published to the topic of ticks, each symbol in a partition of its own choosing.

The partition of a symbol is fixed by a rule that every language can compute (`partition_of` its
name), so that a shard gets its symbols and no others, whoever publishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np

from engine.commands import Command
from engine.errors import FeedError
from engine.events import Malformed, Message
from engine.ticks import Step
from feeds import codec
from feeds.blocks import BLOCK_ROWS_MAX, encode_block
from feeds.log import Outgoing, Producer, partition_of
from feeds.pacing import Pacer
from feeds.topics import Topics

__all__ = ["TickForm", "homes_of", "message_record", "publish", "tick_messages"]

TickForm = Literal["block", "msgpack", "json"]

BLOCK_ROWS: Final = 5_000
"""Rows of a published block: 200 kB, small enough for every broker's default limits."""
SEND_RECORDS_MAX: Final = 10_000
"""Records handed to the client at once; bounds what is in memory."""

_SINGLE: Final = {"msgpack": codec.TICK_MSGPACK, "json": codec.TICK_JSON}


def homes_of(symbols: Sequence[str], partitions: int) -> list[int]:
    """The partition of each symbol's ticks, and so the shard that serves it."""
    return [partition_of(symbol.encode(), partitions) for symbol in symbols]


async def publish(
    producer: Producer,
    topics: Topics,
    steps: Iterable[Step],
    symbols: Sequence[str],
    *,
    form: TickForm = "block",
    partitions: int = 1,
    pacer: Pacer | None = None,
    end: bool = True,
) -> int:
    """Write a recording to the topic of ticks, as fast as the broker takes it or as it is paced.

    Order is kept across kinds and symbols within a partition, so that a topic of one replays as the
    file does. Requests among the rows go to their own topic, where they keep no place among ticks.

    Args:
        steps: `feeds.recording.Recording.steps`.
        symbols: names by index.
        form: blocks, or a record a row.
        partitions: of the topic of ticks.
        pacer: says when rows are due.
        end: say at the end that this was all, which lets a finite reader finish.

    Returns:
        Rows published.

    Raises:
        FeedError: if the broker is away, or it is not known to which of several shards a request
            belongs.
    """
    rows = np.zeros(partitions, np.int64)
    pending: list[Outgoing] = []
    paced = pacer or Pacer()
    for step in steps:
        async for portion in paced.portions(step):
            for record in tick_messages(portion, symbols, topics, form, partitions):
                pending.append(record)
                if len(pending) >= SEND_RECORDS_MAX or form == "block":
                    await producer.send(pending)
                    pending = []
            if pacer is not None:
                await producer.send(pending)
                pending = []
            rows += _counted(portion, symbols, partitions)
    if end:
        header = codec.schema_header(codec.END)
        pending += [
            Outgoing(topics.ticks, codec.encode_json(codec.End(int(count))), None, header, number)
            for number, count in enumerate(rows)
        ]
    await producer.send(pending)
    return int(rows.sum())


def _counted(step: Step, symbols: Sequence[str], partitions: int) -> Any:
    """Rows of the step by partition; what names no symbol is in the first."""
    counts = np.zeros(partitions, np.int64)
    homes = _homes(symbols, partitions)
    for table in step.tables:
        counts += np.bincount(homes[table.symbols()], minlength=partitions)
    counts[0] += len(step.messages)
    return counts


def _homes(symbols: Sequence[str], partitions: int) -> Any:
    """Partition by index of the symbol; the last one is that of index -1, an unknown symbol."""
    return np.array([*homes_of(symbols, partitions), 0], np.int64)


def tick_messages(
    step: Step, symbols: Sequence[str], topics: Topics, form: TickForm, partitions: int = 1
) -> Iterator[Outgoing]:
    """The records of a step, in the order of its rows within each partition."""
    cuts = [step.first, *(s for sequence, _ in step.messages for s in (sequence, sequence + 1))]
    messages = dict(step.messages)
    for first, end in pairwise([*cuts, step.end]):
        if first in messages:
            message = messages[first]
            if not isinstance(message, Malformed) and partitions > 1:
                raise FeedError(
                    f"a request names a product, not a symbol: which of the {partitions} shards is "
                    "it for? Send requests by a producer of your own",
                    retriable=False,
                )
            yield message_record(message, topics)
        elif first < end:
            rows = step.between(first, end)
            if form == "block":
                yield from _blocks(rows, symbols, topics, partitions)
            else:
                yield from _singles(rows, symbols, topics, form, partitions)


def message_record(message: Message, topics: Topics, partition: int = 0) -> Outgoing:
    """A message as it travels: commands, requests and unreadable rows each in a topic of their
    own."""
    if isinstance(message, Malformed):
        topic, schema = topics.ticks, codec.MALFORMED
    elif isinstance(message, Command):
        topic, schema = topics.admin, codec.COMMAND
    else:
        topic, schema = topics.requests, codec.REQUEST
    header = codec.schema_header(schema)
    return Outgoing(topic, codec.encode_json(message), None, header, partition)


def _blocks(
    step: Step, symbols: Sequence[str], topics: Topics, partitions: int
) -> Iterator[Outgoing]:
    header = codec.schema_header(codec.TICK_BLOCK)
    rows_max = min(BLOCK_ROWS, BLOCK_ROWS_MAX)
    for number, own in _parts(step, symbols, partitions):
        for first in range(own.first, own.end, rows_max):
            rows = own.between(first, min(first + rows_max, own.end))
            yield Outgoing(topics.ticks, encode_block(rows, symbols), None, header, number)


def _parts(step: Step, symbols: Sequence[str], partitions: int) -> Iterator[tuple[int, Step]]:
    """The rows of each partition, numbered anew."""
    if partitions == 1:
        yield 0, step
        return
    homes = _homes(symbols, partitions)
    for number in range(partitions):
        picked = [table.take(homes[table.symbols()] == number) for table in step.tables]
        tables = [table for table in picked if len(table)]
        if tables:
            order = np.sort(np.concatenate([table.sequence for table in tables]))
            numbered = (t.numbered(np.searchsorted(order, t.sequence)) for t in tables)
            yield number, Step(first=0, end=len(order), tables=tuple(numbered))


def _singles(
    step: Step, symbols: Sequence[str], topics: Topics, form: TickForm, partitions: int
) -> Iterator[Outgoing]:
    single = codec.SingleCodec(symbols)
    header = codec.schema_header(_SINGLE[form])
    values = [b""] * len(step)
    numbers = np.zeros(len(step), np.int64)
    homes = _homes(symbols, partitions)
    for table in step.tables:
        places = table.sequence - step.first
        numbers[places] = homes[table.symbols()]
        encoded = single.encode(table, packed=form == "msgpack")
        for place, value in zip(places.tolist(), encoded, strict=True):
            values[place] = value
    for value, number in zip(values, numbers.tolist(), strict=True):
        yield Outgoing(topics.ticks, value, None, header, number)
