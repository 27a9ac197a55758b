"""``topics create`` and ``topics check``: the topics of an engine as they must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from engine.cli.kafka import (
    PARTITIONS_MAX,
    AccessFile,
    Brokers,
    Prefix,
    reached,
    require_count,
)
from engine.cli.running import Json

if TYPE_CHECKING:
    from feeds.log import Log, TopicSpec
    from feeds.topic_check import TopicState

__all__ = ["asyncapi", "check", "create", "faults_of", "wanted"]

CONFIGURATION: int = 3
_REPLICAS_MAX: int = 1_000
_RETENTION_MS_MAX: int = 2**63 - 1


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """Where the topics are, and how they must be; counts that nobody gives are as they are."""

    kafka: Brokers = "localhost:9092"
    prefix: Prefix = ""
    shards: Annotated[
        int | None,
        Parameter(
            help="Partitions of ticks, requests, admin, journal, snapshots: as they are, or 1."
        ),
    ] = None
    user_partitions: Annotated[
        int | None, Parameter(help="Partitions of users' NAVs: as they are, or 1.")
    ] = None
    replication: Annotated[
        int, Parameter(help="Copies of each partition on different brokers.")
    ] = 1
    retention: Annotated[
        str | None,
        Parameter(
            help="Of inputs and outputs, such as 7d; the broker's own default without. Journal, "
            "snapshots and events are kept for ever."
        ),
    ] = None
    config: AccessFile = None
    json: Json = False


def create(*, asked: Asked | None = None) -> int:
    """Create the topics that are missing, and show all of them.

    A topic that is there with another number of partitions is refused: keys and symbols would move.
    """
    return _answered(asked or Asked(), creating=True)


def check(*, asked: Asked | None = None) -> int:
    """Compare the topics with what they must be; exit code 3 where one is not."""
    return _answered(asked or Asked(), creating=False)


def asyncapi(*, prefix: Prefix = "") -> int:
    """Print the AsyncAPI 3.0 document of the topics, as JSON."""
    from engine.cli.stdout import results
    from engine.provenance import VERSION
    from feeds.asyncapi import asyncapi_json
    from feeds.topics import Topics

    results().write(asyncapi_json(VERSION, Topics(prefix)))
    return 0


def _answered(asked: Asked, *, creating: bool) -> int:
    import asyncio

    states = asyncio.run(_states(asked, creating=creating))
    return _shown(states, as_json=asked.json)


async def _states(asked: Asked, *, creating: bool) -> list[TopicState]:
    from feeds.topic_check import create_topics, look_at
    from feeds.topics import Topics, require_journal

    log = reached(asked.kafka, asked.config)
    counts = (asked.shards, asked.user_partitions)
    try:
        if creating:
            await require_journal(log, Topics(asked.prefix))
        specs = await wanted(log, asked.prefix, counts, asked.replication, asked.retention)
        return await (create_topics if creating else look_at)(log, specs)
    finally:
        await log.close()


async def wanted(
    log: Log,
    prefix: str,
    counts: tuple[int | None, int | None] = (None, None),
    replication: int = 1,
    retention: str | None = None,
) -> list[TopicSpec]:
    """How all topics must be; counts that nobody gives are those of the topics that are there."""
    from msgspec.structs import replace

    for name, given in zip(("shards", "user-partitions"), counts, strict=True):
        require_count(name, given, PARTITIONS_MAX)
    require_count("replication", replication, _REPLICAS_MAX)
    kept_ms = _retention_ms(retention)

    from feeds.log import TopicMissingError
    from feeds.topics import Topics

    topics = Topics(prefix)
    found = []
    for given, name in zip(counts, (topics.ticks, topics.nav_users), strict=True):
        try:
            found.append(await log.partitions(name) if given is None else given)
        except TopicMissingError:
            found.append(1)
    return [
        replace(
            spec,
            replication=replication,
            retention_ms=kept_ms if spec.retention_ms is None else spec.retention_ms,
        )
        for spec in topics.specs(shards=found[0], user_partitions=found[1])
    ]


def _retention_ms(text: str | None) -> int | None:
    import re

    from engine.durations import DURATION_PATTERN, duration_ns
    from engine.errors import ConfigError
    from engine.units import MILLISECOND_NS

    if text is None:
        return None
    if not re.fullmatch(DURATION_PATTERN, text) or duration_ns(text) < MILLISECOND_NS:
        raise ConfigError(f"--retention must be a duration such as 7d or 36h, was {text}")
    return min(duration_ns(text) // MILLISECOND_NS, _RETENTION_MS_MAX)


def faults_of(states: list[TopicState]) -> list[str]:
    """All that is wrong, a sentence each."""
    return [fault for state in states for fault in state.faults]


def _shown(states: list[TopicState], *, as_json: bool) -> int:
    from engine.cli import showing

    faults = faults_of(states)
    if as_json:
        showing.emit_json({"topics": [_fields(state) for state in states], "faults": faults})
    else:
        header = ("topic", "partitions", "compacted", "retention", "replicas", "")
        showing.show_rows(header, [_row(state) for state in states])
        for fault in faults:
            showing.note(f"error: {fault}")
    return CONFIGURATION if faults else 0


def _fields(state: TopicState) -> dict[str, object]:
    import msgspec

    found = None if state.found is None else msgspec.to_builtins(state.found)
    return {
        "topic": state.wanted.name,
        "is": found,
        "should_be": msgspec.to_builtins(state.wanted),
        "faults": state.faults,
    }


def _row(state: TopicState) -> tuple[str, ...]:
    """What is; where something else should be, what should be behind it."""
    want, found = state.wanted, state.found
    if found is None:
        return (want.name, "", "", "", "", "missing")
    retention = found.retention_ms if want.retention_ms is None else want.retention_ms
    return (
        want.name,
        _cell(str(found.partitions), str(want.partitions)),
        _cell(_yes(yes=found.compacted), _yes(yes=want.compacted)),
        _cell(_kept(found.retention_ms), _kept(retention)),
        _cell(str(found.replication), str(max(want.replication, found.replication))),
        "wrong" if state.faults else "ok",
    )


def _cell(found: str, want: str) -> str:
    return found if found == want else f"{found}, should be {want}"


def _yes(*, yes: bool) -> str:
    return "yes" if yes else "no"


def _kept(retention_ms: int | None) -> str:
    from engine.durations import duration_text
    from engine.units import MILLISECOND_NS

    if retention_ms is None or retention_ms < 0:
        return "for ever"
    return duration_text(retention_ms * MILLISECOND_NS)
