"""Tests of ``engine.endings``: what a policy in a process of its own came to is journalled, and a
replay repeats it, whatever the policy would do now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine import api
from engine.cli import main
from engine.engine import Engine, EngineSpec
from engine.errors import ReplayMismatchError
from engine.service import serve
from engine.verify import verify
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from strategies.isolated import IsolatedPolicy, Isolation, isolated_policy
from tests.engine.serving import QUICK, a_market, a_shard, a_spec, published, some_topics
from tests.engine.test_cli import KLINES

MOODY = """import pathlib
MOOD = pathlib.Path(__file__).with_name("mood.txt").read_text()
class Moody:
    review = "5s"
    def __init__(self):
        self.asked = 0
    def target(self, market, position):
        self.asked += 1
        while MOOD == "bad" and self.asked == 3:
            pass
        return 2.0 + self.asked % 2
"""
"""Hangs at its third answer where a file beside it says so."""


@pytest.fixture
def moody(tmp_path: Path) -> Path:
    """In a bad mood."""
    (tmp_path / "moody.py").write_text(MOODY)
    (tmp_path / "mood.txt").write_text("bad")
    (tmp_path / "BTCUSDT-1m-um.csv").write_text(KLINES)
    return tmp_path


def test_a_run_with_a_hang_verifies_in_another_mood(moody: Path) -> None:
    """The journal tells of the hang in both orders of the bars' extremes; verifying neither waits
    nor asks. Catches an ending that only the clock knows."""
    name = f"{moody / 'moody.py'}:Moody"
    sets = ["policy.answer_within=300ms"]
    out = moody / "run"
    result = api.run(
        moody / "BTCUSDT-1m-um.csv", policy=name, sets=sets, isolate=True, out=out, report=False
    )
    (fault,) = result.events("policy_faulted")
    assert fault["error"] == "Moody.decide did not answer within 0.3 s"
    assert result.exit_code == 1
    (moody / "mood.txt").write_text("good")
    assert verify(out) == []


def test_without_its_journal_it_would_not(moody: Path) -> None:
    """With the endings taken out of the journal the policy is asked, and answers. Catches a verify
    that looks at nothing."""
    name, out = f"{moody / 'moody.py'}:Moody", moody / "run"
    data = moody / "BTCUSDT-1m-um.csv"
    sets = ["policy.answer_within=300ms"]
    api.run(data, policy=name, sets=sets, isolate=True, out=out, report=False)
    (moody / "mood.txt").write_text("good")
    (out / "journal.bin").write_bytes(b"\x80")
    assert "events.jsonl: differs" in verify(out)


def test_nothing_to_isolate_is_said(moody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Built-in policies need no wall. Catches a flag that does nothing in silence."""
    assert main(["run", str(moody / "BTCUSDT-1m-um.csv"), "--isolate"]) == 3
    assert "no product has a policy of your own" in capsys.readouterr().err


# Live -----------------------------------------------------------------------------------------


@pytest.fixture
def isolated(moody: Path) -> Iterator[Any]:
    """A product whose policy lives behind the wall, as a process of the service makes it."""
    made: list[IsolatedPolicy] = []

    def spec() -> EngineSpec:
        bounds = Isolation(answer_seconds=0.5)
        made.append(isolated_policy(f"{moody / 'moody.py'}:Moody", {}, isolation=bounds))
        return replace(a_spec(), policies=((made[-1],),))

    yield spec
    for policy in made:
        policy.close()


async def _served(log: MemoryLog, topics: Any, spec: EngineSpec, **pace: int) -> Engine:
    shard = a_shard(log, topics, spec=spec)
    engine, _ = await serve(spec, shard.open, pace=replace(QUICK, **pace))
    return engine


async def test_a_shard_recovers_to_the_same_ending(isolated: Any, moody: Path) -> None:
    """The next process replays the step with the hang from the journal, in another mood, and comes
    to the same state. Catches an ending that is lost with the process."""
    topics, log = some_topics(), MemoryLog(MemoryBroker())
    await published(log, topics, a_market(600, bad=None))
    first = await _served(log, topics, isolated(), snapshot_steps=1_000)
    assert first.handlers[0].state.faulted == [True]
    (moody / "mood.txt").write_text("good")
    again = await _served(log, topics, isolated(), snapshot_steps=1_000)
    assert again.digest() == first.digest()


async def test_an_answer_that_is_another_one_stops_the_replay(isolated: Any, moody: Path) -> None:
    """A wall makes nothing deterministic that is not: a policy that answers otherwise is found out.
    Catches a replay that takes what it gets."""
    topics, log = some_topics(), MemoryLog(MemoryBroker())
    (moody / "mood.txt").write_text("good")
    await published(log, topics, a_market(600, bad=None))
    await _served(log, topics, isolated(), snapshot_steps=1_000)
    (moody / "moody.py").write_text(MOODY.replace("2.0 +", "2.5 +"))
    with pytest.raises(ReplayMismatchError):
        await _served(log, topics, isolated(), snapshot_steps=1_000)


def test_the_journal_says_nothing_of_what_did_not_happen(moody: Path) -> None:
    """No run without an ending has another journal than before. Catches an empty list in all."""
    data = moody / "BTCUSDT-1m-um.csv"
    result = api.run(data, out=moody / "plain", report=False)
    assert result.path is not None
    assert b"endings" not in (result.path / "journal.bin").read_bytes()
    assert json.loads((result.path / "summary.json").read_text())["ticks"]
