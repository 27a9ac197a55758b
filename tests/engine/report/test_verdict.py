"""The run in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from engine.report import verdict_of
from engine.report.verdict import coin_margined
from tests.engine.report.summaries import a_product, a_summary


def test_the_market_and_the_products_are_said_in_words() -> None:
    """Who gained and who lost is said; spot is not worth a word."""
    products = {
        "BTC3L": a_product(**{"return": -0.381, "underlying_return": -0.123}),
        "BTC-SMART-L": a_product(**{"return": 0.012}),
        "BTC-SPOT": a_product(kind="spot", target=1.0),
    }
    assert verdict_of(a_summary(products=products)) == (
        "BTC ended 12.3 % lower. BTC3L lost 38.1 %, Smart Leverage long gained 1.2 %."
    )


def test_synthetic_data_are_called_synthetic() -> None:
    """Nobody takes generated prices for a market's."""
    assert verdict_of(a_summary(synthetic=True)).startswith("Synthetic data: BTC ended")


@pytest.mark.parametrize(
    ("names", "synthetic", "begin"),
    [
        (["depeg"], True, "Scenario depeg on synthetic data: BTC ended"),
        (["depeg"], False, "Scenario depeg: BTC ended"),
        (["w-shape", "depeg"], True, "Scenarios w-shape and depeg on synthetic data: BTC ended"),
    ],
)
def test_scenarios_are_named(names: list[str], synthetic: bool, begin: str) -> None:
    """Whoever reads the sentence alone knows what the market was made to do."""
    summary = a_summary(synthetic=synthetic) | {"scenario": {"names": names}}
    assert verdict_of(summary).startswith(begin)


def test_a_closed_product_is_said_to_be_closed() -> None:
    """With its day, where the summary knows it."""
    closed = a_product(**{"return": -1.0, "status": "closed"})
    said = verdict_of(a_summary(products={"BTC3S": closed}))
    assert "BTC3S was closed, having lost everything" in said
    dated = {**closed, "closed_ns": 1_584_009_460_000_000_000}
    assert "closed on 12 March 2020" in verdict_of(a_summary(products={"BTC3S": dated}))


def test_who_was_liquidated_is_said_with_time_and_price() -> None:
    """Futures and loans bear names that people know; their end is the venue's doing or the
    lender's."""
    gone = {"liquidated": {"ts_ns": 1, "ts": "", "mark_price": 5_123.5}, "status": "closed"}
    when = {"closed_ns": 1_584_009_460_000_000_000, **gone}
    products = {
        "BTC-FUT10L": a_product(kind="futures", **{"return": -1.0}, **when),
        "BTC-LOAN3L": a_product(kind="margin_loan"),
    }
    said = verdict_of(a_summary(products=products))
    assert "3x margin loan lost 10.0 %; 10x futures lost everything, liquidated on" in said
    assert said.endswith("on 12 March 2020 at 5,123.50.")


def test_what_bars_cannot_decide_is_said_with_both_results() -> None:
    """An undecidable product gets no result of its own, but both."""
    bars = {
        "orders": {"ohlc": {"BTC3L": 1.5, "BTC3S": 0.9}, "olhc": {"BTC3L": 0.2, "BTC3S": 0.9}},
        "ruined": {"ohlc": [], "olhc": ["BTC3L"]},
        "decidable": {"BTC3L": False, "BTC3S": True},
    }
    products = {"BTC3L": a_product(), "BTC3S": a_product(target=-3.0)}
    assert verdict_of(a_summary(bars=bars, products=products)) == (
        "BTC ended 4.0 % lower. BTC3S lost 10.0 %. BTC3L is not decidable from bars: it gained "
        "50.0 % if each bar's high came before its low and lost 80.0 % and was closed if each "
        "bar's low came before its high."
    )


def test_results_that_differ_are_told_apart() -> None:
    """Both lost 99.8 %. Catches a doubt between one figure and the same."""
    bars = {
        "orders": {"ohlc": {"BTC3L": 0.00151}, "olhc": {"BTC3L": 0.00173}},
        "ruined": {"ohlc": [], "olhc": []},
        "decidable": {"BTC3L": False},
    }
    said = verdict_of(a_summary(bars=bars, products={"BTC3L": a_product()}))
    assert "it made 1.51 of 1,000 if each bar's high came before its low and made 1.73" in said


def test_faults_deficits_and_missing_products_are_said() -> None:
    """What went wrong is in the verdict, not in a footnote."""
    said = verdict_of(
        a_summary(
            products={
                "BTC3L": a_product(policy_faults=2),
                "BTC-LOAN3L": a_product(kind="margin_loan"),
            },
            not_launched=["ETH3L"],
            issuer={
                "products": {"BTC-LOAN3L": {"deficits_paid": 7.0, "asset": "USDT"}},
                "by_asset": {"USDT": {"deficits_paid": 12.5}, "BTC": {"deficits_paid": 0.25}},
            },
        )
    )
    assert "A policy of BTC3L faulted 2 times; safe mode took over." in said
    assert "The issuer paid deficits of 12.50 USDT and 0.25000000 BTC." in said
    assert "3x margin loan left a deficit of 7.00 USDT to its lender." in said
    assert "ETH3L never launched: no price came." in said


def test_nothing_launched_is_a_verdict_too() -> None:
    """A run without any product says why."""
    assert verdict_of(a_summary(products={}, not_launched=["BTC3L"])) == (
        "Nothing was launched: no price came for any product."
    )


def test_of_many_products_the_best_and_the_worst_are_named() -> None:
    """A sentence stays a sentence with a hundred products."""
    products = {
        f"C{i}3L": a_product(**{"return": i / 100 - 0.5, "symbol": f"C{i}USDT"}) for i in range(100)
    }
    said = verdict_of(a_summary(products=products))
    assert "100 markets moved by −4.0 % to −4.0 %" in said
    assert (
        "49 of 100 products gained: the best was C993L (+49.0 %), the worst C03L (−50.0 %)" in said
    )
    assert len(said) < 300


def test_futures_margined_in_coins_say_why_they_are_another_multiple() -> None:
    """10x with coins for margin is 11 x BTC long and −9 x BTC short; on a linear contract, and of a
    fund, there is nothing to say. Catches a multiple that nobody chose, without a word."""

    def futures(symbol: str, chosen: float, target: float) -> Any:
        leverage = {"min": None, "max": None, "mean": None, "end": None, "chosen": chosen}
        return a_product(symbol=symbol, kind="futures", target=target, leverage=leverage)

    products = {
        "L": futures("BTCUSD_PERP", 10.0, 11.0),
        "S": futures("BTCUSD_PERP", -10.0, -9.0),
        "U": futures("BTCUSDT", 10.0, 10.0),
        "BTC3L": a_product(symbol="BTCUSD_PERP"),
    }
    markets = {"BTCUSD_PERP": {"contract": "inverse"}, "BTCUSDT": {"contract": "linear"}}
    said = list(coin_margined(a_summary(products=products, markets=markets)))
    assert [line.split(",")[0] for line in said] == [
        "L: 10x futures whose margin lies in BTC come to 11 x BTC",
        "S: 10x short futures whose margin lies in BTC come to −9 x BTC",
    ]
