"""An Apache Kafka that trusts nobody: TLS, passwords, certificates, and grants for each user.

Keys and certificates are made by ``openssl`` for the session, by an authority of the session's own.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiokafka.admin
import aiokafka.protocol.admin
import pytest

from tests.brokers.apache import ApacheKafka, programs
from tests.brokers.ports import free_ports
from tests.brokers.settings import secured_properties

__all__ = ["PASSWORD", "USER", "Grant", "SecuredKafka", "grant", "granted", "secured_kafka"]

USER = "engine"
PASSWORD = "correct-horse-7261"
OPENSSL_SECONDS_MAX = 30.0
KNOWN_TRIES_MAX = 500

ALLOW, LITERAL = 3, 3
RESOURCES = {"topic": 2, "cluster": 4, "transactional-id": 5}
OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Describe": 8,
    "DescribeConfigs": 10,
    "IdempotentWrite": 12,
}

Grant = tuple[str, str, str]
"""Operation, kind of resource, its name: ``("Read", "topic", "ticks")``."""


@dataclass(frozen=True)
class SecuredKafka:
    """Where it listens, and the files of the session's authority."""

    open: str
    """``host:port`` without encryption, where everything is allowed: for whoever grants."""
    sasl: str
    """With TLS and passwords."""
    mutual: str
    """With certificates of both sides; the user is ``CN=engine``."""
    folder: Path

    def file(self, name: str) -> str:
        """``ca.pem``, ``client.pem``, ``client-key.pem``; ``stranger.pem`` is another authority."""
        return str(self.folder / name)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["openssl", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=OPENSSL_SECONDS_MAX,
    )


def _authority(folder: Path, name: str) -> None:
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-days", "2"]
    _openssl(folder, "req", "-x509", *key, "-out", f"{name}.pem", "-subj", f"/CN={name}")


def _certificate(folder: Path, name: str, subject: str, extension: str) -> None:
    """A key and a certificate of it, signed by the authority ``ca``."""
    (folder / f"{name}.ext").write_text(extension)
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem"]
    _openssl(folder, "req", *key, "-out", f"{name}.csr", "-subj", subject)
    signer = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2"]
    request = ["-in", f"{name}.csr", "-extfile", f"{name}.ext"]
    _openssl(folder, "x509", "-req", *signer, *request, "-out", f"{name}.pem")


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One for the session; nobody but who grants may do anything yet."""
    kafka = programs()
    folder = tmp_path_factory.mktemp("secured-kafka")
    _authority(folder, "ca")
    _authority(folder, "stranger")
    _certificate(folder, "client", f"/CN={USER}", "extendedKeyUsage=clientAuth")
    _certificate(folder, "broker-cert", "/CN=broker", "subjectAltName=IP:127.0.0.1")
    parts = [folder / "broker-cert-key.pem", folder / "broker-cert.pem"]
    (folder / "broker.pem").write_text("".join(part.read_text() for part in parts))
    sasl, mutual = free_ports(2)
    users = {USER: PASSWORD}
    broker = ApacheKafka(folder, kafka, users=users)
    ports = {
        "PLAINTEXT": broker.port,
        "CONTROLLER": broker.controller,
        "SASL_SSL": sasl,
        "SSL": mutual,
    }
    broker.settings = secured_properties(folder, ports, users)
    try:
        broker.start()
        yield SecuredKafka(broker.brokers, f"127.0.0.1:{sasl}", f"127.0.0.1:{mutual}", folder)
    finally:
        broker.kill()


async def grant(brokers: str, principal: str, grants: Sequence[Grant]) -> None:
    """Allow a principal (``User:engine``) these, from everywhere, for names as they are written."""
    await _change(brokers, principal, grants, allowed=True)


@asynccontextmanager
async def granted(brokers: str, principal: str, grants: Sequence[Grant]) -> AsyncIterator[None]:
    """Allowed within, and no longer."""
    await grant(brokers, principal, grants)
    try:
        yield
    finally:
        await _change(brokers, principal, grants, allowed=False)


async def _change(brokers: str, principal: str, grants: Sequence[Grant], *, allowed: bool) -> None:
    words = aiokafka.protocol.admin
    change = words.CreateAclsRequest if allowed else words.DeleteAclsRequest
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        for operation, kind, name in grants:
            asked = (RESOURCES[kind], name, LITERAL, principal, "*", OPERATIONS[operation], ALLOW)
            ((code, why, *_),) = _answers(await admin._send_to_controller(change(*asked)))
            assert code == 0, why
            # The controller has it; the broker hears of it a little later.
            for _ in range(KNOWN_TRIES_MAX):
                known = await admin._send_request(words.DescribeAclsRequest(*asked))
                if bool(known.resources) == allowed:
                    break
                await asyncio.sleep(0.02)
            else:
                pytest.fail(f"the broker never heard of {operation} on {kind} {name}")
    finally:
        await admin.close()


def _answers(response: Any) -> Any:
    return getattr(response, "creation_responses", None) or response.filter_responses
