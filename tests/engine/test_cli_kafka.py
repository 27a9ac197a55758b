"""Tests of the commands that speak to Kafka: what a user types, sees, and gets as an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engine.cli import main
from engine.cli.doctor import here
from engine.commands import (
    AutoDeleverage,
    DefaultVenue,
    ForceTarget,
    GateCreations,
    HaltMarket,
    OpenPopulation,
    PauseProduct,
    PriceCollateral,
    ResumeMarket,
    ResumeProduct,
    ThinBook,
)
from feeds import codec
from feeds.kafka import KafkaLog
from feeds.log import Outgoing, TopicSpec
from feeds.publishing import homes_of
from tests.feeds.log_contract import read_all
from tests.imported import IMPORTED_FROM

pytestmark = pytest.mark.kafka

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BARS = 60
ROWS = 4 * BARS


def klines(start: float) -> str:
    """An hour of bars."""
    prices = (start * (1.0 + 0.05 * ((n * 7) % 11 - 5) / 10) for n in range(BARS))
    return "".join(
        f"{1_700_000_000_000 + n * 60_000},{p},{p * 1.004},{p * 0.996},{p * 1.001},5,"
        f"{1_700_000_059_999 + n * 60_000},1,10,1,1,0\n"
        for n, p in enumerate(prices)
    )


class Typed:
    """A command that was typed: exit code and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.code = main(list(arguments))
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Types = Callable[..., Typed]


@pytest.fixture
def typed(
    capsys: pytest.CaptureFixture[str],
    kafka_brokers: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Types:
    """Types a command for topics of this test's own, in a folder with bars of two markets."""
    monkeypatch.chdir(tmp_path)
    for symbol, start in zip(SYMBOLS, (60_000.0, 3_000.0), strict=True):
        (tmp_path / "bars").mkdir(exist_ok=True)
        (tmp_path / "bars" / f"{symbol}-1m-um.csv").write_text(klines(start))
    prefix = f"cli-{uuid4().hex[:8]}."

    def type_it(*arguments: str) -> Typed:
        return Typed(capsys, *arguments, "--kafka", kafka_brokers, "--prefix", prefix)

    return type_it


SETTINGS = ("--set", "output.nav_every=10s", "--like", "bars")


def test_topics(typed: Types) -> None:
    """Missing topics are told of, created, and found right; another count is refused. What a
    recovery and users' totals are made from has no limit in time, whatever the others are given."""
    missing = typed("topics", "check")
    assert missing.code == 3
    assert "ticks does not exist: levsim topics create" in missing.err
    made = typed("topics", "create", "--shards", "2", "--user-partitions", "4", "--retention", "1h")
    assert made.code == 0, made.err
    assert "journal" in made.out
    assert typed("topics", "check").code == 0
    refused = typed("topics", "create", "--shards", "3")
    assert refused.code == 3
    assert "has 2 partitions, expected 3: the count is for ever" in refused.err
    told = typed("topics", "check", "--shards", "3", "--json")
    assert told.code == 3
    assert len(told.json["faults"]) == 5
    kept = {topic["should_be"]["name"].split(".")[1]: topic["is"] for topic in told.json["topics"]}
    for_ever = [name for name, topic in kept.items() if topic["retention_ms"] == -1]
    assert sorted(for_ever) == ["events", "journal", "snapshots"]
    assert {topic["retention_ms"] for topic in kept.values()} == {-1, 3_600_000}


@pytest.mark.parametrize("command", [("topics", "create"), ("topics", "check")])
@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("shards", "0"),
        ("shards", "-1"),
        ("user-partitions", "0"),
        ("user-partitions", "99999999999"),
        ("replication", "0"),
        ("replication", "-3"),
        ("replication", "100000"),
    ],
)
def test_counts_that_are_none(
    typed: Types, command: tuple[str, str], option: str, given: str
) -> None:
    """No topic has no partitions, or no replica: a sentence and exit 3, and nothing is created.
    Catches a zero taken for what was not given, and what the client cannot pack."""
    refused = typed(*command, f"--{option}", given)
    assert refused.code == 3
    assert f"--{option} must be from 1 to" in refused.err
    assert f"was {int(given):,}" in refused.err
    if option == "shards":
        assert typed("serve", "--shards", given, "--once", *SETTINGS).code == 3
    assert "ticks does not exist" in typed("topics", "check").err


