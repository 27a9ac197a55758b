"""The settings of an Apache Kafka of one node."""

from __future__ import annotations

from pathlib import Path

__all__ = ["properties_of"]


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
