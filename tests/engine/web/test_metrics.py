"""The service's own numbers, and its pages: what they say is what happened."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections import Counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import FeedError
from engine.steps import Observer
from engine.web.metrics import Metrics
from engine.web.probes import LOOPBACK, probes
from feeds.log import ProducerFencedError
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from tests.engine.serving import Replayed, a_market, a_shard, published, served, some_topics

ROWS = 600


def asked(port: int, path: str, host: str | None = None) -> tuple[int, str]:
    """Status and body of a page."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def told(metrics: Metrics) -> dict[str, Any]:
    """All samples by name, with the label beside the shard where there is one."""
    with probes(metrics) as port:
        status, text = asked(port, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = [v for name, v in sample.labels.items() if name not in ("shard", "le")]
            if "le" not in sample.labels:
                found[" ".join([sample.name, *labels])] = sample.value
    return found


async def test_what_happened_is_told() -> None:
    """Rows, steps, events by kind, rejects by reason and the four histograms count what a run did;
    at its end nothing is behind."""
    log, topics, metrics = MemoryLog(MemoryBroker()), some_topics(), Metrics(clock=lambda: 1e9)
    market = a_market(ROWS, bad=77)
    await published(log, topics, market, "msgpack")
    _, progress = await served(log, topics, observer=metrics)
    metrics.ends({"ticks/0": progress.positions["ticks/0"], "requests/0": 0})
    seen = told(metrics)
    events = Counter(line.split(b'"', 4)[3].decode() for line in Replayed(market).events)
    assert events["rebalanced"] > 0
    for kind, count in events.items():
        assert seen[f"levsim_events_total {kind}"] == count
    assert seen["levsim_rejects_total malformed"] == 1
    assert seen["levsim_rows_total"] == ROWS
    assert seen["levsim_steps_total"] == progress.mark.step
    assert seen["levsim_commit_seconds_count"] == progress.mark.step
    assert seen["levsim_step_seconds_count"] in (progress.mark.step - 1, progress.mark.step)
    assert seen["levsim_compute_seconds_count"] == seen["levsim_decode_seconds_count"] > 0
    assert seen["levsim_decode_seconds_sum"] > 0.0
    assert seen["levsim_snapshot_age_seconds"] == 0.0
    assert seen["levsim_sessions_total"] == 1
    assert (seen["levsim_lag_records ticks/0"], seen["levsim_lag_seconds ticks/0"]) == (0, 0)


async def test_lag_is_told() -> None:
    """What is in the log and not committed is behind: in records, and in seconds since the newest
    committed one was written."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    metrics = Metrics(clock=lambda: 2e9)
    await published(log, topics, a_market(ROWS), "msgpack")
    _, progress = await served(log, topics, observer=metrics)
    position = progress.positions["ticks/0"]
    metrics._taken["ticks/0"] = (position, 1_999_999_990_000)
    metrics.ends({"ticks/0": position + 7, "requests/0": 3})
    seen = told(metrics)
    assert seen["levsim_lag_records ticks/0"] == 7
    assert seen["levsim_lag_seconds ticks/0"] == pytest.approx(10.0)
    assert seen["levsim_lag_records requests/0"] == 3


class Readiness(Observer):
    """Asks whether the service is ready at each turn of a recovery."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[int] = []

    def look(self) -> None:
        self.seen.append(asked(self.port, "/readyz")[0])


class Watched(Metrics):
    """Metrics that are asked at once."""

    readiness: Readiness

    def recovering(self, steps: int) -> None:
        super().recovering(steps)
        self.readiness.look()

    def replayed(self, step: Any) -> None:
        super().replayed(step)
        self.readiness.look()


async def test_ready_only_when_live() -> None:
    """A process that recovers is alive and not ready; it is ready once the journal is replayed, and
    no more after an error."""
    log, topics = MemoryLog(MemoryBroker()), some_topics()
    await published(log, topics, a_market(ROWS), "msgpack")
    await served(log, topics)
    steps = len((await a_shard(log, topics).open()).recovered.steps)
    assert steps > 1
    metrics = Watched()
    with probes(metrics) as port:
        metrics.readiness = Readiness(port)
        assert asked(port, "/healthz") == (200, "ok\n")
        assert asked(port, "/readyz")[0] == 503
        await served(log, topics, observer=metrics)
        assert metrics.readiness.seen == [503] * steps + [200]
        metrics.failed(FeedError("broker away"))
        assert asked(port, "/readyz")[0] == 503
        assert asked(port, "/healthz")[0] == 200


def test_fenced_is_told() -> None:
    """Another engine's take-over is counted apart from every other failure."""
    metrics = Metrics(fenced=ProducerFencedError)
    metrics.failed(ProducerFencedError("a newer one"))
    metrics.failed(FeedError("broker away"))
    seen = told(metrics)
    assert seen["levsim_fenced_total"] == 1
    assert seen["levsim_failures_total ProducerFencedError"] == 1
    assert seen["levsim_failures_total FeedError"] == 1


def test_strangers_are_refused() -> None:
    """A page that was made to ask under a name of its own gets nothing."""
    with probes(Metrics()) as port:
        assert asked(port, "/metrics", "evil.example")[0] == 403
        assert asked(port, "/metrics", f"localhost:{port}")[0] == 200
        assert asked(port, "/elsewhere")[0] == 404


def test_only_this_machine_is_answered() -> None:
    """Whoever comes by another address of the machine finds nobody; catches a server for all."""
    with probes(Metrics()) as port:
        socket.create_connection((LOOPBACK, port), timeout=10).close()
        with pytest.raises(OSError, match=r"refused|assign|unreachable"):
            socket.create_connection(("127.0.0.2", port), timeout=10)


async def test_slow_readers_hold_up_nobody() -> None:
    """A client that connects and says nothing neither stops the pages nor the service."""
    log, topics, metrics = MemoryLog(MemoryBroker()), some_topics(), Metrics()
    await published(log, topics, a_market(ROWS), "msgpack")
    with probes(metrics) as port:
        _, silent = await asyncio.open_connection(LOOPBACK, port)
        _, progress = await served(log, topics, observer=metrics)
        assert progress.mark.finished
        assert (await asyncio.to_thread(asked, port, "/healthz"))[0] == 200
        silent.close()
        await silent.wait_closed()
