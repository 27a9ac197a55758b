"""``admin``: one command to a running engine, as a record of the topic of that name.

The engine answers with an event, ``command_obeyed`` or ``command_refused``, of the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from engine.cli.kafka import AccessFile, Brokers, Prefix, reached
from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.commands import Command
    from feeds.log import Log
    from feeds.topics import Topics

__all__ = ["Product", "Sending", "Symbol", "instant", "send"]
__all__ += ["degrade", "freeze", "gate", "halt", "mask", "pause", "resume", "split", "target"]
__all__ += ["unpause"]

Symbol = Annotated[str, Parameter(help="As the ticks name it.")]
Product = Annotated[str, Parameter(help="Id of the product.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Sending:
    """Where a command goes, and when it is due."""

    kafka: Brokers = "localhost:9092"
    prefix: Prefix = ""
    shard: Annotated[
        int | None, Parameter(help="Which engine; a market's own, or the only one, without.")
    ] = None
    at: Annotated[
        str | None, Parameter(help="Event time, such as 2024-08-08T23:56:00Z; at once without.")
    ] = None
    id: Annotated[
        str | None, Parameter(help="Names the command; the engine refuses a second of that id.")
    ] = None
    config: AccessFile = None
    json: Json = False


def halt(
    symbol: Symbol,
    /,
    *,
    reason: Annotated[str, Parameter(help="For whoever reads the events.")] = "",
    sending: Sending | None = None,
) -> int:
    """Take a market for stale until it is resumed: orders wait, requests are refused."""
    from engine.commands import HaltMarket

    return send(HaltMarket, sending, symbol=symbol, reason=reason)


def resume(symbol: Symbol, /, *, sending: Sending | None = None) -> int:
    """Let the next fresh price resume a halted market."""
    from engine.commands import ResumeMarket

    return send(ResumeMarket, sending, symbol=symbol)


def degrade(
    symbol: Symbol,
    latency_ms: Annotated[
        int, Parameter(help="How much longer orders take to the book; 0 is as usual.")
    ] = 0,
    /,
    *,
    refuse: Annotated[
        float, Parameter(help="Share of the attempts to trade that are refused; 1 for all.")
    ] = 0.0,
    reduce_only: Annotated[
        bool, Parameter(help="Only orders that reduce a position are taken.", negative="")
    ] = False,
    for_ms: Annotated[
        int, Parameter(help="For how long; until the next such command without.")
    ] = 0,
    sending: Sending | None = None,
) -> int:
    """Let a market's venue be slow, refuse orders, or take only those that reduce; nothing of it
    ends it."""
    from engine.commands import DegradeMarket

    trouble = {"refuse": refuse, "reduce_only": reduce_only, "for_ms": for_ms}
    return send(DegradeMarket, sending, symbol=symbol, latency_ms=latency_ms, **trouble)


def freeze(
    symbol: Symbol,
    until: Annotated[str, Parameter(help="Event time up to which; 0 ends it.")],
    /,
    *,
    sending: Sending | None = None,
) -> int:
    """Let no top-up of margin reach a market's accounts before a time."""
    from engine.commands import FreezeWithdrawals

    return send(
        FreezeWithdrawals, sending, symbol=symbol, until_ns=0 if until == "0" else instant(until)
    )


def mask(
    symbol: Symbol,
    source: Annotated[str, Parameter(help="Symbol of the source; all of them without.")] = "",
    /,
    *,
    end: Annotated[bool, Parameter(help="They count again.", negative="")] = False,
    for_ms: Annotated[int, Parameter(help="For how long; until it is ended without.")] = 0,
    sending: Sending | None = None,
) -> int:
    """Take sources of a market's own index for out of order, whatever they say."""
    from engine.commands import MaskIndex

    return send(MaskIndex, sending, symbol=symbol, source=source, masked=not end, for_ms=for_ms)


def pause(product: Product, /, *, sending: Sending | None = None) -> int:
    """Ask a product's policies no more, and deal no requests; bankruptcy still closes it."""
    from engine.commands import PauseProduct

    return send(PauseProduct, sending, product=product)


def unpause(product: Product, /, *, sending: Sending | None = None) -> int:
    """Ask a paused product's policies again, at once."""
    from engine.commands import ResumeProduct

    return send(ResumeProduct, sending, product=product)


def target(
    product: Product,
    leverage: Annotated[float, Parameter(help="Signed, within the product's limits.")],
    /,
    *,
    sending: Sending | None = None,
) -> int:
    """Trade a product to a leverage now, paused or not; its policies have their say after that."""
    from engine.commands import ForceTarget

    return send(ForceTarget, sending, product=product, target=leverage)


def gate(
    product: Product, state: Literal["closed", "open"], /, *, sending: Sending | None = None
) -> int:
    """Refuse creations of a product while closed; redemptions go on."""
    from engine.commands import GateCreations

    return send(GateCreations, sending, product=product, closed=state == "closed")


def split(product: Product, new: int, old: int, /, *, sending: Sending | None = None) -> int:
    """Every OLD units of a product become NEW, one of which is 1: 1 100 merges a hundred to one."""
    from engine.commands import SplitUnits

    return send(SplitUnits, sending, product=product, new=new, old=old)


def instant(said: str) -> int:
    """Nanoseconds of a time as it is typed."""
    from engine.errors import ConfigError
    from feeds.requests import parse_time

    try:
        return parse_time(int(said) if said.isdigit() else said)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def send(kind: Any, sending: Sending | None, **fields: Any) -> int:
    """Make a command of its fields and write it to the topic; the exit code."""
    import asyncio
    from uuid import uuid4

    from engine.cli import showing
    from engine.errors import ConfigError
    from feeds.codec import decode_command, encode_json
    from feeds.topics import Topics

    to = sending or Sending()
    ts_ns = instant(to.at) if to.at else 0
    try:
        command = kind(ts_ns=ts_ns, id=to.id or uuid4().hex, **fields)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    # What the engine could not read is refused here, where somebody sees it.
    decode_command(encode_json(command))
    topics = Topics(to.prefix)
    shard = asyncio.run(_sent(reached(to.kafka, to.config), topics, to.shard, command))
    told = {"topic": topics.admin, "shard": shard, "id": command.id}
    if to.json:
        showing.emit_json(told)
    else:
        showing.emit(f"sent to shard {shard} as {command.id}; the events say what became of it")
    return 0


async def _sent(log: Log, topics: Topics, shard: int | None, command: Command) -> int:
    from feeds.publishing import message_record

    try:
        partitions = await log.partitions(topics.admin)
        number = _shard(shard, partitions, getattr(command, "symbol", None))
        producer = await log.producer()
        try:
            await producer.send([message_record(command, topics, number)])
        finally:
            await producer.close()
    finally:
        await log.close()
    return number


def _shard(given: int | None, shards: int, symbol: str | None) -> int:
    """The engine that serves a market; which one serves a product, only its operator knows."""
    from engine.errors import ConfigError
    from feeds.publishing import homes_of

    if given is None and symbol is not None:
        return homes_of([symbol], shards)[0]
    if given is None and shards > 1:
        raise ConfigError(f"which of the {shards} shards has the product? Say --shard N")
    if given is not None and not 0 <= given < shards:
        raise ConfigError(f"--shard must be 0 to {shards - 1}, was {given}")
    return given or 0
