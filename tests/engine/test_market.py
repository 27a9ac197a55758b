"""Tests of ``engine.market``: what those who are attended at one instant see of it."""

from __future__ import annotations

from typing import ClassVar

from engine.events import CreationRequest
from engine.policy import Decision, Nothing, SetLeverage, View
from engine.ticks import Kind
from engine.units import MINUTE_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.funding import FundingSpec
from engine.watch import Watch
from tests.builders import T0, a_market, a_product, a_row, a_spec, a_tape, run
from tests.properties.agreement import agree

A = T0 + 100 * SECOND_NS
"""A whole minute."""


class Looker:
    """Reviews every minute, writes down the market, and opens at the second review."""

    uses_signals: ClassVar[bool] = True
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = False

    def __init__(self, opens: bool = False) -> None:
        self.opens = opens
        self.seen: list[tuple[int, float, float, float]] = []

    def initial_state(self) -> Nothing:
        return Nothing()

    def watch(self, view: View, state: Nothing) -> Watch:
        return Watch(alarm_ns=(view.due_ns // MINUTE_NS + 1) * MINUTE_NS)

    def decide(self, view: View, state: Nothing) -> tuple[Decision | None, Nothing]:
        market = view.market
        self.seen.append((view.due_ns, market.mark, market.depth, market.funding_rate))
        opening = self.opens and view.due_ns == A and not view.position.target
        return SetLeverage(2.0, "opening") if opening else None, state


def look(*lookers: Looker, **fields: object) -> None:
    """Products with these policies, one mark every ten seconds for four minutes."""
    market = a_market(**fields)
    products = [(a_product(f"P{n}"), (looker,)) for n, looker in enumerate(lookers)]
    rows = [a_row(Kind.MARK, T0 + n * 10 * SECOND_NS, 100.0 + n) for n in range(24)]
    run(a_spec(*products, markets=(market,)), a_tape(rows))


def test_what_a_trade_took_is_missing_from_the_view_of_who_is_asked_next() -> None:
    """Within one instant the book of the second product has less than that of the first; the rest
    of what they see is the same. Catches a view that outlives a trade."""
    first, second = Looker(opens=True), Looker()
    look(first, second, book=BookSpec(model="depth", depth_at_1pct=1e8))
    (before,) = [seen for seen in first.seen if seen[0] == A]
    (after,) = [seen for seen in second.seen if seen[0] == A]
    assert after[2] < before[2]
    assert (after[0], after[1], after[3]) == (before[0], before[1], before[3])


def test_a_funding_rate_that_becomes_known_is_seen_at_once() -> None:
    """The launch of the first product starts the funding clock; the second one, launched at the
    same price, sees the rate, and at a funding instant everybody sees that of the next. Catches a
    view that outlives the rate."""
    first, second = Looker(), Looker()
    instants = ((A, 0.001), (A + 2 * MINUTE_NS, 0.002))
    look(first, second, funding=FundingSpec(recorded=False, instants=instants))
    assert second.seen[0][3] == 0.001
    rates = {due_ns: rate for due_ns, _, _, rate in first.seen if due_ns >= A}
    assert rates == {A: 0.002, A + MINUTE_NS: 0.002, A + 2 * MINUTE_NS: 0.0}


def test_every_review_sees_its_own_instant() -> None:
    """Each review stands on the last mark up to it. Catches a view that outlives its instant."""
    looker = Looker()
    look(looker)
    marks = [mark for due_ns, mark, _, _ in looker.seen if due_ns >= A]
    assert marks == [110.0, 116.0, 122.0]


def test_a_request_at_the_instant_at_which_a_mark_goes_stale_finds_it_stale() -> None:
    """30 s after the last mark a quote comes, then a request, then in the same instant the next
    mark: the request rings the check before it. Catches a check that looks at rows behind a
    message."""
    spec, at = a_spec(markets=(a_market(stale_after_ns=30 * SECOND_NS),)), T0 + 30 * SECOND_NS
    request = CreationRequest(ts_ns=T0, id="r", user="x", product="BTC3L", quote=1e3)
    quote = a_row(Kind.BBO, at, 99.0, 1.0, 101.0, 1.0)
    marks = [a_row(Kind.MARK, ts_ns, 100.0) for ts_ns in (T0, at, at + SECOND_NS)]
    said = agree(spec, a_tape([marks[0], quote, request, *marks[1:]]))
    assert [each.reason for each in said.named("creation_refused")] == ["stale"]
