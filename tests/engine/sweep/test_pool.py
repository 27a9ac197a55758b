"""Tests of ``engine/sweep/pool.py``: a pool that outlives its workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from engine.sweep.pool import LocalPool, UnsentError, WorkerDiedError
from engine.sweep.sweeping import ahead_of
from tests.engine.sweep import deadly


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    """Two workers."""
    with LocalPool(2) as pool:
        yield pool


def test_one_death_is_one_future(pool: LocalPool) -> None:
    """A task that kills its worker fails alone, with the signal; those before, beside and after it
    are done."""
    futures = [pool.submit(deadly.double, n) for n in range(6)]
    dead = pool.submit(deadly.die, 0)
    later = [pool.submit(deadly.double, n) for n in range(6)]
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        dead.result()
    assert [future.result() for future in (*futures, *later)] == [0, 2, 4, 6, 8, 10] * 2


def test_workers_that_are_killed_are_replaced(pool: LocalPool) -> None:
    """Whoever kills all workers finds as many others, and they work."""
    assert pool.submit(deadly.double, 1).result() == 2
    before = pool.pids
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    futures = [pool.submit(deadly.double, n) for n in range(8)]
    wait(futures)
    done = [future.result() for future in futures if future.exception() is None]
    assert len(done) >= 6
    assert not set(before) & set(pool.pids)


def test_a_sweep_hands_out_as_much_as_its_workers_need(pool: LocalPool) -> None:
    """Two parts for each: one that it is at, and one that waits. Catches a pool that does not say
    how many it has: of a hundred workers all beyond the 64th would never get anything."""
    assert ahead_of(pool) == 2 * len(pool.pids)


def test_an_exception_is_raised_where_the_future_is_asked(pool: LocalPool) -> None:
    """It is not a death, and the worker goes on."""
    before = sorted(pool.pids)
    with pytest.raises(ValueError, match="no such thing"):
        pool.submit(deadly.raise_it, "no such thing").result()
    assert sorted(pool.pids) == before


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("stubborn", "StubbornError: an odd one at noon"),
        ("lost", "LostError: lost"),
        ("clinging", "ClingingError: clinging"),
        ("lock", "the result cannot be sent: TypeError: cannot pickle"),
        ("riddle", "what the worker answered cannot be read: ValueError: no such thing"),
    ],
)
def test_what_does_not_come_through_a_pipe_fails_alone(
    pool: LocalPool, what: str, said: str
) -> None:
    """It fails its own future, in words; the worker goes on, and so does everybody else's work.
    Catches a pool whose futures are never done because one exception could not be unpacked."""
    before = sorted(pool.pids)
    beside = [pool.submit(deadly.double, n) for n in range(3)]
    odd = pool.submit(deadly.keep_it, what)
    later = pool.submit(deadly.double, 5)
    with pytest.raises(UnsentError, match=said):
        odd.result(30)
    assert [future.result(30) for future in (*beside, later)] == [0, 2, 4, 10]
    assert sorted(pool.pids) == before


def test_a_task_that_cannot_be_sent_fails_alone(pool: LocalPool) -> None:
    """Neither can a lambda be packed, nor a riddle be unpacked by the worker."""
    with pytest.raises(UnsentError, match="the task cannot be sent"):
        pool.submit(lambda: 1).result(30)
    with pytest.raises(ValueError, match="no such thing"):
        pool.submit(deadly.double, deadly.Riddle()).result(30)
    assert pool.submit(deadly.double, 5).result(30) == 10


def test_a_pool_that_is_shut_down_takes_nothing() -> None:
    """And its workers are gone."""
    pool = LocalPool(1)
    assert pool.submit(deadly.double, 4).result() == 8
    (pid,) = pool.pids
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(deadly.double, 1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_pool_that_is_abandoned_waits_for_nobody() -> None:
    """A task that would never end is ended with its worker, and what waited is cancelled."""
    pool = LocalPool(1)
    assert pool.submit(deadly.double, 4).result() == 8
    (pid,) = pool.pids
    endless, behind = pool.submit(time.sleep, 1e6), pool.submit(deadly.double, 1)
    while not endless.running():
        time.sleep(0.001)
    pool.abandon()
    with pytest.raises(WorkerDiedError):
        endless.result(0)
    assert behind.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_workers_are_no_pool() -> None:
    """Zero workers would never finish."""
    with pytest.raises(ValueError, match="1 or more, was 0"):
        LocalPool(0)
