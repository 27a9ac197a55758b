"""The parts of the price profit against a second account of them, in fractions, from the events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from engine.attribution import attribution, price_split
from engine.outputs import Milestone
from engine.price_split import PARTS, PriceSplit
from tests.builders import Run, run
from tests.properties.rich import SEEDS, rich_run, rich_spec, rich_tape
from tests.properties.tapes import a_random_spec, a_random_tape

_CASH = {
    "funding_settled": ("paid_atoms", -1),
    "management_fee_charged": ("paid_atoms", -1),
    "units_created": ("quote_atoms", 1),
    "units_redeemed": ("quote_atoms", -1),
}


def told(said: Run, product: str) -> Iterator[Any]:
    """Events and milestones of a product, in order."""
    events = [e for e in said.events if getattr(e, "product", None) == product]
    passed = [m for m in said.milestones if m.product == product]
    at = {id(e): (e.sequence, e.ordinal, 1) for e in events}
    at |= {id(m): (m.sequence, m.ordinal, 0) for m in passed}
    return iter(sorted([*events, *passed], key=lambda one: at[id(one)]))


class Holding:
    """Cash, lots and units of a linear basket product, and what each kind of lots earned."""

    def __init__(self, lot: Fraction) -> None:
        self.lot = lot
        self.cash = self.lots = self.mark = self.first = Fraction(0)
        self.units = self.at_launch = 1
        self.own = dict.fromkeys(("direction", "struck", "decided"), Fraction(0))
        self.earned = dict.fromkeys(("price", "gap", *self.own), Fraction(0))
        self.leverage = self.target = Fraction(0)
        self.opened = False

    def nav(self, mark: Fraction) -> Fraction:
        return self.cash + self.lots * self.lot * mark

    def move(self, mark: Fraction) -> None:
        way, self.mark = mark - self.mark, mark
        self.earned["price"] += self.lots * self.lot * way
        for name, lots in self.own.items():
            self.earned[name] += lots * way

    def strike(self, mark: Fraction, target: Fraction) -> None:
        once = max(self.nav(mark), Fraction(0)) / mark
        self.target = target
        self.own["struck"], self.own["decided"] = self.leverage * once, target * once

    def decide(self, mark: Fraction, edge: Fraction | None, target: Fraction) -> None:
        if not self.opened:
            self.move(mark)
            self.opened, self.leverage = True, target
            # One quote bought each unit.
            once = Fraction(self.units, 100) / self.first
            self.own["direction"] = self.own["struck"] = target * once
            for name in ("direction", "struck"):
                self.earned[name] = self.own[name] * (mark - self.first)
            edge = None
        if edge is not None:
            self.move(edge)
            self.strike(edge, self.target)
            lots = self.lots * self.lot - self.own["decided"]
            self.earned["gap"] += lots * (mark - edge)
        self.move(mark)
        self.strike(mark, target)

    def deal(self, units: int) -> None:
        share = Fraction(self.units + units, self.units)
        self.units += units
        for name in self.own:
            self.own[name] *= share

    def parts(self) -> dict[str, Fraction]:
        earned = self.earned
        return {
            "direction": earned["direction"],
            "compounding": earned["struck"] - earned["direction"],
            "leverage_change": earned["decided"] - earned["struck"],
            "timing": earned["price"] - earned["decided"] - earned["gap"],
            "gap": earned["gap"],
        }


def second_account(said: Run, product: str, lot: Fraction, end: float) -> dict[str, Fraction]:
    """The parts of one product, from what was said of it."""
    holding = Holding(lot)
    for one in told(said, product):
        tag = type(one).__struct_config__.tag
        if isinstance(one, Milestone) and one.target is None:
            holding.move(Fraction(one.mark))  # a request that traded nothing names no mark
        elif isinstance(one, Milestone):
            assert one.target is not None
            edge = None if one.edge is None else Fraction(one.edge)
            holding.decide(Fraction(one.mark), edge, Fraction(one.target))
        elif tag == "product_launched":
            holding.mark = holding.first = Fraction(one.mark_price)
            holding.cash, holding.units = Fraction(one.equity_atoms), one.units
        elif tag == "order_filled":
            holding.move(Fraction(one.mark_price))
            holding.lots += one.lots
            holding.cash += one.hedge_atoms + one.spread_impact_atoms - one.fee_atoms
        elif tag in _CASH:
            name, sign = _CASH[tag]
            holding.cash += sign * getattr(one, name)
            if tag.startswith("units_"):
                holding.deal(sign * one.units)
    holding.move(Fraction(end))
    return holding.parts()


def judged(said: Run) -> int:
    """Hold the parts of all linear basket products to the second account; how many there were."""
    count = 0
    for market in said.engine.markets:
        contract = market.spec.contract
        for handler in market.handlers:
            account, mark = handler.account, market.state.mark
            if contract.kind != "linear" or handler.state.status == "pending" or account.formula:
                continue
            lot = Fraction(str(contract.lot_size)) * 10**6
            found = price_split(account, mark)
            wanted = second_account(said, handler.spec.id, lot, mark)
            assert sum(found.values()) == attribution(account, mark)["price"]
            for part in PARTS:
                slack = 4 + account.state.roundings + 1e-9 * abs(account.state.equity_start)
                assert found[part] == pytest.approx(float(wanted[part]), abs=slack), part
            count += 1
    return count


@pytest.mark.parametrize("seed", SEEDS)
def test_the_parts_are_those_of_a_second_account(seed: int) -> None:
    """Bands, schedules, gaps, latencies, thin books, requests: each part as fractions have it.
    Catches a part that is measured against the wrong lots."""
    assert judged(rich_run(seed)) >= 2


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 6, 7, 8, 9, 11, 14, 16, 17])
def test_the_parts_of_random_products_are_those_of_a_second_account(seed: int) -> None:
    """The same of products and tapes drawn by chance, by seeds whose market is linear: each has
    one product at least to be held to it."""
    random = Random(seed)
    spec = a_random_spec(random)
    assert judged(run(spec, a_random_tape(random, spec, 300))) >= 1


def test_the_parts_do_not_mind_how_the_input_is_cut() -> None:
    """Blocks of seven rows, and one block. Catches sums that turn where a step ends."""
    tape = rich_tape(SEEDS[0])
    whole, parted = run(rich_spec(), tape), run(rich_spec(), tape, range(0, tape.end, 7))
    for one, other in zip(whole.engine.handlers, parted.engine.handlers, strict=True):
        assert one.account.state.split == other.account.state.split
    assert whole.milestones == parted.milestones


def _no_gap(patch: Any) -> None:
    right = PriceSplit.strike
    patch.setattr(
        PriceSplit,
        "strike",
        lambda self, mark, nav, target, slope, _edge: right(self, mark, nav, target, slope, None),
    )


def _struck_a_target_late(patch: Any) -> None:
    right = PriceSplit.strike
    patch.setattr(
        PriceSplit,
        "strike",
        lambda self, mark, nav, _target, *rest: right(self, mark, nav, self.target, *rest),
    )


def _flows_unshared(patch: Any) -> None:
    patch.setattr(PriceSplit, "scale", lambda self, mark, share: self.move(mark))


def _entry_at_the_first_decision(patch: Any) -> None:
    right = PriceSplit.open
    patch.setattr(
        PriceSplit,
        "open",
        lambda self, mark, worth, leverage: right(self, mark * 1.001, worth, leverage),
    )


BUGS: dict[str, Callable[[Any], None]] = {
    "a jump without a gap": _no_gap,
    "a leverage that counts a decision late": _struck_a_target_late,
    "holders who come and go unshared": _flows_unshared,
    "another entry": _entry_at_the_first_decision,
}


@pytest.mark.parametrize("name", BUGS)
def test_a_fault_in_a_part_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fault planted the second account disagrees."""
    tape = rich_tape(SEEDS[0])
    BUGS[name](monkeypatch)
    with pytest.raises(AssertionError):
        judged(run(rich_spec(), tape))
