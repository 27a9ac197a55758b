"""Tests of ``engine.venue.queue``, worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.venue.queue import (
    QueueSpec,
    Resting,
    pass_level,
    pass_quote,
    pass_trade,
    share_behind,
)

LINEAR = QueueSpec(model="power", exponent=1.0)


def a_bid(**fields: Any) -> Resting:
    """Ten lots bid at 100, 60 of others before them on a level of 100."""
    known = {"side": 1, "price": 100.0, "lots": 10, "ahead": 60.0, "level": 100.0}
    return Resting(**{**known, "traded": 0.0, "rested_ns": 0, **fields})


def test_a_trade_takes_from_the_front() -> None:
    """60 ahead: a sale of 50 leaves 10; one of 13 goes 3 beyond them and fills 3; one of 9 fills
    the 7 that are left."""
    bid = a_bid()
    assert pass_trade(bid, 100.0, 50, -1) == 0
    assert bid.ahead == 10.0
    assert pass_trade(bid, 100.0, 13, -1) == 3
    assert (bid.lots, bid.ahead) == (7, 0.0)
    assert pass_trade(bid, 100.0, 9, -1) == 7
    assert bid.lots == 0


def test_parts_of_a_lot_are_not_filled_but_kept() -> None:
    """2.5 ahead: a trade of 2 leaves half a lot and fills none; one of 2 passes 1.5 of ours and
    fills one lot; the next of 1 fills one with the half that was over, and the one after that its
    own. Catches a part of a lot ahead that counts as passed."""
    bid = a_bid(ahead=2.5)
    assert pass_trade(bid, 100.0, 2, -1) == 0
    assert (bid.ahead, bid.lots) == (0.5, 10)
    assert pass_trade(bid, 100.0, 2, -1) == 1
    assert bid.ahead == -0.5
    assert pass_trade(bid, 100.0, 1, -1) == 1
    assert pass_trade(bid, 100.0, 1, 0) == 1


@pytest.mark.parametrize(
    ("side", "price", "aggressor", "filled"),
    [
        (1, 99.5, -1, 10),
        (1, 99.5, 1, 10),
        (1, 100.5, -1, 0),
        (1, 100.0, 1, 0),
        (-1, 100.5, 1, 10),
        (-1, 99.5, 1, 0),
        (-1, 100.0, -1, 0),
    ],
)
def test_which_trades_matter(side: int, price: float, aggressor: int, filled: int) -> None:
    """A trade beyond our price has passed all of our level, whatever its size; one before it, or of
    our own side's aggressor, is none of ours. Catches a side."""
    order = a_bid(side=side)
    assert pass_trade(order, price, 1, aggressor) == filled
    assert order.ahead == (70.0 if filled else 60.0)


def test_a_sale_meets_an_ask_never() -> None:
    """An ask is taken by buyers, and by who is unknown."""
    ask = a_bid(side=-1, ahead=0.0)
    assert pass_trade(ask, 100.0, 4, -1) == 0
    assert pass_trade(ask, 100.0, 4, 1) == 4
    assert pass_trade(ask, 100.0, 4, 0) == 4


def test_a_decrease_is_split_by_its_chance() -> None:
    """60 ahead, 40 behind, n = 1: of ten cancelled 4 lay behind and 6 ahead."""
    bid = a_bid()
    pass_level(LINEAR, bid, 90.0, 1.0)
    assert bid.ahead == pytest.approx(54.0)
    assert (bid.level, bid.traded) == (90.0, 0.0)


def test_what_traded_is_not_counted_twice() -> None:
    """20 trade, and the level falls from 100 to 70: ten were cancelled, with 40 ahead and 40
    behind: five of each."""
    bid = a_bid()
    pass_trade(bid, 100.0, 20, -1)
    pass_level(LINEAR, bid, 70.0, 1.0)
    assert bid.ahead == pytest.approx(35.0)
    pass_level(LINEAR, bid, 70.0, 1.0)
    assert bid.ahead == pytest.approx(35.0)


def test_who_comes_is_behind() -> None:
    """An increase changes nothing ahead; when it goes again, mostly from behind, little does."""
    bid = a_bid()
    pass_level(LINEAR, bid, 400.0, 1.0)
    assert bid.ahead == 60.0
    pass_level(LINEAR, bid, 360.0, 1.0)
    assert bid.ahead == pytest.approx(60.0 - 40.0 * 60.0 / 400.0)


