"""Tests of ``engine.venue.places``: which version of a queue holds for which sample, and who is
ahead of whom."""

from __future__ import annotations

import tracemalloc
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
from tests.engine.venue.test_crowd import crowd_and_accounts
from tests.engine.venue.test_held import accounts, listed


def hold(account: TraderAccount, lots: int) -> None:
    account.trader.holdings[0].lots = lots


@pytest.mark.parametrize("seed", range(30))
def test_each_sample_is_told_what_stood_then(seed: int) -> None:
    """Changes at drawn samples, blocks of drawn lengths: each sample has the lots of the last
    change at or before it, whenever it is looked at, and what was handed out never changes; a
    version without a sample is one that ended where its block began. Catches a change that counts a
    sample early or late, is lost between two blocks, or alters a block that is gone."""
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
                assert first < end or not end
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


def test_who_holds_nothing_is_in_neither_queue() -> None:
    """The tenth of ten longs holds one lot, nothing, or is short of one. The third is then third of
    ten, of nine, and of nine; sold short beside that one it is one of two. Catches flat accounts
    that are counted, single lots that are not, and sides that are mixed."""
    queue = ranked(10)
    for lots, place in ((1, 8 / 10), (0, 7 / 9), (-1, 7 / 9)):
        queue.held.lots[9] = lots
        queue.held.cost[9], queue.held.cash[9] = 100 * lots, 10**6
        assert quantiles(queue, 1)[0][0] == place
    queue.held.lots[8] = 0
    queue.held.lots[2] *= -1
    queue.held.cost[2] *= -1
    queue.held.cash[2] += 200 * 10**6
    assert quantiles(queue, 1)[0][0] == 2 / 2


def test_the_first_row_has_a_seat_too() -> None:
    """Whose hedge is the first account is first of ten. Catches a seat that counts as none."""
    queue = ranked(10)
    queue.seats = [-1, 0]
    ((nowhere, first),) = quantiles(queue, 1)
    assert (nowhere != nowhere, first) == (True, 1.0)


def test_places_depend_on_the_marks_of_what_is_held_elsewhere() -> None:
    """Of somebody who holds the other market too, on both marks, also in later versions; else on
    one, and then asking puts no columns together. Catches a market that is missed, and work that
    nobody asked for."""
    listings = listed("plain", inverse=False)
    known = accounts(listings, inverse=False)
    first = Queue(listings, 0, Held(np.zeros(len(known))), [0])
    single, both = first.after(), first.after()
    single.put(0, known[0].positions(), known[0].cash, queued=True)
    assert (single.markets, single.columns) == ([0], None)
    assert len(known[2].positions()) == 2
    both.put(2, known[2].positions(), known[2].cash, queued=True)
    assert both.markets == [0, 1]
    assert both.after().markets == [0, 1]


def test_rows_of_a_crowd_are_read_as_they_stood() -> None:
    """Two rows are closed from the second sample of a block on: one look sees nobody gone, the next
    both; where nothing has changed there is no new version. Catches a crowd that is not followed,
    or from another sample on."""
    listing, crowd, known = crowd_and_accounts(inverse=False)
    places = Places([listing], 0, known[:1], [0], [crowd])
    places.start()
    places.follow_crowds(0)
    ((_, before),) = places.take(2)
    places.follow_crowds(1)
    assert places.take(1) == ((0, before),)
    rows = np.flatnonzero(crowd.lots)[:2]
    held = crowd.lots[rows].tolist()
    crowd.closed(rows, np.zeros(2, np.int64))
    places.follow_crowds(1)
    (first, same), (second, after) = places.take(3)
    assert (first, same, second) == (0, before, 1)
    for queue, lots in ((before, held), (after, [0, 0])):
        ((history, count),) = queue.crowds
        assert history.at(count)["lots"][rows].tolist() == lots


def test_changes_at_one_sample_are_one_version() -> None:
    """Two accounts change at the first sample, and both again at the third, once it was handed out:
    three versions are kept, not five. Catches a version for each change."""
    listings = listed("plain", inverse=False)
    known = accounts(listings, inverse=False)
    places = Places(listings, 0, known, [0])
    places.start()
    for sample in (0, 2):
        for row in (0, 1):
            places.change(row, known[row].positions(), known[row].cash, sample, queued=True)
    (_, first), (_, second) = places.take(3)
    assert second.before is first
    assert sorted(first.changed) == sorted(second.changed) == [0, 1]
    assert first.before is not None
    assert first.before.before is None


def test_versions_that_nobody_looked_at_do_not_pile_up() -> None:
    """A change a block: each version keeps the one before until the 1,001st that is handed out is
    put together, and then each 1,001st after it. Catches memory that grows for ever, and work at
    every block."""
    listings = listed("plain", inverse=False)
    known = accounts(listings, inverse=False)
    places = Places(listings, 0, known, [0])
    places.start()
    whole = []
    for block in range(1, 2_100):
        places.change(0, known[0].positions(), known[0].cash, 0, queued=True)
        ((_, queue),) = places.take(1)
        if queue.before is None:
            whole.append(block)
    assert whole == [1_001, 2_002]


def test_scores_of_many_samples_are_worked_out_in_parts() -> None:
    """Of 2,000 accounts 524 samples are 2**20 scores, 8 MB a column: four times as many samples
    take no more room than one part of them, and a part is no smaller. Catches a part that holds all
    samples or a single one."""
    queue, peaks = ranked(2_000), []
    for samples in (524, 4 * 524):
        times = range(1, 1 + samples)
        quantiles(queue, *times)
        tracemalloc.start()
        found = quantiles(queue, *times)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert {place for place, _ in found} == {1998 / 2000}
    assert peaks[0] > 8 * 524 * 2_000
    assert peaks[1] < 1.25 * peaks[0]


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
