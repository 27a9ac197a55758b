"""What live engines commit, as it comes: their events and the NAVs of their products, from Kafka.

Only committed records are read: what an engine took back, or has not decided yet, is never shown.
Records that the log holds twice are shown once, by ``(shard, sequence, ordinal)``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from engine.config import load_config
from engine.errors import InputError
from engine.parquet import TIME, timestamps
from feeds.codec import schema_of
from feeds.fanout import reached
from feeds.kafka import KafkaLog
from feeds.log import Log, Place, Polled, Record
from feeds.records import EVENT, PRODUCT_NAV, ProductNav
from feeds.topics import Topics

__all__ = ["Part", "stream"]

POLL_TIMEOUT_MS: Final = 100
_NAME: Final = [("shard", pa.int64()), ("sequence", pa.int64()), ("ordinal", pa.int64())]
_NAV: Final = pa.schema(
    [
        *TIME,
        ("product", pa.string()),
        ("nav_per_unit", pa.float64()),
        ("units", pa.int64()),
        ("leverage", pa.float64()),
        ("mark_price", pa.float64()),
        ("nav_atoms", pa.int64()),
        ("adl_quantile", pa.float64()),
        ("plan_lots", pa.int64()),
        *_NAME,
    ]
)
_EVENTS: Final = pa.schema(
    [*TIME, ("event", pa.string()), ("product", pa.string()), ("json", pa.string()), *_NAME]
)


class Part(Struct, frozen=True, eq=False):
    """What one look at the topics found; one of the two batches may be empty, never both.

    Attributes:
        nav: ``ts_ns, ts, product, nav_per_unit, units, leverage, mark_price, nav_atoms,
            adl_quantile, plan_lots, shard, sequence, ordinal``, as ``nav.parquet`` has them, but
            ``units`` in steps of 1e-8, and NAV in quote atoms, rounded down.
        events: ``ts_ns, ts, event, product, json, shard, sequence, ordinal``; ``json`` is the line
            of ``events.jsonl``.
        positions: where to go on behind it; give it to ``stream(..., since=...)``.
    """

    nav: pa.RecordBatch
    events: pa.RecordBatch
    positions: dict[str, int]


class _Said(Struct, frozen=True, gc=False):
    """What every event has, and whose it is."""

    event: str
    sequence: int
    ordinal: int
    ts_ns: int
    product: str | None = None


_NAV_OF: Final = msgspec.json.Decoder(ProductNav)
_EVENT_OF: Final = msgspec.json.Decoder(_Said)


async def stream(
    where: str | Log,
    *,
    product: str | Collection[str] | None = None,
    prefix: str = "",
    since: Literal["start", "now"] | Mapping[str, int] = "start",
    once: bool = False,
    config: str | Path | None = None,
) -> AsyncIterator[Part]:
    """Events and product NAVs as live engines commit them: exactly the committed ones, each once.

    Within a product NAVs come in order, and so do the events of a shard. It goes on until you leave
    the loop; nothing is written, and no consumer group is joined.

    Args:
        where: ``kafka://HOST:PORT`` (several with commas), or a log that is open.
        product: only these products: their NAVs, and the events that name them.
        prefix: of the topics.
        since: the first record that is kept, those that come from now on, or the ``positions`` of a
            part, behind which it goes on.
        once: end when all that is there now was read.
        config: TOML whose ``[kafka]`` says how the brokers are reached.

    Raises:
        FeedError: if the broker is away, or a topic is missing.
        InputError: if a record is none of an engine's.

    Against a broker, with ``levsim serve`` at work::

        async for part in stream("kafka://localhost:9092", product="BTC3L", since="now"):
            print(part.nav.to_pylist())

    Without one, on a log in memory to which a transaction is committed by hand:

    >>> import asyncio
    >>> from feeds.log import Outgoing
    >>> from feeds.memory_log import MemoryBroker, MemoryLog
    >>> from feeds.topics import ensure_topics
    >>> nav = {"product": "BTC3L", "ts_ns": 0, "nav_per_unit": 1.5, "units": 2, "leverage": 3.0,
    ...        "mark_price": 60000.0, "sequence": 7, "ordinal": 0, "shard": 0, "nav_atoms": 3}
    >>> async def example():
    ...     log = MemoryLog(MemoryBroker())
    ...     await ensure_topics(log, Topics())
    ...     engine = await log.producer("engine")
    ...     await engine.begin()
    ...     headers = (("schema", PRODUCT_NAV),)
    ...     await engine.send([Outgoing("nav", msgspec.json.encode(nav), b"BTC3L", headers)])
    ...     await engine.commit()
    ...     return [part async for part in stream(log, once=True)]
    >>> parts = asyncio.run(example())
    >>> parts[0].nav.select(["product", "nav_per_unit", "leverage"]).to_pylist()
    [{'product': 'BTC3L', 'nav_per_unit': 1.5, 'leverage': 3.0}]
    """
    log = where if not isinstance(where, str) else _opened(where, config)
    reader = _Reader(Topics(prefix), product)
    try:
        consumer = await log.consumer(await _starts(log, reader.topics, since))
        try:
            ends = await consumer.ends() if once else None
            while ends is None or not reached(await consumer.positions(), ends):
                part = reader.part(await consumer.poll(timeout_ms=POLL_TIMEOUT_MS))
                if part is not None:
                    at = {str(place): to for place, to in (await consumer.positions()).items()}
                    yield Part(*part, at)
        finally:
            await consumer.close()
    finally:
        if log is not where:
            await log.close()


def _opened(where: str, config: str | Path | None) -> Log:
    security = None if config is None else load_config(config).kafka
    return KafkaLog(where.removeprefix("kafka://"), security=security)


async def _starts(
    log: Log, topics: Topics, since: Literal["start", "now"] | Mapping[str, int]
) -> dict[Place, int]:
    """The next offset of every partition of both topics."""
    starts = {}
    for topic in (topics.events, topics.nav):
        for number in range(await log.partitions(topic)):
            place = Place(topic, number)
            first, end = await log.bounds(place)
            known = since if isinstance(since, str) else since.get(str(place), first)
            starts[place] = first if known == "start" else end if known == "now" else int(known)
    return starts


class _Reader:
    """Makes batches of records, each name once."""

    def __init__(self, topics: Topics, product: str | Collection[str] | None) -> None:
        self.topics = topics
        self._only = {product} if isinstance(product, str) else product and set(product)
        self._last: dict[tuple[str | None, int], tuple[int, int]] = {}

    def part(self, polled: Polled) -> tuple[pa.RecordBatch, pa.RecordBatch] | None:
        """The batches of what a poll brought; nothing where none of it is wanted or new."""
        navs: list[ProductNav] = []
        events: list[tuple[_Said, int, str]] = []
        for place, records in polled:
            for record in records:
                if place.topic == self.topics.nav:
                    navs += self._nav(record)
                else:
                    events += self._event(record)
        return (_nav_batch(navs), _event_batch(events)) if navs or events else None

    def _nav(self, record: Record) -> Sequence[ProductNav]:
        nav: ProductNav = _read(record, PRODUCT_NAV, _NAV_OF)
        new = self._is_new((nav.product, nav.shard), nav)
        return [nav] if new and (not self._only or nav.product in self._only) else []

    def _event(self, record: Record) -> Sequence[tuple[_Said, int, str]]:
        said: _Said = _read(record, EVENT, _EVENT_OF)
        try:
            shard = int(dict(record.headers).get("shard", b"0"))
        except ValueError as error:
            raise InputError(f"{_where(record)}: shard: {error}") from None
        new = self._is_new((None, shard), said)
        wanted = not self._only or said.product in self._only
        return [(said, shard, (record.value or b"").decode())] if new and wanted else []

    def _is_new(self, whose: tuple[str | None, int], one: _Said | ProductNav) -> bool:
        """Whether it follows what its source said last: an engine names its records upwards."""
        name = (one.sequence, one.ordinal)
        if name <= self._last.get(whose, (-1, -1)):
            return False
        self._last[whose] = name
        return True


def _read(record: Record, schema: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    where = _where(record)
    told = schema_of(record.headers)
    if told != schema:
        raise InputError(f"{where}: schema must be {schema.decode()}, was {told[:40]!r}")
    try:
        return decoder.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: {error}") from None


def _where(record: Record) -> str:
    return f"{record.topic}/{record.partition} offset {record.offset}"


def _nav_batch(navs: Sequence[ProductNav]) -> pa.RecordBatch:
    columns = {name: [getattr(nav, name) for nav in navs] for name in ProductNav.__struct_fields__}
    return _batch(columns, _NAV)


def _event_batch(events: Sequence[tuple[_Said, int, str]]) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {
        name: [getattr(said, name) for said, _, _ in events] for name in _Said.__struct_fields__
    }
    columns["shard"] = [shard for _, shard, _ in events]
    columns["json"] = [line for _, _, line in events]
    return _batch(columns, _EVENTS)


def _batch(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    ts = timestamps(np.array(columns["ts_ns"], np.int64))
    arrays = [
        ts if field.name == "ts" else pa.array(columns[field.name], field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
