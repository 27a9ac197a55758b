"""The settings of an Apache Kafka of one node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["properties_of", "scram_arguments", "secured_properties"]


def properties_of(data: Path, broker: int, controller: int) -> str:
    """The settings of a node that is broker and controller, without encryption.

    After a kill the controller lets the broker in only when the session of the killed one is over,
    so sessions are short here (9 s by default).
    """
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
num.network.threads=2
num.io.threads=2
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
log.initial.task.delay.ms=200
log.retention.check.interval.ms=500
"""


def secured_properties(
    folder: Path, ports: Mapping[str, int], plain_users: Mapping[str, str]
) -> str:
    """What to add for listeners with TLS and passwords (``SASL_SSL``) and with certificates of both
    sides (``SSL``), where everyone may do only what was granted.

    The listener without encryption stays, for the node itself and for whoever grants.

    Args:
        folder: holds ``ca.pem`` and ``broker.pem`` (key and certificate).
        ports: of ``PLAINTEXT``, ``CONTROLLER``, ``SASL_SSL`` and ``SSL``.
        plain_users: names and passwords for PLAIN; those for SCRAM are in the data.
    """
    listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    advertised = ",".join(part for part in listeners.split(",") if "CONTROLLER" not in part)
    protocols = ",".join(
        f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in ports
    )
    users = " ".join(f'user_{name}="{password}"' for name, password in plain_users.items())
    modules = "org.apache.kafka.common.security"
    return f"""
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required {users};
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder / "broker.pem"}
ssl.truststore.type=PEM
ssl.truststore.location={folder / "ca.pem"}
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


def scram_arguments(users: Mapping[str, str]) -> list[str]:
    """For the program that prepares the data folder: users known from the start."""
    return [
        argument
        for name, password in users.items()
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for argument in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
    ]
