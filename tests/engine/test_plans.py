"""Plans by hand: a product of 100 at a mark of 100, in lots of a tenth of a coin, without fees; 3x
is 30 lots. However a tape is cut, heart and slow engine say the same of it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from msgspec import Struct

from engine.plans import NOW, LimitThenMarket, Now, Participate, Plan, Restrike, Twap
from engine.policy import Decision, Deleverage, SetLeverage, View
from engine.ticks import Kind
from engine.units import NEVER_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import OrderRules, VenueRules
from engine.watch import Watch
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

Step = tuple[float, Decision]


class Script(Struct, frozen=True):
    """Says what it is told to, seconds after the first price."""

    uses_signals: ClassVar[bool] = False
    uses_high_water: ClassVar[bool] = False
    de_risking: ClassVar[bool] = True

    steps: tuple[Step, ...]

    def initial_state(self) -> int:
        return 0

    def watch(self, view: View, state: int) -> Watch:
        return Watch(alarm_ns=self._due_ns(state))

    def decide(self, view: View, state: int) -> tuple[Decision | None, int]:
        if view.due_ns < self._due_ns(state):
            return None, state
        return self.steps[state][1], state + 1

    def _due_ns(self, state: int) -> int:
        if state == len(self.steps):
            return NEVER_NS
        return T0 + round(self.steps[state][0] * SECOND_NS)


def said(
    marks: dict[float, float],
    *steps: Step,
    plan: Plan = NOW,
    trades: tuple[tuple[float, float], ...] = (),
    notional_min: float = 0.0,
    book: BookSpec | None = None,
    **product: Any,
) -> Run:
    """Marks by second and trades of ``(second, coins)`` on a flat book."""
    rows = [(at, Kind.MARK, (price,)) for at, price in marks.items()]
    rows += [(at, Kind.TRADE, (100.0, coins, 1, n)) for n, (at, coins) in enumerate(trades)]
    rows.sort(key=lambda row: row[0])
    tape = a_tape(a_row(kind, T0 + round(at * SECOND_NS), *v) for at, kind, v in rows)
    market = a_market(
        contract=a_contract(lot_size=0.1, taker_fee=0.0),
        book=book or BookSpec(model="flat"),
        venue=VenueRules(orders=OrderRules(notional_min=notional_min)),
        stale_after_ns=3_600 * SECOND_NS,
    )
    own = a_product(seed_atoms=100 * 10**6, plan=plan, **product)
    spec = a_spec((own, (Script(steps),)), markets=[market])
    whole = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == whole.lines
    return whole


def fills(run: Run) -> list[tuple[float, int, float]]:
    """``(second, lots, price)``."""
    return [
        ((event.ts_ns - T0) / SECOND_NS, event.lots, event.price)
        for event in run.named("order_filled")
    ]


def cancelled(run: Run) -> list[tuple[int, str]]:
    return [(event.lots, event.reason) for event in run.named("order_cancelled")]


def test_twap_is_equal_parts_at_equal_distances() -> None:
    """30 lots in four parts are 8, 8, 8 and 6, the first after the latency; it is one rebalance."""
    run = said(
        {0: 100.0, 500: 100.0},
        (0, SetLeverage(3.0, "open")),
        plan=Twap(chunks=4, every_s=60.0),
        latency_ns=2 * SECOND_NS,
    )
    assert fills(run) == [(2, 8, 100.0), (62, 8, 100.0), (122, 8, 100.0), (182, 6, 100.0)]
    (done,) = run.named("rebalanced")
    assert (done.lots, done.leverage_after, done.ts_ns) == (30, 3.0, T0 + 182 * SECOND_NS)


def test_a_part_is_worth_no_more_than_its_largest() -> None:
    """At most 125 quote at 100 are 12 lots, however few parts were asked for."""
    plan = Twap(chunks=2, largest=125.0, every_s=10.0)
    run = said({0: 100.0, 100: 100.0}, (0, SetLeverage(3.0, "open")), plan=plan)
    assert [lots for _, lots, _ in fills(run)] == [12, 12, 6]


def test_a_capped_order_takes_what_lies_within_its_cap_once() -> None:
    """30 lots where 70 lie within 1 % of 100 and the price jumps 0.2 % while they are on
    their way: at a cap of 10 bps nothing is bought, of 40 bps a part, of 100 bps all; a decision
    that follows buys the rest, and nothing tries again by itself. Catches a cap that is measured
    where the order arrives, a rest that is sent again, and one that is bought beyond the cap."""
    found = {}
    for cap in (10.0, 40.0, 100.0):
        steps = [(0, SetLeverage(3.0, "open", Now(slippage_bps=cap))), (60, SetLeverage(3.0, "on"))]
        run = said(
            {0: 100.0, 1: 100.2, 90: 100.2}, *steps,
            latency_ns=2 * SECOND_NS, book=BookSpec(model="depth", depth_at_1pct=700.0),
        )  # fmt: skip
        first = [(lots, price) for at, lots, price in fills(run) if at < 60]
        assert all(price <= 100.0 * (1 + cap * 1e-4) for _, price in first)
        assert {at for at, _, _ in fills(run)} <= {2, 62}
        assert sum(lots for _, lots, _ in fills(run)) == 29
        found[cap] = sum(lots for lots, _ in first)
    assert found[10.0] == 0 < found[40.0] < found[100.0] == 30


def test_the_price_does_a_part_of_the_work() -> None:
    """From 3x to 2x at 100 are 10 lots, in two parts. At 110 the rest needs 3 lots instead of 5
    (cash -150, 25 lots, NAV 125: 2x are 22), and then none: the plan ends."""
    run = said(
        {0: 100.0, 10: 100.0, 15: 110.0, 60: 110.0},
        (0, SetLeverage(3.0, "open")),
        (10, SetLeverage(2.0, "less", Twap(chunks=2, every_s=10.0))),
    )
    assert fills(run)[1:] == [(10, -5, 100.0), (20, -3, 110.0)]
    assert cancelled(run) == [(-2, "not_needed")]
    _, done = run.named("rebalanced")
    assert (done.lots, done.position_lots) == (-8, 22)


def test_the_price_does_all_of_the_work() -> None:
    """Before its order arrives the price has risen so far that 2x needs no sale: nothing is traded,
    and no rebalance is counted."""
    run = said(
        {0: 100.0, 10: 100.0, 11: 150.0, 60: 150.0},
        (0, SetLeverage(3.0, "open")),
        (10, SetLeverage(2.0, "less", Twap(chunks=2, every_s=10.0))),
        latency_ns=5 * SECOND_NS,
    )
    assert len(fills(run)) == 1
    assert cancelled(run) == [(-10, "not_needed")]
    assert len(run.named("rebalanced")) == 1


def test_participation_is_a_share_of_what_others_trade() -> None:
    """A fifth of the trades since the last turn, rounded down: of 6.2 coins 12 lots, of nothing
    none, of 2.7 coins 5 lots; a trade at the very instant of a turn counts for it."""
    run = said(
        {0: 100.0, 100: 100.0},
        (0, SetLeverage(3.0, "open")),
        plan=Participate(share=0.2, every_s=10.0, timeout_s=45.0),
        trades=((1, 5.0), (10, 1.2), (21, 2.7), (44.0, 0.1)),
    )
    assert fills(run) == [(10, 12, 100.0), (30, 5, 100.0), (45, 13, 100.0)]
    assert len(run.named("rebalanced")) == 1


@pytest.mark.parametrize(("rule", "lots", "price"), [("worst", 28, 104.0), ("average", 29, 102.0)])
def test_a_restrike_is_done_at_the_price_of_its_window(rule: Any, lots: int, price: float) -> None:
    """The window opens 5 seconds after the decision and is looked at at 5, 7, 9 and 10: marks of
    100, 104, 104 and 100. A purchase is done at the worst, the highest, or at their mean, and is
    what makes 3x at that price (300 / 104 and 300 / 102 coins); the 108 between two looks is not
    seen."""
    plan = Restrike(delay_s=5.0, window_s=5.0, every_s=2.0, price=rule)
    run = said(
        {0: 100.0, 6: 104.0, 7.5: 108.0, 8: 104.0, 9.5: 100.0, 60: 100.0},
        (0, SetLeverage(3.0, "open", plan)),
    )
    assert fills(run) == [(10, lots, price)]


def test_a_restrike_sells_at_the_lowest() -> None:
    """From 3x to 2x at the lowest mark of the window, 96: NAV is 88 there, 2x are 18 lots."""
    run = said(
        {0: 100.0, 10: 100.0, 11: 96.0, 12: 101.0, 30: 100.0},
        (0, SetLeverage(3.0, "open")),
        (10, Deleverage(2.0, "restrike", Restrike(window_s=3.0, price="worst"))),
    )
    assert fills(run)[1:] == [(13, -12, 96.0)]
    assert run.named("deleveraged")[0].reason == "restrike"


def test_a_plan_gives_way_to_one_that_ends_with_less_and_to_no_other() -> None:
    """While 3x is cut to 2x in parts, 2.5x has to wait and 1x takes its place: at once, with all
    that is left to it (25 lots held, 10 wanted)."""
    run = said(
        {0: 100.0, 10: 100.0, 60: 100.0},
        (0, SetLeverage(3.0, "open")),
        (10, SetLeverage(2.0, "less", Twap(chunks=2, every_s=20.0))),
        (15, SetLeverage(2.5, "a little less")),
        (20, Deleverage(1.0, "much less")),
    )
    assert fills(run)[1:] == [(10, -5, 100.0), (20, -15, 100.0)]
    assert [event.reason for event in run.named("rebalanced", "deleveraged")] == [
        "open",
        "much less",
    ]


def test_what_the_venue_finds_too_small_goes_with_the_next_part() -> None:
    """Orders of at least 100 quote: parts of 8 lots (80) are refused, two of them are not."""
    run = said(
        {0: 100.0, 100: 100.0},
        (0, SetLeverage(3.0, "open")),
        plan=Twap(chunks=4, every_s=10.0),
        notional_min=100.0,
    )
    assert fills(run) == [(10, 16, 100.0), (30, 14, 100.0)]
    refused = [(event.reason, event.lots) for event in run.named("order_rejected")]
    assert refused == [("too_small", 30), ("too_small", 14)]


def test_own_plans_are_for_openings_and_rebalances_alone() -> None:
    """A cut because margin is short does not wait for the product's own plan."""
    run = said(
        {0: 100.0, 10: 100.0, 60: 100.0},
        (0, SetLeverage(3.0, "open", Now())),
        (10, Deleverage(2.0, "margin")),
        plan=Twap(chunks=2, every_s=20.0),
    )
    assert fills(run)[1:] == [(10, -10, 100.0)]


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        (Now, {"slippage_bps": -1.0}),
        (Twap, {"chunks": 0}),
        (Twap, {"every_s": 0.0}),
        (Twap, {"largest": -1.0}),
        (Twap, {"largest": float("nan")}),
        (Participate, {"share": 0.0}),
        (Participate, {"share": 1.5}),
        (Participate, {"timeout_s": float("inf")}),
        (LimitThenMarket, {"offset_bps": float("nan")}),
        (Restrike, {"window_s": -1.0}),
        (Restrike, {"every_s": 1e6}),
    ],
)
def test_plans_refuse_what_they_cannot_mean(plan: Any, wrong: dict[str, float]) -> None:
    """The setting is named, with what it was."""
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"{name}.*was {value}"):
        plan(**wrong)
