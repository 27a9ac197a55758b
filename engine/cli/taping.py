"""``record``: a live day as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from engine.cli.kafka import Brokers, Prefix
from engine.cli.logs import log_to_stderr
from engine.cli.markets import Like, Live, live_markets
from engine.cli.running import ConfigFile, Json
from engine.cli.serving import Shard

if TYPE_CHECKING:
    from feeds.log import Log
    from feeds.taping import Taped

__all__ = ["record"]


def record(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Parquet file to write.")],
    kafka: Brokers = "localhost:9092",
    prefix: Prefix = "",
    shard: Shard = 0,
    config: ConfigFile = None,
    like: Like = None,
    json: Json = False,
) -> int:
    """Write what an engine took from Kafka as one Parquet recording, in the order of its journal.

    Malformed rows and requests keep their places in the file: run with the same configuration, it
    comes to the digest of the live engine.
    """
    import asyncio

    from engine.cli import showing
    from feeds.kafka import KafkaLog

    live = live_markets(config, like, None, None)
    log_to_stderr()
    log = KafkaLog(kafka, security=live.settings.kafka)
    out.parent.mkdir(parents=True, exist_ok=True)
    taped = asyncio.run(_record(log, prefix, shard, live, out))
    mark = taped.mark
    if json:
        told = {"path": str(out), "rows": taped.rows, "steps": mark.step}
        showing.emit_json({**told, "finished": mark.finished, "state_digest": mark.digest})
    else:
        showing.emit(
            f"wrote {out}: {taped.rows:,} rows of {mark.step:,} steps of shard {shard}, "
            f"{out.stat().st_size / 1e6:.1f} MB"
        )
    return 0


async def _record(log: Log, prefix: str, shard: int, live: Live, out: Path) -> Taped:
    from feeds.taping import tape
    from feeds.topics import Topics

    topics = Topics(prefix)
    try:
        _, symbols = live.share(shard, await log.partitions(topics.ticks))
        return await tape(log, topics, shard, symbols, out)
    finally:
        await log.close()
