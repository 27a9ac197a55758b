"""The issuer's book in the summary, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.issuer import issuer_book
from engine.outputs import Outputs
from engine.replay import replay
from engine.report.issuing import account_rows, asset_rows, issuer_rows
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.ticks import NOT_MARKET, Kind
from engine.turnover import Turnover
from engine.units import HOUR_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape, cut, run

USDT = 10**6
WIDE = LeverageBand(target=3.0, low=0.1, high=9.0)
SHORT = LeverageBand(target=-3.0, low=0.1, high=9.0)


def books(*products: Any, trades: bool = False, **market: Any) -> tuple[dict[str, Any], Any]:
    """The book after five hours at a mark of 100, and the whole summary; with trades, 60 coins an
    hour."""
    rows = [a_row(Kind.MARK, T0 + hour * HOUR_NS, 100.0) for hour in range(6)]
    if trades:
        for hour in range(5):
            rows.insert(2 * hour + 1, a_row(Kind.TRADE, T0 + hour * HOUR_NS, 100.0, 60.0, 1, hour))
    contract = a_contract(taker_fee=0.0004, lot_size=0.01)
    market = {"contract": contract, "book": BookSpec(model="flat"), **market}
    spec = a_spec(*products, markets=[a_market(stale_after_ns=10 * HOUR_NS, **market)])
    tape = a_tape(rows)
    said = run(spec, tape)
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    turnover = Turnover()
    for step in cut(tape, (2, 3, 7)):
        turnover.step(step)
    return issuer_book(said.engine, writer, turnover), summarise(said.engine, writer, turnover)


def test_fees_stand_against_what_hedging_cost() -> None:
    """Opening 3,000,000 costs 1,200 of fees; an hour's fee of 0.1 % of a million, five times. Of a
    formula product the 1,200 are the issuer's, who got 4,990.01; of a basket they are holders'."""
    terms = {"management_fee": 0.001, "fee_every_ns": HOUR_NS}
    for nav, bearer in (("formula", "issuer"), ("basket", "holders")):
        found, _ = books((a_product("P", **terms, nav=nav), (WIDE,)))
        book = found["products"]["P"]
        assert book["costs_borne_by"] == bearer
        assert book["hedge_costs"]["fees"] == pytest.approx(1_200.0)
        fees = book["management_fees"]
        assert fees == pytest.approx(4_990.01 if nav == "formula" else 4_984.02, abs=0.01)
        assert book["fees_less_costs"] == pytest.approx(fees - 1_200.0)
        owed = 1_000_000 - fees if nav == "formula" else 1_000_000 - fees - 1_200
        assert book["liability"] == pytest.approx(owed)
        assert book["hedge_equity"] == pytest.approx(1_000_000 - fees - 1_200)


def test_how_large_a_product_may_be() -> None:
    """A 3x long trades 0.6 of its NAV on a move of 10 %, a 3x short 1.2: a depth of 6,000,000 and a
    tenth of 6,000 an hour. Catches a long and a short that need the same."""
    depth = BookSpec(model="depth", depth_at_1pct=6e6, half_life_s=1.0)
    found, _ = books((a_product("L"), (WIDE,)), (a_product("S"), (SHORT,)), book=depth, trades=True)
    long, short = (found["products"][name]["largest_aum"] for name in "LS")
    assert long["depth"] == pytest.approx(1e7)
    assert short["depth"] == pytest.approx(5e6)
    assert long["participation"] == pytest.approx(1_000.0)
    assert short["participation"] == pytest.approx(500.0)
    assert long["tier"] is None
    flat, _ = books((a_product("L"), (WIDE,)))
    assert flat["products"]["L"]["largest_aum"]["depth"] is None


@pytest.mark.parametrize("places", [(), (2, 3, 5)])
def test_a_volume_is_what_was_traded(places: tuple[int, ...]) -> None:
    """Trades that count and a late one; a duplicate, a price a thousand times too high and a print
    that was no market trade were none, however the rows are cut. Catches a capacity that rows make
    larger which the run refused."""
    trades = [
        (1, 100.0, 2.0, 1, 1),
        (2, 100.0, 50.0, 1, 1),
        (3, 200_000.0, 50.0, 1, 2),
        (4, 100.0, 50.0, NOT_MARKET, 3),
        (0, 100.0, 3.0, -1, 4),
        (5, 101.0, 4.0, -1, 5),
    ]
    rows = [a_row(Kind.MARK, T0, 100.0)]
    rows += [a_row(Kind.TRADE, T0 + s * SECOND_NS, *values) for s, *values in trades]
    spec = a_spec((a_product("P"), (WIDE,)))
    done = replay(Engine(spec), cut(a_tape(rows), places), lambda _: None)
    assert done.journal.turnover.worth == {0: 200 + 300 + 404}
    assert done.journal.turnover.size == {0: 9}


def test_what_is_in_several_assets_is_summed_by_asset() -> None:
    """A million of USDT and ten of BTC are no 1,000,010 of anything: a row each, in the digits of
    its asset. Futures that stand beside are nobody's issue. Catches a sum over all products."""
    markets = [
        a_market(number, contract=a_contract(symbol, quote=quote, taker_fee=0.0))
        for number, (symbol, quote) in enumerate((("BTCUSDT", "USDT"), ("ETHBTC", "BTC")))
    ]
    rows = [a_row(Kind.MARK, T0, price, symbol=n) for n, price in enumerate((100.0, 0.05))]
    products = [
        (a_product("U"), (WIDE,)),
        (a_product("V"), (WIDE,)),
        (a_product("F", kind="futures", leverage=3.0), ()),
        (a_product("C", 1, seed_atoms=10 * 10**8), (WIDE,)),
    ]
    said = run(a_spec(*products, markets=markets), a_tape(rows))
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    summary = summarise(said.engine, writer)
    found = summary["issuer"]["by_asset"]
    assert {asset: round(book["liability"], 6) for asset, book in found.items()} == {
        "USDT": pytest.approx(2_000_000, rel=1e-3),
        "BTC": pytest.approx(10.0, rel=1e-3),
    }
    assert "liability" not in summary["issuer"]
    rows_ = asset_rows(summary)
    assert [row[0] for row in rows_] == ["USDT", "BTC"]
    assert [len(row[1].partition(".")[2]) for row in rows_] == [0, 8]
    assert [row[:2] for row in issuer_rows(summary)] == [["U", "USDT"], ["V", "USDT"], ["C", "BTC"]]


