"""What the service writes for people who operate: a line a step at debug, a line an event at info,
faults as sentences, and no secret anywhere."""

from __future__ import annotations

import asyncio
import io
import logging
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from msgspec.structs import asdict, replace

from engine.cli.logs import Level, log_to_stderr
from engine.errors import FeedError
from engine.events import RedemptionRequest
from engine.fact import Output
from engine.ports import Taken
from engine.service import serve
from engine.steps import Observer
from feeds import codec
from feeds.kafka import KafkaLog
from feeds.log import Outgoing
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.publishing import publish
from feeds.security import KEY_PASSWORD_VARIABLE, PASSWORD_VARIABLE, Security
from feeds.topics import Topics, ensure_topics
from tests.engine.serving import (
    QUICK,
    SYMBOL,
    T0,
    Audit,
    a_market,
    a_shard,
    a_spec,
    published,
    served,
    some_topics,
)
from tests.engine.test_service import HANGS_SECONDS, Faulty, every_seventh, reached

Line = dict[str, Any]
Lines = Callable[[Level], Callable[[], list[Line]]]
OWN = {"event", "level", "at"}
"""What every line has: its name, how grave it is, when it was written."""
PASSWORD, KEY_PASSWORD = "correct-horse-2718", "battery-staple-3141"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Log as ``serve --log-level`` does, where nobody looks on; then what was written since."""

    def begin(level: Level) -> Callable[[], list[Line]]:
        log_to_stderr(level)
        capsys.readouterr()
        return lambda: [msgspec.json.decode(line) for line in capsys.readouterr().err.splitlines()]

    client = logging.getLogger("aiokafka")
    before = client.level
    yield begin
    structlog.reset_defaults()
    client.setLevel(before)


class Told(Observer):
    """Keeps what was committed, and what failed."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.errors: list[FeedError] = []

    def committed(self, taken: Taken, seconds: float) -> None:
        self.taken.append(taken)

    def failed(self, error: FeedError) -> None:
        self.errors.append(error)


async def a_run(level: Level, lines: Lines) -> tuple[list[Line], list[Taken], Audit]:
    """A recording served to its end: the lines, the steps and the topics."""
    log, topics, told = MemoryLog(MemoryBroker()), some_topics(), Told()
    await published(log, topics, a_market(600, bad=333), "msgpack")
    written = lines(level)
    await served(log, topics, observer=told)
    return written(), told.taken, await Audit.read(log, topics)


def of_events(written: list[Line]) -> list[Line]:
    """The lines of events, without what every line has; an event's level is called NAV's."""
    kinds = {str(kind.__struct_config__.tag) for kind in kinds_of_events()}
    told = [line for line in written if line["event"] in kinds]
    assert {line["level"] for line in told} == {"info"}
    return [{name: value for name, value in line.items() if name not in OWN} for line in told]


def in_log(event: Output) -> Line:
    """What the line of an event holds."""
    fields = msgspec.json.decode(msgspec.json.encode(asdict(event)))
    return {("nav_level" if name == "level" else name): value for name, value in fields.items()}


def kinds_of_events(kind: type[Output] = Output) -> list[type[Output]]:
    """All that the engine can say."""
    return [kind] + [below for each in kind.__subclasses__() for below in kinds_of_events(each)]


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
async def test_a_line_a_step_and_a_line_an_event(level: Level, lines: Lines) -> None:
    """At debug there is a line for each step of the journal with its figures, at info for each
    event with all its fields, in the order of the topics; neither where less is asked for."""
    written, taken, seen = await a_run(level, lines)
    steps = [line for line in written if line["event"] == "step"]
    expected = [
        {
            "step": step.mark.step,
            "sequence": step.mark.sequence,
            "clock_ns": step.mark.clock_ns,
            "rows": sum(len(batch.step) for batch, _ in step.parts),
            "events": sum(len(outputs.events) for _, outputs in step.parts),
        }
        for step in taken
    ]
    assert [step["sequence"] for step in expected] == [step.mark.sequence for step in seen.steps]
    assert sum(step["rows"] for step in expected) == 600
    assert sum(step["events"] for step in expected) == len(seen.events)
    if level != "debug":
        assert not steps
    for line, step in zip(steps, expected if steps else [], strict=True):
        assert line["level"] == "debug"
        assert line.pop("commit_ms") >= 0.0
        assert {name: value for name, value in line.items() if name not in OWN} == step
    if level == "warning":
        assert not written
        return
    said = [e for step in taken for _, outputs in step.parts for e in outputs.events]
    assert of_events(written) == [in_log(event) for event in said]
    assert [(event.sequence, event.ordinal) for event in said] == sorted(seen.events)
    ends = {line["event"]: line for line in written if line["event"].startswith("service.")}
    assert ends["service.started"]["replayed"] == 0
    assert ends["service.stopped"]["step"] == len(seen.steps)


