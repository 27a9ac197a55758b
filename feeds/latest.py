"""The newest NAVs of each user: what `nav.users` comes to when only the last word counts.

State is kept in arrays, a row a user and a table a product, so that a block costs a few vector
operations. What is newer is decided by ``(sequence, ordinal)`` within a shard: records that come
twice, or late, change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from feeds import codec
from feeds.codec import BadRecord
from feeds.directory import Directory
from feeds.log import Outgoing, Record, partition_of
from feeds.user_blocks import USER_NAV_BLOCK, UserBlock, decode_user_block
from feeds.user_navs import USER_NAV, UserNav

__all__ = ["USER_LATEST", "Latest", "UserLatest"]

I64 = np.ndarray[Any, np.dtype[np.int64]]

USER_LATEST: Final = b"user-latest/1"
_COLUMNS: Final = ("sequence", "ordinal", "ts_ns", "units", "nav_atoms")
_NAV: Final = msgspec.json.Decoder(UserNav)
_ENCODE: Final = msgspec.json.Encoder().encode


class UserLatest(Struct, frozen=True, gc=False):
    """A user's newest NAV of each product that he holds or held, by product."""

    user: str
    navs: tuple[UserNav, ...]


_LATEST: Final = msgspec.json.Decoder(UserLatest)


class _Holdings:
    """One product of one shard: the newest NAV of each slot, sequence -1 where there is none."""

    def __init__(self) -> None:
        self.columns: I64 = np.empty((len(_COLUMNS), 0), np.int64)

    def take(self, slots: I64, columns: Sequence[I64 | int]) -> I64:
        """Put in what is newer; returns the slots that changed. Of several rows of one slot the
        newest must be the last."""
        self._cover(int(slots.max()) + 1)
        sequence, ordinal = columns[0], columns[1]
        known, place = self.columns[0].take(slots), self.columns[1].take(slots)
        newer = (sequence > known) | ((sequence == known) & (ordinal > place))
        changed: I64 = slots[newer]
        for row, column in zip(self.columns, columns, strict=True):
            row[changed] = column[newer] if isinstance(column, np.ndarray) else column
        return changed

    def _cover(self, count: int) -> None:
        missing = count - self.columns.shape[1]
        if missing > 0:
            missing = max(missing, self.columns.shape[1] // 2)
            more = np.full((len(_COLUMNS), missing), -1, np.int64)
            self.columns = np.concatenate([self.columns, more], axis=1)


class Latest:
    """Takes records of `nav.users`; gives those of `nav.latest` for users with news.

    Args:
        topic: where to.
        partitions: of both topics.
    """

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._users = Directory()
        self._holdings: dict[tuple[str, int], _Holdings] = {}
        self._changed: list[I64] = []

    def __len__(self) -> int:
        return len(self._users)

    def take(self, records: Sequence[Record]) -> list[str]:
        """Take records in order; returns what was wrong with those that could not be read."""
        faults: list[str] = []
        navs: list[UserNav] = []
        for record in records:
            schema, value = codec.schema_of(record.headers), record.value or b""
            try:
                if schema == USER_NAV_BLOCK:
                    self._block(decode_user_block(value))
                elif schema == USER_NAV:
                    navs.append(_NAV.decode(value))
                else:
                    raise BadRecord(f"schema {schema[:40]!r}")  # noqa: TRY301 - one way to refuse
            except (msgspec.DecodeError, ValueError, BadRecord) as error:
                faults.append(f"{record.topic}/{record.partition} offset {record.offset}: {error}")
        self._navs(navs)
        return faults

    def restore(self, records: Sequence[Record]) -> None:
        """Take what an earlier process wrote; it is no news.

        Raises:
            BadRecord: if it is not that.
        """
        navs: list[UserNav] = []
        for record in records:
            try:
                navs += _LATEST.decode(record.value or b"").navs
            except (msgspec.DecodeError, ValueError) as error:
                where = f"{record.topic}/{record.partition} offset {record.offset}"
                raise BadRecord(f"{where}: {error}") from None
        self._navs(navs)
        self._changed.clear()

    def news(self) -> Iterator[Outgoing]:
        """A record for each user with something newer than he was told; told once."""
        if not self._changed:
            return
        slots = np.unique(np.concatenate(self._changed))
        self._changed.clear()
        headers = codec.schema_header(USER_LATEST)
        tables = [
            (product, shard, self._rows(holdings, slots))
            for (product, shard), holdings in sorted(self._holdings.items())
        ]
        for place, slot in enumerate(slots.tolist()):
            name = self._users.name(slot)
            navs = []
            for product, shard, rows in tables:
                sequence, ordinal, ts_ns, units, nav = rows[place]
                if sequence >= 0:
                    navs.append(UserNav(name, product, ts_ns, units, nav, sequence, ordinal, shard))
            key = name.encode()
            partition = partition_of(key, self._partitions)
            value = _ENCODE(UserLatest(name, tuple(navs)))
            yield Outgoing(self._topic, value, key, headers, partition)

    def _rows(self, holdings: _Holdings, slots: I64) -> list[list[int]]:
        known = slots < holdings.columns.shape[1]
        rows = np.full((len(slots), len(_COLUMNS)), -1, np.int64)
        rows[known] = holdings.columns[:, slots[known]].T
        answer: list[list[int]] = rows.tolist()
        return answer

    def _block(self, block: UserBlock) -> None:
        slots = self._users.slots_of_block(block)
        ordinal = block.users.astype(np.int64) + block.ordinal
        columns = (
            *(np.full(len(block), block.sequence), ordinal, np.full(len(block), block.ts_ns)),
            *(block.units, block.nav_atoms),
        )
        self._put((block.product, block.shard), slots, columns)

    def _navs(self, navs: Sequence[UserNav]) -> None:
        grouped: dict[tuple[str, int], list[UserNav]] = {}
        for nav in navs:
            grouped.setdefault((nav.product, nav.shard), []).append(nav)
        for name, group in grouped.items():
            group.sort(key=lambda nav: (nav.sequence, nav.ordinal))
            slots = self._users.slots_of_names([nav.user for nav in group])
            columns = [
                np.array([getattr(nav, column) for nav in group], np.int64) for column in _COLUMNS
            ]
            self._put(name, slots, columns)

    def _put(self, name: tuple[str, int], slots: I64, columns: Sequence[I64]) -> None:
        holdings = self._holdings.setdefault(name, _Holdings())
        changed = holdings.take(slots, columns)
        if len(changed):
            self._changed.append(changed)
