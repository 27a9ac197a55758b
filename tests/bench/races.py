"""W1 and W2 against both yardsticks, what a rebalance costs, and how many wakes were for
nothing."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, Final

from tests.bench.clock import once
from tests.bench.compiled import Compiled, available, compile_now
from tests.bench.contest import Contestant, Ours, Score, equal, play
from tests.bench.plain import Plain
from tests.bench.table import Row, Scale
from tests.bench.tapes import BLOCK_ROWS, WORK, Lineup, MixedTape, Tape, mixed_tape, tape

__all__ = ["CONTESTANTS", "race_mixed", "race_w1", "race_w2", "rebalance", "wake_row"]

CONTESTANTS: Final[dict[str, Callable[[Lineup], Contestant]]] = {
    "ours": Ours,
    "numba": Compiled,
    "plain": Plain,
}
EMPTY_SHARE: Final = 0.05
PER_REBALANCE_US: Final = 20.0
FEW: Final = 20_000
_RESTLESS: Final = Lineup((3.0,), (2.99995,), (3.00005,))
"""Nearly every tick is a rebalance."""
LONG: Final = 100_000_000
"""Ticks times products."""
_LEFT_OUT: Final = "the yardsticks encode no events, chain no digests, attribute no costs"
_TARGETS: Final = {  # (plain, numba) by work and block
    ("w1", 1_000): (8.0, 0.5),
    ("w1", 100): (2.0, None),
    ("w2", 1_000): (15.0, None),
    ("mixed", BLOCK_ROWS): (None, None),
}


def race_w1(scale: Scale) -> list[Row]:
    """One 3x product, blocks of 1,000 and of 100."""
    return _race("w1", (1_000, 100), scale)


def race_w2(scale: Scale) -> list[Row]:
    """A hundred products that rebalance all the time."""
    return _race("w2", (1_000,), scale)


def race_mixed(scale: Scale) -> list[Row]:
    """Three products on trades, book tops and marks, as a recording has them."""
    return _race("mixed", (BLOCK_ROWS,), scale)


def _replayed(work: str, ticks: int) -> Tape | MixedTape:
    return mixed_tape(ticks) if WORK[work].mixed else tape(ticks)


def _who() -> list[str]:
    return [name for name in CONTESTANTS if name != "numba" or available()]


def _race(work: str, blocks: tuple[int, ...], scale: Scale) -> list[Row]:
    if available():
        compile_now()
    rows = []
    for ticks, rounds in scale.each():
        for block in blocks:
            scores = _rounds(work, ticks, block, _affordable(work, ticks, rounds))
            processes = {} if scale.smoke else _processes(work, ticks, block)
            rows.append(_row(work, ticks, block, scores, processes))
    return rows


def _affordable(work: str, ticks: int, rounds: int) -> int:
    """The plain loop takes minutes for a long W2; one round of it must do."""
    return 1 if len(WORK[work]) * ticks > LONG else rounds


def _rounds(work: str, ticks: int, block: int, rounds: int) -> dict[str, list[Score]]:
    """Runs of everybody, one after the other, so that a busy machine is busy for all."""
    lineup, replayed = WORK[work], _replayed(work, ticks)
    scores: dict[str, list[Score]] = {name: [] for name in _who()}
    for _ in range(rounds):
        for name, runs in scores.items():
            runs.append(play(CONTESTANTS[name](lineup), lineup, replayed, block))
    for name, runs in scores.items():
        equal(scores["ours"][0].tally, runs[0].tally, name)
    return scores


def _processes(work: str, ticks: int, block: int) -> dict[str, dict[str, float]]:
    found = {}
    for name in _who():
        process = once("race", name, work, ticks, block)
        found[name] = {"cpu": process.cpu, "wall": process.wall, "rss": process.rss}
    return found


def _row(
    work: str,
    ticks: int,
    block: int,
    scores: dict[str, list[Score]],
    processes: dict[str, dict[str, float]],
) -> Row:
    ours = scores["ours"]
    seconds = {name: median(s.cpu for s in runs) for name, runs in scores.items()}
    ratios = {
        name: median(theirs.cpu / own.cpu for own, theirs in zip(ours, runs, strict=True))
        for name, runs in scores.items()
        if name != "ours"
    }
    least_plain, least_numba = _TARGETS[work, block]
    target, met = "", None
    if least_plain is not None:
        target = f">= {least_plain:g}x plain"
        met = ratios["plain"] >= least_plain
    if least_numba is not None:
        target += f", >= {least_numba:g}x numba"
        met = bool(met) and ratios.get("numba", least_numba) >= least_numba
    figure = f"{ratios['plain']:.1f}x plain, " + (
        f"{ratios['numba']:.2f}x numba" if "numba" in ratios else "numba is not installed"
    )
    figure += "\n" + ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    figure += f" (median of {len(ours)})"
    rows = median(score.rows for score in ours)
    figure += f"\nof ours {rows:.3f} s making NAV rows"
    if processes:
        figure += "\nwhole process: " + ", ".join(
            f"{name} {process['cpu']:.2f} s" for name, process in processes.items()
        )
    tally = ours[0].tally
    return Row(
        name=work,
        work=f"{ticks // 1_000:,}k ticks, {len(tally.navs)} products, "
        f"{tally.rebalances:,} rebalances, "
        f"blocks of {block:,}, {tally.samples * len(tally.navs):,} NAVs",
        target=target,
        figure=figure,
        met=met,
        note=_LEFT_OUT,
        details={
            "ticks": ticks,
            "block": block,
            "rebalances": tally.rebalances,
            "events": tally.events,
            "cpu": {name: [s.cpu for s in runs] for name, runs in scores.items()},
            "wall": {name: [s.wall for s in runs] for name, runs in scores.items()},
            "rows_cpu": [s.rows for s in ours],
            "ratios": ratios,
            "processes": processes,
            "wakes": ours[0].wakes,
            "wakes_empty": ours[0].wakes_empty,
        },
    )


def rebalance(scale: Scale) -> list[Row]:
    """What W2's rebalances cost, beyond the same ticks and samples with bands that nothing
    reaches."""
    ticks, rounds = scale.each()[0]
    busy, idle = WORK["w2"], WORK["w2"].idle()
    costs, floors, count = [], [], 0
    for _ in range(rounds):
        at_work = play(Ours(busy), busy, tape(ticks), 1_000)
        at_rest = play(Ours(idle), idle, tape(ticks), 1_000)
        count = at_work.tally.rebalances
        costs.append((at_work.cpu - at_rest.cpu) / count * 1e6)
        plain = play(Plain(_RESTLESS), _RESTLESS, tape(FEW), 1_000)
        floors.append(plain.cpu / plain.tally.rebalances * 1e6)
    cost, floor = median(costs), median(floors)
    return [
        Row(
            name="rebalance",
            work=f"order, fill, 4 transfers, 3 events, new watch ({count:,} of them)",
            target=f"<= {PER_REBALANCE_US:g} us",
            figure=f"{cost:.1f} us (the plain loop's own: {floor:.1f} us)",
            met=cost <= PER_REBALANCE_US,
            note="W2 less W2 without rebalances; with encoding, digest, attribution, and the "
            "changes of line in the NAV samples",
            details={"microseconds": costs, "plain_microseconds": floors},
        )
    ]


def wake_row(rows: list[Row]) -> Row:
    """The empty wakes of everything that ran before."""
    counted: dict[str, Any] = {}
    for number, row in enumerate(rows):
        if row.details.get("wakes"):
            counted[f"{row.name} {number}"] = (row.details["wakes_empty"], row.details["wakes"])
    worst = max((empty / wakes for empty, wakes in counted.values()), default=0.0)
    return Row(
        name="wakes",
        work=f"handlers woken that had nothing to say, the worst of {len(counted)} runs",
        target="<= 5 % of wakes",
        figure=f"{worst:.1%}" if counted else "nothing ran that counts wakes",
        met=worst <= EMPTY_SHARE if counted else None,
        details={"runs": counted},
    )
