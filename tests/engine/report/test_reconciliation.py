"""Tests of ``engine/report/reconciliation.py`` and ``desk.py``: the desk is another run, with one
thing different, so that its cause is known."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.api import RunResult, run
from engine.cli import main
from engine.report.reconciliation import CAUSES, Reconciliation, read_reconciliation

CONFIG = """
[[markets]]
symbol = "BTCUSDT"
book = { model = "depth", depth_at_1pct = 1e9 }
funding = { rate_8h = 0.0001 }
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
policies = [{ type = "leverage_band", target = 3.0, low = 2.6, high = 3.6 }]
"""
COINS = CONFIG.replace(
    "book =",
    'contract = { kind = "inverse", lot_size = 1.0, contract_size = 100.0, base = "BTC" }\nbook =',
)
SPLIT = CONFIG.replace("policies =", "terms = { split = { announced = [SPLIT_AT] } }\npolicies =")
HOUR = 3600


class Desk:
    """The same market and product, with one setting changed."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder, inverse = folder, config == COINS
        self.lot, self.atoms = (1.0, 1e8) if inverse else (1e-6, 1e6)
        (folder / "c.toml").write_text(config)
        self.ours = self._run("ours")

    def _run(self, name: str, *sets: str) -> RunResult:
        out = self.folder / name
        return run((), config=self.folder / "c.toml", sets=sets, out=out, report=False)

    def told(
        self, name: str, *sets: str, forget: bool = False, dearer: float = 1.0
    ) -> Reconciliation:
        """What the run says to the records of a desk."""
        desk = self._run(name, *sets)
        nav, fills = self.folder / f"{name}-nav.csv", self.folder / f"{name}-fills.csv"
        with nav.open("w") as file:
            rows = csv.writer(file)
            rows.writerow(["ts", "product", "nav_per_unit", "units"])
            table = desk.nav.to_pylist()
            for row in [*table[::HOUR], table[-1]]:
                rows.writerow([row["ts_ns"], "BTC3L", row["nav_per_unit"], row["units"]])
        with fills.open("w") as file:
            rows = csv.writer(file)
            rows.writerow(["ts", "product", "kind", "quantity", "price", "fee"])
            kept = desk.fills.to_pylist()
            if forget:
                kept.remove([row for row in kept if row["lots"]][-1])
            for row in kept:
                size, fee = row["lots"] * self.lot, row["fee_atoms"] / self.atoms
                if row["purpose"] == "funding":
                    paid = -row["cash_atoms"] / self.atoms
                    rows.writerow([row["ts_ns"], "BTC3L", "funding", 0, 0, paid])
                elif size:
                    rows.writerow(
                        [row["ts_ns"], "BTC3L", "trade", size, dearer * row["price"], fee]
                    )
        assert self.ours.path is not None
        return read_reconciliation(self.ours.path, nav, fills, 60.0)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk beside a run, hedged in quote."""
    return Desk(tmp_path_factory.mktemp("desk"), CONFIG)


@pytest.fixture(scope="module")
def coins(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The same on contracts that are settled in coins."""
    return Desk(tmp_path_factory.mktemp("coins"), COINS)


