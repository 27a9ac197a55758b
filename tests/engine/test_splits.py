"""Splits and merges, worked by hand; heart and slow engine agree, cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from engine.commands import SplitUnits
from engine.config.complaints import SettingError
from engine.config.offering_settings import AnnouncedConfig, SplitConfig
from engine.config.offerings import split_of
from engine.events import RedemptionRequest
from engine.offering import Offering
from engine.outputs import Outputs
from engine.rundir import RunWriter
from engine.sampler import Sampling
from engine.splits import SplitTerms
from engine.summary import summarise
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, UNIT_STEPS
from engine.venue.book import BookSpec
from strategies import Constant, Cppi, DrawdownControl, FixedTerm, LeverageBand, Restrike
from tests.builders import Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree
from tests.properties.observers import Ratchet

USDT = 10**6
MIDNIGHT = 19_700 * DAY_NS
HOLDINGS = ((0, 123_450_000), (1, 7 * USDT))
"""Alice has 123.45 units of 1, Bob 7."""


def told(*messages: Any, marks: Any = lambda hour: 100.0, hours: int = 30, **terms: Any) -> Run:
    """A 1x product of 1,000 and its holders, a mark an hour from midnight on."""
    band = LeverageBand(target=1.0, low=0.5, high=2.0)
    policies = terms.pop("policies", (band,))
    ticks = [a_row(Kind.MARK, MIDNIGHT + n * HOUR_NS, float(marks(n))) for n in range(hours)]
    rows = sorted([*ticks, *messages], key=lambda r: r[2] if isinstance(r, tuple) else r.ts_ns)
    contract = a_contract(taker_fee=0.0, lot_size=0.0001)
    never = {"stale_after_ns": 9 * DAY_NS, "frozen_after_ns": 9 * DAY_NS}
    market = a_market(contract=contract, book=BookSpec(model="flat"), **never)
    product = a_product(seed_atoms=1_000 * USDT, holdings=HOLDINGS, **terms)
    hourly = Sampling(nav_every_ns=HOUR_NS)
    spec = a_spec((product, policies), markets=[market], users=("alice", "bob"), sampling=hourly)
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    said.engine.ledger.check()
    said.engine.handlers[0].dealing.check()
    return said


def split(hour: float, new: int, old: int) -> SplitUnits:
    ts_ns = MIDNIGHT + round(hour * HOUR_NS)
    return SplitUnits(ts_ns=ts_ns, id=f"{hour}", product="BTC3L", new=new, old=old)


def units(said: Run) -> list[int]:
    return said.engine.handlers[0].dealing.units.tolist()  # type: ignore[no-any-return]


def test_a_merge_divides_units_and_multiplies_nav_per_unit() -> None:
    """10 to 1: Alice has 12.345 units, Bob 0.7, of 10 each; NAV, leverage and wakes are those of a
    product that was not merged. Catches a merge that changes what anybody has."""
    said, plain = told(split(5.5, 1, 10)), told()
    assert units(said) == [1_234_500_000, 70_000_000]
    (event,) = said.named("units_split")
    assert (event.reason, event.paid_atoms, event.nav_atoms) == ("operator", 0, 1_130_450_000)
    assert event.units_total == 113_045 * UNIT_STEPS // 1_000
    assert said.nav["nav_per_unit"][-1] == pytest.approx(10 * plain.nav["nav_per_unit"][-1])
    assert (said.nav["nav_atoms"] == plain.nav["nav_atoms"]).all()
    assert said.named("order_filled")[1:] == plain.named("order_filled")[1:]
    worth = {row[3:]: row for row in said.user_nav if row[4] == "holders"}
    assert [row[-1] for row in worth.values()] == [123_450_000, 7 * USDT]


def test_what_is_left_below_the_decimals_is_paid_out() -> None:
    """With whole units 123.45 become 12 of 10, and 3.45 are paid; 7 become none, and 7 are paid;
    the issuer's 1,000 become 100. Catches dust that goes to the others, or into nothing."""
    said = told(split(5.5, 1, 10), split=SplitTerms(decimals=0))
    assert units(said) == [12 * UNIT_STEPS, 0]
    (event,) = said.named("units_split")
    assert event.paid_atoms == 10_450_000
    assert event.nav_atoms == 1_120 * USDT
    assert event.units_total == 112 * UNIT_STEPS
    assert said.engine.ledger.balance("user", "USDT") == -130_450_000 + 10_450_000
    flows = said.nav["flows"]
    assert flows[-1] - flows[0] == -10_450_000


