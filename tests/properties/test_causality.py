"""What has not happened yet says nothing; who only looks changes nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.engine import EngineSpec
from engine.sampler import Sampling
from engine.ticks import Bbo, Step
from engine.units import SECOND_NS
from strategies import MarginFloor
from tests.builders import Run, a_product, run
from tests.properties.observers import Looker
from tests.properties.rich import SEEDS, rich_run, rich_spec, rich_tape

FUTURE_ROWS = 120
"""Rows of the other future: enough to wake everybody."""


def with_another_future(tape: Step, at: int) -> Step:
    """The tape with all values from sequence ``at`` on replaced; its rows keep kind and time, and
    end a while later."""
    tape = tape.between(0, min(at + FUTURE_ROWS, tape.end))
    tables = []
    for table in tape.tables:
        later = table.sequence >= at
        names = ("bid", "ask") if isinstance(table, Bbo) else ("price", "rate")
        changed = {
            name: np.where(later, column * 0.83, column)
            for name, column in table.values()
            if name in names
        }
        tables.append(table.replaced(**changed))
    messages = tuple(m for m in tape.messages if m[0] < at)
    return Step(first=tape.first, end=tape.end, tables=tuple(tables), messages=messages)


def assert_same_until(said: Run, other: Run, at: int) -> None:
    """Everything said before input ``at`` is the same."""
    ours = [
        line for line, event in zip(said.lines, said.events, strict=True) if event.sequence < at
    ]
    theirs = [
        line for line, event in zip(other.lines, other.events, strict=True) if event.sequence < at
    ]
    assert ours == theirs
    assert [r for r in said.user_nav if r[0] < at] == [r for r in other.user_nav if r[0] < at]
    one, two = said.nav, other.nav
    first, second = one["sequence"] < at, two["sequence"] < at
    for name, column in one.items():
        np.testing.assert_array_equal(column[first], two[name][second], err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_future_says_nothing(seed: int) -> None:
    """With all input from T on replaced, in one block, the output before T is the same."""
    tape, said = rich_tape(seed), rich_run(seed)
    for at in sorted(Random(seed).sample(range(1, tape.end), 4)):
        other = run(rich_spec(), with_another_future(tape, at))
        assert_same_until(said, other, at)
        assert other.lines != said.lines


def bare(said: Run, product: str) -> list[Any]:
    """The events of all others, without their ordinals, which count one another's."""
    kept = [e for e in said.events if getattr(e, "product", "") != product]
    return [msgspec.structs.replace(event, ordinal=0) for event in kept]


def samples(said: Run, product: int) -> dict[str, Any]:
    """The NAVs of all others, without their ordinals."""
    nav = said.nav
    others = nav["product"] != product
    return {name: column[others] for name, column in nav.items() if name != "ordinal"}


def observed(spec: EngineSpec, policy: Any) -> EngineSpec:
    """The run with one more product at the end of the first market, which only looks."""
    idle = a_product("IDLE", 0, seed_atoms=10**9)
    products, policies = (*spec.products, idle), (*spec.policies, (policy,))
    return msgspec.structs.replace(spec, products=products, policies=policies)


def assert_unobserved(seed: int, policy: Any) -> None:
    """An idle product leaves everybody else's events and NAVs as they were."""
    spec, alone = rich_spec(), rich_run(seed)
    said = run(observed(spec, policy), rich_tape(seed))
    idle = len(spec.products)
    assert bare(said, "IDLE") == bare(alone, "IDLE")
    ours, theirs = samples(said, idle), samples(alone, idle)
    for name, column in ours.items():
        np.testing.assert_array_equal(column, theirs[name], err_msg=name)
    holders = [row[2:] for row in said.user_nav if row[3] != idle]
    assert holders == [row[2:] for row in alone.user_nav]


@pytest.mark.parametrize("policy", [MarginFloor(), Looker()], ids=["untraded", "looking"])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_idle_observer(seed: int, policy: Any) -> None:
    """A product that never trades, even one that looks at every signal at every chance, changes no
    other's record but for the ordinals, which count all that an input caused."""
    assert_unobserved(seed, policy)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_cadence(seed: int) -> None:
    """Sampling products every 21 s instead of 7, and users never, changes no event, no state and no
    sample that both have."""
    often = rich_run(seed)
    seldom_spec = msgspec.structs.replace(
        rich_spec(), sampling=Sampling(nav_every_ns=21 * SECOND_NS, users_on_trade=True)
    )
    seldom = run(seldom_spec, rich_tape(seed))
    assert seldom.lines == often.lines
    assert [a.account.state for a in seldom.engine.handlers] == [
        a.account.state for a in often.engine.handlers
    ]
    frequent, rare = often.nav, seldom.nav
    both = np.isin(frequent["ts_ns"], rare["ts_ns"])
    assert both.any()
    assert not both.all()
    for name, column in rare.items():
        if name != "ordinal":
            kept = frequent[name][both]
            start = np.isin(rare["ts_ns"], frequent["ts_ns"])
            np.testing.assert_array_equal(column[start], kept, err_msg=name)
    trades = [row[2:] for row in often.user_nav if row[4] != "cadence"]
    assert [row[2:] for row in seldom.user_nav] == trades
