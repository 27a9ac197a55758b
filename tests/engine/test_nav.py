"""Tests of ``engine.nav``."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.engine import Engine
from engine.nav import exact_navs, nav_columns
from engine.outputs import ATTRIBUTION, LineChanges, NavBlock
from engine.sampler import Sampling
from engine.shares import value_users
from engine.units import SECOND_NS, UNIT_STEPS
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from tests.bench.navs import product_navs
from tests.builders import T0
from tests.engine.serving import a_market, a_spec

TRIPLES = 100_000
PARTS = 1 + len(ATTRIBUTION)


def plain(units: list[int], nav: int, total: int) -> list[int]:
    return [max(nav, 0) * u // total for u in units]


def valued(units: list[int], nav: int, total: int) -> list[int]:
    answer: list[int] = value_users(np.array(units, np.int64), nav, total).tolist()
    return answer


def test_a_hundred_thousand_random_holdings_are_exact() -> None:
    """Against Python's integers, over all magnitudes of units and NAV. Catches a quotient that is
    right to a few units only."""
    random = Random(1)
    for _ in range(TRIPLES // 100):
        total = random.randint(1, 2 ** random.randint(1, 61) - 1)
        nav = random.randint(1, 2 ** random.randint(1, 52) - 1)
        units = [random.randint(0, total) for _ in range(100)]
        assert valued(units, nav, total) == plain(units, nav, total)


def test_holdings_next_to_a_whole_amount_are_exact() -> None:
    """Units one step below, at and above those worth a whole number of atoms, where a float
    quotient errs. Catches a remainder that is not looked at."""
    random = Random(2)
    for _ in range(2_000):
        total = random.randint(2**40, 2**61 - 1)
        nav = random.randint(2**30, 2**52 - 1)
        near = []
        for _ in range(20):
            worth = random.randint(1, nav - 1)
            middle = worth * total // nav
            near += [min(max(middle + d, 0), total) for d in (-1, 0, 1, 2)]
        assert valued(near, nav, total) == plain(near, nav, total)


@pytest.mark.parametrize("nav", [1, 2**51, 2**52 - 1, 2**52, 2**53 + 1, 2**62, 10**25])
@pytest.mark.parametrize("total", [1, 3, 2**53 + 1, 2**60, 2**61 - 1, 2**61, 2**63 - 1])
def test_the_edges_of_64_bits_are_exact_or_taken_the_long_way(nav: int, total: int) -> None:
    """Where the product of two numbers wraps, and where a float no longer holds them. Catches a
    wrapped remainder, and an answer above 64 bits, which cannot be stored, being cut."""
    units = sorted({0, 1, total // 2, total // 3, total - 1, total})
    units = [u for u in units if nav * u // total < 2**63]
    assert valued(units, nav, total) == plain(units, nav, total)


def test_users_and_dust_are_the_product() -> None:
    """The sum of all holders' NAVs is below the product's by less than one atom each. Catches
    money made by rounding."""
    random = Random(3)
    units = [random.randint(0, 10**12) for _ in range(20_000)]
    nav = 123_456_789_012
    dust = nav - sum(valued(units, nav, sum(units)))
    assert 0 <= dust < len(units)


def test_a_ruined_product_is_worth_nothing_to_its_holders() -> None:
    """Zero and below. Catches a debt that is passed on to holders."""
    for nav in (0, -1, -(10**20)):
        assert valued([0, 1, 10**15], nav, 10**15) == [0, 0, 0]


def test_no_units_outstanding_is_an_error() -> None:
    """Catches a division by zero that becomes a number."""
    for total in (0, -1):
        with pytest.raises(ValueError, match="units_total must be > 0"):
            value_users(np.array([1], np.int64), 1, total)


def test_the_answer_goes_where_it_is_wanted() -> None:
    """Also over several chunks and into a slice of a larger array. Catches a chunk written at the
    wrong place."""
    units = np.arange(40_000, dtype=np.int64)
    out = np.full(50_000, -7, np.int64)
    part = out[5_000:45_000]
    assert value_users(units, 10**9, 12_345_678, part) is part
    assert out[:5_000].tolist() == [-7] * 5_000
    assert out[45_000:].tolist() == [-7] * 5_000
    assert part.tolist() == plain(units.tolist(), 10**9, 12_345_678)
    assert units.tolist() == list(range(40_000)), "holdings are read, not changed"


# Rows of product NAVs -----------------------------------------------------------------------------


def parts(units: int, **amounts: int) -> list[int]:
    return [units, *(amounts.get(name, 0) for name in ATTRIBUTION)]


def changes(*each: tuple[int, int, tuple[float, ...], list[int]]) -> LineChanges:
    """``(sample, place, line, parts)`` of each."""
    sample, place, line, known = zip(*each, strict=True)
    return LineChanges(np.array(sample), np.array(place), np.array(line), np.array(known))


def a_block(**fields: Any) -> NavBlock:
    """Three samples of two products: a 3x long bought at 100 and a flat one."""
    defaults: dict[str, Any] = {
        "market": 0,
        "sequence": np.array([5, 5, 9]),
        "base": 0,
        "stride": 2,
        "offset": 0,
        "ts_ns": T0 + SECOND_NS * np.arange(3),
        "mark": np.array([100.0, 120.0, 60.0]),
        "products": (0, 1),
        "line": np.array([[-200e6, 3e6, 100.0], [50e6, 0.0, 100.0]]),
        "parts": np.array([parts(100 * UNIT_STEPS, fees=-7), parts(0)], np.int64),
    }
    return NavBlock(**{**defaults, **fields})


def test_samples_are_read_off_the_lines() -> None:
    """NAV 100, 160 and -20 at marks of 100, 120 and 60; leverage 3, 2.25 and none; the price part
    grows along the segment. Catches rows in another order than sample by sample, product by
    product."""
    rows = nav_columns([a_block()])
    assert rows["product"].tolist() == [0, 1] * 3
    assert rows["ts_ns"].tolist() == np.repeat(T0 + SECOND_NS * np.arange(3), 2).tolist()
    assert rows["sequence"].tolist() == [5, 5, 5, 5, 9, 9]
    assert rows["nav_atoms"].tolist() == [100e6, 50e6, 160e6, 50e6, -20e6, 50e6]
    assert rows["nav_per_unit"].tolist() == [1e6, 0.0, 1.6e6, 0.0, -0.2e6, 0.0]
    assert rows["leverage"][[0, 1, 2]].tolist() == [3.0, 0.0, 2.25]
    assert np.isnan(rows["leverage"][4])
    assert rows["mark_price"].tolist() == [100.0, 100.0, 120.0, 120.0, 60.0, 60.0]
    assert rows["price"].tolist() == [0.0, 0.0, 60e6, 0.0, -120e6, 0.0]
    assert rows["fees"].tolist() == [-7.0, 0.0] * 3
    assert rows["units"].tolist() == [100 * UNIT_STEPS, 0] * 3


def test_a_product_that_traded_is_on_its_new_line_from_then_on() -> None:
    """A change at the second sample leaves the first as it was, and the other product alone.
    Catches a trade that changes the past, or begins one sample late."""
    known = parts(40 * UNIT_STEPS, price=60_000_000)
    block = a_block(changes=changes((1, 0, (-50e6, 1e6, 120.0), known)))
    rows = nav_columns([block])
    assert rows["nav_atoms"][::2].tolist() == [100e6, 70e6, 10e6]
    assert rows["units"][::2].tolist() == [100 * UNIT_STEPS, 40 * UNIT_STEPS, 40 * UNIT_STEPS]
    assert rows["price"][::2].tolist() == [0.0, 60e6, 0.0]
    assert rows["nav_atoms"][1::2].tolist() == [50e6] * 3


def test_of_two_changes_before_a_sample_the_later_holds() -> None:
    """Catches changes applied in another order than theirs."""
    first, second = (1, 0, (1e6, 0.0, 100.0), parts(1)), (1, 0, (2e6, 0.0, 100.0), parts(2))
    rows = nav_columns([a_block(changes=changes(first, second))])
    assert rows["nav_atoms"][::2].tolist() == [100e6, 2e6, 2e6]
    assert rows["units"][::2].tolist() == [100 * UNIT_STEPS, 2, 2]


def test_each_product_changes_on_its_own() -> None:
    """A change of one product at the second sample and of the other at the third, and one back at
    the third: each holds until the next of its own. Catches a change that hides another's."""
    block = a_block(
        changes=changes(
            (1, 0, (1e6, 0.0, 100.0), parts(1)),
            (2, 1, (2e6, 0.0, 100.0), parts(2)),
            (2, 0, (3e6, 0.0, 100.0), parts(3)),
        )
    )
    navs = nav_columns([block])["nav_atoms"].tolist()
    assert navs == [100e6, 50e6, 1e6, 50e6, 3e6, 2e6]