def test_a_journal_is_not_made_anew(typed: Types, kafka_brokers: str) -> None:
    """Where events were said and the journal is gone, `topics create` makes no other one, and an
    engine does not begin. Catches the hint of `topics check` followed into outputs told twice."""
    asked = typed("topics", "check", "--json").json["topics"]
    events = next(each["topic"] for each in asked if each["topic"].endswith(".events"))

    async def said() -> None:
        log = KafkaLog(kafka_brokers)
        await log.create([TopicSpec(events)])
        producer = await log.producer()
        await producer.send([Outgoing(events, b"said")])
        await producer.close()
        await log.close()

    asyncio.run(said())
    for command in (("topics", "create"), ("serve", "--once", *SETTINGS)):
        refused = typed(*command)
        assert refused.code == 3
        assert "journal is missing, and" in refused.err


@pytest.mark.parametrize("given", ["0s", "1us", "-1d", "soon", "1.2.3h"])
def test_a_retention_that_is_none(typed: Types, given: str) -> None:
    """It would delete what nobody has read yet."""
    refused = typed("topics", "create", f"--retention={given}")
    assert refused.code == 3
    assert "--retention must be a duration such as 7d" in refused.err


def test_two_shards(typed: Types, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shard serves its own markets, all of their rows, and ends as a replay of these alone."""
    homes = homes_of(SYMBOLS, 2)
    assert homes == [1, 0]
    assert typed("topics", "create", "--shards", "2").code == 0
    sent = typed("publish", "bars", "--speed", "x100000", "--json")
    assert sent.json["rows"] == 2 * ROWS
    for symbol, shard in zip(SYMBOLS, homes, strict=True):
        served = typed("serve", "--shard", str(shard), "--once", "--json", *SETTINGS)
        assert served.code == 0, served.err
        assert (served.json["symbols"], served.json["sequence"]) == ([symbol], ROWS)
        assert f'"symbols":["{symbol}"]' in served.err
        alone = Typed(
            capsys, "run", f"bars/{symbol}-1m-um.csv", "--json", "--no-report", *SETTINGS[:2]
        )
        assert served.json["digest"] == alone.json["digest"]


@pytest.mark.parametrize("given", ["99999", "=-1", "taken"])
def test_wrong_ports_of_metrics(typed: Types, given: str) -> None:
    """A sentence and exit 3, before the shard is taken over."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1]) if given == "taken" else given.removeprefix("=")
        wrong = typed("serve", "--once", f"--metrics={port}", *SETTINGS)
    assert wrong.code == 3
    assert f"--metrics {port}: " in wrong.err
    assert "; 0 takes a free one" in wrong.err


def test_wrong_shards(typed: Types) -> None:
    """A wrong number of shards, or a shard that is not there, is a sentence and exit 3."""
    assert typed("topics", "create", "--shards", "2").code == 0
    wrong = typed("serve", "--shards", "3", "--once", *SETTINGS)
    assert wrong.code == 3
    assert "has 2 partitions, --shards says 3" in wrong.err
    away = typed("serve", "--shard", "2", "--once", *SETTINGS)
    assert away.code == 3
    assert "numbered from 0 to 1" in away.err


def test_admin(typed: Types, kafka_brokers: str) -> None:
    """Each command becomes one record that the engine reads, in the partition of its shard."""
    assert typed("topics", "create", "--shards", "2").code == 0
    told = typed("admin", "halt", "BTCUSDT", "--reason", "venue down", "--id", "h", "--json")
    assert told.code == 0, told.err
    prefix = told.json["topic"].removesuffix("admin")
    assert told.json == {"topic": f"{prefix}admin", "shard": 1, "id": "h"}
    on = ("--shard", "0", "--id", "i")
    for line in (
        *(("resume", "ETHUSDT", "--id", "i"), ("pause", "ETH3S", *on), ("unpause", "ETH3S", *on)),
        ("target", "ETH3S", "-2.5", *on, "--at", "2024-08-08T23:54:16Z"),
        *(("gate", "ETH3S", "closed", *on), ("gate", "ETH3S", "open", *on)),
        ("collateral", "ETHUSDT", "0.65", "--share", "0.5", "--id", "i"),
        ("deleverage", "ETHUSDT", "0.3", "--side", "short", "--price-bps", "-50", "--id", "i"),
        ("default", "ETHUSDT", "0.4", "--id", "i"),
        ("populate", "ETHUSDT", "crowd", "--id", "i"),
        ("thin", "ETHUSDT", "0.1", "2024-08-08T23:54:16Z", "--half-life-ms", "500", "--id", "i"),
    ):
        sent = typed("admin", *line)
        assert sent.code == 0, sent.err
        assert "sent to shard 0 as i" in sent.out
    eth: dict[str, Any] = {"ts_ns": 0, "id": "i", "product": "ETH3S"}
    venue: dict[str, Any] = {"ts_ns": 0, "id": "i", "symbol": "ETHUSDT"}
    assert asyncio.run(_commands(kafka_brokers, told.json["topic"])) == {
        0: [
            ResumeMarket(ts_ns=0, id="i", symbol="ETHUSDT"),
            *(PauseProduct(**eth), ResumeProduct(**eth)),
            ForceTarget(ts_ns=1_723_161_256 * 10**9, id="i", product="ETH3S", target=-2.5),
            *(GateCreations(**eth, closed=True), GateCreations(**eth, closed=False)),
            PriceCollateral(**venue, price=0.65, share=0.5),
            AutoDeleverage(**venue, share=0.3, side="short", price_bps=-50.0),
            DefaultVenue(**venue, recovery=0.4),
            OpenPopulation(**venue, population="crowd"),
            ThinBook(**venue, scale=0.1, until_ns=1_723_161_256 * 10**9, half_life_ms=500),
        ],
        1: [HaltMarket(ts_ns=0, id="h", symbol="BTCUSDT", reason="venue down")],
    }


async def _commands(brokers: str, topic: str) -> dict[int, list[Any]]:
    log = KafkaLog(brokers)
    found: dict[int, list[Any]] = {}
    for record in await read_all(log, topic):
        assert codec.schema_of(record.headers) == codec.COMMAND
        found.setdefault(record.partition, []).append(codec.decode_command(record.value or b""))
    await log.close()
    return found


def test_wrong_commands(typed: Types) -> None:
    """What no engine could obey is refused before anything is sent."""
    assert typed("topics", "create", "--shards", "2").code == 0
    for line, said in (
        (("target", "BTC3L", "nan", "--shard", "0"), "target must be finite"),
        (("pause", "BTC3L"), "which of the 2 shards has the product? Say --shard N"),
        (("pause", "BTC3L", "--shard", "2"), "--shard must be 0 to 1, was 2"),
        (("halt", "BTCUSDT", "--at", "yesterday"), "is no time such as"),
        (("collateral", "BTCUSDT", "-1"), "price must be in [1e-9, 1000], was -1.0"),
        (("default", "BTCUSDT", "1.5"), "recovery must be in [0, 1], was 1.5"),
        (("deleverage", "BTCUSDT", "2"), "share must be in [0, 1], was 2.0"),
        (("thin", "BTCUSDT", "0", "0"), "scale must be in [1e-6, 1000], was 0.0"),
    ):
        refused = typed("admin", *line)
        assert refused.code == 3, refused.err
        assert said in refused.err


HANGS = """
import asyncio, sys
from aiokafka import AIOKafkaProducer
commits, commit = [], AIOKafkaProducer.commit_transaction

async def hangs(self):
    commits.append(self)
    await (commit(self) if len(commits) == 1 else asyncio.Event().wait())

AIOKafkaProducer.commit_transaction = AIOKafkaProducer.stop = hangs
from engine.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_client_that_hangs_ends_the_process(typed: Types, kafka_brokers: str) -> None:
    """Where the client waits for ever in a commit, and would in closing, the process ends with a
    sentence, for whoever watches it to start it again."""
    sent = typed("publish", "bars/BTCUSDT-1m-um.csv", "--json")
    where = ("--kafka", kafka_brokers, "--prefix", sent.json["topic"].removesuffix("ticks"))
    serve = ("serve", *SETTINGS, *where)
    done = subprocess.run(
        [sys.executable, "-c", HANGS, *serve],
        check=False,
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert "service.hangs" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the broker answers no more")


def test_beats(typed: Types) -> None:
    """A recording of long ago gets no beats, so its digest is what it was; what is no duration is
    refused."""
    assert typed("publish", "bars/BTCUSDT-1m-um.csv").code == 0
    served = typed("serve", "--once", "--beat", "1ms", "--json", *SETTINGS)
    assert served.code == 0, served.err
    assert served.json["sequence"] == ROWS
    for wrong in ("soon", "0s", "1"):
        refused = typed("serve", "--once", "--beat", wrong, *SETTINGS)
        assert refused.code == 3
        assert "--beat must be a duration such as 1s" in refused.err


def test_wrong_speed(typed: Types) -> None:
    """A speed that is none is refused before anything is sent."""
    for speed in ("fast", "x0", "x-1", "2", "xnan"):
        refused = typed("publish", "bars", "--speed", speed)
        assert refused.code == 3
        assert "--speed must be recorded, xN such as x60, or max" in refused.err


CONFIG = """
[[markets]]
symbol = "BTCUSDT"
mark = "last"
"""


def test_record(typed: Types, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was served is recorded, and the file runs to the digest of the live engine."""
    (tmp_path / "live.toml").write_text(CONFIG)
    assert typed("publish", "bars/BTCUSDT-1m-um.csv", "--form", "msgpack").code == 0
    served = typed("serve", "-c", "live.toml", "--once", "--json", "--metrics", "0")
    assert (served.code, served.json["sequence"]) == (0, ROWS), served.err
    lines = [json.loads(line) for line in served.err.splitlines()]
    said = {line["event"] for line in lines}
    assert {"shard.serves", "metrics.served", "service.started", "product_launched"} <= said
    assert {"order_sent", "order_filled", "service.stopped"} <= said
    (pages,) = (line for line in lines if line["event"] == "metrics.served")
    assert pages["metrics"] == f"http://127.0.0.1:{pages['port']}"
    assert "step" not in said
    taped = typed("record", "-c", "live.toml", "--out", "tape/day.parquet", "--json")
    assert taped.code == 0, taped.err
    assert (taped.json["rows"], taped.json["finished"]) == (ROWS, True)
    again = Typed(capsys, "run", "tape/day.parquet", "-c", "live.toml", "--json", "--no-report")
    assert again.json["digest"] == served.json["digest"]
    assert sum(again.json["events"].values()) > 10


def test_doctor(typed: Types, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing topics and a broker that is away are told with what to do; with all there is, all is
    well."""
    sick = typed("doctor", "--json")
    assert sick.code == 1
    checks = {check["check"]: check for check in sick.json["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["topics"]
    assert "levsim topics create" in checks["topics"]["said"]
    assert typed("topics", "create").code == 0
    well = typed("doctor")
    assert well.code == 0, well.out
    assert [line.split()[:2] for line in well.out.splitlines()] == [
        ["ok", name]
        for name in ("python", "packages", "clock", "disk", "broker", "topics", "transactions")
    ]
    away = Typed(capsys, "doctor", "--kafka", "127.0.0.1:1", "--json")
    assert away.code == 1
    assert away.json["checks"][-1]["check"] == "broker"
    assert "kafka connect" in away.json["checks"][-1]["said"]


def test_doctor_fences_nobody(typed: Types) -> None:
    """An engine that serves goes on while somebody looks after its health: the transactional id of
    the check is another one."""
    assert typed("topics", "create").code == 0
    assert "levsim-doctor" in typed("doctor").out


def test_doctor_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk and a clock that was never set are told of."""
    full = type("Usage", (), {"free": 5})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    monkeypatch.setattr("time.time", lambda: 0.0)
    found = {finding.check: finding for finding in here(tmp_path)}
    assert "make room" in found["disk"].said
    assert "set it" in found["clock"].said
    assert not found["disk"].ok
    assert not found["clock"].ok
    assert found["python"].ok
