"""Snapshots of a shard in a compacted topic: chunks under the broker's limit, the last two kept.

A snapshot is written in the transaction of its step, and the journal says where it lies: there is
no search, and half of one is never met.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from engine.errors import SnapshotError
from engine.ports import Mark
from feeds.codec import SCHEMA
from feeds.journal import SnapshotPlace, read_until
from feeds.log import Log, Outgoing, Place

__all__ = ["CHUNK_BYTES", "SNAPSHOT_CHUNK", "Kept", "Snapshots"]

SNAPSHOT_CHUNK: Final = b"snapshot-chunk/1"
_POLL_MS: Final = 200
CHUNK_BYTES: Final = 512_000
"""Bytes of a chunk; brokers take records of a megabyte by default."""


class Kept(Struct, frozen=True):
    """A snapshot with all that a successor needs.

    Attributes:
        mark: the engine at it.
        positions: next offset of each input.
        ended: inputs that will bring no more.
        state: the engine's own bytes.
        sha256: of ``state``, hexadecimal.
    """

    mark: Mark
    positions: dict[str, int]
    ended: tuple[str, ...]
    state: bytes
    sha256: str


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Kept)


class Snapshots:
    """The snapshots of one shard.

    Args:
        log: the broker.
        place: one partition a shard.
        shard: whose they are.
    """

    def __init__(self, log: Log, place: Place, shard: int) -> None:
        self._log = log
        self._place = place
        self._shard = shard

    def records(self, number: int, kept: Kept) -> list[Outgoing]:
        """The ``number``-th snapshot as it is sent. Keys alternate between two sets, so that
        compaction leaves the last two whole."""
        data = _ENCODER.encode(kept)
        place, headers = self._place, ((SCHEMA, SNAPSHOT_CHUNK), ("step", b"%d" % kept.mark.step))
        slot = number % 2
        starts = range(0, len(data), CHUNK_BYTES)
        return [
            Outgoing(
                place.topic,
                data[start : start + CHUNK_BYTES],
                b"%d/%d/%d" % (self._shard, slot, chunk),
                headers,
                place.partition,
            )
            for chunk, start in enumerate(starts)
        ]

    async def read(self, there: SnapshotPlace) -> Kept:
        """The snapshot that the journal names.

        Raises:
            SnapshotError: if a chunk is missing or it is not what was written.
        """
        place = self._place
        records = [
            record
            for record in await read_until(self._log, place, there.first, there.last)
            if dict(record.headers).get("step") == b"%d" % there.step
        ]
        if len(records) != there.chunks:
            raise SnapshotError(
                f"{place} offset {there.first}: {len(records)} chunks of the snapshot of step "
                f"{there.step}, expected {there.chunks}"
            )
        try:
            kept = _DECODER.decode(b"".join(record.value or b"" for record in records))
        except msgspec.MsgspecError as error:
            raise SnapshotError(f"{place} offset {there.first}: not a snapshot: {error}") from error
        if sha256(kept.state).hexdigest() != kept.sha256 or kept.mark.step != there.step:
            raise SnapshotError(f"{place} offset {there.first}: the snapshot is damaged")
        return kept

    async def any(self) -> bool:
        """Whether any chunk of a snapshot was ever committed here."""
        start, end = await self._log.bounds(self._place)
        if start == end:
            return start > 0
        consumer = await self._log.consumer({self._place: start})
        try:
            end = (await consumer.ends())[self._place]
            while (await consumer.positions())[self._place] < end:
                if await consumer.poll(timeout_ms=_POLL_MS):
                    return True
        finally:
            await consumer.close()
        return False

    async def prune(self, before: int) -> None:
        """Let go of what lies below the last snapshot but one."""
        await self._log.truncate(self._place, before)
