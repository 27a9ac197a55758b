"""Users' NAVs as records: one a user, or packed blocks where a product has very many users.

Everything of one user is in one partition, that of his name, whichever form it has: who looks up
one user reads one partition, and who is told a range of partitions has whole users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from engine.errors import OutOfRangeError
from engine.outputs import UserNavBlock
from feeds import codec
from feeds.log import Headers, Outgoing, partition_of
from feeds.user_blocks import (
    BLOCK_USERS_MAX,
    NAMES_BYTES_MAX,
    USER_NAV_BLOCK,
    UserBlock,
    encode_user_block,
    names_bytes,
)

__all__ = ["USER_BLOCKS_ABOVE", "USER_NAV", "UserNav", "UserNavs", "UserShards"]

USER_NAV: Final = b"user-nav/1"
USER_BLOCKS_ABOVE: Final = 100_000
"""Users of a product up to which each gets a record of his own."""

Values = Callable[[Any, int, int], np.ndarray[Any, Any]]


class UserNav(Struct, frozen=True, gc=False):
    """What a user's units of one product are worth: ``nav_atoms`` in quote atoms, rounded down."""

    user: str
    product: str
    ts_ns: int
    units: int
    nav_atoms: int
    sequence: int
    ordinal: int
    shard: int


class _Named:
    """Users beyond the population who share a block."""

    def __init__(self) -> None:
        self.users: list[int] = []
        self.names: list[str] = []
        self.bytes = 0

    def add(self, user: int, name: str, users_max: int) -> bool:
        """Take one more, if he still fits."""
        size = names_bytes(name)
        full = len(self.users) == users_max or self.bytes + size > NAMES_BYTES_MAX
        if self.users and full:
            return False
        self.users.append(user)
        self.names.append(name)
        self.bytes += size
        return True


class UserShards:
    """Which users share a partition, and there a block.

    Names are hashed once: a second for a million, when the first block is made.

    Args:
        partitions: of the topic; a user shard each, for ever.
        population: users below this index are named by their number.
        users_max: of a block.
    """

    def __init__(
        self, partitions: int, population: int, *, users_max: int = BLOCK_USERS_MAX
    ) -> None:
        self._users_max = users_max
        self.partitions = partitions
        self.population = population
        self._numbered: list[tuple[int, np.ndarray[Any, Any]]] | None = None
        self._named: list[list[_Named]] = [[] for _ in range(partitions)]
        self._known = population

    def of(self, name: str) -> int:
        """The shard of a user."""
        return partition_of(name.encode(), self.partitions)

    def blocks(
        self, count: int, name: Callable[[int], str]
    ) -> Iterator[tuple[int, np.ndarray[Any, Any], Sequence[str]]]:
        """The users below an index, block by block: shard, indices, names beyond the population."""
        if self._numbered is None:
            self._numbered = list(self._numbered_blocks())
        for user in range(self._known, count):
            self._admit(user, name(user))
        self._known = max(self._known, count)
        for shard, users in self._numbered:
            yield shard, users, ()
        for shard, parts in enumerate(self._named):
            for part in parts:
                users = np.array(part.users)
                size = int(users.searchsorted(count))
                if size:
                    yield shard, users[:size], part.names[:size]

    def _numbered_blocks(self) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        partitions, numbers = self.partitions, range(1, self.population + 1)
        shards = np.fromiter(
            (partition_of(b"u%d" % number, partitions) for number in numbers),
            np.int64,
            self.population,
        )
        for shard in range(partitions):
            users = np.flatnonzero(shards == shard)
            for start in range(0, len(users), self._users_max):
                yield shard, users[start : start + self._users_max]

    def _admit(self, user: int, name: str) -> None:
        parts = self._named[self.of(name)]
        if not parts or not parts[-1].add(user, name, self._users_max):
            parts.append(_Named())
            parts[-1].add(user, name, self._users_max)


class UserNavs:
    """Makes the records of user NAVs of one engine.

    Args:
        topic: where to.
        products: names by index.
        value_users: NAV of each holder from ``(units, product NAV, units outstanding)``.
        shards: of the topic's partitions.
        shard: number of the engine.
        blocks_above: samples of all users of a product are packed where there are more than this.
    """

    def __init__(
        self,
        topic: str,
        products: Sequence[str],
        value_users: Values,
        shards: UserShards,
        *,
        shard: int = 0,
        blocks_above: int = USER_BLOCKS_ABOVE,
    ) -> None:
        self._topic = topic
        self._products = products
        self._value_users = value_users
        self._shards = shards
        self._shard = shard
        self._above = blocks_above
        self._encode = msgspec.json.Encoder().encode
        self._block_headers: Headers = ((codec.SCHEMA, USER_NAV_BLOCK), ("shard", b"%d" % shard))

    def records(self, block: UserNavBlock, name: Callable[[int], str]) -> Iterator[Outgoing]:
        """One sample. The few whose units changed get a record each, however many there are.

        Raises:
            OutOfRangeError: if a NAV, in atoms, does not fit 64 bits.
        """
        navs = self._values(block)
        if block.users is None and len(block.units) > self._above:
            yield from self._packed(block, navs, name)
            return
        headers = codec.schema_header(USER_NAV)
        users = range(len(block.units)) if block.users is None else block.users.tolist()
        product = self._products[block.product]
        rows = zip(users, block.units.tolist(), navs.tolist(), strict=True)
        for place, (user, units, nav) in enumerate(rows):
            who, ordinal = name(user), block.ordinal + place
            record = UserNav(
                who, product, block.ts_ns, units, nav, block.sequence, ordinal, self._shard
            )
            yield Outgoing(self._topic, self._encode(record), who.encode(), headers)

    def _values(self, block: UserNavBlock) -> np.ndarray[Any, Any]:
        try:
            nav = int(np.int64(block.product_nav_atoms))
            return self._value_users(block.units, nav, block.units_total)
        except OverflowError:
            raise OutOfRangeError(
                f"{self._products[block.product]} tick {block.sequence} (ts {block.ts_ns}): what a "
                "holder has no longer fits 64 bits; use smaller holdings"
            ) from None

    def _packed(
        self, block: UserNavBlock, navs: np.ndarray[Any, Any], name: Callable[[int], str]
    ) -> Iterator[Outgoing]:
        for shard, users, names in self._shards.blocks(len(block.units), name):
            packed = UserBlock(
                product=self._products[block.product],
                shard=self._shard,
                sequence=block.sequence,
                ordinal=block.ordinal,
                ts_ns=block.ts_ns,
                population=self._shards.population,
                units_total=block.units_total,
                product_nav_atoms=block.product_nav_atoms,
                users=users,
                units=block.units.take(users),
                nav_atoms=navs.take(users),
                names=names,
            )
            value = encode_user_block(packed)
            yield Outgoing(self._topic, value, None, self._block_headers, shard)
