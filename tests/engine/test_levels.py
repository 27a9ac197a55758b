"""Stop-losses and take-profits on NAV, worked by hand; heart and slow engine agree, cut
anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.commands import PauseProduct, ResumeProduct, SplitUnits
from engine.errors import InputError
from engine.events import RedemptionRequest
from engine.offering import Offering
from engine.units import SECOND_NS, UNIT_STEPS
from engine.venue.book import BookSpec
from feeds.requests import load_requests
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

USDT = 10**6
BAND = LeverageBand(target=2.0, low=0.1, high=9.0)
SHORT = LeverageBand(target=-2.0, low=0.1, high=9.0)


def told(*rows: Any, policy: Any = BAND, **terms: Any) -> Run:
    """A 2x product of 1,000 and Alice's 100 from 100 on, a price a second: NAV per unit is 1 + 2
    times the move."""
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=0.0001), book=BookSpec(model="flat")
    )
    product = a_product(seed_atoms=1_000 * USDT, holdings=((0, 100 * USDT),), **terms)
    spec = a_spec((product, (policy,)), markets=[market], users=("alice",))
    said = agree(spec, a_tape(rows))
    assert agree(spec, a_tape(rows), range(len(rows))).lines == said.lines
    return said


def order(second: int, units: float = 50.0, **level: float) -> RedemptionRequest:
    return RedemptionRequest(
        ts_ns=T0 + second * SECOND_NS, id="s", user="alice", product="BTC3L", units=units, **level
    )


def test_a_stop_loss_waits_for_its_level_and_gets_what_there_is() -> None:
    """A stop at 0.8 is reached at 90; the price jumps from 95 to 85 past it, and 0.70 is what there
    is. Catches a deal at the level itself."""
    said = told(100.0, order(1, at_or_below=0.8), 95.0, 85.0, 100.0)
    (reached,) = said.named("level_reached")
    assert reached.ts_ns == T0 + 3 * SECOND_NS
    assert (reached.level, reached.nav_per_unit) == (0.8, pytest.approx(0.7))
    (dealt,) = said.named("level_dealt")
    assert dealt.price_per_unit == pytest.approx(0.7, abs=1e-5)
    assert dealt.units == 50 * UNIT_STEPS
    assert said.named("units_redeemed")[0].id == "s"


def test_a_price_at_the_level_and_one_a_hair_before_it() -> None:
    """90.000001 does not reach 0.8, 90 does. Catches an edge of the wrong side."""
    said = told(100.0, order(1, at_or_below=0.8), 90.000001, 90.0, 91.0)
    assert said.named("level_reached")[0].ts_ns == T0 + 3 * SECOND_NS


def test_a_take_profit_of_a_short_waits_for_a_fall() -> None:
    """-2x from 100 is worth 1.2 at 90; a stop of it at 0.8 is at 110. Catches levels of a short
    whose sides were taken for a long's."""
    said = told(100.0, order(1, at_or_above=1.2), 105.0, 89.0, policy=SHORT)
    assert said.named("level_dealt")[0].price_per_unit == pytest.approx(1.22, abs=1e-5)
    said = told(100.0, order(1, at_or_below=0.8), 90.0, 111.0, policy=SHORT)
    assert said.named("level_dealt")[0].price_per_unit == pytest.approx(0.78, abs=1e-5)


def test_what_its_hedge_takes_to_arrive_is_its_holders() -> None:
    """Reached at 89 (0.78), filled two seconds later at 80 (0.60)."""
    said = told(
        100.0, 100.0, 100.0, 100.0, order(4, at_or_below=0.8), 89.0, 85.0, 80.0, 80.0,
        latency_ns=2 * SECOND_NS,
    )  # fmt: skip
    assert said.named("level_reached")[0].nav_per_unit == pytest.approx(0.78)
    assert said.named("level_dealt")[0].price_per_unit == pytest.approx(0.60, abs=1e-4)


def test_a_level_that_is_reached_already_is_dealt_at_once() -> None:
    """A stop above NAV."""
    said = told(100.0, order(1, at_or_below=1.5), 100.0)
    assert said.named("level_dealt")[0].ts_ns == T0 + SECOND_NS


def test_a_paused_product_reaches_no_level_until_it_goes_on() -> None:
    """Paused from 95 to 85; at the end of it the level is reached."""
    name = {"product": "BTC3L"}
    said = told(
        100.0, order(1, at_or_below=0.8), 95.0,
        PauseProduct(ts_ns=T0 + 2 * SECOND_NS, id="p", **name), 85.0,
        ResumeProduct(ts_ns=T0 + 4 * SECOND_NS, id="q", **name), 85.0,
    )  # fmt: skip
    (reached,) = said.named("level_reached")
    assert reached.sequence == 5


def redemption(second: int, name: str, units: float) -> RedemptionRequest:
    return RedemptionRequest(
        ts_ns=T0 + second * SECOND_NS, id=name, user="alice", product="BTC3L", units=units
    )


