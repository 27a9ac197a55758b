"""All state at a sequence, in canonical bytes; restore, and the tail of the input gives the tail of
the log.

A snapshot may be taken between any two steps: with an order on its way, a plan half filled, a
request waiting. Restore and snapshot again gives the same bytes; another schema or another
configuration is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from engine.account import AccountState
from engine.clock import Clock
from engine.dealing import Dealing
from engine.digest import ChainState
from engine.engine import Engine, EngineSpec, EngineState
from engine.errors import SnapshotError
from engine.events import RedemptionRequest
from engine.handler import Handler
from engine.handler_state import HandlerState, Next
from engine.lanes import Lane
from engine.margins_state import MarginsState
from engine.market import Market, MarketState
from engine.orders import DeskState
from engine.points import PricingState
from engine.priced_market import PricedMarket
from engine.quotas import DayBook, Waiting
from engine.sampler import SamplerState
from engine.secondary import SecondaryState
from engine.signals import SignalState
from engine.treasury import TopUp
from engine.venue.book import BookState
from engine.venue.crowd import CrowdState

__all__ = ["SCHEMA", "restore", "snapshot", "state_digest"]

SCHEMA: Final = "levsim-snapshot/10"


class HandlerSnapshot(Struct):
    """One product."""

    state: HandlerState
    account: AccountState
    desk: DeskState
    topup: TopUp | None
    units: bytes
    queue: list[Waiting]
    today: DayBook
    secondary: SecondaryState
    orders: list[RedemptionRequest]
    pledged: list[tuple[int, int]]
    next: Next
    edges: tuple[float, float]


class MarketSnapshot(Struct):
    """One symbol."""

    state: MarketState
    book: BookState
    signals: SignalState
    edges: list[tuple[float, float]]
    line: bytes
    parts: bytes
    handlers: list[HandlerSnapshot]
    pricing: PricingState | None = None


class Snapshot(Struct):
    """Everything; integers of the ledger as text, since they may exceed 64 bits."""

    schema: str
    config_hash: str
    engine: EngineState
    ledger: list[tuple[str, str, str]]
    transfers: list[int]
    users: list[str]
    clock: Clock
    lanes: list[list[Lane]]
    agenda: list[tuple[int, int, int, int]]
    sampler: SamplerState
    events_chain: ChainState
    line_chains: list[ChainState]
    nav_chains: list[ChainState]
    markets: list[MarketSnapshot]
    margins: MarginsState | None = None
    crowds: list[CrowdState] = []


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODER: Final = msgspec.msgpack.Decoder(Snapshot)


def snapshot(engine: Engine) -> bytes:
    """The engine's state in canonical bytes; the ledger is scanned whole, and holders against it.

    Raises:
        InvariantError: where an asset does not sum to zero, or users' units are not those of the
            ledger.
    """
    engine.ledger.check()
    for handler in engine.handlers:
        handler.dealing.check()
    if engine.margins is not None:
        engine.margins.check()
    return _ENCODER.encode(_state(engine, lambda dealing: dealing.units.tobytes(), whole=True))


def state_digest(engine: Engine) -> str:
    """Hash of the canonical state, in which the units of a product's users stand as their own
    hash: a million holders cost nothing while none of them deals."""
    return sha256(_ENCODER.encode(_state(engine, Dealing.units_digest, whole=False))).hexdigest()


def _state(engine: Engine, units: Callable[[Dealing], bytes], *, whole: bool) -> Snapshot:
    engine.settle()
    engine.intake.clock.catch_up(engine.time_ns)
    for samples in engine.nav_chains:
        samples.settle()
    return Snapshot(
        schema=SCHEMA,
        config_hash=engine.spec.config_hash,
        engine=engine.state,
        ledger=[(o, a, str(b)) for o, a, b in engine.ledger.accounts()],
        transfers=engine.ledger.transfers,
        users=engine.users.named(),
        clock=engine.intake.clock,
        lanes=engine.intake.lanes,
        agenda=engine.agenda.entries(),
        sampler=engine.sampler.state,
        events_chain=engine.events_chain.state,
        line_chains=[chain.state for chain in engine.line_chains],
        nav_chains=[chain.state for chain in engine.nav_chains],
        markets=[_market(market, units) for market in engine.markets],
        margins=engine.margins.state if engine.margins is not None else None,
        crowds=engine.margins.crowds.state(whole=whole) if engine.margins is not None else [],
    )


def restore(spec: EngineSpec, data: bytes) -> Engine:
    """An engine that goes on where the snapshot was taken.

    Raises:
        SnapshotError: if the bytes are no snapshot of this schema and this configuration, or hold
            a state that is none of its policy's.
    """
    try:
        kept = _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"not a snapshot of schema {SCHEMA}: {error}") from error
    if kept.schema != SCHEMA:
        raise SnapshotError(f"snapshot of schema {kept.schema!r}, this code reads {SCHEMA!r}")
    if kept.config_hash != spec.config_hash:
        raise SnapshotError("the snapshot was taken under another configuration")
    engine = Engine(spec)
    engine.state = kept.engine
    engine.ledger.load([(o, a, int(b)) for o, a, b in kept.ledger], kept.transfers)
    for name in kept.users:
        engine.users.admit(name)
    engine.intake.clock = kept.clock
    engine.intake.lanes = kept.lanes
    for ts_ns, priority, number, place in kept.agenda:
        engine.agenda.set((priority, number, place), ts_ns)
    engine.sampler.resume(kept.sampler)
    engine.events_chain.state = kept.events_chain
    chains = [*engine.line_chains, *engine.nav_chains]
    for chain, state in zip(chains, [*kept.line_chains, *kept.nav_chains], strict=True):
        chain.state = state
    for market, one in zip(engine.markets, kept.markets, strict=True):
        try:
            _restore_market(market, one)
        except msgspec.ValidationError as error:
            said = f"a policy remembered what its class does not know any more: {error}"
            raise SnapshotError(f"{said}; take the code that took the snapshot") from error
    if engine.margins is not None and kept.margins is not None:
        engine.margins.resume_crowds(kept.crowds)
        engine.margins.resume(kept.margins)
    for market in engine.markets:
        engine.router.arm(market)
    return engine


def _market(market: Market, units: Callable[[Dealing], bytes]) -> MarketSnapshot:
    market.lines.settle()
    line, parts = market.lines.line, market.lines.parts
    return MarketSnapshot(
        market.state,
        market.book.state,
        market.signals.state,
        [market.edges.of(place) for place in range(len(market.handlers))],
        line.tobytes(),
        parts.tobytes(),
        [_handler(handler, units) for handler in market.handlers],
        market.pricing.points.state if isinstance(market, PricedMarket) else None,
    )


def _handler(handler: Handler, units: Callable[[Dealing], bytes]) -> HandlerSnapshot:
    dealing = handler.dealing
    return HandlerSnapshot(
        handler.state,
        handler.account.state,
        handler.desk.state,
        handler.desk.treasury.topup,
        units(dealing),
        dealing.queue,
        dealing.today,
        dealing.secondary,
        dealing.orders,
        sorted(dealing.pledged.items()),
        handler.next,
        handler.edges,
    )


def _restore_market(market: Market, kept: MarketSnapshot) -> None:
    market.state = kept.state
    market.book.state = kept.book
    market.signals.state = kept.signals
    market.mark = kept.state.mark
    if isinstance(market, PricedMarket) and kept.pricing is not None:
        market.pricing.points.resume(kept.pricing)
    for place, (low, high) in enumerate(kept.edges):
        market.edges.arm(place, low, high)
    for handler, one in zip(market.handlers, kept.handlers, strict=True):
        _restore_handler(handler, one)
    market.settle_index(kept.state.index_ns)
    for place in market.followers:
        due = market.handlers[place].next
        market.index_edges.arm(place, due.index_low, due.index_high)
    market.recall(market.handlers)
    lines = market.lines
    lines.line[:] = np.frombuffer(kept.line).reshape(lines.line.shape)
    lines.parts[:] = np.frombuffer(kept.parts, np.int64).reshape(lines.parts.shape)
    for place, handler in enumerate(market.handlers):
        lines.plan(place, handler.desk.planned_lots, 0)


def _restore_handler(handler: Handler, kept: HandlerSnapshot) -> None:
    states: list[Any] = [
        msgspec.convert(state, type(policy.initial_state()))
        for policy, state in zip(handler.policies, kept.state.policies, strict=True)
    ]
    kept.state.policies = states
    handler.state = kept.state
    handler.account.state = kept.account
    handler.account.draw_line()
    handler.desk.state = kept.desk
    handler.desk.treasury.topup = kept.topup
    handler.next = kept.next
    handler.edges = kept.edges
    dealing = handler.dealing
    dealing.units = np.frombuffer(kept.units, np.int64).copy()
    dealing.queue = kept.queue
    dealing.today = kept.today
    dealing.secondary = kept.secondary
    dealing.orders = kept.orders
    dealing.pledged = dict(kept.pledged)