def test_orders_that_met_each_other_saved_both_fees() -> None:
    """Long and short of a million each open 3,000,000 against each other: 2,400 of fees saved."""
    found, _ = books(
        (a_product("L", account="omnibus"), (WIDE,)), (a_product("S", account="omnibus"), (SHORT,))
    )
    (netting,) = found["netting"].values()
    assert netting["crosses"] == 1
    assert netting["crossed"] == pytest.approx(3_000_000)
    assert netting["fees_saved"] == pytest.approx(2_400)


def test_time_unhedged_counts_what_is_still_under_way() -> None:
    """An opening that takes seven hours is under way for all five."""
    found, summary = books((a_product("P", latency_ns=7 * HOUR_NS), (WIDE,)))
    assert found["products"]["P"]["unhedged_seconds"] == 5 * 3600.0
    assert summary["products"]["P"]["unhedged_seconds"] == 5 * 3600.0


def test_the_table_has_a_row_a_fund() -> None:
    """Nobody issues futures."""
    product = a_product("F", kind="futures", leverage=3.0)
    _, summary = books((a_product("P"), (WIDE,)), (product, ()))
    assert [row[0] for row in issuer_rows(summary)] == ["P"]


def behind(*products: Any) -> tuple[dict[str, Any], list[list[str]]]:
    """Omnibus accounts after an hour, products a coin: 1,000,000 each at 100, a tenth to keep."""
    rules = VenueRules(margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=5.0, rate=0.1),)))
    markets = [
        a_market(
            number,
            contract=a_contract(symbol, taker_fee=0.0),
            book=BookSpec(model="flat"),
            venue=rules,
        )
        for number, symbol in enumerate(("BTCUSDT", "ETHUSDT"))
    ]
    rows = [a_row(Kind.MARK, T0 + n * HOUR_NS, 100.0, symbol=n % 2) for n in range(3)]
    said = run(a_spec(*products, markets=markets), a_tape(rows))
    writer = RunWriter(None, said.engine)
    writer.collect(Outputs(said.events, [], said.blocks, []))
    summary = summarise(said.engine, writer)
    found: dict[str, Any] = summary["issuer"]["accounts"]
    return found, account_rows(summary)