def test_blocks_valued_at_once_keep_their_own_lines() -> None:
    """Two blocks on one line, one that changes within, one back on the first line, two on another:
    every NAV is the one of its row. Catches a block valued on its neighbour's line."""
    plain = a_block()
    changed = replace(plain, changes=changes((1, 0, (1e6, 0.0, 100.0), parts(1))))
    other = replace(plain, line=plain.line * 2.0)
    blocks = [plain, plain, changed, plain, other, other, plain]
    alone = [nav_columns([block])["nav_atoms"].tolist() for block in blocks]
    assert nav_columns(blocks)["nav_atoms"].tolist() == [nav for part in alone for nav in part]
    assert alone[4] == [2.0 * nav for nav in alone[0]]
    navs = [part.ravel().tolist() for part in product_navs(blocks)]
    assert [nav for part in navs for nav in part] == [nav for part in alone for nav in part]


@pytest.mark.parametrize("changing", [False, True])
def test_many_samples_are_valued_as_few_are(changing: bool) -> None:
    """A thousand samples, on which products are taken one after the other: every NAV is the one of
    its row. Catches a product on another one's line, or on a line too early or too late."""
    times = np.arange(1_000)
    later = changes((400, 0, (1e6, 0.5, 100.0), parts(1)), (700, 1, (2e6, 7.0, 100.0), parts(2)))
    block = replace(a_block(), ts_ns=times, sequence=times, mark=100.0 + times * 0.01)
    block = replace(block, changes=later if changing else None)
    navs = np.concatenate(product_navs([block, block]))
    assert navs.ravel().tolist() == nav_columns([block, block])["nav_atoms"].tolist()


