"""Requests that cannot be met: refused with a reason, or exit 4 with file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.tape import DATA, START_MS, events_in

AT_NS = (START_MS + 100_500) * 10**6
_REFUSED = ("creation_refused", "redemption_refused")


def request(**changed: Any) -> dict[str, Any]:
    """A creation of 100 by bob; ``None`` takes a key away."""
    whole = {"ts": AT_NS, "id": "r1", "user": "bob", "product": "BTC3L", "side": "create"}
    whole |= {"quote": 100.0} if changed.get("side") != "redeem" else {}
    return {key: value for key, value in (whole | changed).items() if value is not None}


def asked(run: Callable[..., Any], *requests: dict[str, Any], sets: tuple[str, ...] = ()) -> Any:
    Path("requests.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in requests))
    return run(DATA, "--requests", "requests.jsonl", *sets)


LATER = {"ts": AT_NS + 10**9, "id": "r2", "side": "redeem"}


@pytest.mark.parametrize(
    ("requests", "refused"),
    [
        ([request(product="BTC4L")], {"unknown_product": 1}),
        ([request(), request()], {"duplicate": 1}),
        ([request(), request(user="eve", quote=5.0)], {"duplicate": 1}),
        ([request(side="redeem", units=5.0)], {"unknown_user": 1}),
        ([request(), request(**LATER, units=1e9)], {"insufficient_units": 1}),
        (
            [request(), request(**LATER, units=90.0), request(**LATER | {"id": "r3"}, units=90.0)],
            {"insufficient_units": 1},
        ),
        ([request(quote=1e9)], {"risk_limit": 1}),
        ([request(quote=1e300)], {"too_large": 1}),
        ([request(quote=1e-9)], {"too_small": 1}),
        ([request(), request(**LATER, units=1e-9)], {"too_small": 1}),
        ([request(ts=(START_MS - 5_000) * 10**6)], {"not_launched": 1}),
        ([request(ts=(START_MS + 3_600_000) * 10**6)], {"stale": 1}),
        ([request(ts="2010-01-01")], {"not_launched": 1}),
        ([request(ts="2200-01-01")], {"clock_jump": 1}),
        ([request(ts=(START_MS + 4 * 86_400_000) * 10**6)], {"clock_jump": 1}),
    ],
)
def test_a_refusal(
    requests: list[dict[str, Any]], refused: dict[str, int], run: Callable[..., Any]
) -> None:
    """What cannot be dealt is refused by an event and counted; it moves neither units nor money.

    Catches a request dealt twice, and more units redeemed than are held.
    """
    run(DATA)
    before = len(events_in(Path("out")))
    told = asked(run, *requests)
    assert (told.code, told.json["rejected"]) == (0, {})
    assert told.json["refused"] == refused
    events = events_in(Path("out"))
    assert sum(event["event"] in _REFUSED for event in events) == sum(refused.values())
    if len(requests) == 1:
        moved = [event["event"] for event in events if event["event"].startswith("units_")]
        assert moved == []
        later = [event for event in events if event["event"] != "interest_charged"]
        assert len(later) <= before + 2


def test_requests_of_one_instant_are_dealt_in_their_order(run: Callable[..., Any]) -> None:
    """Two creations and a redemption at one instant all happen, in the order of the file."""
    requests = [
        request(),
        request(id="r2", user="eve"),
        request(**LATER | {"ts": AT_NS, "id": "r3"}, units=1.0),
    ]
    asked(run, *requests)
    dealt = [e["id"] for e in events_in(Path("out")) if e["event"].startswith("units_")]
    assert dealt == ["r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"quote": -1.0}, "quote must be a finite number > 0"),
        ({"quote": 0}, "quote must be a finite number > 0"),
        ({"quote": True}, "quote must be a finite number > 0"),
        ({"quote": 10**400}, "quote must be a finite number > 0"),
        ({"quote": float("nan")}, "expected one JSON object"),
        ({"quote": float("inf")}, "expected one JSON object"),
        ({"ts": START_MS}, "ts is in ns since the epoch"),
        ({"ts": 2**63}, "ts must be ns since the epoch"),
        ({"ts": "9999-12-31T00:00:00Z"}, "not between the years 1970 and 2262"),
        ({"ts": "0001-01-01"}, "not between the years 1970 and 2262"),
        ({"ts": -1}, "ts must be ns since the epoch"),
        ({"id": ""}, "id must be a text"),
        ({"side": "buy"}, "side must be create, redeem or cancel"),
        ({"qoute": 1}, "did you mean 'quote'"),
    ],
)
def test_a_line_that_asks_nonsense(
    changed: dict[str, Any], said: str, run: Callable[..., Any]
) -> None:
    """Exit 4 with file and line, and nothing on stdout. Catches a time in ms that would make every
    later tick a leap of the clock, and a year that would be replayed for ever."""
    told = asked(run, request(), request(id="r2") | changed)
    assert (told.code, told.out) == (4, "")
    assert "requests.jsonl:2: " in told.err
    assert said in told.err


@pytest.mark.parametrize("content", [b"\xff\x00binary", b"[1]", b'{"ts": 17'])
def test_a_file_of_something_else(content: bytes, run: Callable[..., Any]) -> None:
    """Bytes, lists and half a line are exit 4 with line 1."""
    Path("requests.jsonl").write_bytes(content)
    told = run(DATA, "--requests", "requests.jsonl")
    assert told.code == 4
    assert "requests.jsonl:1: expected one JSON object" in told.err


def test_no_requests_at_all(run: Callable[..., Any], folder: Path) -> None:
    """An empty file asks nothing; a folder and a missing file are exit 4."""
    (folder / "requests.jsonl").write_bytes(b"")
    assert run(DATA, "--requests", "requests.jsonl").json["refused"] == {}
    assert run(DATA, "--requests", str(folder)).code == 4
    assert run(DATA, "--requests", "nowhere.jsonl").code == 4


def test_where_no_tier_ends_it_what_can_be_counted_does(run: Callable[..., Any]) -> None:
    """Money for more units than fit 64 bits, at a venue that would hedge any size, is refused for
    that. Catches units that wrap."""
    told = asked(run, request(quote=1e300), sets=("--set", "markets.0.venue.tiers=[]"))
    assert (told.code, told.json["refused"]) == (0, {"too_large": 1})