def test_how_far_an_account_of_two_markets_is_from_its_end() -> None:
    """Long 30,000 coins of each with 2,000,000. One mark alone: 2,000,000 + 30,000 (p - 100) =
    3,000 p + 300,000 at 1,300 / 27, and at 100 / 3 all is gone; both: 5,400,000 (1 + b) =
    4,000,000 at a fall of 7 / 27. Products of their own account are not told here."""
    own = {"account": "omnibus", "account_name": "desk"}
    found, rows = behind(
        (a_product("B", 0, **own), (WIDE,)),
        (a_product("E", 1, **own), (WIDE,)),
        (a_product("X", 1), (WIDE,)),
    )
    assert list(found) == ["omnibus:desk"]
    desk = found["omnibus:desk"]
    assert (desk["asset"], desk["products"]) == ("USDT", ["B", "E"])
    assert (desk["equity"], desk["maintenance"], desk["is_short"]) == (2e6, 6e5, False)
    assert list(desk["markets"]) == ["BTCUSDT", "ETHUSDT"]
    for market in desk["markets"].values():
        assert (market["position"], market["mark"], market["maintenance"]) == (3e4, 100.0, 3e5)
        assert market["liquidated"] == pytest.approx(1_300.0 / 27.0, rel=1e-9)
        assert market["bankrupt"] == pytest.approx(100.0 / 3.0, rel=1e-9)
    assert desk["down"] == pytest.approx(-7.0 / 27.0, rel=1e-9)
    assert desk["up"] is None
    assert rows == [
        [
            *("omnibus:desk", "BTCUSDT", "30,000", "100", "48.148148", "33.333333"),
            *("2,000,000.00 USDT", "600,000.00 USDT", "\u221225.93 %", "\u2013"),
        ],
        ["omnibus:desk", "ETHUSDT", "30,000", "100", "48.148148", "33.333333", *[""] * 4],
    ]


def test_what_weighs_the_same_on_both_sides_dies_of_a_rise() -> None:
    """30,000 long of one, 30,000 short of the other: no common move changes 2,000,000, and a tenth
    of what both are worth is that at 10 / 3 of today's marks. In one market they hold nothing."""
    own = {"account": "omnibus", "account_name": "desk"}
    found, ((*_, down, up), _) = behind(
        (a_product("B", 0, **own), (WIDE,)), (a_product("E", 1, **own), (SHORT,))
    )
    assert found["omnibus:desk"]["markets"]["ETHUSDT"]["position"] == -3e4
    assert found["omnibus:desk"]["down"] is None
    assert found["omnibus:desk"]["up"] == pytest.approx(7.0 / 3.0, rel=1e-9)
    assert (down, up) == ("\u2013", "+233.33 %")
    own = {"account": "omnibus"}
    found, (row,) = behind(
        (a_product("B", 0, **own), (WIDE,)), (a_product("S", 0, **own), (SHORT,))
    )
    account = found["omnibus:BTCUSDT"]
    assert (account["equity"], account["markets"]) == (2e6, {})
    assert (account["down"], account["up"]) == (None, None)
    assert row[:3] == ["omnibus:BTCUSDT", "", "\u2013"]
