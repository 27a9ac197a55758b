"""Tests of ``engine/report/trading_at.py``."""

from __future__ import annotations

import pytest

from engine.report.trading_at import traded_rows, traded_words
from tests.engine.report.summaries import a_product, a_summary

SHUT: dict[str, float] = {}
TRADED = {
    **dict.fromkeys(("premium_max", "premium_min", "premium_end"), 0.1),
    "price_end": 1.1,
    "bought": 1_234.5,
    "sold": 0.25,
    "creations_shut_seconds": SHUT,
    "redemptions_shut_seconds": SHUT,
}


@pytest.mark.parametrize(
    ("quote", "row", "words"),
    [
        ("USDT", ["1,234", "0"], "bought for 1,234.50 USDT and sold for 0.25 USDT"),
        ("BTC", ["1,234.50000000", "0.25000000"], "1,234.50000000 BTC and sold for 0.25000000 BTC"),
    ],
)
def test_who_was_turned_away_is_told_in_his_asset(quote: str, row: list[str], words: str) -> None:
    """Catches a quarter of a coin that is nothing."""
    product = a_product(quote=quote, secondary=TRADED)
    (told,) = traded_rows(a_summary(products={"P": product}))
    assert told[6:8] == row
    assert words in traded_words(product)
