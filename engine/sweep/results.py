"""From finished chunks to results: one Parquet file, figures by policy, a ranking, the worst runs.

Chunks are read once, in their order, and never all at a time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct, structs

from engine.report.words import digits_of
from engine.sweep.driver import read_chunk
from engine.sweep.grid import Axis
from engine.sweep.measures import FAULT, ROWS, VIOLATED
from engine.sweep.plan import Plan
from engine.sweep.ranking import Ranked, ranked
from engine.sweep.store import Store
from engine.sweep.tally import COUNTED, MONEY, NAV_STEPS, Tallies, Tally, merged, tallied

__all__ = ["PARQUET", "WORST", "Gathered", "Worst", "figures_of", "gathered", "worst_rows"]

WORST: Final = 10
FAULTS_TOLD: Final = 20
PARQUET: Final = "sweep.parquet"

_GROUP_ROWS: Final = 65_536
_TAIL: Final = 0.05
_Z: Final = 1.959963984540054

I64 = np.ndarray[Any, np.dtype[np.int64]]


class Worst(Struct, frozen=True, order=True):
    """A run among the worst, by what its worst product was worth at the end; ``order`` is that of
    the fields: NAV per unit, what the issuer did not lose, drawdown."""

    nav_end: float
    issuer_loss: float
    max_drawdown: float
    point: int
    path: int
    product: str


class Gathered(Struct):
    """What the chunks hold together.

    Attributes:
        tallies: by point and product.
        ranking: of all points and products.
        worst: at most ``WORST`` runs, the worst first; ``issuer_loss`` with its sign turned.
        faults: ``(point, path, why)`` of runs without a result, the first ones.
        faulty: how many there are.
        violations: ``(point, path, what)`` of runs that did not keep to what scenarios expect.
        violating: how many there are.
    """

    tallies: Tallies
    ranking: list[Ranked]
    worst: list[Worst]
    faults: list[tuple[int, int, str]]
    faulty: int
    violations: list[tuple[int, int, str]]
    violating: int


def gathered(plan: Plan, store: Store, beside: Path) -> Gathered:
    """Write all rows of the finished chunks to ``beside``, and add them up."""
    keeper, columns = _Keeper(plan), _axis_columns(plan)
    schema = pa.schema([*ROWS, *(pa.field(axis.key, kind.type) for axis, kind in columns)])
    with pq.ParquetWriter(beside, schema, compression="zstd", write_page_checksum=True) as writer:
        for table in _groups(plan, store):
            keeper.take(table)
            point = table["point"]
            whole = table
            for axis, kind in columns:
                whole = whole.append_column(pa.field(axis.key, kind.type), kind.take(point))
            writer.write_table(whole)
    return keeper.result()


def _groups(plan: Plan, store: Store) -> Iterator[pa.Table]:
    """The rows in groups of about as many as Parquet likes."""
    waiting: list[pa.Table] = []
    for chunk in plan.chunks:
        waiting.append(read_chunk(store.finished[chunk.number].read_bytes()))
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _axis_columns(plan: Plan) -> list[tuple[Axis, Any]]:
    """Each axis with its value at every point: numbers where all are, else texts."""
    found = []
    for place, axis in enumerate(plan.axes):
        values = [values[place] for values in plan.points]
        kind = [float(v) for v in values] if axis.is_numeric else values
        found.append((axis, pa.array(kind)))
    return found


class _Keeper:
    """Adds up what comes, group by group."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._paths = plan, plan.paths
        self._cents = {name: _cents_of(asset) for name, asset in plan.quotes.items()}
        self._tallies: list[Tallies] = []
        self._navs: dict[tuple[int, str], I64] = {}
        self._worst: list[Worst] = []
        self._faults: list[tuple[int, int, str]] = []
        self._violations: list[tuple[int, int, str]] = []
        self._faulty = self._violating = 0

    def take(self, table: pa.Table) -> None:
        self._tallies = [merged([*self._tallies, tallied(table, self._cents)])]
        self._faulty += _noted(table, FAULT, self._faults)
        self._violating += _noted(table, VIOLATED, self._violations)
        known = table.filter(pc.is_valid(table["nav_end"]))
        known = known.filter(pa.array(self._firsts(known), pa.bool_()))
        self._note_navs(known)
        self._note_worst(known)

    def _firsts(self, known: pa.Table) -> list[bool]:
        """Rows at the first point of those that are alike for their product."""
        first_of, rows = self._plan.first_of, known.select(["point", "product"])
        points, products = rows["point"].to_pylist(), rows["product"].to_pylist()
        return [p == first_of(p, name) for p, name in zip(points, products, strict=True)]

    def _note_navs(self, known: pa.Table) -> None:
        steps = np.floor(known["nav_end"].to_numpy() * NAV_STEPS + 0.5).astype(np.int64)
        np.maximum(steps, 0, out=steps)
        point, path = known["point"].to_numpy(), known["path"].to_numpy()
        coded = known["product"].combine_chunks()
        coded = coded.dictionary_decode().dictionary_encode()
        place = coded.indices.to_numpy()
        for number, product in enumerate(coded.dictionary.to_pylist()):
            for each in np.unique(point[place == number]).tolist():
                rows = (place == number) & (point == each)
                column = self._navs.get((each, product))
                if column is None:
                    column = self._navs[each, product] = np.full(self._paths, -1, np.int64)
                column[path[rows]] = steps[rows]

    def _note_worst(self, known: pa.Table) -> None:
        """The worst run by its worst product, ties by what the issuer lost."""
        names = ["nav_end", "issuer_loss", "max_drawdown", "point", "path", "product"]
        columns = known.select(names)
        loss = -columns["issuer_loss"].to_numpy()
        nav, down = columns["nav_end"].to_numpy(), columns["max_drawdown"].to_numpy()
        point, path = columns["point"].to_numpy(), columns["path"].to_numpy()
        order = np.lexsort((path, point, down, loss, nav))
        found: dict[tuple[int, int], Worst] = {}
        for row in order.tolist():
            key = int(point[row]), int(path[row])
            if key not in found:
                product = columns["product"][row].as_py()
                each = Worst(float(nav[row]), float(loss[row]), float(down[row]), *key, product)
                found[key] = each
            if len(found) == WORST:
                break
        self._worst = heapq.nsmallest(WORST, [*self._worst, *found.values()])

    def result(self) -> Gathered:
        columns = [(point, product, navs) for (point, product), navs in self._navs.items()]
        columns.sort(key=lambda column: column[:2])
        tallies = dict(sorted(merged(self._tallies).items()))
        told = self._faults, self._faulty, self._violations, self._violating
        return Gathered(tallies, ranked(columns), self._worst, *told)


