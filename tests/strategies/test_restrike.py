"""Tests of ``strategies.restrike``."""

from __future__ import annotations

import pytest

from engine import plans
from engine.conform_policies import restrike
from engine.policy import Nothing, SetLeverage
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import Constant, Restrike
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape, run
from tests.strategies.seen import a_view


@pytest.mark.parametrize(
    ("target", "edge", "price"),
    [(3.0, 5.0, 250 / 3), (-3.0, 7.0, 350 / 3), (2.0, 3.0, 75.0), (-2.0, 5.0, 125.0)],
)
def test_a_loss_of_a_half_is_a_leverage(target: float, edge: float, price: float) -> None:
    """16.67 % of 3x, 25 % of 2x: 5x, 7x, 3x, 5x. Catches an edge in terms of the price that forgets
    what is held."""
    policy = Restrike(target=target)
    assert policy.edge == pytest.approx(edge)
    watch = policy.watch(a_view(target), Nothing())
    assert (watch.low if target > 0 else watch.high) == pytest.approx(price, rel=1e-11)


def test_at_the_trigger_its_plan_is_a_window() -> None:
    """Below its edge it wants nothing; at it the target, at the worst price of its window. Catches
    a window that is forgotten between policy and plan."""
    policy = Restrike(target=3.0, delay_s=300.0, window_s=600.0, price="worst")
    assert policy.decide(a_view(4.9), Nothing())[0] is None
    decision, _ = policy.decide(a_view(5.5), Nothing())
    assert isinstance(decision, SetLeverage)
    assert decision.target == 3.0
    assert decision.plan == plans.Restrike(delay_s=300.0, window_s=600.0, price="worst")


def test_the_issuers_worked_example() -> None:
    """From 100 to 83.33, 80 as the worst of the window, 70 at the close: 0.4 and then 0.25 of the
    start. Catches a trade at the trigger."""
    rows = [(0, 100.0), (10, 83.33), (300, 85.0), (605, 80.0), (900, 70.0)]
    tape = a_tape(a_row(Kind.MARK, T0 + s * SECOND_NS, price) for s, price in rows)
    policies = (Constant(target=3.0, review_s=1e6), Restrike(target=3.0, price="worst"))
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        stale_after_ns=10**13,
        frozen_after_ns=10**13,
    )
    said = run(a_spec((a_product(seed_atoms=10**12), policies), markets=(market,)), tape)
    struck = [e for e in said.named("rebalanced") if not e.opening]
    assert [e.mark_price for e in struck] == [80.0]
    assert struck[0].nav_atoms == pytest.approx(0.4e12, rel=1e-6)
    assert [e.price for e in said.named("order_filled")] == [100.0, 80.0]
    account = said.engine.handlers[0].account
    assert account.nav(70.0) == pytest.approx(0.25e12, rel=1e-6)


def test_vectors_of_restrikes() -> None:
    """At given prices NAV is multiplied by ``1 + L r``: the issuer's example and the index of
    9 November 2020 after its first restrike; with edges it is a band. Catches edges that are left
    out."""
    assert restrike({"target": 3, "path": [100, 80, 70]})["nav_factor"] == pytest.approx(0.25)
    index = restrike({"target": -3, "prices": [69.56, 88.98], "nav": 4.29729})
    assert index["nav"] == pytest.approx(0.68966, rel=0.02)  # published, after its adjustments
    edges = {"target": 3, "prices": [100, 95, 80, 90], "low": 2.25, "high": 4.125}
    assert restrike(edges)["nav_factor"] == pytest.approx(0.4 * 1.375, rel=1e-9)


@pytest.mark.parametrize("wrong", [{"target": 1.0}, {"target": 3.0, "loss": 1.0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Catches a trigger that is bankruptcy."""
    with pytest.raises(ValueError, match="restrike"):
        Restrike(**wrong)