def test_a_split_multiplies_units() -> None:
    """1 to 7 of 123.45 are 864.15 units."""
    said = told(split(5.5, 7, 1))
    assert units(said) == [864_15 * UNIT_STEPS // 100, 49 * UNIT_STEPS]


def test_a_low_nav_is_merged_once_a_day() -> None:
    """1x from 100 to 4: a NAV per unit of 0.04 is merged at the next midnight to 0.4, below 0.05 no
    more. Catches a rule that is looked at in between, or twice at one instant."""
    rule = SplitTerms(merge_below=0.05, merge=10)
    said = told(marks=lambda hour: 100.0 if hour < 3 else 4.0, hours=60, split=rule)
    (event,) = said.named("units_split")
    assert (event.reason, event.ts_ns - MIDNIGHT) == ("low_nav", DAY_NS)
    assert said.nav["nav_per_unit"][-1] / USDT == pytest.approx(0.4, rel=1e-3)


def test_an_announced_split_happens_at_its_instant() -> None:
    """Between two ticks, at 05:30, in a product that is halted by nobody."""
    at_ns = MIDNIGHT + 330 * MINUTE_NS
    said = told(split=SplitTerms(dates=((at_ns, 1, 100),)))
    assert [(e.reason, e.ts_ns) for e in said.named("units_split")] == [("announced", at_ns)]


def test_open_requests_are_cancelled() -> None:
    """One waits for a batch, another's hedge is on its way; after the merge the units asked for are
    no more what they were."""
    waits = RedemptionRequest(
        ts_ns=MIDNIGHT + 5 * HOUR_NS, id="a", user="alice", product="BTC3L", units=50.0
    )
    said = told(waits, split(5.5, 1, 10), offering=Offering(batch_ns=8 * HOUR_NS))
    assert [(e.id, e.reason) for e in said.named("redemption_refused")] == [("a", "split")]
    late = told(waits, split(5.5, 1, 10), latency_ns=HOUR_NS)
    assert [(e.id, e.reason) for e in late.named("redemption_refused")] == [("a", "split")]
    assert not late.named("units_redeemed")
    assert not late.engine.handlers[0].dealing.pledged


def test_the_high_water_mark_is_per_unit_of_the_launch() -> None:
    """A policy that cuts on drawdown sees the same mark and the same drawdown after a merge.
    Catches a high-water mark that stays where NAV is told per unit of now, and looks tenfold."""

    def wave(hour: int) -> float:
        return 100.0 + 10 * (hour % 7)

    merged, plain = (
        told(*those, marks=wave, policies=(Ratchet(every_s=3600),))
        for those in ((split(9.5, 1, 8),), ())
    )
    marks = [run.engine.handlers[0].state.high_water for run in (merged, plain)]
    assert marks[0] == marks[1]
    lots = [[e.lots for e in run.named("order_filled")] for run in (merged, plain)]
    assert lots[0] == lots[1]


HOURLY = {"review_s": 3600.0}
KEPT = (
    Cppi(**HOURLY),
    Cppi(ratchet=0.9, guard=5.5, **HOURLY),
    Cppi(direction=-1, **HOURLY),
    DrawdownControl(**HOURLY),
    FixedTerm(leverage=3.0, term_s=29 * 3600.0, **HOURLY),
    FixedTerm(side="short", leverage=2.0, term_s=60 * 3600.0, **HOURLY),
    Restrike(target=3.0, loss=0.2, window_s=0.0),
    Ratchet(every_s=3600),
)
"""Policies that keep what a unit was worth, or say what it is."""


@pytest.mark.parametrize("policy", KEPT, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("nav", ["basket", "formula"])
@pytest.mark.parametrize(("new", "old"), [(1, 10), (7, 1), (1, 1_000)])
def test_a_split_is_nothing_to_a_policy(policy: Any, nav: str, new: int, old: int) -> None:
    """Whenever it comes, before the first review but one, on a review or at the end: the same
    orders for the same reasons, the same leverage and NAV at every sample, and everybody's value at
    the end to an atom. Catches a floor, a high-water mark or a quote of a unit of then that is
    compared with one of now."""

    def wave(hour: int) -> float:
        return 100.0 + 2.5 * (hour % 7) - 1.5 * (hour % 11)

    terms: dict[str, Any] = {"policies": (policy,), "marks": wave}
    terms["nav"] = "quoted" if isinstance(policy, FixedTerm) else nav
    if isinstance(policy, Restrike):
        terms["policies"] = (policy, Constant(target=3.0, review_s=7200.0))
    plain = told(**terms)
    for hour in (0.5, 9.5, 12.0, 27.0):
        said = told(split(hour, new, old), **terms)
        assert len(said.named("units_split")) == 1
        assert (said.nav["leverage"] == plain.nav["leverage"]).all()
        assert (said.nav["nav_atoms"] == plain.nav["nav_atoms"]).all()
        for name in ("order_filled", "rebalanced", "deleveraged", "term_settled"):
            assert [_facts(e) for e in said.named(name)] == [_facts(e) for e in plain.named(name)]
        ends = [
            run.engine.handlers[0].account.nav(run.engine.markets[0].state.mark)
            for run in (said, plain)
        ]
        assert ends[0] == ends[1]


def _facts(event: Any) -> dict[str, Any]:
    """What an event says, but for its place among others and for what is told of units of now."""
    facts = asdict(event)
    for name in ("sequence", "ordinal", "nav_per_unit"):
        facts.pop(name, None)
    return facts


def test_a_settlement_is_told_of_units_of_now() -> None:
    """A claim that pays p for each 1 pays 10 p a unit after a merge of ten to one, and each holder
    is worth what he would have been. Catches a payoff told of units that nobody has any more."""
    policy = FixedTerm(leverage=3.0, term_s=20 * 3600.0, breakeven=100.0, **HOURLY)
    terms: dict[str, Any] = {"policies": (policy,), "nav": "quoted", "marks": lambda hour: 110.0}
    merged, plain = told(split(5.5, 1, 10), **terms), told(**terms)
    (ten,), (one,) = merged.named("term_settled"), plain.named("term_settled")
    assert one.nav_per_unit == pytest.approx(1.3)
    assert ten.nav_per_unit == pytest.approx(13.0)
    assert ten.reason == one.reason
    assert merged.nav["nav_per_unit"][-1] == pytest.approx(13.0 * USDT)


def test_a_formula_product_is_merged_too() -> None:
    """What holders are owed is the same; what is left over is paid out of the hedge."""
    said = told(split(5.5, 1, 10), nav="formula", split=SplitTerms(decimals=0))
    assert units(said) == [12 * UNIT_STEPS, 0]
    assert said.named("units_split")[0].nav_atoms == 1_120 * USDT


def test_what_cannot_be_split_is_refused() -> None:
    """More units than can be counted, or none at all."""
    said = told(split(1.5, 1_000_000, 1), split(2.5, 1_000_000, 1), split(3.5, 1, 1_000_000))
    assert [e.reason for e in said.named("command_refused")] == ["too_large"]
    said = told(split(1.5, 1, 1_000_000), split=SplitTerms(decimals=0))
    assert [e.reason for e in said.named("command_refused")] == ["too_small"]
    with pytest.raises(ValueError, match="new and old must be 1 and from 2"):
        split(1.0, 2, 3)


def test_a_rule_that_can_merge_nothing_says_so_once() -> None:
    """A million to one of 1,130 units leaves nobody any: told at the first midnight, and not again
    at the second and third; an announced one is told each time. Catches a rule that fails and
    nobody knows."""
    rule = SplitTerms(merge_below=500.0, merge=1_000_000, decimals=0)
    said = told(hours=80, split=rule)
    (event,) = said.named("units_not_split")
    assert (event.reason, event.why, event.new, event.old) == ("low_nav", "too_small", 1, 10**6)
    assert event.ts_ns == MIDNIGHT + DAY_NS
    dates = tuple((MIDNIGHT + n * HOUR_NS + 1, 1, 10**6) for n in (2, 3))
    said = told(split=SplitTerms(dates=dates, decimals=0))
    assert [e.reason for e in said.named("units_not_split")] == ["announced"] * 2
    assert not said.named("units_split")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (SplitConfig(merge=1), "merge must be from 2"),
        (SplitConfig(merge_below=-1.0), "merge_below must be an amount"),
        (SplitConfig(decimals=9), "decimals must be from 0 to 8"),
        (SplitConfig(announced=(AnnouncedConfig(at="x", old=2),)), "at: 'x' is no time"),
        (SplitConfig(announced=(AnnouncedConfig(at="2021-08-17"),)), "new and old: 1 and from 2"),
    ],
)
def test_a_wrong_setting_is_named(config: SplitConfig, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        split_of((), config)


def test_a_merge_is_no_profit() -> None:
    """A product whose NAV fell by half and whose units were merged ten to one has returned -50 %,
    and its drawdown is 50 % too. Catches figures that take a unit of now for one of the start."""
    said = told(split(5.5, 1, 10), marks=lambda hour: 100.0 if hour < 3 else 50.0)
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    writer.close()
    figures = summarise(said.engine, writer)["products"]["BTC3L"]
    assert figures["nav_start"] == pytest.approx(10.0)
    assert figures["nav_end"] == pytest.approx(5.0, rel=1e-3)
    assert figures["return"] == pytest.approx(-0.5, rel=1e-3)
    assert figures["max_drawdown"] == pytest.approx(-0.5, rel=1e-3)
    assert figures["splits"] == [[MIDNIGHT + 330 * MINUTE_NS, 1, 10]]


def test_later_rules_merge_at_their_own_threshold_and_time() -> None:
    """Nothing is merged at the first midnight; from the next noon on ten units below 200 become
    one, looked at at 18:00, and the next day's rule is off again, its announced split not. Catches
    rules that hold before their time or after it, and an instant that falls between two."""
    rule = SplitTerms(merge_below=200.0, merge=10, at_ns=18 * HOUR_NS)
    off = SplitTerms(dates=((MIDNIGHT + 50 * HOUR_NS, 2, 1), (MIDNIGHT + 40 * HOUR_NS, 3, 1)))
    splits = ((MIDNIGHT + 36 * HOUR_NS, rule), (MIDNIGHT + 48 * HOUR_NS, off))
    said = told(hours=80, splits=splits)
    told_at = [((e.ts_ns - MIDNIGHT) / HOUR_NS, e.new, e.old) for e in said.named("units_split")]
    assert told_at == [(42.0, 1, 10), (50.0, 2, 1)]
