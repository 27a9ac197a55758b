"""How large a product may be: 50x up to 3,000,000, 2x beyond, so that a 3x product of 1,000,000
fits, and none that is larger."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import CreationRequest
from engine.risk_limits import nav_max
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract import Contract
from engine.venue.rules import MarginRules, Tier, VenueRules
from engine.venue.standing import Listing
from strategies import LeverageBand
from tests.builders import T0, Run, a_contract, a_market, a_product, a_row, a_spec, a_tape
from tests.properties.agreement import agree

QUOTE = COIN = 10**6
TIERS = (
    Tier(cap=3e6, max_leverage=50.0, rate=0.01),
    Tier(cap=1e9, max_leverage=2.0, rate=0.02, deduction=3e4),
)
BAND = LeverageBand(target=3.0, low=2.3, high=4.5)
EDGES = ((3.0 * 2.3 * 2.0 / (3.0 * 1.3), 2.3), (3.0 * 4.5 * 2.0 / (3.0 * 3.5), 3.0))


def limited(rows: list[Any], *, edges: Any = EDGES, account: str = "segregated") -> Run:
    """The product on marks, one a second, and requests between them."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(margin=MarginRules(tiers=TIERS)),
    )
    product = a_product("BTC3L", edges=edges, account=account, seed_atoms=800_000 * QUOTE)
    tape, second = [], 0
    for row in rows:
        if isinstance(row, float):
            tape.append(a_row(Kind.MARK, T0 + second * SECOND_NS, row))
            second += 1
        else:
            tape.append(row)
    return agree(a_spec((product, (BAND,)), markets=(market,), users=("a",)), a_tape(tape))


def test_the_far_edge_says_how_large() -> None:
    """At 2.3x the price is 1.1795 times what it was at 3x, and the notional 3.538461 times the NAV
    of then: 847,826.086956 fit. By the target alone 1,000,000 would."""
    spec = a_product("P", edges=EDGES)
    listing = Listing(Contract(a_contract()), VenueRules(margin=MarginRules(tiers=TIERS)))
    assert nav_max(spec, listing, 100.0) == 847_826_086_956
    assert nav_max(a_product("P", edges=()), listing, 100.0, -3.0) == 1_000_000 * QUOTE
    assert nav_max(a_product("P", edges=()), listing, 100.0, 60.0) == 0
    assert nav_max(a_product("P"), listing, 100.0, 60.0) is None
    assert nav_max(spec, None, 100.0, 60.0) is None


def test_a_creation_beyond_it_is_refused_with_what_fits() -> None:
    """800,000 and 47,000 fit, 1,000 more do not."""
    asked = [
        CreationRequest(ts_ns=T0, id=name, user="a", product="BTC3L", quote=quote)
        for name, quote in (("fits", 47_000.0), ("not", 1_000.0))
    ]
    said = limited([100.0, *asked])
    assert [e.id for e in said.named("units_created")] == ["fits"]
    (refused,) = said.named("creation_refused")
    assert (refused.reason, refused.detail) == (
        "risk_limit",
        "a NAV of 847826086956 atoms fits",
    )


@pytest.mark.parametrize("account", ["segregated", "omnibus"])
def test_an_order_that_adds_beyond_it_is_refused_and_tried_again(account: str) -> None:
    """At 119 NAV is 1,256,000, and 2.27x is below the band: 7,663.865546 coins more are refused
    every second. At 80 a NAV of 320,000 would fit, and 12,000 coins are what it takes: the order is
    not needed any more, and the other 12,000 are sold, which nobody refuses."""
    said = limited([100.0, 119.0, 119.0, 80.0], account=account)
    refused = said.named("order_rejected")
    assert [(e.reason, e.lots, e.nav_max_atoms) for e in refused] == [
        ("risk_limit", 7_663_865_546, 847_826_086_956)
    ] * len(refused)
    assert [e.ts_ns for e in refused] == [T0 + n * SECOND_NS for n in (1, 2)]
    assert [e.lots for e in said.named("order_filled")] == [
        24_000 * COIN,
        -12_000 * COIN,
    ]
    (dropped,) = said.named("order_cancelled")
    assert (dropped.ts_ns, dropped.lots, dropped.reason) == (
        T0 + 3 * SECOND_NS,
        7_663_865_546,
        "not_needed",
    )
    assert [e.lots for e in said.named("rebalanced")] == [24_000 * COIN, -12_000 * COIN]


def test_an_order_of_before_is_looked_at_as_of_now() -> None:
    """Without a far edge 1,000,000 fit. At 119, 1,256,000 do not; at 102, 848,000 do: not the 7,663
    coins that were decided on, with which 31,663 would be 3,229,714, but 941.176470, with which
    2,544,000 are three times as much."""
    said = limited([100.0, 119.0, 102.0], edges=())
    assert [e.ts_ns for e in said.named("order_rejected")] == [T0 + SECOND_NS]
    assert [e.lots for e in said.named("order_filled")] == [24_000 * COIN, 941_176_470]
    assert said.named("rebalanced")[-1].lots == 941_176_470


def test_who_names_no_edges_is_not_asked() -> None:
    """As products that are built by hand are."""
    assert not limited([100.0, 119.0], edges=None).named("order_rejected")
