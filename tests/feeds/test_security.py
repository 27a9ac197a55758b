"""Clients prove who they are, check who the broker is, and tell their secrets to nobody."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.errors import ConfigError, FeedError
from feeds.kafka import KafkaLog
from feeds.log import Outgoing, Place, TopicSpec
from feeds.security import PASSWORD_VARIABLE, AccessRefusedError, Security
from tests.brokers import SecuredKafka, secured_kafka
from tests.brokers.secured import PASSWORD, USER, grant
from tests.feeds.log_contract import a_topic, read_all, values

__all__ = ["secured_kafka"]

WRONG = "wrong-horse-1627"

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
    """What the README grants is enough for the service, and each right of it is needed."""
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
        await log.create([TopicSpec(f"{topics['ticks']}-new")])
    for operation in ("Create", "Describe"):
        await allow(operation, "topic", f"{topics['ticks']}-new")
    await log.create([TopicSpec(f"{topics['ticks']}-new")])
    await log.close()
