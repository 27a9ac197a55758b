"""``publish`` and ``serve``: the same market data and the same engine, on Kafka."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from engine.cli.running import (
    ConfigFile,
    DataFiles,
    Json,
    PolicyName,
    Quiet,
    Sets,
    SymbolName,
)

if TYPE_CHECKING:
    from engine.config import RunConfig
    from engine.engine import Engine, EngineSpec
    from engine.sampler import Sampling
    from engine.service import Progress
    from feeds.kafka import KafkaLog
    from feeds.recording import SymbolInfo
    from feeds.security import Security
    from feeds.shard import ShardSettings

__all__ = ["publish", "serve"]

Brokers = Annotated[str, Parameter(name="--kafka", help="host:port, several separated by commas.")]
Prefix = Annotated[str, Parameter(help="Of the topics' names.")]


def publish(
    *data: DataFiles,
    kafka: Brokers = "localhost:9092",
    prefix: Prefix = "",
    form: Annotated[
        Literal["block", "msgpack", "json"], Parameter(help="Blocks of rows, or a record a row.")
    ] = "block",
    symbol: SymbolName = None,
    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], help="TOML whose [kafka] says how brokers are reached."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write market data to the topic of ticks, as fast as the broker takes it."""
    import asyncio

    from engine import api
    from engine.cli import showing
    from engine.config import load_config
    from feeds.topics import Topics

    security = None if config is None else load_config(config).kafka
    opened = api.open_data(list(data), symbol)
    topics = Topics(prefix)
    if not quiet:
        showing.note(f"publishing to {topics.ticks} at {kafka}")
    _log_to_stderr()
    rows = asyncio.run(_publish(opened, topics, kafka, security, form))
    if json:
        showing.emit_json({"topic": topics.ticks, "rows": rows})
    else:
        showing.emit(f"published {rows:,} rows of {len(opened.symbols)} symbols to {topics.ticks}")
    return 0


async def _publish(
    opened: Any, topics: Any, brokers: str, security: Security | None, form: Any
) -> int:
    from feeds.kafka import KafkaLog
    from feeds.topics import ensure_topics
    from feeds.topics import publish as published

    log = KafkaLog(brokers, security=security)
    try:
        await ensure_topics(log, topics)
        producer = await log.producer()
        try:
            names = [info.symbol for info in opened.symbols]
            return await published(producer, topics, opened.steps(), names, form=form)
        finally:
            await producer.close()
    finally:
        await log.close()


def serve(
    *,
    kafka: Brokers = "localhost:9092",
    shard: Annotated[
        int, Parameter(help="Number of this engine; part of every output's name.")
    ] = 0,
    config: ConfigFile = None,
    like: Annotated[
        Path | None,
        Parameter(help="Data with the symbols of the ticks, instead of a file's markets."),
    ] = None,
    sets: Sets = None,
    policy: PolicyName = None,
    prefix: Prefix = "",
    user_blocks_above: Annotated[
        int | None,
        Parameter(help="Users of a product beyond whom their NAVs are packed into blocks."),
    ] = None,
    once: Annotated[bool, Parameter(negative=(), help="Stop where the publisher ended.")] = False,
    json: Json = False,
) -> int:
    """The engine on Kafka: ticks and requests in, events and NAVs out, at least once.

    By (shard, sequence, ordinal) a reader drops repeats. Ends at SIGINT or SIGTERM.
    """
    import asyncio

    from msgspec.structs import replace

    from engine.config import load_config
    from feeds.kafka import KafkaLog
    from feeds.shard import ShardSettings
    from feeds.user_navs import USER_BLOCKS_ABOVE

    symbols = _symbols(config, like)
    settings = load_config(config, sets or [], symbols=symbols, policy=policy)
    found = _spec_of(settings, symbols, config if policy is None else None, sets or [])
    spec = replace(found, sampling=_sampling(settings, found.sampling))
    above = user_blocks_above
    if above is None:
        above = settings.kafka.user_blocks_above if settings.kafka else USER_BLOCKS_ABOVE
    hashed = spec.config_hash
    of_shard = ShardSettings(shard=shard, config_hash=hashed, finite=once, user_blocks_above=above)
    _log_to_stderr()
    log = KafkaLog(kafka, security=settings.kafka)
    with redirect_stdout(sys.stderr):
        engine, done = asyncio.run(_serve(spec, log, prefix, of_shard))
    _tell(shard, done, engine.digest(), json=json)
    return 0


