"""Tests of ``engine.venue.places``: which version of a queue holds for which sample, and who is
ahead of whom."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.accounts import TraderAccount
from engine.venue.crowd_versions import History
from engine.venue.held import Held
from engine.venue.places import Places, Queue
from engine.venue.rules import AdlRules, MarginRules, Tier, VenueRules
from engine.venue.standing import Listing
from tests.engine.venue.test_held import accounts, listed


def hold(account: TraderAccount, lots: int) -> None:
    account.trader.holdings[0].lots = lots


@pytest.mark.parametrize("seed", range(30))
def test_each_sample_is_told_what_stood_then(seed: int) -> None:
    """Changes at drawn samples, blocks of drawn lengths: each sample has the lots of the last
    change at or before it, whenever it is looked at, and what was handed out never changes. Catches
    a change that counts a sample early or late, is lost between two blocks, or alters a block that
    is gone."""
    random = Random(seed)
    listings = listed("plain", inverse=False)
    known = accounts(listings, inverse=False)
    places = Places(listings, 0, known, [0])
    places.start()
    taken: list[Queue] = []
    expected: list[int] = []
    lots, begun = 0, 0
    for _ in range(40):
        ahead = random.choice((0, 0, 1, 2, 5))
        while begun + ahead < len(expected):
            ahead += 1
        expected += [lots] * (begun + ahead - len(expected))
        if random.random() < 0.7:
            lots = random.randint(1, 10**6)
            hold(known[0], lots)
            queued = random.random() < 0.8
            lots = lots if queued else 0
            places.change(0, known[0].positions(), known[0].cash, ahead, queued=queued)
        if random.random() < 0.5:
            count = random.randint(1, 4)
            expected += [lots] * (begun + count - len(expected))
            versions = places.take(count)
            assert versions[0][0] == 0
            ends = [*(first for first, _ in versions[1:]), count]
            for (first, queue), end in zip(versions, ends, strict=True):
                assert first <= end
                taken += [queue] * (end - first)
                if (
                    first < end and random.random() < 0.3
                ):  # some are looked at early, most of them late
                    assert queue.held.lots.item(0) == expected[begun + first]
            begun += count
    assert [queue.held.lots.item(0) for queue in taken] == expected[: len(taken)]


def ranked(count: int, crowd: int = 0, ranking: str = "hyperliquid") -> Queue:
    """Longs of one coin from 100, with 10, 11, 12, ... paid in: the first is levered most. The
    products' hedges are the third and nobody's; a crowd stands after them."""
    tier = Tier(cap=1e9, max_leverage=50.0, rate=0.01)
    adl = AdlRules(ranking=ranking)  # type: ignore[arg-type]
    rules = VenueRules(margin=MarginRules(tiers=(tier,)), adl=adl)
    listing = Listing(listed("plain", inverse=False)[0].contract, rules)
    held = Held(np.zeros(count))
    held.lots[:] = 10**6
    held.cost[:] = 100 * 10**6
    held.cash[:] = (10 + np.arange(count)) * 10**6 - 100 * 10**6
    names = ("lots", "cash", "cost", "leverage")
    row = dict(zip(names, (10**6, -89.5 * 10**6, 100 * 10**6, 0.0), strict=True))
    history = History({name: np.full(crowd, value) for name, value in row.items()})
    return Queue([listing], 0, held, [2, -1], ((history, 0),) if crowd else ())


def quantiles(queue: Queue, *times: int) -> list[list[float]]:
    marks = {0: np.full(len(times), 100.0)}
    found: list[list[float]] = queue.quantiles(np.array(times, np.int64), marks).tolist()
    return found


def test_a_place_counts_who_is_ahead() -> None:
    """Third of ten: eight of ten are not ahead. With two rows of 10.5 between the first and the
    second, eight of twelve; equals are ahead if they come first. Who has no seat is nowhere."""
    ((first, nowhere),) = quantiles(ranked(10), 1)
    assert (first, nowhere != nowhere) == (0.8, True)
    assert quantiles(ranked(10, 2), 1)[0][0] == 8 / 12
    equal = ranked(10)
    equal.held.cash[:] = equal.held.cash[2]
    assert quantiles(equal, 1)[0][0] == 0.8
    flat = ranked(10)
    flat.held.lots[2] = 0
    assert all(np.isnan(quantiles(flat, 1)[0]))
    short = ranked(10)
    short.held.lots[2] *= -1
    short.held.cost[2] *= -1
    short.held.cash[2] += 200 * 10**6
    assert quantiles(short, 1)[0][0] == 1.0


@pytest.mark.parametrize(
    ("count", "crowd", "every"),
    [
        *((2_000, 0, 1), (1_500, 500, 1), (2_001, 0, MINUTE_NS), (1_500, 501, MINUTE_NS)),
        *((2_000, 18_000, MINUTE_NS), (2_000, 18_001, HOUR_NS)),
    ],
)
def test_the_more_there_are_the_rarer_they_are_counted(count: int, crowd: int, every: int) -> None:
    """At each sample, whole minute, or whole hour; enough instants to be counted in parts."""
    times = [
        *range(HOUR_NS - 3 * MINUTE_NS, HOUR_NS + 3 * MINUTE_NS, MINUTE_NS),
        17 * SECOND_NS + 1,
    ]
    found = [place for place, _ in quantiles(ranked(count, crowd), *times)]
    due = [ts_ns % every == 0 for ts_ns in times]
    assert [place == place for place in found] == due
    assert {place for place in found if place == place} == {(count - 2) / (count + crowd)}
