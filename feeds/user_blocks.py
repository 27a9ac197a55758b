"""Packed blocks of user NAVs: thousands of users in one record, as little-endian columns.

A block holds holders of one product at one instant, those of one user shard. A user's name follows
from his index in the numbered population (``u1`` is index 0); whoever comes after it is named in
the block. ``(shard, sequence, ordinal)`` name each of its NAVs as they would name a record:
``ordinal`` of the block is that of index 0, a user's is higher by his index.

Layout, every part padded to a multiple of 8 bytes::

    header   magic u16, version u8, 0 u8, users u32, shard u32, bytes of the product's name u16,
             0 u16, bytes of the users' names u32, crc32 u32, population i64, sequence i64,
             ordinal i64, ts_ns i64, units outstanding i64, NAV of the product i64
    product  its name, UTF-8
    columns  NAV i64, units i64, index u32; indices rise
    names    msgpack array of strings, one for each index beyond the population

The CRC-32 covers everything but itself. Lengths are checked before a column is looked at, and
columns are views of the record, not copies.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from engine.units import UNITS_MAX
from feeds.codec import BadRecord

__all__ = [
    "BLOCK_USERS_MAX",
    "NAMES_BYTES_MAX",
    "USER_NAV_BLOCK",
    "UserBlock",
    "decode_user_block",
    "encode_user_block",
    "names_bytes",
    "number_of",
]

I64 = np.ndarray[Any, np.dtype[np.int64]]

USER_NAV_BLOCK: Final = b"user-nav-block/1"
BLOCK_USERS_MAX: Final = 16_384
"""Users of a block: 330 kB and their names."""
NAMES_BYTES_MAX: Final = 500_000
"""Bytes that names may take in a block, so that it stays below every broker's default limit."""
_MAGIC: Final = 0x554C
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<HBBIIHHI")
_CRC: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<6q")
_HEADER_BYTES: Final = _HEADER.size + _CRC.size + _PLACE.size
_WIDE: Final = 8
_INDEX_MAX: Final = 2**32
_INDEX_DIGITS: Final = len(str(_INDEX_MAX))
_NAMES: Final = msgspec.msgpack.Decoder(list[str])
_ARRAY_BYTES: Final = 5
"""At most: what msgpack puts before an array, and before a string."""


class UserBlock(Struct, frozen=True, eq=False):
    """A block as columns.

    Attributes:
        shard, sequence: with each user's ordinal they name his NAV.
        ordinal: of the user with index 0.
        population: users below this index are named by their number.
        units_total, product_nav_atoms: what the division used.
        users: shape (n,) rising indices.
        units, nav_atoms: shape (n,).
        names: of the users from ``population`` on, in their order.
    """

    product: str
    shard: int
    sequence: int
    ordinal: int
    ts_ns: int
    population: int
    units_total: int
    product_nav_atoms: int
    users: np.ndarray[Any, Any]
    units: I64
    nav_atoms: I64
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.users)

    @property
    def numbered(self) -> int:
        """How many of them are of the population; they come first."""
        return len(self.users) - len(self.names)

    def user_names(self) -> list[str]:
        """The name of each, for readers that want records."""
        return [*(f"u{index + 1}" for index in self.users[: self.numbered].tolist()), *self.names]


def number_of(name: str) -> int | None:
    """The index that a population would give a name: 0 for ``u1``, ``None`` for other names, of
    which one with more digits than any index is one."""
    digits = name[1:]
    if name[:1] != "u" or not digits.isascii() or not digits.isdigit() or digits[0] == "0":
        return None
    return int(digits) - 1 if len(digits) <= _INDEX_DIGITS else None


def names_bytes(name: str) -> int:
    """Bytes that a name takes in a block, at most."""
    return len(name.encode()) + _ARRAY_BYTES