def _tell(shard: int, done: Progress, digest: str, *, json: bool) -> None:
    from engine.cli import showing

    told = {
        "shard": shard,
        "steps": done.mark.step,
        "sequence": done.mark.sequence,
        "events": done.events,
        "replayed": done.replayed,
        "finished": done.mark.finished,
        "digest": digest,
    }
    if json:
        showing.emit_json(told)
    else:
        showing.emit(
            f"shard {shard}: {done.mark.sequence:,} rows in {done.mark.step:,} steps, "
            f"{done.events:,} events, digest {digest}"
        )


def _sampling(settings: RunConfig, sampling: Sampling) -> Sampling:
    """Holders at once when their product trades, and all of them at the cadence: a topic takes what
    a file would be too large for."""
    from msgspec.structs import replace

    from engine.config import duration_ns

    output = settings.output
    every_ns = 0 if output.users == "none" else duration_ns(output.user_nav_every)
    return replace(sampling, users_on_trade=True, user_nav_every_ns=every_ns)


async def _serve(
    spec: EngineSpec, log: KafkaLog, prefix: str, settings: ShardSettings
) -> tuple[Engine, Progress]:
    import asyncio

    from engine.service import serve as served
    from engine.service import stop_on_signals
    from engine.valuing import valuation_of
    from feeds.shard import LogShard
    from feeds.topics import Topics, ensure_topics

    topics = Topics(prefix)
    try:
        await ensure_topics(log, topics)
        opened = LogShard(log, topics, valuation_of(spec), settings).open
        stop = asyncio.Event()
        with stop_on_signals(stop):
            return await served(spec, opened, stop=stop)
    finally:
        await log.close()


def _spec_of(settings: Any, symbols: Any, config: Path | None, sets: list[str]) -> Any:
    """The specification; what is wrong with a setting is told with its line in ``config``."""
    from engine.config import placed, spec_of

    with placed(config, sets):
        return spec_of(settings, symbols)


def _symbols(config: Path | None, like: Path | None) -> tuple[SymbolInfo, ...]:
    """The symbols of the ticks: those of a recording, or of the markets that the configuration
    lists."""
    from engine import api
    from engine.config import load_config
    from engine.errors import ConfigError

    if like is not None:
        return tuple(api.open_data([like]).symbols)
    listed = load_config(config) if config is not None else None
    if listed is None or not listed.markets:
        raise ConfigError(
            "which symbols do the ticks have? List [[markets]] in "
            "-c CONFIG.toml, or give --like DATA "
            "(--like sample for the synthetic one)"
        )
    return tuple(_info(listed, number) for number in range(len(listed.markets)))


def _info(config: RunConfig, number: int) -> SymbolInfo:
    """A live market: every kind of row may come; ``mark = "auto"`` means recorded marks."""
    from engine.ticks import Kind
    from feeds.formats.names import market
    from feeds.recording import SymbolInfo

    listed = config.markets[number]
    known = market("configuration", listed.symbol, listed.contract.kind)
    contract = listed.contract
    return SymbolInfo(
        symbol=listed.symbol,
        base=contract.base or known.base,
        quote=contract.quote or known.quote,
        contract=contract.kind or known.contract,
        contract_size=contract.contract_size or known.contract_size,
        kinds=tuple(Kind),
    )


def _log_to_stderr() -> None:
    """Our log on stderr; the client's own complaints come as our errors."""
    import logging

    import structlog

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # The stream is looked up at each line, not kept: whoever called us may replace it.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