def test_a_level_that_is_reached_waits_for_no_batch_of_later() -> None:
    """Ten units wait from 100 on for the batch eight seconds after the stop of others at 0.8 is
    reached; it gets the 0.78 of 89 at once, they the 0.40 of 70. Catches a stop behind the head of
    the queue, who would get 0.40, too."""
    every = Offering(batch_ns=10 * SECOND_NS, batch_at_ns=T0)
    said = told(
        100.0, redemption(1, "early", 10.0), order(2, at_or_below=0.8), 89.0, *[70.0] * 8,
        offering=every,
    )  # fmt: skip
    stop, batch = said.named("units_redeemed")
    assert (stop.id, stop.ts_ns) == ("s", T0 + 3 * SECOND_NS)
    assert stop.quote_atoms == pytest.approx(0.78 * 50 * USDT, abs=USDT // 100)
    assert (batch.id, batch.ts_ns) == ("early", T0 + 10 * SECOND_NS)
    assert batch.quote_atoms == pytest.approx(0.40 * 10 * USDT, abs=USDT // 100)


def test_who_is_due_together_is_dealt_as_he_came() -> None:
    """Two stops that the price of the batch's instant reaches come before the batch, as prices come
    before alarms, the older first; what came for the batch keeps its order. Catches a queue that is
    turned, and one whose batches are due before their instant."""
    every = Offering(batch_ns=5 * SECOND_NS, batch_at_ns=T0)
    said = told(
        100.0, redemption(1, "b1", 1.0), redemption(2, "b2", 2.0),
        replace(order(3, 3.0, at_or_below=0.8), id="older"),
        replace(order(4, 4.0, at_or_below=0.9), id="newer"), 80.0, 80.0,
        offering=every,
    )  # fmt: skip
    assert [e.id for e in said.named("units_redeemed")] == ["older", "newer", "b1", "b2"]


def test_what_fell_due_during_a_trade_is_dealt_as_it_fell_due() -> None:
    """The opening trade is under way for six seconds. One asks for the batch of the fourth, and
    stops above NAV are placed in the second and in the fifth. Catches an order of arrival, and
    levels that go before everybody."""
    every = Offering(batch_ns=4 * SECOND_NS, batch_at_ns=T0)
    said = told(
        100.0, redemption(1, "batch", 1.0),
        replace(order(2, 2.0, at_or_below=1.5), id="before"), 100.0, 100.0,
        replace(order(5, 3.0, at_or_below=1.5), id="after"), 100.0,
        *[100.0] * 7,
        offering=every, while_rebalancing="queue", latency_ns=6 * SECOND_NS,
    )  # fmt: skip
    assert [e.id for e in said.named("units_redeemed")] == ["before", "batch", "after"]


def test_a_split_refuses_what_waits_in_the_order_of_its_times() -> None:
    """The batch of the tenth second was asked for first, and the stop fell due first. Catches
    refusals by arrival."""
    every = Offering(batch_ns=10 * SECOND_NS, batch_at_ns=T0)
    said = told(
        100.0, redemption(1, "batch", 1.0),
        replace(order(2, 2.0, at_or_below=1.5), id="stop"),
        SplitUnits(ts_ns=T0 + 3 * SECOND_NS, id="m", product="BTC3L", new=1, old=10), 100.0,
        offering=every, while_rebalancing="queue", latency_ns=6 * SECOND_NS,
    )  # fmt: skip
    assert [e.id for e in said.named("redemption_refused")] == ["stop", "batch"]


def test_an_order_ends_with_its_product_and_with_a_split() -> None:
    """Both say so."""
    split = SplitUnits(ts_ns=T0 + 2 * SECOND_NS, id="m", product="BTC3L", new=1, old=10)
    said = told(100.0, order(1, at_or_below=0.8), split, 85.0)
    assert [e.reason for e in said.named("redemption_refused")] == ["split"]
    said = told(100.0, order(1, at_or_above=9.0), 40.0, 40.0)
    assert [e.reason for e in said.named("redemption_refused")] == ["closed"]


def test_who_has_not_so_many_units_is_told_at_once() -> None:
    said = told(100.0, order(1, units=101.0, at_or_below=0.8), 80.0)
    assert [e.reason for e in said.named("redemption_refused")] == ["insufficient_units"]


def test_a_line_of_a_file_may_name_a_level(tmp_path: Path) -> None:
    """Of a redemption, and one of the two."""
    base = '{"ts": "2024-08-05T00:00:00Z", "id": "s", "user": "a", "product": "P", '
    file = tmp_path / "r.jsonl"
    file.write_text(base + '"side": "redeem", "units": 5.0, "at_or_below": 0.8}')
    (request,) = load_requests(file)
    assert isinstance(request, RedemptionRequest)
    assert request.at_or_below == 0.8
    for more, fault in (
        ('"side": "create", "quote": 5.0, "at_or_below": 0.8}', "has 'quote', not 'at_or_below'"),
        ('"side": "redeem", "units": 5.0, "at_or_below": 0}', "at_or_below must be"),
        ('"side": "redeem", "units": 5, "at_or_below": 1, "at_or_above": 2}', "one level"),
    ):
        file.write_text(base + more)
        with pytest.raises(InputError, match=fault):
            load_requests(file)
