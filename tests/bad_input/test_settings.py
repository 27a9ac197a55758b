"""Configurations that cannot be run: exit 3 with the line, what was wanted and the nearest name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.tape import DATA

GOOD = """seed = 7
[[markets]]
symbol = "BTCUSDT"
contract = { kind = "linear", lot_size = 0.000001, taker_fee = 0.0004 }
book = { model = "flat", half_spread_bps = 0.0 }
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
seed_capital = 1_000_000
latency_ms = 0
policies = [ { type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 } ]
[[users]]
id = "alice"
holdings = { BTC3L = 1000.0 }
[output]
nav_every = "1s"
"""
BAND = '{ type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 }'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "low = 2.4",
            "lwo = 2.4",
            'c.toml:11: products[0].policies[0].lwo is not a setting; did you mean "low"?',
        ),
        ("seed = 7", "seed =", "c.toml:1: not TOML"),
        ("seed = 7", "seed = 7\nseed = 8", "c.toml:2: not TOML"),
        ("seed = 7", "seed = nan", "c.toml:1: seed: expected `int`"),
        ("seed = 7", "seed = 99999999999999999999999", "c.toml:1: seed: expected `int` <="),
        ("seed = 7", "seed = " + "[" * 5_000 + "]" * 5_000, "too deep to be read"),
        ("[[markets]]", "[markets]", "c.toml:2: markets: expected `array`"),
        ("target = 3.0", "target = nan", "c.toml:11: "),
        (
            "target = 3.0, low = 2.4, high = 3.6",
            "target = 1e3, low = 9e2, high = 2e3",
            "beyond the product",
        ),
        ("latency_ms = 0", "limit = 1e305", "c.toml:10: limit must be <= 1000"),
        ("taker_fee = 0.0004", "taker_fee = -0.0004", "c.toml:4: taker_fee must be >= 0"),
        ("taker_fee = 0.0004", "taker_fee = 1e300", "c.toml:4: taker_fee must be <= 1"),
        ("lot_size = 0.000001", "lot_size = 0", "c.toml:4: lot_size must be >= 1e-12, was 0.0"),
        ("lot_size = 0.000001", "lot_size = 1e-300", "c.toml:4: lot_size must be >="),
        ("half_spread_bps = 0.0", "half_spread_bps = 1e6", "c.toml:5: half_spread_bps must be <="),
        ("seed_capital = 1_000_000", "seed_capital = 0", "c.toml:9: seed_capital must be > 0"),
        (
            "seed_capital = 1_000_000",
            "seed_capital = 1e-9",
            "c.toml:9: seed_capital must be at least",
        ),
        ("seed_capital = 1_000_000", "seed_capital = 1e12", "more than can be counted"),
        ("BTC3L = 1000.0", "BTC3L = 1e12", "more than can be counted"),
        ("BTC3L = 1000.0", "BTC4L = 1000.0", 'there is no product "BTC4L"; did you mean "BTC3L"?'),
        ("latency_ms = 0", "latency_ms = inf", "c.toml:10: latency_ms must be finite and >= 0"),
        (f"[ {BAND} ]", "[]", "c.toml:11: product BTC3L has no policies"),
        (BAND, '{ type = "schedule", target = nan, times = ["08:00"] }', "c.toml:11: "),
        (BAND, '{ type = "schedule", target = 2.0, every_s = 1e-9 }', "every_s must be from"),
        (BAND, '{ type = "schedule", target = 2.0, times = ["8"] }', "no time of the day"),
        (
            BAND,
            '{ type = "schedule", target = 2.0, times = ["08:00"], timezone = "America" }',
            "no time zone",
        ),
        ("1s", "1ns", "c.toml:16: nav_every must be at least 1 ms"),
        ("1s", "0.1ns", "c.toml:16: nav_every must be at least 1 ms"),
        ("1s", "-1s", "c.toml:16: output.nav_every: expected a duration"),
        ("[output]", "[population]\ncount = -1\n[output]", "count must be >= 0"),
        ("[output]", "[population]\ncount = 100_000_000_000\n[output]", "more than can be counted"),
    ],
)
def test_a_setting_that_cannot_be_used(
    old: str, new: str, said: str, run: Callable[..., Any]
) -> None:
    """Exit 3, the sentence says where, and nothing ran. Catches a setting quietly replaced by its
    default, and one that overflows in the middle of a run."""
    assert old in GOOD
    Path("c.toml").write_text(GOOD.replace(old, new, 1))
    told = run(DATA, "-c", "c.toml")
    assert (told.code, told.out) == (3, "")
    assert said in told.err
    assert not Path("out").exists()


def test_the_good_one_runs(run: Callable[..., Any]) -> None:
    """What the cases above spoil is a configuration that runs, also with a mark before it."""
    Path("c.toml").write_text(GOOD, encoding="utf-8-sig")
    assert run(DATA, "-c", "c.toml").code == 0


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return float('nan')", 1, "must be finite"),
        ("return None", 1, "returned NoneType None"),
        ("return '3'", 1, "returned str '3'"),
        ("return True", 1, "returned bool True"),
        ("return 1e9", 1, "outside the product's limits"),
        ("return 10 ** 400", 1, "must be finite"),
        ("return object()", 1, "returned object at"),
        ("raise ValueError('boom')", 1, "raised ValueError: boom"),
        ("raise SystemExit(7)", 1, "raised SystemExit: 7"),
        ("market.mark = 1.0; return 2.0", 1, "immutable type"),
        ("position.nav = 1.0; return 2.0", 1, "immutable type"),
        ("print('hello'); return 2.0", 0, ""),
    ],
)
def test_a_policy_that_misbehaves(body: str, code: int, said: str, run: Callable[..., Any]) -> None:
    """A fault is one ``policy_faulted``, the others go on, stdout is still one JSON object, and the
    run verifies. Catches an address in memory or a path of this machine in the output log."""
    Path("p.py").write_text(f"class P:\n    def target(self, market, position):\n        {body}\n")
    told = run(DATA, "--policy", "p.py:P")
    assert told.code == code
    assert told.json["events"].get("policy_faulted", 0) == code
    assert told.json["products"]["BTC3L"]["rebalances"] >= 1
    assert said in Path("out/events.jsonl").read_text()
    assert "0x" not in Path("out/events.jsonl").read_text()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class P\n", "SyntaxError"),
        ("import nothere\nclass P: ...\n", "No module named 'nothere'"),
        ("import sys\nsys.exit(9)\n", "SystemExit: 9"),
        ("class P:\n    def target(self, m): return 1.0\n", "must take (market, position)"),
        ("class P:\n    @property\n    def target(self): return 1.0\n", "must be a plain method"),
        ("class P:\n    target = 3.0\n", "must be a plain method"),
        (
            "class P:\n    def __init__(self, x): ...\n    def target(self, m, p): return 1\n",
            "P needs x",
        ),
        ("class Q: ...\n", "has no class 'P'"),
    ],
)
def test_a_policy_that_cannot_be_loaded(source: str, said: str, run: Callable[..., Any]) -> None:
    """Exit 3 before the replay, with the place in the user's file."""
    Path("p.py").write_text(source)
    told = run(DATA, "--policy", "p.py:P")
    assert (told.code, told.out) == (3, "")
    assert said in told.err
    assert "p.py" in told.err


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("trend_vl", "c.toml:12: unknown policy 'trend_vl'. Did you mean 'trend_vol'?"),
        ("nope.py:P", "c.toml:12: no such file: nope.py"),
        ("p.py:Q", "c.toml:12: p.py has no class 'Q'. Classes there: P"),
        ("nothing.there:P", "c.toml:12: "),
    ],
)
def test_a_policy_of_the_file_is_told_with_its_line(
    path: str, said: str, run: Callable[..., Any]
) -> None:
    """A user's policy that cannot be loaded is exit 3 with file, line and the nearest name. Catches
    a complaint that leaves a file of many products to be searched."""
    Path("p.py").write_text(
        "class P:\n    def target(self, market, position):\n        return 2.0\n"
    )
    user = f'[\n  {{ type = "user", path = "{path}" }} ]'
    Path("c.toml").write_text(GOOD.replace(f"[ {BAND} ]", user, 1))
    told = run(DATA, "-c", "c.toml")
    assert (told.code, told.out) == (3, "")
    assert said in told.err
    again = run(DATA, "-c", "c.toml", "--set", "products.0.policies.0.path=p.py:R")
    assert "--set products.0.policies.0.path=p.py:R: p.py has no class 'R'" in again.err
