"""Outputs as records: events, NAVs of products and users, dead letters, each named for ever.

``(shard, sequence, ordinal)`` name a record within its topic. They are written in the transaction
of their step; a reader who does not trust the broker drops repeats by those three, and can prove
that nothing is missing: ordinals of one sequence have no gaps. Only samples of users' NAVs may be
missing, each for a newer one (`engine.conflation`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from engine.events import InputRejected
from engine.outputs import NavBlock, Outputs
from engine.ports import Batch, Taken
from engine.ticks import Step
from feeds import codec
from feeds.building import Undecoded
from feeds.log import Headers, Outgoing
from feeds.topics import Topics
from feeds.user_navs import USER_BLOCKS_ABOVE, UserNavs, UserShards

__all__ = ["EVENT", "PRODUCT_NAV", "ProductNav", "Recorder", "Valuation"]

EVENT: Final = b"event/1"
PRODUCT_NAV: Final = b"product-nav/1"
NAV_ROWS: Final = 10_000
"""Rows of product NAVs that are enough to value at once."""
_NAV_HEADERS: Final = codec.schema_header(PRODUCT_NAV)
_RAW: Final = frozenset({"malformed", "unknown_symbol"})
"""Reasons for which the record itself is in the batch; of other refused rows a copy is made."""


class ProductNav(Struct, frozen=True, gc=False):
    """A sample of one product.

    Attributes:
        nav_per_unit: quote per unit.
        nav_atoms: quote atoms, rounded down; what users' NAVs are shares of.
        units: outstanding, steps of 1e-8.
        leverage: signed; ``None`` at NAV <= 0.
        adl_quantile: share of the venue's auto-deleveraging queue that is not ahead of the hedge: 1
            is closed first, from 0.8 on venues show all their lights; ``None`` where it is in no
            queue.
        plan_lots: that a rebalance under way has still to trade, signed.
    """

    product: str
    ts_ns: int
    nav_per_unit: float
    units: int
    leverage: float | None
    mark_price: float
    sequence: int
    ordinal: int
    shard: int
    nav_atoms: int
    adl_quantile: float | None = None
    plan_lots: int = 0


class Valuation(Struct, frozen=True):
    """How blocks become rows; the arithmetic is the engine's (`engine.nav`), this only names it.

    Attributes:
        nav_columns: rows of product NAVs from their blocks.
        value_users: NAV of each holder from ``(units, product NAV, units outstanding)``.
        exact_navs: the same rows' NAVs in whole atoms.
        products, symbols: names by index.
        quote_atoms: by product, atoms in one of its quote asset.
        population: users below this index are named by their number.
    """

    nav_columns: Callable[[Sequence[NavBlock]], dict[str, np.ndarray[Any, Any]]]
    value_users: Callable[[Any, int, int], np.ndarray[Any, Any]]
    exact_navs: Callable[[Sequence[NavBlock]], list[int]]
    products: Sequence[str]
    symbols: Sequence[str]
    quote_atoms: Sequence[int]
    population: int = 0


class Recorder:
    """Makes records of what one shard says.

    Args:
        topics: where to.
        valuation: how blocks become records.
        shard: number of the engine; part of every record's name.
        user_partitions: of the users' NAVs.
        user_blocks_above: users of a product beyond whom their NAVs are packed.
    """

    def __init__(
        self,
        topics: Topics,
        valuation: Valuation,
        *,
        shard: int = 0,
        user_partitions: int = 1,
        user_blocks_above: int = USER_BLOCKS_ABOVE,
    ) -> None:
        self._topics = topics
        self._valuation = valuation
        self._shard = shard
        self._key = b"%d" % shard
        self._single = codec.SingleCodec(valuation.symbols)
        self._encode = msgspec.json.Encoder().encode
        self._user_navs = UserNavs(
            topics.nav_users,
            valuation.products,
            valuation.value_users,
            UserShards(user_partitions, valuation.population),
            shard=shard,
            blocks_above=user_blocks_above,
        )
        self._product_keys = [product.encode() for product in valuation.products]
        self._event_headers: Headers = ((codec.SCHEMA, EVENT), ("shard", self._key))

    def records(self, taken: Taken) -> Iterator[Outgoing]:
        """Everything that a step caused: events first, in their order, as is each other topic."""
        navs: list[NavBlock] = []
        rows = 0
        for batch, outputs in taken.parts:
            yield from self._part(batch, outputs, taken.user_name)
            navs += outputs.nav
            rows += sum(map(len, outputs.nav))
            # Blocks of few rows cost as much as those of many, so they are valued together.
            if rows >= NAV_ROWS:
                yield from self._product_navs(navs)
                navs, rows = [], 0
        yield from self._product_navs(navs)

    def _part(
        self, batch: Batch, outputs: Outputs, user_name: Callable[[int], str]
    ) -> Iterator[Outgoing]:
        for line in outputs.lines:
            yield Outgoing(self._topics.events, line, self._key, self._event_headers)
        yield from self._letters(outputs, batch)
        for block in outputs.user_nav:
            yield from self._user_navs.records(block, user_name)

    def _product_navs(self, blocks: Sequence[NavBlock]) -> Iterator[Outgoing]:
        if not blocks:
            return
        columns = self._valuation.nav_columns(blocks)
        atoms = np.array(self._valuation.quote_atoms)[columns["product"]]
        per_unit = columns["nav_per_unit"] / atoms
        names = ("product", "ts_ns", "units", "leverage", "mark_price", "sequence", "ordinal")
        told = [columns[name].tolist() for name in (*names, "adl_quantile", "plan_lots")]
        exact = self._valuation.exact_navs(blocks)
        rows = zip(per_unit.tolist(), exact, *told, strict=True)
        topic, shard, products = self._topics.nav, self._shard, self._valuation.products
        for worth, nav, number, ts_ns, units, leverage, mark, *place, queued, plan in rows:
            known = None if math.isnan(leverage) else leverage
            quantile = None if math.isnan(queued) else queued
            record = ProductNav(
                *(products[number], ts_ns, worth, units, known, mark),
                *(*place, shard, nav, quantile, plan),
            )
            yield Outgoing(topic, self._encode(record), self._product_keys[number], _NAV_HEADERS)

    def _letters(self, outputs: Outputs, batch: Batch) -> Iterator[Outgoing]:
        """Records that could not be read, as they came, and copies of the rows that were refused.

        A record's own letter has ordinal 0, the copy of a row that of its event, counted from 1.
        """
        for letter in batch.dead_letters:
            sequence, schema = batch.step.first, b""
            if isinstance(letter, Undecoded):
                sequence, schema = letter.sequence, letter.schema
            yield self._letter(
                letter.value, schema, letter.reason, sequence, 0, (letter.input, letter.offset)
            )
        for event in outputs.events:
            if isinstance(event, InputRejected) and event.reason not in _RAW:
                row = self._copy(batch.step, event.sequence)
                if row is not None:
                    place = (event.sequence, event.ordinal + 1)
                    yield self._letter(row, codec.TICK_MSGPACK, event.reason, *place, None)

    def _copy(self, step: Step, sequence: int) -> bytes | None:
        """The tick of that sequence, if it is in the step."""
        for table in step.tables:
            place = int(np.searchsorted(table.sequence, sequence))
            if place < len(table) and table.sequence[place] == sequence:
                return self._single.encode(table.take(slice(place, place + 1)), packed=True)[0]
        return None

    def _letter(
        self,
        value: bytes,
        schema: bytes,
        reason: str,
        sequence: int,
        ordinal: int,
        came: tuple[str, int] | None,
    ) -> Outgoing:
        headers = [(codec.SCHEMA, schema), ("reason", reason.encode()), ("shard", self._key)]
        headers += [("sequence", b"%d" % sequence), ("ordinal", b"%d" % ordinal)]
        if came is not None:
            headers += [("input", came[0].encode()), ("offset", b"%d" % came[1])]
        return Outgoing(self._topics.dead_letters, value, self._key, tuple(headers))
