"""What the venue, the lender and those who stand behind a product take and give, as ``explain``
tells it: ADL, liquidation, interest, issuer, insurance, each against the events in fractions, for
any interval and holder, and with faults planted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.account import Account
from engine.engine import EngineSpec
from engine.errors import InputError
from engine.ledger import Cause
from engine.outputs import ATTRIBUTION
from engine.report.history import History
from engine.report.reading import events_of
from engine.sampler import Sampling
from engine.ticks import Kind, Step
from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import VenueRules
from strategies import LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.engine.report.test_statement import assert_sums, written
from tests.engine.test_comparators import RULES, futures, loan
from tests.engine.test_deleveraging import PRICES, in_danger

COSTLY = {
    "contract": a_contract(taker_fee=0.0005),
    "book": BookSpec(model="flat", half_spread_bps=1.0),
    "venue": RULES,
}


def adl() -> tuple[EngineSpec, Step]:
    """A 3S hedge is auto-deleveraged at the bankruptcy price, 5 above the mark; alice holds it."""
    spec = in_danger("bankruptcy")
    held = tuple(structs.replace(p, holdings=((0, 10**9),)) for p in spec.products)
    return structs.replace(spec, products=held, users=("alice",)), a_tape(list(PRICES))


def liquidation() -> tuple[EngineSpec, Step]:
    """10x futures meet maintenance and are closed in a book with a spread."""
    spec = a_spec(futures(10.0), markets=(a_market(**COSTLY),))
    return spec, a_tape([100.0, 95.0, 92.0, 90.9, 90.0, 89.0])


def interest() -> tuple[EngineSpec, Step]:
    """A 3x loan for three hours of a rising and falling price."""
    prices = (100.0, 101.0, 103.0, 102.0, 99.0, 98.0, 101.0)
    rows = [a_row(Kind.MARK, T0 + n * HOUR_NS // 2, price) for n, price in enumerate(prices)]
    market = a_market(**COSTLY, stale_after_ns=HOUR_NS, frozen_after_ns=99 * HOUR_NS)
    return a_spec(loan(3.0), markets=(market,)), a_tape(rows)


def gap(insurance: int = 0) -> tuple[EngineSpec, Step]:
    """A 3x fund without margin gaps from 100 to 60; ``insurance``: the market's fund, atoms."""
    market = a_market(**{**COSTLY, "venue": VenueRules()}, insurance_atoms=insurance)
    held = a_product(holdings=((0, 10**9),), reserve_atoms=10**9)
    spec = a_spec((held, (LeverageBand(target=3.0, low=2.4, high=3.6),)), markets=(market,))
    return structs.replace(spec, users=("alice",)), a_tape([100.0, 100.1, 60.0, 60.0, 61.0])


def insured() -> tuple[EngineSpec, Step]:
    """The insurance fund has 70,000 of what is missing; the issuer pays the rest."""
    return gap(insurance=70_000 * 10**6)


CASES: dict[str, Callable[[], tuple[EngineSpec, Step]]] = {
    "adl": adl,
    "liquidation": liquidation,
    "interest": interest,
    "issuer": gap,
    "insurance": insured,
}


def left_at(event: dict[str, Any], mark: float) -> Fraction:
    """What lots and cash that moved were worth together at a mark: a lot at 1 is an atom."""
    return event["cash_atoms"] + event["lots"] * Fraction(mark)


def wanted(history: History, name: str) -> dict[str, Fraction]:
    """The causes of a product as the events have them, without any sum of the heart."""
    found = dict.fromkeys(("adl", "liquidation", "insurance", "interest", "issuer"), Fraction(0))
    mark = 0.0
    for event in events_of(history.path):
        if event.get("account") not in (None, f"product:{name}"):
            continue
        mark = event.get("mark_price") or mark
        if event["event"] == "position_auto_deleveraged":
            found["adl"] += left_at(event, event["mark_price"])
        elif event["event"] == "liquidation_filled":
            found["liquidation"] += left_at(event, mark) - event["fee_atoms"]
            found["insurance"] -= event["fund_atoms"] - event["fee_atoms"]
        elif event["event"] == "interest_charged":
            found["interest"] -= event["paid_atoms"]
        elif event["event"] == "deficit_paid":
            found["insurance" if event["payer"] == "insurance" else "issuer"] += event["paid_atoms"]
    return found


def ran(folder: Path, case: str) -> History:
    """A case as a directory, sampled each second, the hours of a loan each minute."""
    spec, tape = CASES[case]()
    every_ns = MINUTE_NS if case == "interest" else SECOND_NS
    return written(folder, tape, structs.replace(spec, sampling=Sampling(nav_every_ns=every_ns)))


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, History]:
    """Each case as it is."""
    return {case: ran(tmp_path_factory.mktemp(case), case) for case in CASES}