async def test_the_level_of_an_order_is_not_that_of_its_line(lines: Lines) -> None:
    """A redemption that waited for a level is told with it. Catches a line whose own word for how
    grave it is stands where the event's level was."""
    log, topics, stop = MemoryLog(MemoryBroker()), some_topics(), asyncio.Event()
    market = a_market(400, bad=None)
    await ensure_topics(log, topics)
    producer = await log.producer()
    await publish(producer, topics, [market.between(0, 200)], (SYMBOL,), end=False)
    written = lines("info")
    shard = a_shard(log, topics, finite=False)
    running = asyncio.create_task(serve(a_spec(), shard.open, pace=QUICK, stop=stop))
    asked = RedemptionRequest(
        ts_ns=T0 + 200 * 50_000_000,
        id="r1",
        user="alice",
        product="BTC3L",
        units=10.0,
        at_or_above=0.01,
    )
    header = codec.schema_header(codec.REQUEST)
    async with asyncio.timeout(HANGS_SECONDS):
        await reached(log, topics, 200)
        value = codec.encode_json(asked)
        await producer.send([Outgoing(topics.requests, value, b"alice", header)])
        await reached(log, topics, 201)
        await publish(producer, topics, [market.between(200, 400)], (SYMBOL,))
        await reached(log, topics, 401)
        stop.set()
        await running
    told = [line for line in written() if line["event"] in {"level_reached", "level_dealt"}]
    assert [(line["event"], line["nav_level"], line["level"]) for line in told] == [
        ("level_reached", 0.01, "info"),
        ("level_dealt", 0.01, "info"),
    ]


def test_no_event_has_a_field_of_the_line_s_own() -> None:
    """Nor one that says how a line is written: it would be lost, or end the service."""
    kinds = kinds_of_events()
    assert len(kinds) > 60
    taken = {"event", "at", "nav_level", "exc_info", "stack_info", "exception", "self"}
    for kind in kinds:
        assert not taken & set(kind.__struct_fields__), kind.__name__


def test_every_line_is_json(lines: Lines) -> None:
    """Numbers that JSON has no word for stand as in the topics; what nobody knows to write is
    shown as Python shows it."""
    written, nobody = lines("info"), object()
    structlog.get_logger().info("said", nan=math.nan, inf=-math.inf, who=nobody, text="a\nb\x1b[2J")
    (line,) = written()
    line.pop("at")
    assert line == {
        "event": "said",
        "level": "info",
        "nan": None,
        "inf": None,
        "who": repr(nobody),
        "text": "a\nb\x1b[2J",
    }


def test_nobody_speaks_to_the_terminal(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's name, or the words of a malformed tick, that would clear the screen are shown and
    not obeyed."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    lines("info")
    structlog.get_logger().info("units_created", user="\x1b[2Jmallory", units=5)
    assert "\x1b[2J" not in terminal.getvalue()
    assert "\\x1b[2Jmallory" in terminal.getvalue()


async def test_faults_are_sentences(lines: Lines) -> None:
    """Each session that ends with an error of the world is a warning, with the error's own words
    and which attempt it was; no line holds a trace of the code."""
    log, topics, told = MemoryLog(MemoryBroker()), some_topics(), Told()
    await published(log, topics, a_market(600), "msgpack")
    due, written = every_seventh("commit"), lines("warning")
    await served(
        log,
        topics,
        wrap=lambda shard: Faulty(shard, lambda called: "after" if due(called) else None),
        observer=told,
    )
    found = [{n: v for n, v in line.items() if n != "at"} for line in written()]
    assert found == [
        {
            "event": "service.recovers",
            "level": "warning",
            "attempt": 1,
            "error": "commit: no answer came",
        }
        for _ in told.errors
    ]
    assert len(found) > 1


async def test_no_secret_is_written(
    lines: Lines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A service whose broker is away, its settings holding a password in a file and one in the
    environment: with every log at its most talkative, neither is in a line, in an error or in what
    any object of ours shows of itself."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv(KEY_PASSWORD_VARIABLE, KEY_PASSWORD)
    named = Security(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="engine",
        sasl_password_file=str(file),
    )
    told, shown = Told(), list[str]()
    for security in (named, replace(named, sasl_password_file=None)):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            log = KafkaLog(f"127.0.0.1:{nobody.getsockname()[1]}", security=security)
            assert log._options()["sasl_plain_password"] == PASSWORD
            written = lines("debug")
            caplog.set_level(logging.DEBUG)
            caplog.set_level(logging.DEBUG, logger="aiokafka")
            shard = a_shard(log, Topics("away."))
            with pytest.raises(FeedError) as caught:
                await serve(
                    a_spec(), shard.open, pace=replace(QUICK, attempts_max=2), observer=told
                )
            await log.close()
        found = written()
        assert [line["event"] for line in found] == ["service.recovers"]
        assert "\n" not in found[0]["error"]
        parts = (security, log, vars(log), shard, vars(shard), caught.value, *told.errors)
        shown += [*map(repr, parts), *map(str, parts), str(found)]
        shown.append(str(caught.getrepr(showlocals=False)))
    assert "aiokafka" in caplog.text
    assert "engine" in shown[0]
    for secret in (PASSWORD, KEY_PASSWORD):
        assert not [each for each in (*shown, caplog.text) if secret in each]