def _noted(table: pa.Table, column: str, told: list[tuple[int, int, str]]) -> int:
    """How many rows say something in a column; the first of them are put to what is ``told``."""
    saying = table.filter(pc.is_valid(table[column]))
    room = max(FAULTS_TOLD - len(told), 0)
    rows = saying.slice(0, room).select(["point", "path", column]).to_pylist()
    told += [(row["point"], row["path"], row[column]) for row in rows]
    return len(saying)


def figures_of(plan: Plan, found: Gathered) -> list[dict[str, Any]]:
    """A row a point and product: what became of it over all paths.

    ``nav_*`` are NAV per unit at the end, ``shortfall`` the mean of the worst 5 % of them;
    ``drawdown_*`` positive; ``ruin`` a probability with its 95 % interval; money in quote, a mean
    over the runs, but for ``issuer_loss_total``. ``same_as``: the first point with the same
    settings of this product; ranking, frontier and worst runs are of those points alone.
    ``frontier``: nobody else has both a higher mean and a higher shortfall.
    """
    rows = [
        {
            "point": point,
            **dict(zip((axis.key for axis in plan.axes), plan.points[point], strict=True)),
            "product": product,
            "label": plan.label(point, product),
            "same_as": plan.first_of(point, product),
            "quote": plan.quotes[product],
            **_figures(tally, _cents_of(plan.quotes[product])),
        }
        for (point, product), tally in found.tallies.items()
        if product
    ]
    alike = [row for row in rows if row["point"] == row["same_as"]]
    for row in rows:
        row["frontier"] = row in alike and not any(_beats(other, row) for other in alike)
    return rows


def _cents_of(asset: str) -> int:
    return int(10 ** digits_of(asset))


def _figures(tally: Tally, cents: int) -> dict[str, Any]:
    runs = tally.runs
    low, high = _wilson(tally.ruined, runs)
    navs, down = tally.navs, tally.drawdowns
    mean = {
        name: tally.sums.get(name, 0) / runs / (cents if name in MONEY else 1) if runs else None
        for name in (*MONEY, *COUNTED)
    }
    return {
        "runs": runs,
        "nav_mean": _known(tally.mean()),
        "nav_deviation": _known(tally.deviation()),
        "nav_low": _known(navs.quantile(_TAIL) / NAV_STEPS),
        "nav_median": _known(navs.quantile(0.5) / NAV_STEPS),
        "nav_high": _known(navs.quantile(1.0 - _TAIL) / NAV_STEPS),
        "shortfall": _known(navs.shortfall(_TAIL) / NAV_STEPS),
        "drawdown_median": _known(down.quantile(0.5) / NAV_STEPS),
        "drawdown_high": _known(down.quantile(1.0 - _TAIL) / NAV_STEPS),
        "drawdown_worst": tally.worst_drawdown / NAV_STEPS,
        "ruined": tally.ruined,
        "ruin": tally.ruined / runs if runs else None,
        "ruin_low": low,
        "ruin_high": high,
        **mean,
        "issuer_loss_total": tally.sums.get("issuer_loss", 0) / cents,
        "issuer_lossy": tally.lossy,
        "unhedged_seconds": tally.unhedged_ms / 1_000 / runs if runs else None,
    }


def _beats(other: dict[str, Any], row: dict[str, Any]) -> bool:
    if not row["runs"] or not other["runs"]:
        return bool(other["runs"] > row["runs"])
    better = other["nav_mean"] - row["nav_mean"], other["shortfall"] - row["shortfall"]
    return bool(min(better) >= 0.0 and max(better) > 0.0)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _wilson(hits: int, count: int) -> tuple[float | None, float | None]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return None, None
    share, square = hits / count, _Z * _Z / count
    middle = share + square / 2.0
    half = _Z * math.sqrt((share * (1.0 - share) + square / 4.0) / count)
    low, high = (middle - half) / (1.0 + square), (middle + half) / (1.0 + square)
    return (low if hits else 0.0), (high if hits < count else 1.0)


def worst_rows(found: Gathered) -> list[dict[str, Any]]:
    """The worst runs as plain data, the issuer's loss positive."""
    return [{**structs.asdict(each), "issuer_loss": 0.0 - each.issuer_loss} for each in found.worst]