def judged(history: History, case: str) -> None:
    """Every cause that the venue or the lender makes is what the events come to."""
    (name,) = history.events
    one = history.statement(name, None, None)
    assert_sums(one)
    for cause, atoms in wanted(history, name).items():
        assert one.causes[cause] == pytest.approx(float(atoms), abs=2.0), cause
    assert abs(one.causes[case]) > 10**6


@pytest.mark.parametrize("case", CASES)
def test_what_the_venue_takes_is_what_the_events_say(
    case: str, histories: dict[str, History]
) -> None:
    """To the roundings of an order. Catches a loss that is told under another name."""
    judged(histories[case], case)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_interval_of_them_sums(histories: dict[str, History], data: st.DataObject) -> None:
    """Whatever happened between: the causes sum to the last atom, two intervals are their union,
    and so for who holds a part of it. Catches a seizure outside of its interval."""
    history = histories[data.draw(st.sampled_from(list(CASES)))]
    (name,) = history.events
    start, end = history.launches[name]["ts_ns"], history.summary["end_ns"]
    times = sorted(data.draw(st.lists(st.integers(start, end), min_size=3, max_size=3)))
    try:
        parts = [history.statement(name, *times[i : i + 2]) for i in (0, 1)]
        whole = history.statement(name, times[0], times[2])
        holder = history.holder(name, "alice", times[0], times[2])
    except InputError as error:
        assert "nothing of" in str(error)  # noqa: PT017  # two of the times have the same sample
        return
    for one in (*parts, whole, *([holder] if holder else [])):
        assert_sums(one)
    for cause in ATTRIBUTION[1:]:
        assert parts[0].causes[cause] + parts[1].causes[cause] == whole.causes[cause]


def _seized_as(cause: Cause, other: str) -> Callable[[Any], None]:
    """What the venue takes for one cause stands under another."""

    def plant(patch: Any) -> None:
        right = Account.seize

        def seize(self: Account, why: Cause, *args: Any) -> int:
            change: int = right(self, why, *args)
            if why is cause:
                named = "adl" if cause is Cause.ADL else "liquidation"
                self.state.attribution[ATTRIBUTION.index(named)] -= change
                self.state.attribution[ATTRIBUTION.index(other)] += change
            return change

        patch.setattr(Account, "seize", seize)

    return plant


def _interest_called_funding(patch: Any) -> None:
    right = Account.pay_interest

    def pay(self: Account, debt: int, rate: float, mark: float) -> int:
        paid: int = right(self, debt, rate, mark)
        self.state.attribution[ATTRIBUTION.index("interest")] += paid
        self.state.attribution[ATTRIBUTION.index("funding")] -= paid
        return paid

    patch.setattr(Account, "pay_interest", pay)


def _interest_half_booked(patch: Any) -> None:
    right = Account.pay_interest

    def pay(self: Account, debt: int, rate: float, mark: float) -> int:
        right(self, debt, rate / 2.0, mark)
        return 2 * (debt // 2_000)

    patch.setattr(Account, "pay_interest", pay)


def _deficit_called(wrong: str, right: str) -> Callable[[Any], None]:
    """What one payer puts in stands under the other's name."""

    def plant(patch: Any) -> None:
        pays = Account.pay_deficit

        def pay(self: Account, payer: str, deficit: int) -> int:
            paid: int = pays(self, payer, deficit)
            if (payer == "insurance") == (right == "insurance"):
                self.state.attribution[ATTRIBUTION.index(right)] -= paid
                self.state.attribution[ATTRIBUTION.index(wrong)] += paid
            return paid

        patch.setattr(Account, "pay_deficit", pay)

    return plant


BUGS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "ADL called a spread": ("adl", _seized_as(Cause.ADL, "spread_impact")),
    "ADL called a liquidation": ("adl", _seized_as(Cause.ADL, "liquidation")),
    "a liquidation called ADL": ("liquidation", _seized_as(Cause.LIQUIDATION, "adl")),
    "a liquidation paid by nobody": ("liquidation", _seized_as(Cause.LIQUIDATION, "insurance")),
    "interest called funding": ("interest", _interest_called_funding),
    "half of the interest": ("interest", _interest_half_booked),
    "the issuer's money called the price": ("issuer", _deficit_called("price", "issuer")),
    "insurance called the issuer's": ("insurance", _deficit_called("issuer", "insurance")),
}


@pytest.mark.interpreted
@pytest.mark.parametrize("name", BUGS)
def test_a_fault_in_a_cause_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the fault planted, causes and events disagree."""
    case, plant = BUGS[name]
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        judged(ran(tmp_path, case), case)
