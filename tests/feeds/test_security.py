"""Clients prove who they are, check who the broker is, and tell their secrets to nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.errors import ConfigError, FeedError
from feeds.fanout import POSITION_KEY
from feeds.kafka import KafkaLog
from feeds.log import Outgoing, Place, TopicSpec
from feeds.security import PASSWORD_VARIABLE, AccessRefusedError, Security
from feeds.topics import Topics
from tests.brokers import SecuredKafka
from tests.brokers.secured import PASSWORD, USER, Grant, grant, granted
from tests.feeds.log_contract import a_topic, read_all, values

WRONG = "wrong-horse-1627"
COMMAND_SECONDS_MAX = 60.0
README = Path(__file__).parents[2] / "README.md"
RIGHTS = re.compile(
    r"(?P<command>[a-z ]{14}) (?P<operations>[A-Z][A-Za-z ]+?) +(?P<kind>topic|transactional-id)"
    r"  +(?P<names>[a-z].*)"
)
MINUTES = range(1_704_067_200_000, 1_704_067_800_000, 60_000)
KLINES = "".join(
    f"{ms},42000.0,42010.0,41990.0,42000.0,9.5,{ms + 59_999},399000.0,100,4.0,168000.0,0\n"
    for ms in MINUTES
)

# aiokafka does not wait for the end of TLS connections that it closes: some outlive their loop.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def leftovers() -> Iterator[None]:
    """Collected here, where they are no news, and not in somebody else's test."""
    yield
    gc.collect()


# Settings, without a broker ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism and sasl_username"),
        ({"sasl_username": "engine"}, "knows no users"),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "engine",
            },
            "in the clear",
        ),
        ({"ssl_cafile": "ca.pem"}, "does not encrypt"),
        ({"security_protocol": "SSL", "ssl_keyfile": "key.pem"}, "ssl_certfile"),
        ({"sasl_password": PASSWORD}, "unknown field `sasl_password`"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, str], fault: str) -> None:
    """Settings that contradict each other, would show a password to the network, or hold one
    themselves are refused before anyone connects, without the value being repeated."""
    with pytest.raises(msgspec.ValidationError, match=fault) as caught:
        msgspec.convert(settings, Security)
    assert PASSWORD not in str(caught.value)


def a_security(**settings: str) -> Security:
    """TLS with a password, as most clusters want it."""
    there = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": USER,
    }
    return msgspec.convert(there | settings, Security)


def test_password_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """A named file holds before the variable, less the end of its line; neither is an error that
    says what to do, and so is an empty file."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    environment = {PASSWORD_VARIABLE: "other"}
    named = a_security(sasl_password_file=str(file))
    assert named.options(environment)["sasl_plain_password"] == PASSWORD
    assert a_security().options(environment)["sasl_plain_password"] == "other"
    with pytest.raises(ConfigError, match=PASSWORD_VARIABLE):
        a_security().options({})
    file.write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        named.options({})
    file.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        named.options({})


def test_bad_certificate_files_are_named(tmp_path: Path) -> None:
    """A missing or broken certificate is told by its file, not by OpenSSL's own words alone."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"ssl_cafile .*broken\.pem"):
        Security(security_protocol="SSL", ssl_cafile=str(broken)).options({})
    with pytest.raises(ConfigError, match=r"ssl_certfile .*broken\.pem"):
        Security(security_protocol="SSL", ssl_certfile=str(broken)).options({})
    with pytest.raises(ConfigError, match=r"ssl_cafile absent\.pem: No such file"):
        Security(security_protocol="SSL", ssl_cafile="absent.pem").options({})


# On Apache Kafka ----------------------------------------------------------------------------------


def credentials(
    secured: SecuredKafka, mechanism: str, password: str = PASSWORD, ca: str = "ca.pem"
) -> Security:
    """With the password in a file."""
    file = secured.folder / f"password-{len(password)}{password[0]}"
    file.write_text(password)
    return a_security(
        sasl_mechanism=mechanism, sasl_password_file=str(file), ssl_cafile=secured.file(ca)
    )


@pytest.fixture
async def operator(secured_kafka: SecuredKafka) -> AsyncIterator[KafkaLog]:
    """Who may do everything."""
    log = KafkaLog(secured_kafka.open)
    yield log
    await log.close()


async def transaction(log: KafkaLog, topic: str) -> None:
    """Write one, and read it back."""
    producer = await log.producer(f"{topic}-engine")
    await producer.begin()
    await producer.send([Outgoing(topic, b"secret market")])
    await producer.commit()
    assert values(await read_all(log, topic)) == [b"secret market"]


