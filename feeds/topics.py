"""The topics of an engine: their names, their creation, and a recording published to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from engine.events import Malformed
from engine.ticks import Step
from feeds import codec
from feeds.blocks import BLOCK_ROWS_MAX, encode_block
from feeds.log import Log, Outgoing, Producer, TopicSpec

__all__ = ["TickForm", "Topics", "ensure_topics", "publish", "tick_messages"]

TickForm = Literal["block", "msgpack", "json"]

BLOCK_ROWS: Final = 5_000
"""Rows of a published block: 200 kB, small enough for every broker's default limits."""
FOR_EVER: Final = -1
"""Retention of what a recovery cannot do without."""
SEND_RECORDS_MAX: Final = 10_000
"""Records handed to the client at once; bounds what is in memory."""

_SINGLE: Final = {"msgpack": codec.TICK_MSGPACK, "json": codec.TICK_JSON}


class Topics(Struct, frozen=True):
    """Names of the topics: the prefix and the contract's own words."""

    prefix: str = ""

    @property
    def ticks(self) -> str:
        """In: market rows."""
        return f"{self.prefix}ticks"

    @property
    def requests(self) -> str:
        """In: creations and redemptions."""
        return f"{self.prefix}requests"

    @property
    def admin(self) -> str:
        """In: what the operator says."""
        return f"{self.prefix}admin"

    @property
    def events(self) -> str:
        """Out: every event, keyed by shard, so that a shard's events are in order."""
        return f"{self.prefix}events"

    @property
    def nav(self) -> str:
        """Out: product NAVs, keyed by product."""
        return f"{self.prefix}nav"

    @property
    def nav_users(self) -> str:
        """Out: user NAVs, keyed by user."""
        return f"{self.prefix}nav.users"

    @property
    def dead_letters(self) -> str:
        """Out: what was refused, as it came, keyed by shard."""
        return f"{self.prefix}dead-letters"

    @property
    def journal(self) -> str:
        """The order of the inputs, a partition a shard."""
        return f"{self.prefix}journal"

    @property
    def snapshots(self) -> str:
        """The state of each shard, compacted, a partition a shard."""
        return f"{self.prefix}snapshots"

    def specs(self, *, shards: int = 1, user_partitions: int = 1) -> list[TopicSpec]:
        """All of them, as they are to be created. What belongs to a shard has a partition each; of
        users' NAVs choose many partitions once, keys move with them."""
        names = (self.ticks, self.requests, self.admin)
        return [
            *(TopicSpec(name, shards) for name in names),
            TopicSpec(self.journal, shards, retention_ms=FOR_EVER),
            *(TopicSpec(name) for name in (self.events, self.nav, self.dead_letters)),
            TopicSpec(
                self.snapshots,
                shards,
                compacted=True,
                retention_ms=FOR_EVER,
                # Old snapshots are deleted by us, which a topic that is only compacted refuses.
                settings=(("cleanup.policy", "compact,delete"),),
            ),
            TopicSpec(self.nav_users, user_partitions),
        ]


async def ensure_topics(
    log: Log, topics: Topics, *, shards: int = 1, user_partitions: int = 1
) -> None:
    """Create the topics that are missing.

    Raises:
        FeedError: if one exists with another number of partitions.
    """
    await log.create(topics.specs(shards=shards, user_partitions=user_partitions))


async def publish(
    producer: Producer,
    topics: Topics,
    steps: Iterable[Step],
    symbols: Sequence[str],
    *,
    form: TickForm = "block",
    end: bool = True,
) -> int:
    """Write a recording to the topic of ticks, as fast as the broker takes it.

    Order is kept across kinds and symbols, so that the topic replays as the file does.
    Requests among the rows go to their own topic, where they keep no place among the ticks.

    Args:
        steps: `feeds.recording.Recording.steps`.
        symbols: names by index.
        form: blocks, or a record a row.
        end: say at the end that this was all, which lets a finite reader finish.

    Returns:
        Rows published.

    Raises:
        FeedError: if the broker is away.
    """
    rows = 0
    pending: list[Outgoing] = []
    for step in steps:
        for record in tick_messages(step, symbols, topics, form):
            pending.append(record)
            if len(pending) >= SEND_RECORDS_MAX or form == "block":
                await producer.send(pending)
                pending = []
        rows += len(step)
    if end:
        header = codec.schema_header(codec.END)
        pending.append(Outgoing(topics.ticks, codec.encode_json(codec.End(rows)), None, header, 0))
    await producer.send(pending)
    return rows


def tick_messages(
    step: Step, symbols: Sequence[str], topics: Topics, form: TickForm
) -> Iterator[Outgoing]:
    """The records of a step, in the order of its rows."""
    cuts = [step.first, *(s for sequence, _ in step.messages for s in (sequence, sequence + 1))]
    messages = dict(step.messages)
    for first, end in pairwise([*cuts, step.end]):
        if first in messages:
            message = messages[first]
            malformed = isinstance(message, Malformed)
            topic = topics.ticks if malformed else topics.requests
            header = codec.schema_header(codec.MALFORMED if malformed else codec.REQUEST)
            yield Outgoing(topic, codec.encode_json(message), None, header, 0)
        elif first < end:
            yield from _tick_records(step.between(first, end), symbols, topics, form)


def _tick_records(
    step: Step, symbols: Sequence[str], topics: Topics, form: TickForm
) -> Iterator[Outgoing]:
    if form == "block":
        header = codec.schema_header(codec.TICK_BLOCK)
        rows_max = min(BLOCK_ROWS, BLOCK_ROWS_MAX)
        for first in range(step.first, step.end, rows_max):
            rows = step.between(first, min(first + rows_max, step.end))
            yield Outgoing(topics.ticks, encode_block(rows, symbols), None, header, 0)
        return
    single = codec.SingleCodec(symbols)
    header = codec.schema_header(_SINGLE[form])
    values = [b""] * len(step)
    for table in step.tables:
        places = (table.sequence - step.first).tolist()
        for place, value in zip(
            places, single.encode(table, packed=form == "msgpack"), strict=True
        ):
            values[place] = value
    for value in values:
        yield Outgoing(topics.ticks, value, None, header, 0)
