"""The run directory: every output of a run as files. Events and NAVs are written as they come, in
bounded memory; fills and milestones, which grow with the decisions alone, are kept until the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

from engine.engine import Engine
from engine.events import (
    Deleveraged,
    OrderFilled,
    OrderSent,
    Output,
    Rebalanced,
    SecondaryPriced,
    UnitsSplit,
)
from engine.fates import FATEFUL, Fates
from engine.feeding import FEEDING, Feeding
from engine.fills import MOVING, Fills
from engine.first_units import in_first_units
from engine.milestones import write_milestones
from engine.nav import nav_columns
from engine.outputs import ATTRIBUTION, Milestone, NavBlock, Outputs, UserNavBlock
from engine.parquet import TIME, timestamps, writer
from engine.premiums import Premiums
from engine.samples import Samples
from engine.shares import worth_of
from engine.units import UNIT_STEPS, asset_decimals
from engine.venue_events import OrdersCrossed

__all__ = ["RunWriter"]

_FLUSH_ROWS: Final = 262_144


class RunWriter:
    """Takes outputs; writes ``events.jsonl``, ``nav.parquet``, ``user_nav.parquet``,
    ``fills.parquet`` and ``milestones.parquet``.

    Without a ``path`` nothing is written and only the figures over the samples are kept.
    """

    def __init__(self, path: Path | None, engine: Engine) -> None:
        self.path = path
        self.engine = engine
        self.samples = Samples(len(engine.spec.products))
        self.counts: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.orders: dict[str, int] = {}
        self.filled: set[str] = set()
        self.crossed: dict[str, list[tuple[int, float]]] = {}
        self.splits: dict[str, list[tuple[int, int, int]]] = {}
        self.fates = Fates({p.id: p.kind for p in engine.spec.products})
        self.feeding = Feeding()
        traded = {p.id: p.terms.secondary for p in engine.spec.products}
        self.premiums = Premiums({name: own for name, own in traded.items() if own is not None})
        self._ids = [p.id for p in engine.spec.products]
        self._places = {name: place for place, name in enumerate(self._ids)}
        self._quote = [self._scale(n) for n in range(len(self._ids))]
        self._milestones: list[Milestone] = []
        self._blocks: list[NavBlock] = []
        self._pending = 0
        self._user_rows: dict[str, list[Any]] = {name: [] for name in _USER_SCHEMA.names}
        self._users_pending = 0
        contracts = [(p.id, engine.spec.markets[p.market].contract) for p in engine.spec.products]
        self._symbols = {name: contract.symbol for name, contract in contracts}
        self._fills = Fills(dict(contracts))
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
            self._events = (path / "events.jsonl").open("wb")
            self._nav = writer(path / "nav.parquet", _NAV_SCHEMA)
            self._users = writer(path / "user_nav.parquet", _USER_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Let go of the files, finished or not."""
        if self.path is not None:
            for file in (self._events, self._nav, self._users):
                file.close()

    def _scale(self, product: int) -> float:
        market = self.engine.spec.markets[self.engine.spec.products[product].market]
        return 10.0 ** -asset_decimals(market.contract.quote)

    def collect(self, outputs: Outputs) -> None:
        """Take the outputs of one step."""
        for event in outputs.events:
            self._count(event)
        for nav in outputs.nav:
            self._blocks.append(nav)
            self._pending += len(nav)
            # A long gap brings its samples in one step: they are not all made rows at once.
            if self._pending >= _FLUSH_ROWS:
                self._flush_nav()
        if self.path is None:
            return
        self._events.write(outputs.text)
        self._milestones += outputs.milestones
        for block in outputs.user_nav:
            self._take_users(block)

    def _count(self, event: Output) -> None:
        name = type(event).__struct_config__.tag
        assert isinstance(name, str)
        self.counts[name] = self.counts.get(name, 0) + 1
        if name in FATEFUL:
            self.fates.note(event)
        if name in FEEDING:
            self.feeding.note(event)
        if name.endswith("_refused"):
            reason = str(getattr(event, "reason", ""))
            self.refusals[reason] = self.refusals.get(reason, 0) + 1
        if isinstance(event, Rebalanced | Deleveraged):
            self.samples.trade(self._places[event.product], event)
        if isinstance(event, OrderSent):
            self.orders[event.product] = self.orders.get(event.product, 0) + 1
        if isinstance(event, OrderFilled):
            self.filled.add(event.product)
        if isinstance(event, SecondaryPriced):
            self.premiums.note(event)
        if isinstance(event, OrdersCrossed):
            self.crossed.setdefault(event.symbol, []).append((event.lots, event.mid_price))
        if isinstance(event, UnitsSplit):
            splits = self.splits.setdefault(event.product, [])
            splits.append((event.ts_ns, event.new, event.old))
        if name in MOVING and self.path is not None:
            self._fills.note(event)

    def _flush_nav(self) -> None:
        rows = nav_columns(self._blocks)
        self._blocks, self._pending = [], 0
        product = rows["product"]
        for number in np.unique(product).tolist():
            own = product == number
            per_unit = rows["nav_per_unit"][own] * self._quote[number]
            splits = self.splits.get(self._ids[number], ())
            per_unit = in_first_units(rows["ts_ns"][own], per_unit, splits)
            self.samples.add(number, per_unit, rows["leverage"][own])
        if self.path is None or not len(product):
            return
        quote = np.array(self._quote)[product]
        money = {name: rows[name] * quote for name in ("nav_per_unit", "nav_atoms", *ATTRIBUTION)}
        self._nav.write_table(
            pa.table(
                {
                    "ts_ns": rows["ts_ns"],
                    "ts": timestamps(rows["ts_ns"]),
                    "product": _names(product, self._ids),
                    "nav_per_unit": money["nav_per_unit"],
                    "units": rows["units"] / UNIT_STEPS,
                    "nav": money["nav_atoms"],
                    "leverage": pa.array(rows["leverage"], from_pandas=True),
                    "mark_price": rows["mark_price"],
                    "index_price": pa.array(rows["index_price"], from_pandas=True),
                    "sequence": rows["sequence"],
                    "ordinal": rows["ordinal"],
                    **{name: money[name] for name in ATTRIBUTION},
                    "adl_quantile": pa.array(rows["adl_quantile"], from_pandas=True),
                    "plan_lots": rows["plan_lots"],
                    "premium": pa.array(self._premium(rows["ts_ns"], product), from_pandas=True),
                },
                schema=_NAV_SCHEMA,
            )
        )

    def _premium(self, ts_ns: Any, product: Any) -> Any:
        """What units traded at beyond NAV, a share of it, row by row."""
        found = np.full(len(ts_ns), np.nan)
        for number in np.unique(product).tolist():
            own = product == number
            found[own] = self.premiums.at(self._ids[number], ts_ns[own])
        return found

    def _take_users(self, block: UserNavBlock) -> None:
        holders = np.flatnonzero(block.units) if block.users is None else block.users
        units = block.units[holders] if block.users is None else block.units
        name = self.engine.users.name
        rows = self._user_rows
        rows["ts_ns"].append(np.full(len(holders), block.ts_ns))
        rows["user"].append(pa.array([name(user) for user in holders.tolist()], pa.string()))
        rows["product"].append(pa.repeat(self._ids[block.product], len(holders)))
        rows["units"].append(units)
        rows["nav_atoms"].append(worth_of(block, units, self._ids[block.product]))
        self._users_pending += len(holders)
        if self._users_pending >= _FLUSH_ROWS:
            self._flush_users()

    def _flush_users(self) -> None:
        """Many small blocks become one group of rows; a group each took 90 % of a run's time."""
        rows, self._user_rows = self._user_rows, {name: [] for name in _USER_SCHEMA.names}
        if self._users_pending:
            columns = [
                pa.chunked_array(rows[field.name], field.type).combine_chunks()
                if field.type == pa.string()
                else np.concatenate(rows[field.name])
                for field in _USER_SCHEMA
            ]
            self._users.write_table(pa.table(columns, schema=_USER_SCHEMA))
        self._users_pending = 0

    def close(self) -> None:
        """The run is over: flush, and value every holder once more."""
        self._flush_nav()
        if self.path is None:
            return
        engine = self.engine
        for market in engine.markets:
            for number, handler in zip(market.products, market.handlers, strict=True):
                account, units = handler.account, handler.dealing.units
                if handler.state.status != "pending" and account.units and len(units):
                    nav, at = account.nav(market.state.mark), engine.time_ns
                    self._take_users(
                        UserNavBlock(
                            engine.sequence, 0, at, number, "end", None, units, nav, account.units
                        )
                    )
        self._flush_users()
        self._events.close()
        self._nav.close()
        self._users.close()
        self._fills.write(self.path / "fills.parquet", self._symbols)
        write_milestones(self.path / "milestones.parquet", self._milestones)


def _names(product: Any, ids: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(product, pa.int32()), pa.array(ids, pa.string()))


_NAV_SCHEMA: Final = pa.schema(
    [
        *TIME,
        ("product", pa.dictionary(pa.int32(), pa.string())),
        ("nav_per_unit", pa.float64()),
        ("units", pa.float64()),
        ("nav", pa.float64()),
        ("leverage", pa.float64()),
        ("mark_price", pa.float64()),
        ("index_price", pa.float64()),
        ("sequence", pa.int64()),
        ("ordinal", pa.int64()),
        *((name, pa.float64()) for name in ATTRIBUTION),
        ("adl_quantile", pa.float64()),
        ("plan_lots", pa.int64()),
        ("premium", pa.float64()),
    ]
)
_USER_SCHEMA: Final = pa.schema(
    [
        ("ts_ns", pa.int64()),
        ("user", pa.string()),
        ("product", pa.string()),
        ("units", pa.int64()),
        ("nav_atoms", pa.int64()),
    ]
)
