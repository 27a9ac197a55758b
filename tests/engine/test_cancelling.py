"""Requests that wait may be taken back, worked by hand; heart and slow engine agree, cut
anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.events import CancellationRequest, CreationRequest, RedemptionRequest
from engine.offering import Offering
from engine.units import HOUR_NS, SECOND_NS
from engine.venue.book import BookSpec
from feeds.codec import decode_request, encode_json
from feeds.requests import load_requests
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

USDT = 10**6
BATCHED = Offering(batch_ns=8 * HOUR_NS)


def told(*rows: Any, **terms: Any) -> Run:
    """A 2x product of 1,000 and Alice's 100 from 100 on, a price a second."""
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=0.0001), book=BookSpec(model="flat")
    )
    product = a_product(seed_atoms=1_000 * USDT, holdings=((0, 100 * USDT),), **terms)
    band = LeverageBand(target=2.0, low=0.1, high=9.0)
    spec = a_spec((product, (band,)), markets=[market], users=("alice",))
    said = agree(spec, a_tape(rows))
    assert agree(spec, a_tape(rows), range(len(rows))).lines == said.lines
    return said


def named(second: int, name: str, user: str = "alice") -> dict[str, Any]:
    return {"ts_ns": T0 + second * SECOND_NS, "id": name, "user": user, "product": "BTC3L"}


def stop(second: int, name: str = "s") -> RedemptionRequest:
    return RedemptionRequest(units=50.0, at_or_below=0.8, **named(second, name))


def cancel(second: int, request: str = "s", user: str = "alice", name: str = "c") -> Any:
    return CancellationRequest(request=request, **named(second, name, user))


def test_a_stop_that_was_taken_back_stops_nothing() -> None:
    """The price falls through its level afterwards, and Alice keeps her units. Catches an order
    that is said to be cancelled and stays."""
    said = told(100.0, stop(1), cancel(2), 85.0, 85.0)
    assert [(e.id, e.cancellation) for e in said.named("request_cancelled")] == [("s", "c")]
    assert not said.named("level_reached", "units_redeemed")
    assert told(100.0, stop(1), 100.0, 85.0, 85.0).named("units_redeemed")


def test_what_waits_for_its_batch_may_be_taken_back() -> None:
    """Of two creations the second stays, and is the only one that the batch deals."""
    both = [CreationRequest(quote=50.0, **named(n, name)) for n, name in ((1, "a"), (2, "b"))]
    said = told(100.0, *both, cancel(3, "a"), 100.0, offering=BATCHED)
    assert [e.id for e in said.named("request_cancelled")] == ["a"]
    assert [each.request.id for each in said.engine.handlers[0].dealing.queue] == ["b"]


def test_only_his_own_and_only_what_waits() -> None:
    """Bob may not, nobody may twice, what was never there, what was dealt, whose hedge is on its
    way, or of no product."""
    said = told(100.0, stop(1), cancel(2, user="bob"), cancel(3, name="d"), cancel(4, name="e"))
    refused = [(e.id, e.reason, e.detail) for e in said.named("cancellation_refused")]
    assert refused == [("c", "not_yours", "request s"), ("e", "not_waiting", "request s")]
    sold = RedemptionRequest(units=50.0, **named(1, "s"))
    for latency_ns in (0, 10 * SECOND_NS):
        said = told(*[100.0] * 15, sold, cancel(16), *[100.0] * 15, latency_ns=latency_ns)
        assert [e.reason for e in said.named("cancellation_refused")] == ["not_waiting"]
        assert said.named("units_redeemed")


def test_ids_and_products_are_judged_as_of_all_requests() -> None:
    """A cancellation's own id may come once; an unknown product is told."""
    said = told(100.0, stop(1), cancel(2, name="s"), cancel(3, name="d"), 100.0)
    assert [(e.id, e.reason) for e in said.named("cancellation_refused")] == [("s", "duplicate")]
    assert said.named("request_cancelled")
    other = CancellationRequest(request="s", **{**named(1, "c"), "product": "NONE"})
    (refused,) = told(100.0, other).named("cancellation_refused")
    assert refused.reason == "unknown_product"


def test_a_halted_product_gives_back_what_waits() -> None:
    """Nothing is dealt by it: a market without prices is no reason against it."""
    late = cancel(600)
    said = told(100.0, stop(1), late)
    assert said.named("market_stale")
    assert said.named("request_cancelled")


def test_a_line_of_a_file_and_a_record_take_back(tmp_path: Path) -> None:
    """Both are read as the same request; a line without the request's id is told what it lacks."""
    base = '{"ts": 1700000002000000000, "id": "c", "user": "alice", "product": "BTC3L", '
    file = tmp_path / "r.jsonl"
    file.write_text(base + '"side": "cancel", "request": "s"}')
    assert load_requests(file) == [cancel(2)]
    assert decode_request(encode_json(cancel(2))) == cancel(2)
    for more, fault in (
        ('"side": "cancel"}', "'request' is missing; a cancel request has ts, id"),
        ('"side": "cancel", "request": ""}', "request must be a text that is not empty"),
        ('"side": "cancel", "request": "s", "units": 5.0}', "has 'request', not 'units'"),
        ('"side": "redeem", "units": 5.0, "request": "s"}', "has 'units', not 'request'"),
    ):
        file.write_text(base + more)
        with pytest.raises(InputError, match=fault):
            load_requests(file)
