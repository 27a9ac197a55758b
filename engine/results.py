"""A finished run: its figures, its tables, its verdict."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import InputError
from engine.report import comparison_rows, explain, render, statements_of, table_of, verdict_of
from engine.report.notebook import Picture, curves_picture, grid_of_run, waterfall_picture
from engine.report.reading import events_of, readable, summary_of
from engine.report.words import listed

__all__ = ["RunResult", "compare"]


class RunResult:
    """A finished run.

    Attributes:
        path: the run directory; ``None`` where nothing was written.
        summary: the object of ``summary.json``.
    """

    def __init__(self, path: Path | None, summary: dict[str, Any]) -> None:
        self.path = path
        self.summary = summary

    @property
    def verdict(self) -> str:
        """The run in one sentence."""
        return verdict_of(self.summary)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row a product: what its multiple promised, what it gave, and where the difference
        went."""
        return table_of(self.summary)

    @property
    def exit_code(self) -> int:
        """1 where a policy faulted or a scenario's expectation was violated, else 0."""
        faulted = any(p["policy_faults"] for p in self.summary["products"].values())
        return int(faulted or bool(self.violated))

    @property
    def violated(self) -> list[dict[str, Any]]:
        """The expectations of scenarios to which the run did not keep: ``name``, ``condition``,
        ``was`` by figure."""
        expected = self.summary.get("scenario", {}).get("expected", ())
        return [each for each in expected if not each["held"]]

    @cached_property
    def nav(self) -> pa.Table:
        """NAV samples: ``ts_ns, ts, product, nav_per_unit, units, leverage, mark_price,
        index_price`` (where a product of the market follows it) and the attribution in quote."""
        return self._table("nav.parquet")

    @cached_property
    def user_nav(self) -> pa.Table:
        """Users' NAVs: ``ts_ns, user, product, units, nav_atoms``."""
        return self._table("user_nav.parquet")

    @cached_property
    def fills(self) -> pa.Table:
        """Every execution."""
        return self._table("fills.parquet")

    def attribution(self, product: str) -> pa.Table:
        """The attribution of one product over time, in quote."""
        chosen = self.nav.filter(pc.equal(self.nav["product"], product))
        return chosen.drop_columns(["product", "sequence", "ordinal"])

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Events in order, or those of one kind (``rebalanced``, ``order_filled``, ...)."""
        directory = self._directory()
        with readable(directory, "events.jsonl"):
            events = list(events_of(directory))
            return events if kind is None else [e for e in events if e["event"] == kind]

    def explain(
        self,
        product: str | None = None,
        user: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> str:
        """Why, in words and a table that sums exactly; see ``levsim explain``."""
        return explain(self._directory(), product, user, from_ns, to_ns)

    def causes(
        self,
        product: str | None = None,
        user: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> pa.Table:
        """The numbers behind ``explain``: ``product, user, cause, atoms, decimals``. The causes of
        a product sum to the change of what it was worth; the parts of the price are among them."""
        found = statements_of(self._directory(), product, user, from_ns, to_ns)
        rows = [
            (one["product"], one["user"], cause, atoms, one["decimals"])
            for one in found
            for cause, atoms in {**one["split"], **one["causes"]}.items()
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return pa.table(columns or [[] for _ in _CAUSES], schema=_CAUSES)

    def report(self) -> Path:
        """Write ``report.html`` into the run directory; its path."""
        return render(self._directory())

    def _table(self, name: str) -> pa.Table:
        directory = self._directory()
        with readable(directory, name):
            return pq.read_table(directory / name, page_checksum_verification=True)

    def _directory(self) -> Path:
        if self.path is None:
            raise InputError("this run wrote no directory; give run(..., out=DIRECTORY)")
        return self.path

    def __repr__(self) -> str:
        return f"<RunResult {self.path or 'in memory'}: {self.verdict}>"

    def waterfall(self, product: str) -> Picture:
        """What moved a product's equity, step by step, as a notebook draws it."""
        return waterfall_picture(product, self._product(product))

    def chart(self, *products: str, column: str = "nav_per_unit") -> Picture:
        """A column of ``nav`` over time, a line a product, as a notebook draws it; NAV per unit in
        units of the start."""
        names = products or tuple(self.summary["products"])
        for name in names:
            self._product(name)
        if column not in self.nav.column_names:
            raise InputError(f"nav has no column {column}; it has {listed(self.nav.column_names)}")
        chosen = self.nav.filter(pc.is_in(self.nav["product"], pa.array(names)))
        splits = {name: self.summary["products"][name]["splits"] for name in names}
        return curves_picture(chosen, column, splits)

    def _product(self, name: str) -> dict[str, Any]:
        known: dict[str, Any] = self.summary["products"]
        if name not in known:
            raise InputError(f"the run has no product {name}; it has {listed(list(known))}")
        product: dict[str, Any] = known[name]
        return product

    def _repr_html_(self) -> str:
        return grid_of_run(self.verdict, self.table)._repr_html_()


_CAUSES: Final = pa.schema(
    [
        ("product", pa.string()),
        ("user", pa.string()),
        ("cause", pa.string()),
        ("atoms", pa.int64()),
        ("decimals", pa.int64()),
    ]
)

_COMPARED: Final = pa.schema(
    [
        ("run", pa.string()),
        ("product", pa.string()),
        ("kind", pa.string()),
        ("leverage", pa.float64()),
        ("final_value", pa.float64()),
        ("max_drawdown", pa.float64()),
        ("liquidated_ns", pa.int64()),
        ("costs", pa.float64()),
        ("actions", pa.int64()),
    ]
)


def compare(*runs: RunResult | str | Path) -> pa.Table:
    """The products of runs side by side, a row each: ``run, product, kind, leverage, final_value,
    max_drawdown, liquidated_ns, costs, actions``.

    ``final_value`` is what one quote became, ``costs`` a share of the equity at the start.

    Raises:
        InputError: if one of them is no run directory.

    >>> from engine.api import run
    >>> table = compare(run("sample", write=False))
    >>> table.column_names[:4]
    ['run', 'product', 'kind', 'leverage']
    >>> spot = next(row for row in table.to_pylist() if row["kind"] == "spot")
    >>> spot["product"], round(spot["final_value"], 3), spot["liquidated_ns"]
    ('BTC-SPOT', 0.931, None)
    """
    results = [one if isinstance(one, RunResult) else _loaded(Path(one)) for one in runs]
    rows = [
        {
            **{name: value for name, value in row.items() if name in _COMPARED.names},
            "run": str(one.path) if one.path else f"run {number}",
            "liquidated_ns": row["liquidated"]["ts_ns"] if row["liquidated"] else None,
        }
        for number, one in enumerate(results, start=1)
        for row in comparison_rows(one.summary)
    ]
    return pa.Table.from_pylist(rows, schema=_COMPARED)


def _loaded(path: Path) -> RunResult:
    return RunResult(path, summary_of(path))
