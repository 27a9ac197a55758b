"""Prices and amounts of any size: lots that fit them, or a sentence where none can be counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import api
from engine.config.lineup import standard_lineup
from engine.errors import OutOfRangeError
from feeds.recording import open_recording
from tests.bad_input.tape import DATA, START_MS, csv_of, tape

FLAT = ("--set", 'markets.0.book={model="flat"}')


def times(factor: float, name: str = "BTCUSDT-scaled.csv") -> str:
    """The tape with its prices that many times as high."""
    rows = [(i, repr(float(price) * factor), *rest) for i, price, *rest in tape()]
    Path(name).write_text(csv_of(rows))
    return name


@pytest.mark.parametrize(
    ("price", "lot"),
    [
        (1e-5, 10.0),
        (5e-4, 1.0),
        (0.5, 1e-3),
        (25.0, 1e-5),
        (150.0, 1e-6),
        (3_000.0, 1e-6),
        (120_000.0, 1e-6),
        (5e6, 1e-7),
    ],
)
def test_a_lot_fits_the_price(price: float, lot: float, folder: Path) -> None:
    """A lot of the standard line-up is worth 1e-4 to 1 quote, BTC's and ETH's 1e-6 coins as ever,
    and one bad price at the start changes nothing. Catches lots by the 10^18, and lots too coarse
    to hold a position with."""
    rows = [(i, repr(price), *rest) for i, _, *rest in tape()]
    rows[0] = (rows[0][0], repr(price * 1e9), *rows[0][2:])
    (folder / "SOLUSDT-aggTrades.csv").write_text(csv_of(rows))
    lineup = standard_lineup(open_recording([folder / "SOLUSDT-aggTrades.csv"]).symbols)
    assert lineup.markets[0].contract.lot_size == lot
    assert lot <= 1e-6 or lot * price * 1.000001 >= 1e-4


@pytest.mark.parametrize("factor", [1e-10, 1e-5, 1e5])
def test_cheap_and_dear_coins_run(factor: float, run: Callable[..., Any]) -> None:
    """The same moves at other prices give the same returns. Catches roundings that eat a product of
    a cheap coin."""
    usual = run(DATA, *FLAT).json["products"]
    told = run(times(factor), *FLAT)
    assert told.code == 0
    for name, product in told.json["products"].items():
        assert product["nav_end"] == pytest.approx(usual[name]["nav_end"], rel=1e-4), name


def test_more_lots_than_can_be_counted_are_refused_at_load(run: Callable[..., Any]) -> None:
    """Exit 3 before the replay, with the setting and what to do. Catches an overflow that the
    prices of the data announce."""
    sets = ("--set", "products.0.seed_capital=1e8", "--set", "markets.0.contract.lot_size=1e-6")
    told = run(times(1e-10), *sets)
    assert (told.code, told.out) == (3, "")
    assert "are more lots than can be counted; use a smaller seed_capital" in told.err
    assert not Path("out").exists()


def falling(count: int = 30) -> str:
    """After a calm, each price half of the one before: what is short grows fivefold in lots each
    time."""
    prices = [60_000.0] * 120 + [60_000.0 / 2.0**n for n in range(count)]
    rows = [(n, repr(p), "1", START_MS + 1_000 * n, "true") for n, p in enumerate(prices)]
    Path("BTCUSDT-fall.csv").write_text(csv_of(rows))
    return "BTCUSDT-fall.csv"


GROWING = (
    *FLAT,
    *("--set", "markets.0.contract.lot_size=1e-12"),
    *("--set", "markets.0.venue.tiers=[]"),  # which would let nothing grow so far
)


def test_what_leaves_64_bits_ends_the_run_in_a_sentence(run: Callable[..., Any]) -> None:
    """Exit 1 with product, tick and what to do; the directory is left without half a run. Catches
    an internal error of a packer, and numbers that wrap."""
    told = run(falling(), *GROWING)
    assert (told.code, told.out) == (1, "")
    assert "error: BTC3S tick " in told.err
    assert "use a smaller seed_capital or a larger lot_size of BTCUSDT" in told.err
    assert not Path("out").exists()
    assert run(falling(6), *GROWING).code == 0


def test_the_api_raises_it_by_name(folder: Path) -> None:
    """A program can tell it from a fault of ours."""
    with pytest.raises(OutOfRangeError, match="no longer fit 64 bits"):
        api.run(folder / falling(), sets=GROWING[1::2], write=False)