def test_ordinals_count_the_lines_of_one_input() -> None:
    """Two samples that one input let pass count on; the next input begins anew; what that input
    said before comes first. Catches two lines of one name."""
    rows = nav_columns([a_block(base=10, offset=4, stride=8)])
    assert rows["ordinal"].tolist() == [14, 15, 22, 23, 4, 5]
    assert a_block().ordinals().tolist() == [0, 2, 0]


def test_nothing_sampled_is_no_rows() -> None:
    """With all columns in their types. Catches a table that a reader cannot join."""
    empty = nav_columns([])
    full = nav_columns([a_block()])
    assert list(empty) == list(full)
    assert {name: column.dtype for name, column in empty.items()} == {
        name: column.dtype for name, column in full.items()
    }
    assert not any(len(column) for column in empty.values())
    both = nav_columns([a_block(), a_block()])
    assert len(both["ts_ns"]) == 12


# Whole atoms --------------------------------------------------------------------------------------

LINEAR = ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT")
FINE = replace(LINEAR, lot_size=1e-9)
INVERSE = ContractSpec(
    symbol="XBTUSD", kind="inverse", base="XBT", quote="USD", lot_size=1.0, contract_size=100.0
)


@pytest.mark.parametrize("spec", [LINEAR, FINE, INVERSE], ids=["linear", "fine", "inverse"])
@given(st.integers(-(2**52), 2**52), st.integers(-(2**25), 2**25), st.floats(1e-3, 1e6))
def test_a_line_tells_the_exact_nav(spec: ContractSpec, cash: int, lots: int, mark: float) -> None:
    """Whole atoms read off a line are those of the account, to the last one, whatever the floats
    of the line were rounded by."""
    contract = Contract(spec)
    assert contract.line_nav(*contract.line(cash, lots), mark) == contract.nav(cash, lots, mark)


def test_whole_atoms_are_those_that_users_share() -> None:
    """At every instant at which users are valued the product's NAV in whole atoms is what was
    divided among them, before a trade and after it."""
    spec = a_spec()
    spec = replace(spec, sampling=Sampling(nav_every_ns=SECOND_NS, user_nav_every_ns=SECOND_NS))
    engine = Engine(spec)
    outputs = engine.process(a_market())
    contract = Contract(spec.markets[0].contract)
    read_off = [contract.line_nav] * len(spec.products)
    times = nav_columns(outputs.nav)["ts_ns"].tolist()
    told = dict(zip(times, exact_navs(outputs.nav, read_off), strict=True))
    shared = {block.ts_ns: block.product_nav_atoms for block in outputs.user_nav}
    assert any(block.changes for block in outputs.nav)
    assert len(shared) > 90
    assert {ts_ns: told[ts_ns] for ts_ns in shared} == shared
