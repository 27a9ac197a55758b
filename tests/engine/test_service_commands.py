"""The operator speaks to a running engine through the topic of that name, and nobody else does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.commands import (
    AutoDeleverage,
    Command,
    DefaultVenue,
    ForceTarget,
    GateCreations,
    HaltMarket,
    OpenPopulation,
    PriceCollateral,
    ResumeMarket,
)
from engine.ticks import Kind
from feeds import codec
from feeds.log import Log, Outgoing
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import message_record, publish
from feeds.topics import Topics, ensure_topics
from tests.engine.serving import (
    SYMBOL,
    T0,
    Audit,
    Replayed,
    a_market,
    published,
    served,
    some_topics,
)

ROWS = 400
COMMANDS: tuple[Command, ...] = (
    HaltMarket(ts_ns=T0 + 2_000_000_000, id="1", symbol=SYMBOL, reason="the venue is down"),
    ForceTarget(ts_ns=0, id="2", product="BTC3L", target=1.0),
    ResumeMarket(ts_ns=0, id="3", symbol=SYMBOL),
    GateCreations(ts_ns=0, id="4", product="BTC3L", closed=True),
)


async def a_day(*records: Outgoing) -> tuple[Log, Topics]:
    """The first half of a market, these records, and the other half."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await ensure_topics(log, topics, user_partitions=2)
    producer = await log.producer()
    market = a_market(ROWS, bad=None)
    await publish(producer, topics, [market.between(0, 200)], (SYMBOL,), form="msgpack", end=False)
    await producer.send(
        [Outgoing(topics.prefix + r.topic, r.value, r.key, r.headers, 0) for r in records]
    )
    await publish(producer, topics, [market.between(200, ROWS)], (SYMBOL,), form="msgpack")
    await producer.close()
    return log, topics


def of(seen: Audit, *kinds: str) -> list[dict[str, Any]]:
    events = [msgspec.json.decode(seen.events[name]) for name in sorted(seen.events)]
    return [event for event in events if event["event"] in kinds]


async def test_commands_are_obeyed_and_journalled() -> None:
    """Each is answered by an event of its id; the journal says where among the ticks they came."""
    log, topics = await a_day(*(message_record(one, Topics()) for one in COMMANDS))
    engine, progress = await served(log, topics)
    assert progress.positions["admin/0"] == len(COMMANDS)
    seen = await Audit.read(log, topics)
    answers = of(seen, "command_obeyed", "command_refused")
    assert [(e["id"], e.get("reason")) for e in answers] == [
        ("1", None),
        ("2", "halted"),
        ("3", None),
        ("4", None),
    ]
    assert answers[0]["detail"] == "the venue is down"
    assert seen.letters == []
    again, replayed = await served(log, topics)
    assert again.digest() == engine.digest()
    assert replayed.events == 0


async def test_a_published_recording_carries_them_to_their_topic() -> None:
    """Commands among the rows of a recording become records of the operator's topic."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    market = a_market(ROWS, bad=None)
    rows = msgspec.structs.replace(market.between(0, 100), end=101, messages=((100, COMMANDS[0]),))
    await published(log, topics, rows, "msgpack")
    engine, _ = await served(log, topics)
    assert engine.markets[0].halted
    assert engine.digest() == Replayed(rows).digest


def record(topic: str, value: bytes, schema: bytes = codec.COMMAND) -> Outgoing:
    return Outgoing(topic, value, None, codec.schema_header(schema))


def of_venue(kind: str, said: bytes) -> bytes:
    """A command to a venue, as it is sent."""
    return b'{"kind":"%s","ts_ns":0,"id":"v","symbol":"BTCUSDT",%s}' % (kind.encode(), said)


async def test_what_befalls_a_venue_is_the_operators_too() -> None:
    """A lost peg, hedges closed by force, a crowd that nobody knows, a venue that fails: each is
    answered, does live what it does in a scenario, and is replayed from the journal."""
    on: dict[str, Any] = {"ts_ns": 0, "symbol": SYMBOL}
    said: tuple[Command, ...] = (
        PriceCollateral(**on, id="1", price=0.9),
        AutoDeleverage(**on, id="2", share=0.5),
        OpenPopulation(**on, id="3", population="nobody"),
        DefaultVenue(**on, id="4", recovery=0.5),
    )
    log, topics = await a_day(*(message_record(one, Topics()) for one in said))
    engine, _ = await served(log, topics)
    seen = await Audit.read(log, topics)
    answers = of(seen, "command_obeyed", "command_refused")
    assert [(e["id"], e.get("reason")) for e in answers] == [
        ("1", None),
        ("2", None),
        ("3", "unknown_population"),
        ("4", None),
    ]
    done = ("collateral_revalued", "hedge_auto_deleveraged", "balance_lost")
    assert {event["event"] for event in of(seen, *done)} == set(done)
    again, replayed = await served(log, topics)
    assert again.digest() == engine.digest()
    assert replayed.events == 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (record("requests", codec.encode_json(COMMANDS[0])), b"a command on requests/0"),
        (record("ticks", codec.encode_json(COMMANDS[0])), b"a command on ticks/0"),
        (record("admin", b'{"kind":"halt"'), b"truncated"),
        (record("admin", b'{"kind":"stop","ts_ns":0,"id":"1"}'), b"Invalid value 'stop'"),
        (record("admin", codec.encode_json(COMMANDS[0]), codec.REQUEST), b"Invalid value 'halt'"),
        (record("admin", b" " * 70_000), b"record has 70000 bytes"),
        (record("admin", of_venue("collateral", b'"price":0')), b"price"),
        (record("admin", of_venue("default", b'"recovery":2')), b"recovery"),
        (record("admin", of_venue("deleverage", b'"share":0.5,"side":"up"')), b"side"),
        (record("admin", of_venue("populate", b'"populace":"crowd"')), b"population"),
    ],
)
async def test_what_is_no_command_is_a_dead_letter(sent: Outgoing, reason: bytes) -> None:
    """What cannot be read, and what comes by another way than the operator's, changes nothing but
    one refused row. Catches a user of the topic of requests who halts the market."""
    log, topics = await a_day(sent)
    engine, _ = await served(log, topics)
    seen = await Audit.read(log, topics)
    (letter,) = seen.letters
    assert reason in dict(letter.headers)["reason"]
    assert [event["reason"] for event in of(seen, "input_rejected")] == ["malformed"]
    assert not of(seen, "command_obeyed")
    assert engine.sequence == ROWS + 1


async def test_a_heartbeat_of_the_operator() -> None:
    """A heartbeat row on the operator's topic lets time pass as any row does."""
    wall = T0 + 100 * 10**9
    beat = b'{"kind":"heartbeat","symbol":"%s","ts_ns":%d}' % (SYMBOL.encode(), wall)
    log, topics = await a_day(record("admin", beat, codec.TICK_JSON))
    engine, _ = await served(log, topics)
    assert engine.time_ns == wall
    assert engine.intake.lanes[Kind.HEARTBEAT][0].rows == 1
    seen = await Audit.read(log, topics)
    assert of(seen, "market_stale")