@pytest.fixture(params=["linear", "coins"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """Each of them."""
    found: Desk = request.getfixturevalue(request.param)
    return found


def test_the_same_records_leave_nothing(desk: Desk) -> None:
    """A desk that is the run differs in nothing. Catches a day that begins elsewhere."""
    found = desk.told("same")
    (day,) = found.days
    assert day.desk == pytest.approx(day.ours)
    assert all(abs(value) < 1e-6 for value in (*day.causes.values(), day.unexplained))
    assert not found.unmatched


@pytest.mark.parametrize(
    ("cause", "change"),
    [
        ("fee", "markets.0.contract.taker_fee=0.002"),
        ("funding", "markets.0.funding.rate_8h=0.002"),
        ("price", "markets.0.book.depth_at_1pct=3e6"),
        ("timing", "products.0.latency_ms=20000"),
        ("missing_fill", "products.0.policies.0.high=3.3"),
    ],
)
def test_one_difference_is_its_cause(cause: str, change: str, desk: Desk) -> None:
    """What was changed is the cause, the biggest one, and next to nothing of the difference is
    unexplained. Catches a cause that is told under another name."""
    (day,) = desk.told(cause, change).days
    difference = day.desk - day.ours
    assert abs(difference) > 0.5
    assert abs(day.causes[cause]) > 0.3
    if cause != "price":  # who opened dearer has another leverage, and trades at other times
        assert max(CAUSES, key=lambda name: abs(day.causes[name])) == cause
    assert abs(day.unexplained) < 0.02 * sum(abs(value) for value in day.causes.values())
    assert sum(day.causes.values()) + day.unexplained == pytest.approx(difference)


def test_a_split_is_no_loss_and_changes_no_cause(linear: Desk, tmp_path: Path) -> None:
    """Units of run and desk become ten at noon: what is told of the day is what is told of one
    without a split. Catches NAVs and fills per unit of before and after taken for alike."""
    noon = linear.ours.nav["ts"][12 * HOUR].as_py()
    when = f'{{ at = "{noon:%Y-%m-%dT%H:%M:%SZ}", new = 10 }}'
    split = Desk(tmp_path, SPLIT.replace("SPLIT_AT", when))
    assert split.ours.summary["products"]["BTC3L"]["splits"]
    change = "products.0.policies.0.high=3.3"
    (plain,), (day,) = linear.told("plain", change).days, split.told("split", change).days
    assert day.desk == pytest.approx(plain.desk, abs=0.01)
    assert day.ours == pytest.approx(plain.ours, abs=0.01)
    assert day.causes == pytest.approx(plain.causes, abs=0.01)
    assert abs(plain.causes["missing_fill"]) > 0.3


def test_a_fill_that_the_desk_forgot_is_named(desk: Desk) -> None:
    """A fill of the run without its counterpart is said with its time, and its effect is a missing
    fill that the desk's NAV does not bear out. Catches fills paired with just any other."""
    found = desk.told("forgot", forget=True)
    (day,) = found.days
    assert len(found.unmatched) == 1
    assert re.match(r"BTC3L: of the run, 15 Jan 2026", found.unmatched[0])
    assert abs(day.causes["missing_fill"]) > 0.0
    assert day.causes["missing_fill"] + day.causes["fee"] == pytest.approx(-day.unexplained)


def test_the_same_contracts_at_another_price_are_no_missing_fill(desk: Desk) -> None:
    """What the desk paid more is the price, also where it makes other coins of as many contracts,
    and what these would have earned; its NAV, which knows nothing of it, leaves it unexplained.
    Catches contracts that are counted in coins."""
    (day,) = desk.told("dearer", dearer=1.01).days
    assert abs(day.causes["price"]) > 1.0
    assert day.causes["missing_fill"] == pytest.approx(0.0, abs=1e-6)
    assert day.unexplained == pytest.approx(-day.causes["price"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ts,product\n", ":1: lacks nav_per_unit"),
        ("ts,product,nav_per_unit\nyesterday,BTC3L,1.0\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n2026-01-15,BTC3X,1.0\n", "did you mean BTC3L"),
        ("ts,product,nav_per_unit\n2026-01-15T01,BTC3L,one\n", ":2: nav_per_unit must be a num"),
        ("ts,product,nav_per_unit\n2026-01-15T01,BTC3L,nan\n", ":2: nav_per_unit must be finite"),
        ("ts,product,nav_per_unit\n2026-01-15,BTC3L\n", ":2: as many values are needed"),
        (
            "ts,product,nav_per_unit\n2026-01-15T02:00,BTC3L,1\n2026-01-15T01:00,BTC3L,1\n",
            ":3: ts must be later",
        ),
        ("ts,product,nav_per_unit\n2026-01-15,BTC3L,1\n", ":2: ts must have the time of day"),
        ("ts,product,nav_per_unit\n20260115,BTC3L,1\n", ":2: ts must have the time of day"),
        ("ts,product,nav_per_unit\n26-01-15T01:00,BTC3L,1\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n15/01/26 01:00,BTC3L,1\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n1768438800,BTC3L,1\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n1768438800000,BTC3L,1\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n99999999999999999999,BTC3L,1\n", ":2: ts must be a time"),
        ("ts,product,nav_per_unit\n0026-01-15T01:00,BTC3L,1\n", ":2: ts lies outside the run"),
        ("ts,product,nav_per_unit\n2016-01-15T01:00,BTC3L,1\n", ":2: ts lies outside the run"),
        (
            "ts,product,nav_per_unit\n2026-01-15T01:00,BTC3L,1\n2036-01-15T02:00,BTC3L,1\n",
            ":3: ts lies outside the run",
        ),
        ("ts,product,nav_per_unit\n", "has no line but its head"),
    ],
)
def test_bad_records_are_told_with_their_line(
    text: str, said: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, the file, the line and what is wrong. Catches a traceback."""
    file = desk.folder / "bad.csv"
    file.write_text(text)
    assert main(["reconcile", str(desk.ours.path), "--nav", str(file)]) == 4
    assert said in capsys.readouterr().err


def test_fills_of_another_decade_are_told_with_their_line(
    linear: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches a fill ten years off that becomes a fill which the run lacks."""
    assert linear.ours.path is not None
    nav, fills = linear.folder / "nav.csv", linear.folder / "fills.csv"
    nav.write_text("ts,product,nav_per_unit,units\n2026-01-15T01:00,BTC3L,1,9\n")
    for year in (2016, 2036):
        fills.write_text(f"ts,product,quantity,price,fee\n{year}-01-15T01:00,BTC3L,1,9,0\n")
        asked = ["reconcile", str(linear.ours.path), "--nav", str(nav), "--fills", str(fills)]
        assert main(asked) == 4
        assert f"{fills}:2: ts lies outside the run (15 Jan 2026" in capsys.readouterr().err


def test_a_time_zone_is_the_same_instant(linear: Desk) -> None:
    """However an instant is written. Catches a zone that is left out."""
    assert linear.ours.path is not None
    instants = ("2026-01-15T01:00Z", "2026-01-15T03:00+02:00", "2026-01-14 20:00:00-05:00")
    found = []
    for at in (*instants, "2026-01-15T01:00"):
        file = linear.folder / "zoned.csv"
        file.write_text(f"ts,product,nav_per_unit\n{at},BTC3L,1\n2026-01-15T02:00,BTC3L,1.1\n")
        found.append(read_reconciliation(linear.ours.path, file, None, 60.0).days)
    assert all(days == found[0] for days in found)
    assert found[0][0].from_ns == 1_768_438_800 * 10**9


def test_the_command_says_what_is_unexplained(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table by day and cause, and the rest in a sentence; fills need units."""
    desk.told("command")
    nav, fills = desk.folder / "command-nav.csv", desk.folder / "command-fills.csv"
    asked: Callable[..., Any] = lambda *more: main(  # noqa: E731
        ["reconcile", str(desk.ours.path), "--nav", str(nav), *more]
    )
    assert asked("--fills", str(fills)) == 0
    out = capsys.readouterr().out
    assert "Unexplained: 0.00 basis points a day" in out
    assert "missing fill" in out
    nav.write_text("ts,product,nav_per_unit\n2026-01-15T01:00,BTC3L,1\n2026-01-15T02:00,BTC3L,1\n")
    assert asked() == 0
    assert asked("--fills", str(fills)) == 4
    assert "needs units in every line" in capsys.readouterr().err
