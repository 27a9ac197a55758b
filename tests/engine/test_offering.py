"""When and how much is created and redeemed: windows, batches, caps, worked by hand; heart and slow
engine agree, cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config.complaints import SettingError
from engine.config.offering_settings import OfferingConfig
from engine.config.offerings import offering_of
from engine.events import CreationRequest, RedemptionRequest
from engine.offering import Offering
from engine.sampler import Sampling
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from engine.venue.book import BookSpec
from strategies import LeverageBand, Schedule
from tests.builders import Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

USDT = 10**6
MIDNIGHT = 19_700 * DAY_NS
"""2023-12-09 00:00 UTC."""


def asked(*requests: Any, hours: int = 30, **terms: Any) -> Run:
    """A 1x product of 1,000 at a mark of 100, a price every 10 minutes from midnight on."""
    policies = terms.pop("policies", (LeverageBand(target=1.0, low=0.5, high=2.0),))
    wave = terms.pop("wave", 3)
    ticks = [
        a_row(Kind.MARK, MIDNIGHT + n * 10 * MINUTE_NS, 100.0 + n % wave) for n in range(hours * 6)
    ]
    rows = sorted([*ticks, *requests], key=lambda r: r[2] if isinstance(r, tuple) else r.ts_ns)
    contract = a_contract(taker_fee=0.0, lot_size=0.01)
    market = a_market(contract=contract, book=BookSpec(model="flat"), stale_after_ns=DAY_NS)
    product = a_product(seed_atoms=1_000 * USDT, **terms)
    hourly = Sampling(nav_every_ns=HOUR_NS)
    spec = a_spec((product, policies), markets=[market], users=("alice", "bob"), sampling=hourly)
    tape = a_tape(rows)
    said = agree(spec, tape)
    assert agree(spec, tape, range(len(rows))).lines == said.lines
    return said


def creation(hour: float, name: str, quote: float = 100.0, user: str = "alice") -> CreationRequest:
    ts_ns = MIDNIGHT + round(hour * HOUR_NS)
    return CreationRequest(ts_ns=ts_ns, id=name, user=user, product="BTC3L", quote=quote)


def redemption(hour: float, name: str, units: float) -> RedemptionRequest:
    ts_ns = MIDNIGHT + round(hour * HOUR_NS)
    return RedemptionRequest(ts_ns=ts_ns, id=name, user="alice", product="BTC3L", units=units)


def times(said: Run) -> dict[str, float]:
    """When each request was dealt, in hours."""
    dealt = said.named("units_created", "units_redeemed")
    return {event.id: (event.ts_ns - MIDNIGHT) / HOUR_NS for event in dealt}


def refused(said: Run) -> list[tuple[str, str, str]]:
    found = said.named("creation_refused", "redemption_refused")
    return [(event.id, event.reason, event.detail) for event in found]


def test_a_batch_deals_all_that_came_before_it_at_its_instant() -> None:
    """Every 8 hours, as KuCoin does: what came at 01:00, 07:59 and, to the nanosecond, at 08:00;
    the last waits for 16:00, since alarms come before requests. Catches a batch at the next
    tick."""
    said = asked(
        creation(1.0, "a"), creation(7.99, "b"), creation(8.0, "c"), redemption(9.05, "d", 50.0),
        offering=Offering(batch_ns=8 * HOUR_NS),
    )  # fmt: skip
    assert times(said) == {"a": 8.0, "b": 8.0, "c": 16.0, "d": 16.0}
    assert [(e.id, e.reason) for e in said.named("request_queued")] == [
        (x, "batch") for x in "abcd"
    ]


def test_a_batch_waits_for_the_end_of_a_rebalance() -> None:
    """At 08:00 a rebalance is on its way for 90 minutes: the batch is looked at after it, at
    09:30, and its hedge takes as long. Catches a deal in the middle of a rebalance."""
    said = asked(
        creation(4.0, "a"),
        offering=Offering(batch_ns=8 * HOUR_NS),
        wave=7,
        policies=(Schedule(target=1.5, every_s=8 * 3600.0),),
        latency_ns=90 * MINUTE_NS,
    )
    assert times(said)["a"] == 9.5 + 1.5


def test_a_request_that_cannot_be_dealt_any_more_is_refused_at_the_batch() -> None:
    """Two redemptions of 80 of 100 units are taken; at the batch the first leaves 20."""
    said = asked(
        redemption(1.0, "a", 80.0), redemption(2.0, "b", 80.0),
        offering=Offering(batch_ns=8 * HOUR_NS), holdings=((0, 100 * USDT),),
    )  # fmt: skip
    assert times(said) == {"a": 8.0}
    assert refused(said) == [("b", "insufficient_units", "")]


def test_outside_the_window_a_request_is_refused_or_waits_for_it() -> None:
    """Open from 09:00 to 17:00: at 08:59 not, at 09:00 yes, at 17:00 no more. Where the terms let
    it wait it is dealt at the opening itself, at the latest price."""
    window = {"opens_ns": 9 * HOUR_NS, "closes_ns": 17 * HOUR_NS}
    requests = creation(8.99, "a"), creation(9.0, "b"), creation(17.0, "c")
    said = asked(*requests, offering=Offering(**window))
    assert times(said) == {"b": 9.0}
    assert refused(said) == [("a", "outside_window", ""), ("c", "outside_window", "")]
    said = asked(*requests, hours=40, offering=Offering(**window, outside="queue"))
    assert times(said) == {"a": 9.0, "b": 9.0, "c": 33.0}


def test_a_window_over_midnight_is_one_window() -> None:
    """From 22:00 to 02:00, days of UTC+8 beginning at 16:00 UTC: 14:00 UTC opens, 18:00 closes."""
    offering = Offering(day_at_ns=16 * HOUR_NS, opens_ns=22 * HOUR_NS, closes_ns=2 * HOUR_NS)
    hours = (13.9, 14.0, 15.9, 16.1, 17.9, 18.0)
    said = asked(*(creation(hour, str(hour)) for hour in hours), offering=offering)
    assert list(times(said)) == ["14.0", "15.9", "16.1", "17.9"]


def test_caps_refuse_what_is_beyond_and_say_what_is_left() -> None:
    """300 a request, 500 a user and 800 all in a day: the day after all is free again. Catches a
    cap that counts refusals, or creations and redemptions together."""
    offering = Offering(request_max=300 * USDT, user_day_max=500 * USDT, day_max=800 * USDT)
    said = asked(
        creation(1.0, "a", 301.0), creation(2.0, "b", 300.0), creation(3.0, "c", 201.0),
        creation(4.0, "d", 200.0), creation(5.0, "e", 300.0, "bob"), creation(6.0, "f", 1.0, "cyd"),
        redemption(7.0, "g", 290.0), creation(24.0, "h", 300.0), offering=offering,
    )  # fmt: skip
    left = "{} quote atoms are left"
    assert refused(said) == [
        ("a", "request_cap", left.format(300 * USDT)),
        ("c", "user_cap", left.format(200 * USDT)),
        ("f", "day_cap", left.format(0)),
    ]
    assert list(times(said)) == ["b", "d", "e", "g", "h"]


def test_a_product_that_may_grow_no_more_takes_redemptions_alone() -> None:
    """At most 1,150 of NAV, or 1,150 units: the second hundred is refused, and taken again after a
    redemption."""
    for cap, reason in (
        ({"nav_max": 1_152 * USDT}, "nav_cap"),
        ({"units_max": 1_150 * 10**8}, "units_cap"),
    ):
        said = asked(
            creation(0.0, "a"), creation(0.1, "b"), redemption(0.11, "c", 60.0),
            creation(0.12, "d"), offering=Offering(**cap), hours=1,
        )  # fmt: skip
        assert [(name, why) for name, why, _ in refused(said)] == [("b", reason)]
        assert list(times(said)) == ["a", "c", "d"]


def test_settings_become_terms() -> None:
    """KuCoin's batches at 00, 08 and 16 UTC+8 are those of UTC; its day begins at 16:00 UTC."""
    config = OfferingConfig(
        utc_offset="+08:00", batch_every="8h", batch_at="00:00", user_day_max=30_000.0
    )
    offering = offering_of((), config, USDT)
    assert offering.user_day_max == 30_000 * USDT
    assert offering.dealt_ns(MIDNIGHT + SECOND_NS) == MIDNIGHT + 8 * HOUR_NS
    assert offering.day_ns(MIDNIGHT + 16 * HOUR_NS) == offering.day_ns(MIDNIGHT) + DAY_NS


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (OfferingConfig(utc_offset="8"), "utc_offset: '8' is none; expected such as +08:00"),
        (OfferingConfig(window=("9", "17:00")), "window: '9' is no time of the day"),
        (OfferingConfig(window=("09:00", "09:00")), "window: it never opens"),
        (OfferingConfig(batch_every="1ms"), "batch_every must be at least 1s"),
        (OfferingConfig(day_max=-1.0), "day_max must be an amount > 0, was -1"),
    ],
)
def test_a_wrong_setting_is_named(config: OfferingConfig, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence.replace("+", r"\+")):
        offering_of((), config, USDT)


def test_later_rules_have_their_own_windows_batches_and_caps() -> None:
    """Batches of 8 hours until 12:00 and a cap of 150 a day, from then on dealt as they come under
    a cap of 1,200 units, and a new day: what came before waits for its batch. Catches rules of the
    launch that hold for ever, and an early request that is dealt by later ones."""
    noon = MIDNIGHT + 12 * HOUR_NS
    said = asked(
        creation(9.0, "a"), creation(11.0, "b", 60.0), creation(12.0, "c"),
        creation(17.0, "d", 120.0),
        offering=Offering(batch_ns=8 * HOUR_NS, day_max=150 * USDT),
        offerings=((noon, Offering(units_max=1_200 * 10**8)),),
    )  # fmt: skip
    assert times(said) == {"a": 16.0, "c": 12.0}
    assert [each[:2] for each in refused(said)] == [("b", "day_cap"), ("d", "units_cap")]
