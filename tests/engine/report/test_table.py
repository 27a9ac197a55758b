"""The table, the bars and the explanation: one set of numbers, and sums that hold."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api import RunResult
from engine.errors import InputError
from engine.report import explain, explain_of, table_of
from engine.report.table import exact_parts
from engine.report.waterfall import bars_of
from tests.engine.report.summaries import a_product, a_summary

_PARTS = (
    *("direction", "compounding", "leverage_change", "timing", "gap"),
    *("spread_impact", "fees", "funding", "management_fee", "flows", "other"),
)


def test_a_row_sums_to_the_change_of_equity(sample_run: RunResult) -> None:
    """Direction to other are all there is."""
    for row in table_of(sample_run.summary):
        product = sample_run.summary["products"][row["product"]]
        change = product["equity_end"] / product["equity_start"] - 1.0
        assert math.fsum(row[part] for part in _PARTS) == pytest.approx(change, abs=1e-9)
        assert row["got"] == product["return"]
        assert row["myth"] == product["multiple_return"]


def test_each_bar_begins_where_the_one_before_ended(sample_run: RunResult) -> None:
    """The waterfall has no step missing, and its sums are the summary's."""
    for product in sample_run.summary["products"].values():
        bars = bars_of(product)
        level = 0.0
        for bar in bars:
            start = level if bar.kind == "part" else 0.0
            assert bar.left == pytest.approx(start, abs=1e-12)
            if bar.kind != "part":
                assert bar.right == pytest.approx(level, abs=2e-4)
            level = bar.right
        change = (product["equity_end"] - product["equity_start"]) / product["equity_start"]
        assert bars[-1].right == pytest.approx(change, abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_printed_cents_sum_to_the_printed_total(values: list[float]) -> None:
    """No part is off by a cent or more, and the parts sum to what is printed under them."""
    parts = {str(i): value for i, value in enumerate(values)}
    total = math.fsum(values)
    cents = exact_parts(parts, total, 0.01)
    assert sum(cents.values()) == round(total / 0.01)
    assert all(abs(cents[name] * 0.01 - parts[name]) < 0.0101 for name in parts)


def test_the_explanation_sums_to_the_last_atom(sample_run: RunResult) -> None:
    """Start, causes and end are printed so that a reader may add them up."""
    assert sample_run.path is not None
    for name in sample_run.summary["products"]:
        text = explain(sample_run.path, name).replace("−", "-")
        lines = re.findall(r"^  (\S.*?) {2,}([+-]?[\d,]+\.\d{6})\b", text, re.MULTILINE)
        amounts = [(words, _atoms(n)) for words, n in lines]
        inner = re.findall(r"^    (\S.*?) {2,}([+-]?[\d,]+\.\d{6})\b", text, re.MULTILINE)
        assert amounts[0][0] == "worth at the start"
        assert amounts[-1][0] == "worth at the end"
        assert sum(atoms for _, atoms in amounts[:-1]) == amounts[-1][1]
        assert sum(_atoms(n) for _, n in inner) == dict(amounts)["price moves"]


def _atoms(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


def test_every_assumption_is_named() -> None:
    """What the result leans on stands under it."""
    text = explain_of(a_summary(assumed=["funding_zero: no funding", "no_latency: at once"]))
    assert "funding_zero: no funding" in text
    assert "no_latency: at once" in text


def test_a_user_sees_what_he_did_and_what_it_is_worth(sample_run: RunResult) -> None:
    """Units from the events, the value from the exact NAV at the end, refusals with reasons."""
    assert sample_run.path is not None
    text = explain(sample_run.path, user="alice")
    rows = [row for row in sample_run.user_nav.to_pylist() if row["user"] == "alice"]
    assert re.search(r"bought [\d,.]+ units, paid 1,000\.000000", text)
    assert "sold 500 units" in text
    assert "redemption refused: insufficient_units" in text
    assert f"worth {rows[-1]['nav_atoms'] / 1e6:,.6f} USDT" in text
    assert "BTC3L, an hour later" in text
    assert re.search(r"BTC-SPOT +[\d,.]+ +−[\d.]+ %", text)


def test_unknown_products_and_users_are_told_apart(sample_run: RunResult) -> None:
    """A wrong name gets an answer that helps."""
    assert sample_run.path is not None
    with pytest.raises(InputError, match=r"no product BTC9L; it has BTC3L"):
        explain(sample_run.path, "BTC9L")
    with pytest.raises(InputError, match="bob held nothing"):
        explain(sample_run.path, user="bob")
    with pytest.raises(InputError, match="never launched"):
        explain_of(a_summary(not_launched=["ETH3L"]), product="ETH3L")


def test_a_product_that_did_as_promised_has_no_culprit() -> None:
    """Where nothing but direction moved it, nothing else is blamed."""
    product = a_product(**{"return": -0.12})
    assert "Nothing but the market's direction" in explain_of(a_summary(products={"P": product}))


def test_an_undefined_split_is_not_believed_in_part() -> None:
    """Where one part of the price split is undefined, the whole split is left out and said to be
    unknown; everything else still sums."""
    split = {"direction": -50.0, **dict.fromkeys(("compounding", "leverage_change"), math.nan)}
    product = a_product(price_split={**split, "timing": 0.0, "gap": 0.0})
    summary = a_summary(products={"P": product})
    assert all(math.isnan(table_of(summary)[0][part]) for part in ("direction", "gap"))
    assert [bar.kind for bar in bars_of(product)] == ["subtotal", "total"]
    assert "direction  " not in explain_of(summary)
    assert "price moves" in explain_of(summary)