def encode_user_block(block: UserBlock) -> bytes:
    """The block as one record.

    Raises:
        ValueError: if it holds no users, too many, or too long names.
    """
    named = msgspec.msgpack.encode(list(block.names)) if block.names else b""
    if not 0 < len(block) <= BLOCK_USERS_MAX or len(named) > NAMES_BYTES_MAX + _ARRAY_BYTES:
        raise ValueError(
            f"a block holds 1 to {BLOCK_USERS_MAX} users with names of {NAMES_BYTES_MAX} bytes, "
            f"not {len(block)} with {len(named)}"
        )
    product = block.product.encode()
    narrow = 4 * len(block)
    parts: list[Any] = [product, bytes(-len(product) % _WIDE)]
    parts.append(np.ascontiguousarray(block.nav_atoms, "<i8"))
    parts.append(np.ascontiguousarray(block.units, "<i8"))
    parts.append(np.ascontiguousarray(block.users, "<u4"))
    parts += [bytes(-narrow % _WIDE), named, bytes(-len(named) % _WIDE)]
    header = _HEADER.pack(
        *(_MAGIC, _VERSION, 0, len(block), block.shard, len(product), 0, len(named))
    )
    place = _PLACE.pack(
        block.population,
        block.sequence,
        block.ordinal,
        block.ts_ns,
        block.units_total,
        block.product_nav_atoms,
    )
    crc = zlib.crc32(place, zlib.crc32(header))
    for part in parts:
        crc = zlib.crc32(part, crc)
    return b"".join((header, _CRC.pack(crc), place, *parts))


def decode_user_block(value: bytes) -> UserBlock:
    """The block in a record.

    Raises:
        BadRecord: if a length, a count, the checksum or a value of the layout is wrong.
    """
    if len(value) < _HEADER_BYTES:
        raise BadRecord(f"user block: {len(value)} bytes, expected a header of {_HEADER_BYTES}")
    magic, version, zero, count, shard, product_bytes, rest, named = _HEADER.unpack_from(value)
    if (magic, version, zero, rest) != (_MAGIC, _VERSION, 0, 0):
        raise BadRecord(
            f"user block: magic {magic:#06x} version {version}, expected {_MAGIC:#06x} {_VERSION}"
        )
    if not 0 < count <= BLOCK_USERS_MAX:
        raise BadRecord(f"user block: {count} users, expected 1 to {BLOCK_USERS_MAX}")
    columns = _HEADER_BYTES + _padded(product_bytes)
    names = columns + _WIDE * 2 * count + _padded(4 * count)
    if names + _padded(named) != len(value):
        raise BadRecord(f"user block: {len(value)} bytes, expected {names + _padded(named)}")
    after = _HEADER.size + _CRC.size
    crc = zlib.crc32(memoryview(value)[after:], zlib.crc32(value[: _HEADER.size]))
    if (crc,) != _CRC.unpack_from(value, _HEADER.size):
        raise BadRecord("user block: checksum does not match, damaged")
    population, sequence, ordinal, ts_ns, total, nav = _PLACE.unpack_from(value, after)
    users = np.frombuffer(value, "<u4", count, columns + 2 * _WIDE * count)
    block = UserBlock(
        product=_text(value[_HEADER_BYTES : _HEADER_BYTES + product_bytes]),
        shard=shard,
        sequence=sequence,
        ordinal=ordinal,
        ts_ns=ts_ns,
        population=population,
        units_total=total,
        product_nav_atoms=nav,
        users=users,
        units=np.frombuffer(value, "<i8", count, columns + _WIDE * count),
        nav_atoms=np.frombuffer(value, "<i8", count, columns),
        names=_named(value[names : names + named]),
    )
    _check(block)
    return block


def _check(block: UserBlock) -> None:
    users, below = block.users, int(np.searchsorted(block.users, block.population))
    if not 0 <= block.population <= _INDEX_MAX or block.sequence < 0 or block.ordinal < 0:
        raise BadRecord(f"user block: population {block.population}, place {block.sequence}")
    if (users[1:] <= users[:-1]).any():
        raise BadRecord("user block: indices do not rise")
    if len(block) - below != len(block.names):
        raise BadRecord(f"user block: {len(block.names)} names for {len(block) - below} users")
    if not 0 < block.units_total <= UNITS_MAX or block.units.min() < 0 or block.nav_atoms.min() < 0:
        raise BadRecord(f"user block: units of {block.units_total}, a negative amount, or none")


def _named(data: bytes) -> list[str]:
    if not data:
        return []
    try:
        return _NAMES.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRecord(f"user block: names: {error}") from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadRecord("user block: the product's name is not UTF-8") from None


def _padded(size: int) -> int:
    return size + -size % _WIDE
