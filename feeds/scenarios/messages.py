"""What an operator would send in a scenario's events, and a mark of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from engine.commands import (
    AutoDeleverage,
    DefaultVenue,
    DegradeMarket,
    FreezeWithdrawals,
    HaltMarket,
    MarkScenario,
    MaskIndex,
    PriceCollateral,
    ResumeMarket,
    ThinBook,
)
from engine.durations import duration_ns
from engine.events import Message
from engine.units import MILLISECOND_NS, NEVER_NS
from feeds.scenarios.curves import shaped
from feeds.scenarios.custody import Adl, Depeg, VenueDefault
from feeds.scenarios.events import Scenario
from feeds.scenarios.mishaps import Halt, Latency, Liquidity, Outage, Rejects, WithdrawalFreeze
from feeds.scenarios.timeline import Placed, ScenarioError, Span

__all__ = ["messages_of"]

STEPS_MAX: Final = 100_000
"""Prices that one ``depeg`` tells."""


def messages_of(
    events: Sequence[Placed], scenarios: Sequence[Scenario], span: Span, markets: Sequence[str]
) -> list[Message]:
    """All messages in order of time; at one instant the mark of an event comes first."""
    found: list[Message] = [_mark(each, scenarios[each.scenario], span) for each in events]
    for each in events:
        own = [name for name in markets if _concerns(each, name)]
        for symbol in own:
            found += _orders(
                each, symbol, f"{_name(each)}:{symbol}", max(each.start_ns, span.first_ns)
            )
    for symbol in markets:
        found += _troubles(events, symbol, span)
        found += _collateral(events, symbol, span)
    return sorted(found, key=lambda message: message.ts_ns)


def _name(placed: Placed) -> str:
    return f"scenario:{placed.scenario}:{placed.number}"


def _mark(placed: Placed, scenario: Scenario, span: Span) -> MarkScenario:
    event = placed.event
    return MarkScenario(
        ts_ns=max(placed.start_ns, span.first_ns),
        id=_name(placed),
        scenario=scenario.name,
        name=event.called,
        what=event.kind,
        until_ns=min(max(placed.end_ns, span.first_ns), NEVER_NS - 1),
        words=event.words,
    )


def _orders(placed: Placed, symbol: str, name: str, start_ns: int) -> Iterator[Message]:
    """What is said of one market at an event's begin and end."""
    event, end_ns = placed.event, placed.end_ns
    if isinstance(event, Halt):
        yield HaltMarket(ts_ns=start_ns, id=f"{name}:halt", symbol=symbol, reason="scenario")
        if end_ns < NEVER_NS:
            yield ResumeMarket(ts_ns=end_ns, id=f"{name}:resume", symbol=symbol)
    elif isinstance(event, VenueDefault):
        yield DefaultVenue(ts_ns=start_ns, id=name, symbol=symbol, recovery=event.recovery)
    elif isinstance(event, Adl) and event.share_pct:
        yield AutoDeleverage(
            ts_ns=start_ns,
            id=name,
            symbol=symbol,
            share=event.share_pct / 100.0,
            side=event.side,
            price_bps=event.price_bps,
        )
    elif isinstance(event, WithdrawalFreeze):
        until_ns = min(end_ns, NEVER_NS - 1)
        yield FreezeWithdrawals(ts_ns=start_ns, id=name, symbol=symbol, until_ns=until_ns)
    elif isinstance(event, Outage) and event.source:
        yield MaskIndex(ts_ns=start_ns, id=name, symbol=symbol, source=event.source)
        if end_ns < NEVER_NS:
            yield MaskIndex(
                ts_ns=end_ns, id=f"{name}:end", symbol=symbol, source=event.source, masked=False
            )
    elif isinstance(event, Liquidity) and event.depth_scale != 1.0:
        yield ThinBook(
            ts_ns=start_ns,
            id=name,
            symbol=symbol,
            scale=event.depth_scale,
            until_ns=min(end_ns, NEVER_NS - 1),
            half_life_ms=duration_ns(event.half_life) // MILLISECOND_NS,
        )


def _troubles(events: Sequence[Placed], symbol: str, span: Span) -> Iterator[Message]:
    """A venue has one state: at each instant at which some trouble begins or ends it is told whole,
    latencies added up, the largest share that is refused."""
    own = [each for each in events if _is_trouble(each, symbol)]
    edges = {max(each.start_ns, span.first_ns) for each in own} | {e.end_ns for e in own}
    instants = sorted(edge for edge in edges if edge < NEVER_NS)
    for number, (ts_ns, _) in enumerate(pairwise([*instants, NEVER_NS])):
        now = [e.event for e in own if max(e.start_ns, span.first_ns) <= ts_ns < e.end_ns]
        yield DegradeMarket(
            ts_ns=ts_ns,
            id=f"scenario:trouble:{symbol}:{number}",
            symbol=symbol,
            latency_ms=min(sum(e.latency_ms for e in now if isinstance(e, Latency)), 3_600_000),
            refuse=max((_refused(event) for event in now), default=0.0),
            reduce_only=any(isinstance(e, Rejects) and e.reduce_only for e in now),
        )


def _collateral(events: Sequence[Placed], symbol: str, span: Span) -> Iterator[Message]:
    """What the asset of a market's margin costs: each ``depeg`` goes from where the one before it
    ended, 1 at first, in steps to its own price."""
    own = [e for e in events if isinstance(e.event, Depeg) and _concerns(e, symbol)]
    own.sort(key=lambda each: each.start_ns)
    for first, second in pairwise(own):
        if second.start_ns < first.end_ns:
            said = f'"{second.event.called}" begins before "{first.event.called}" ends: an asset '
            where = ("events", second.number, "kind")
            raise ScenarioError(second.scenario, where, f"{said}has one price at a time")
    price = 1.0
    for each in own:
        event = each.event
        assert isinstance(event, Depeg)
        every_ns, took_ns = duration_ns(event.every), each.end_ns - each.start_ns
        steps = -(-took_ns // every_ns)
        if steps > STEPS_MAX:
            said = f"every is {event.every!r}: {steps:,} prices; {STEPS_MAX:,} at most"
            raise ScenarioError(each.scenario, ("events", each.number, "every"), said)
        passed = np.minimum(np.arange(1, steps + 1) * every_ns, took_ns)
        prices = price + (event.to - price) * shaped(passed / took_ns, event.shape)
        for number, (after_ns, now) in enumerate(
            zip(passed.tolist(), prices.tolist(), strict=True)
        ):
            yield PriceCollateral(
                ts_ns=max(each.start_ns + after_ns, span.first_ns),
                id=f"{_name(each)}:{symbol}:{number}",
                symbol=symbol,
                price=event.to if after_ns == took_ns else now,
                share=event.share,
            )
        price = event.to


def _concerns(placed: Placed, symbol: str) -> bool:
    return not placed.event.symbols or symbol in placed.event.symbols


def _is_trouble(placed: Placed, symbol: str) -> bool:
    event = placed.event
    if not _concerns(placed, symbol):
        return False
    return isinstance(event, Latency | Rejects) or (
        isinstance(event, Outage) and event.target == "venue"
    )


def _refused(event: object) -> float:
    if isinstance(event, Outage):
        return 1.0
    return event.share if isinstance(event, Rejects) else 0.0
