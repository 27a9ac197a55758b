"""Each user's total over the products of all shards, from product NAVs and unit changes alone.

The arithmetic is the engine's: a user's NAV of a product is ``floor(units * NAV / units_total)``.
A shard is valued at the last instant at which all of its products were sampled, with the units that
users had then: a change at or before the instant counts, a later one waits. So a total says of each
shard the sequence on which it stands, and equals the sum of what the engines tell of that user
there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from engine.events import ProductLaunched, UnitsCreated, UnitsRedeemed
from feeds import codec
from feeds.codec import BadRecord
from feeds.directory import Directory
from feeds.log import Outgoing, Record, partition_of
from feeds.records import PRODUCT_NAV, ProductNav

__all__ = ["USER_TOTAL", "FirstUnits", "Totals", "UserTotal"]

I64 = np.ndarray[Any, np.dtype[np.int64]]
Change = ProductLaunched | UnitsCreated | UnitsRedeemed

USER_TOTAL: Final = b"user-total/1"
_PREFIXES: Final = tuple(
    b'{"event":"%s"' % name for name in (b"product_launched", b"units_created", b"units_redeemed")
)
_CHANGE: Final = msgspec.json.Decoder(Change)
_NAV: Final = msgspec.json.Decoder(ProductNav)
_ENCODE: Final = msgspec.json.Encoder().encode


class FirstUnits(Struct, frozen=True):
    """What users hold of a product when it is launched, as configured.

    Attributes:
        product, asset: its id, and the asset in whose atoms it is valued.
        count, each: so many numbered users with so many steps of units.
        named: further ones by name, added to what they have already.
    """

    product: str
    asset: str
    count: int = 0
    each: int = 0
    named: tuple[tuple[str, int], ...] = ()


class UserTotal(Struct, frozen=True, gc=False):
    """What all products of one asset are worth to a user, in its atoms.

    ``stands_on`` is the vector of ``[shard, sequence]`` whose product NAVs and units it is made of;
    ``ts_ns`` the latest of their instants.
    """

    user: str
    asset: str
    total_atoms: int
    ts_ns: int
    stands_on: tuple[tuple[int, int], ...]


class _Holding:
    """One product: units of each slot at ``value_ns``, what changes them later, newer samples."""

    def __init__(self, asset: str, launched_ns: int, units: I64) -> None:
        self.asset = asset
        self.launched_ns = launched_ns
        self.units = units
        self.changes: deque[tuple[int, int, int]] = deque()
        self.values: I64 = np.zeros(len(units), np.int64)

    def settle(self, ts_ns: int, slots: int) -> None:
        """Bring the units to what they were after everything at ``ts_ns``."""
        if len(self.units) < slots:
            self.units = np.concatenate([self.units, np.zeros(slots - len(self.units), np.int64)])
        while self.changes and self.changes[0][0] <= ts_ns:
            _, slot, units = self.changes.popleft()
            self.units[slot] = units


class _Shard:
    """What one engine said, and the instant up to which it is valued."""

    def __init__(self) -> None:
        self.holdings: dict[str, _Holding] = {}
        self.samples: dict[str, deque[ProductNav]] = {}
        self.last = (-1, -1)
        self.sequence = -1
        self.ts_ns = -1

    def ripe_ns(self) -> int | None:
        """The last instant at which every product that was launched then has a sample."""
        newest = [s[-1].ts_ns for name, s in self.samples.items() if s and name in self.holdings]
        if not newest:
            return None
        ripe_ns = min(newest)
        for name, holding in self.holdings.items():
            if holding.launched_ns <= ripe_ns and not self.samples.get(name):
                return None
        return ripe_ns if ripe_ns > self.ts_ns else None


class Totals:
    """The users of some user shards.

    Args:
        topic: where to.
        partitions: of users' topics; as many user shards.
        users: user shards that are ours.
        first: what users hold at the launch of each product.
        value_users: NAV of each holder from ``(units, product NAV, units outstanding)``.
    """

    def __init__(
        self,
        topic: str,
        partitions: int,
        users: Collection[int],
        first: Sequence[FirstUnits],
        value_users: Callable[[Any, int, int], I64],
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._own = frozenset(users)
        self._value_users = value_users
        self._users = Directory()
        count = max((units.count for units in first), default=0)
        numbers = [n for n in range(1, count + 1) if self._is_ours(f"u{n}")]
        self._numbers = np.array(numbers, np.int64)
        self._users.slots_of_names([f"u{number}" for number in numbers])
        self._first = {units.product: units for units in first}
        self._shards: dict[int, _Shard] = {}
        self._held: dict[str, I64] = {}

    def __len__(self) -> int:
        return len(self._users)

    def _is_ours(self, user: str) -> bool:
        return partition_of(user.encode(), self._partitions) in self._own

    def take_events(self, records: Sequence[Record]) -> None:
        """Unit changes and launches among the events of shards, in order.

        Raises:
            BadRecord: if one of them cannot be read, or is of a product that is not configured.
        """
        for record in records:
            value = record.value or b""
            if not value.startswith(_PREFIXES):
                continue
            try:
                change, number = _CHANGE.decode(value), int(dict(record.headers)["shard"])
            except (msgspec.DecodeError, ValueError, KeyError) as error:
                raise BadRecord(f"{_where(record)}: {error!r}") from None
            if change.product not in self._first:
                raise BadRecord(f"{_where(record)}: product {change.product} is not configured")
            shard = self._shards.setdefault(number, _Shard())
            if (change.sequence, change.ordinal) > shard.last:
                shard.last = (change.sequence, change.ordinal)
                if change.product not in shard.holdings and not isinstance(change, ProductLaunched):
                    raise BadRecord(f"{_where(record)}: {change.product} was never launched")
                self._change(shard, change)

    def _change(self, shard: _Shard, change: Change) -> None:
        if isinstance(change, ProductLaunched):
            holding = self._launched(self._first[change.product], change.ts_ns)
            shard.holdings[change.product] = holding
        elif self._is_ours(change.user):
            slot = int(self._users.slots_of_names([change.user])[0])
            shard.holdings[change.product].changes.append((change.ts_ns, slot, change.user_units))

    def _launched(self, first: FirstUnits, ts_ns: int) -> _Holding:
        own = [(name, units) for name, units in first.named if self._is_ours(name)]
        slots = self._users.slots_of_names([name for name, _ in own])
        units = np.zeros(len(self._users), np.int64)
        units[: int(self._numbers.searchsorted(first.count, "right"))] = first.each
        for slot, (_, more) in zip(slots.tolist(), own, strict=True):
            units[slot] += more
        return _Holding(first.asset, ts_ns, units)

    def take_navs(self, records: Sequence[Record]) -> None:
        """Samples of products.

        Raises:
            BadRecord: if one cannot be read.
        """
        for record in records:
            schema = codec.schema_of(record.headers)
            if schema != PRODUCT_NAV:
                raise BadRecord(f"{_where(record)}: schema {schema[:40]!r}")
            try:
                nav = _NAV.decode(record.value or b"")
            except (msgspec.DecodeError, ValueError) as error:
                raise BadRecord(f"{_where(record)}: {error}") from None
            shard = self._shards.setdefault(nav.shard, _Shard())
            samples = shard.samples.setdefault(nav.product, deque())
            if nav.ts_ns > (samples[-1].ts_ns if samples else shard.ts_ns):
                samples.append(nav)

    def settle(self) -> dict[int, int]:
        """Value every shard as far as it is known, once all events that were written with the
        samples were taken; the instant of each shard."""
        for shard in self._shards.values():
            ts_ns = shard.ripe_ns()
            if ts_ns is not None:
                self._value(shard, ts_ns)
        return {number: s.ts_ns for number, s in self._shards.items() if s.ts_ns >= 0}

    def _value(self, shard: _Shard, ts_ns: int) -> None:
        for name, holding in shard.holdings.items():
            samples = shard.samples.get(name, deque())
            while samples and samples[0].ts_ns < ts_ns:
                samples.popleft()
            if samples and samples[0].ts_ns == ts_ns:
                nav = samples[0]
                holding.settle(ts_ns, len(self._users))
                held = self._held_in(holding.asset)
                held[: len(holding.units)] |= holding.units > 0
                if nav.units > 0:
                    values = self._value_users(holding.units, nav.nav_atoms, nav.units)
                else:
                    values = np.zeros(len(holding.units), np.int64)
                holding.values, shard.sequence = values, nav.sequence
        shard.ts_ns = ts_ns

    def _held_in(self, asset: str) -> np.ndarray[Any, Any]:
        held = self._held.get(asset, np.zeros(0, bool))
        missing = len(self._users) - len(held)
        held = self._held[asset] = np.concatenate([held, np.zeros(missing, bool)])
        return held

    def records(self) -> Iterator[Outgoing]:
        """Each user's total of each asset of which he holds or held something."""
        valued = {n: s for n, s in sorted(self._shards.items()) if s.sequence >= 0}
        vector = tuple((number, shard.sequence) for number, shard in valued.items())
        ts_ns = max((shard.ts_ns for shard in valued.values()), default=-1)
        headers = codec.schema_header(USER_TOTAL)
        for asset, held in sorted(self._held.items()):
            totals = np.zeros(len(held), np.int64)
            for shard in valued.values():
                for holding in shard.holdings.values():
                    if holding.asset == asset:
                        totals[: len(holding.values)] += holding.values
            slots = np.flatnonzero(held)
            for slot, total in zip(slots.tolist(), totals[slots].tolist(), strict=True):
                name = self._users.name(slot)
                key, value = name.encode(), _ENCODE(UserTotal(name, asset, total, ts_ns, vector))
                partition = partition_of(key, self._partitions)
                yield Outgoing(self._topic, value, key, headers, partition)


def _where(record: Record) -> str:
    return f"{record.topic}/{record.partition} offset {record.offset}"