@pytest.mark.kafka
@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "mutual TLS"])
async def test_transaction_over_tls(
    secured_kafka: SecuredKafka, operator: KafkaLog, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A transaction is written and read over TLS by a user who proved a password or a certificate;
    with every log at its most talkative, the password is nowhere."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="aiokafka")  # which our command silences
    topic = await a_topic(operator)
    if way == "mutual TLS":
        security = Security(
            security_protocol="SSL",
            ssl_cafile=secured_kafka.file("ca.pem"),
            ssl_certfile=secured_kafka.file("client.pem"),
            ssl_keyfile=secured_kafka.file("client-key.pem"),
        )
        log, principal = KafkaLog(secured_kafka.mutual, security=security), f"User:CN={USER}"
    else:
        security = credentials(secured_kafka, way)
        log, principal = KafkaLog(secured_kafka.sasl, security=security), f"User:{USER}"
    rights = [("Read", "topic", topic), ("Write", "topic", topic)]
    rights += [("Write", "transactional-id", f"{topic}-engine")]
    await grant(secured_kafka.open, principal, rights)
    await transaction(log, topic)
    await log.close()
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(security) + repr(log) + repr(vars(log))
    assert "aiokafka" in caplog.text


@pytest.mark.kafka
@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
@pytest.mark.parametrize("what", ["create", "producer", "consumer"])
async def test_wrong_password(
    secured_kafka: SecuredKafka, way: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong password is one sentence with the user and without the password; trying again would
    not help."""
    caplog.set_level(logging.DEBUG)
    log = KafkaLog(secured_kafka.sasl, security=credentials(secured_kafka, way, WRONG))
    call = {
        "create": lambda: log.create([TopicSpec("t")]),
        "producer": lambda: log.producer("engine-0"),
        "consumer": lambda: log.consumer({Place("t"): 0}),
    }[what]
    with pytest.raises(AccessRefusedError, match=f"does not believe user {USER}") as caught:
        await call()
    assert isinstance(caught.value, FeedError)
    assert (caught.value.retriable, caught.value.exit_code) == (False, 4)
    assert "\n" not in str(caught.value)
    assert WRONG not in str(caught.value) + caplog.text
    await log.close()


@pytest.mark.kafka
async def test_wrong_authority(secured_kafka: SecuredKafka) -> None:
    """A broker whose certificate comes from an authority that we do not trust is not told our
    password, and one that speaks no TLS neither."""
    security = credentials(secured_kafka, "PLAIN", ca="stranger.pem")
    log = KafkaLog(secured_kafka.sasl, security=security)
    with pytest.raises(AccessRefusedError, match=r"not trusted.*check ssl_cafile"):
        await log.producer()
    log = KafkaLog(secured_kafka.open, security=security, request_timeout_ms=3_000)
    with pytest.raises(FeedError):
        await log.producer()


@pytest.mark.kafka
async def test_broker_wants_a_certificate(secured_kafka: SecuredKafka) -> None:
    """Where brokers ask for a certificate, a client without one is told so."""
    security = Security(security_protocol="SSL", ssl_cafile=secured_kafka.file("ca.pem"))
    log = KafkaLog(secured_kafka.mutual, security=security, request_timeout_ms=3_000)
    with pytest.raises(AccessRefusedError, match="ask for a certificate"):
        await log.producer()


@pytest.mark.kafka
async def test_least_rights(secured_kafka: SecuredKafka, operator: KafkaLog) -> None:
    """Each right is needed: without it the call fails and says so, with it it works."""
    topics = {name: await a_topic(operator) for name in ("ticks", "events", "journal")}
    log = KafkaLog(secured_kafka.sasl, security=credentials(secured_kafka, "SCRAM-SHA-512"))
    engine = f"{topics['ticks']}-0"

    async def allow(operation: str, kind: str, name: str) -> None:
        await grant(secured_kafka.open, f"User:{USER}", [(operation, kind, name)])

    with pytest.raises(AccessRefusedError, match="not allowed"):
        await log.producer(engine)
    await allow("Write", "transactional-id", engine)
    producer = await log.producer(engine)
    await producer.begin()
    with pytest.raises(AccessRefusedError, match="not allowed"):
        await producer.send([Outgoing(topics["events"], b"e")])
    await producer.close()
    for name in ("events", "journal"):
        await allow("Write", "topic", topics[name])
    producer = await log.producer(engine)
    await producer.begin()
    await producer.send([Outgoing(topics[name], b"x") for name in ("events", "journal")])
    await producer.commit()
    for name in ("ticks", "journal"):
        # Who may write to the journal may see it, yet not read it; of the ticks nothing is seen.
        with pytest.raises(FeedError, match=r"not allowed|may not be seen"):
            await read_all(log, topics[name])
        await allow("Read", "topic", topics[name])
        await read_all(log, topics[name])
    with pytest.raises(AccessRefusedError, match="not allowed"):
        await log.truncate(Place(topics["journal"]), 1)
    await allow("Delete", "topic", topics["journal"])
    await log.truncate(Place(topics["journal"]), 1)
    with pytest.raises(AccessRefusedError, match="not allowed"):
        await log.create([TopicSpec(f"{topics['ticks']}-new")])
    for operation in ("Create", "Describe"):
        await allow(operation, "topic", f"{topics['ticks']}-new")
    await log.create([TopicSpec(f"{topics['ticks']}-new")])
    await log.close()


# The command ------------------------------------------------------------------------------------


async def levsim(password: str, *arguments: str) -> tuple[int | None, str]:
    """Exit code and everything the command wrote, in which the password is not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", *arguments),
        env={**os.environ, PASSWORD_VARIABLE: password},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS_MAX)
    assert password.encode() not in out
    return process.returncode, out.decode()


@pytest.fixture
def tape(secured_kafka: SecuredKafka, tmp_path: Path) -> tuple[str, str]:
    """A recording of ten minutes, and a configuration that says how the broker is reached."""
    config, klines = tmp_path / "run.toml", tmp_path / "BTCUSDT-1m-um.csv"
    klines.write_text(KLINES)
    config.write_text(
        f'''[kafka]
security_protocol = "SASL_SSL"
sasl_mechanism = "SCRAM-SHA-512"
sasl_username = "{USER}"
ssl_cafile = "{secured_kafka.file("ca.pem")}"
'''
    )
    return str(klines), str(config)


@pytest.mark.kafka
async def test_command_tells_it_in_one_sentence(
    secured_kafka: SecuredKafka, tape: tuple[str, str]
) -> None:
    """``levsim publish`` with a wrong password ends at once with code 4 and one line for a
    person."""
    klines, config = tape
    code, said = await levsim(
        WRONG, "publish", klines, "-c", config, "--kafka", secured_kafka.sasl, "-q"
    )
    assert code == 4
    assert said.count("\n") == 1
    assert said.startswith(
        f"error: kafka connect: {secured_kafka.sasl} does not believe user {USER}"
    )


def readme_rights(prefix: str) -> dict[str, list[Grant]]:
    """The lists of rights in the README by command, a triple each."""
    rights: dict[str, list[Grant]] = {}
    every = [spec.name.removeprefix(prefix) for spec in Topics(prefix).specs()]
    command = ""
    for line in README.read_text().splitlines():
        row = RIGHTS.fullmatch(line)
        if row is not None:
            command = row["command"].strip() or command
            names = every if row["names"] == "every topic" else row["names"].split()
            rights.setdefault(command, []).extend(
                (operation, row["kind"], prefix + name)
                for operation in row["operations"].split()
                for name in names
            )
    return rights


@pytest.mark.kafka
async def test_rights_of_the_readme_are_enough(
    secured_kafka: SecuredKafka, operator: KafkaLog, tape: tuple[str, str], tmp_path: Path
) -> None:
    """With the rights that the README lists for a command, and no others, it does its work over
    TLS, and without the first of them it does not: topics are made and checked, a recording is
    published, served to its end and recorded, and users' newest NAVs and totals are kept."""
    klines, config = tape
    prefix = f"{await a_topic(operator)}."
    topics, rights = Topics(prefix), readme_rights(prefix)
    where = ("-c", config, "--kafka", secured_kafka.sasl, "--prefix", prefix)
    users = ("--like", klines, "--set", "population.count=3", "--once")
    taped = ("--like", klines, "--out", str(tmp_path / "day.parquet"))
    commands: dict[str, tuple[str, ...]] = {
        "topics create": ("topics", "create"),
        "topics check": ("topics", "check"),
        "doctor": ("doctor",),
        "publish": ("publish", klines),
        "admin": ("admin", "pause", "BTC3L"),
        "serve": ("serve", *users),
        "record": ("record", *taped),
        "fanout": ("fanout", "--once"),
        "nav": ("nav", *users),
    }
    assert list(commands) == list(rights)
    for command, arguments in commands.items():
        for allowed in (rights[command][1:], rights[command]):
            async with granted(secured_kafka.open, f"User:{USER}", allowed):
                code, said = await levsim(PASSWORD, *arguments, *where)
            assert (code == 0) == (allowed is rights[command]), f"{command} with {allowed}: {said}"
    assert await read_all(operator, topics.events)
    keys = [
        {record.key for record in await read_all(operator, topic)} - {POSITION_KEY}
        for topic in (topics.nav_latest, topics.nav_totals)
    ]
    assert keys == [{b"u1", b"u2", b"u3"}] * 2