def test_there_are_never_more_ahead_than_there_are() -> None:
    """A level that falls to 5 has at most 5 ahead; one that is gone has none, and stays so."""
    bid = a_bid(ahead=10.0, level=20.0)
    pass_level(QueueSpec(exponent=9.0), bid, 5.0, 1.0)
    assert bid.ahead <= 5.0
    pass_level(LINEAR, bid, 0.0, 1.0)
    assert bid.ahead == 0.0
    pass_level(LINEAR, bid, 50.0, 1.0)
    assert bid.ahead == 0.0


def test_less_than_a_lot_may_be_behind() -> None:
    """39.5 ahead of 40, n = 1: of ten cancelled an 80th part, an eighth of a lot, lay behind, and
    9.875 ahead. Catches what is behind rounded, or no less than a lot."""
    bid = a_bid(ahead=39.5, level=40.0)
    pass_level(LINEAR, bid, 30.0, 1.0)
    assert bid.ahead == pytest.approx(39.5 - 9.875, rel=1e-15)


def test_no_more_goes_from_behind_than_is_there() -> None:
    """30 ahead and 10 behind, n = 0.01: half of 38 would be 19 from behind, where only 10 are; so
    28 are from ahead and 2 are left."""
    bid = a_bid(ahead=30.0, level=40.0)
    pass_level(QueueSpec(exponent=1e-9), bid, 2.0, 1.0)
    assert bid.ahead == pytest.approx(2.0)


def test_an_unknown_queue_is_endless_until_it_is_told() -> None:
    """No trade at our price fills; a told level of 7 is 7 ahead."""
    bid = a_bid(ahead=math.inf, level=math.inf)
    assert pass_trade(bid, 100.0, 10**6, -1) == 0
    pass_level(LINEAR, bid, 7.0, 1.0)
    assert (bid.ahead, bid.level, bid.traded) == (7.0, 7.0, 0.0)
    assert pass_trade(bid, 100.0, 9, -1) == 2


@pytest.mark.parametrize(
    ("side", "price", "filled"), [(1, 100.0, 10), (1, 99.0, 10), (1, 100.5, 0), (-1, 100.0, 10),
                                  (-1, 100.5, 10), (-1, 99.5, 0)],
)  # fmt: skip
def test_a_quote_of_the_other_side(side: int, price: float, filled: int) -> None:
    """An ask at our bid or below it has taken us, a bid at our ask or above; nothing else has."""
    order = a_bid(side=side)
    assert pass_quote(order, price) == filled
    assert order.lots == 10 - filled


def test_the_chance_by_either_function() -> None:
    """x^3 with 1 ahead and 2 behind: 8 / 9; with 2 ahead and 1 behind: 1 / 9. ln(1 + x) with 1 and
    3: ln 4 / (ln 4 + ln 2) = 2 / 3. Nothing behind: 0; nothing ahead: 1; extremes stay numbers."""
    assert share_behind(QueueSpec(), 1.0, 2.0) == pytest.approx(8.0 / 9.0, rel=1e-14)
    assert share_behind(QueueSpec(), 2.0, 1.0) == pytest.approx(1.0 / 9.0, rel=1e-14)
    log = QueueSpec(model="log")
    assert share_behind(log, 1.0, 3.0) == pytest.approx(2.0 / 3.0, rel=1e-14)
    assert share_behind(log, 3.0, 1.0) == pytest.approx(1.0 / 3.0, rel=1e-14)
    for spec in (QueueSpec(), log):
        assert share_behind(spec, 5.0, 0.0) == 0.0
        assert share_behind(spec, 0.0, 5.0) == 1.0
    assert share_behind(QueueSpec(exponent=400.0), 1e-300, 1e300) == 1.0
    assert share_behind(QueueSpec(exponent=400.0), 1e300, 1e-300) == 0.0


def test_the_unit_of_a_logarithm_is_the_venues() -> None:
    """1 lot ahead and 3 behind in lots of a thousandth: ln 1.003 / (ln 1.003 + ln 1.001)."""
    bid = a_bid(ahead=1.0, level=4.0)
    pass_level(QueueSpec(model="log"), bid, 3.0, 0.001)
    behind = math.log(1.003) / (math.log(1.003) + math.log(1.001))
    assert bid.ahead == pytest.approx(1.0 - (1.0 - behind))
