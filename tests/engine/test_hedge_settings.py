"""Where a product's money lies and how its NAV is defined, as a configuration says it, and what a
run says of the issuer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.api import run
from engine.config import load_config, spec_of
from engine.errors import ConfigError
from engine.units import SECOND_NS
from tests.engine.test_venues import COIN, DATA

PRODUCT = """[[products]]
id = "P"
symbol = "{symbol}"
policies = [ {{ type = "leverage_band", target = 3.0, low = 2.25, high = 4.125 }} ]
{more}
"""


def written(tmp_path: Path, more: str, symbol: str = "BTCUSDT") -> Path:
    path = tmp_path / "c.toml"
    path.write_text(PRODUCT.format(symbol=symbol, more=more))
    return path


def test_hedge_settings_reach_the_heart(tmp_path: Path) -> None:
    """Milliseconds become nanoseconds, the bands their far edges: 2.25x at 1.2 times the price, so
    3.6 NAVs; 4.125x at 0.88 times, 2.64 NAVs, where 3x is asked for."""
    hedge = (
        'hedge = { account = "omnibus", margin_share = 0.4, haircut = 0.1, '
        "topup_latency_ms = 1500, topup_at = 3 }"
    )
    terms = 'terms = { nav = "formula" }'
    config = load_config(written(tmp_path, f"{hedge}\n{terms}"), symbols=DATA)
    (product,) = spec_of(config, DATA).products
    assert (product.hedge.account, product.hedge.margin_share) == ("omnibus", 0.4)
    assert product.hedge.haircut == 0.1
    assert (product.hedge.topup_latency_ns, product.hedge.topup_at) == (3 * SECOND_NS // 2, 3.0)
    assert product.terms.nav == "formula"
    assert product.edges is not None
    low, high = product.edges
    assert low == (pytest.approx(3.6), 2.25)
    assert high == (pytest.approx(2.64), 3.0)


@pytest.mark.parametrize(
    ("more", "symbol", "told"),
    [
        ("hedge = { margin_share = 0.0 }", "BTCUSDT", "margin_share must be a share above 0"),
        ("hedge = { margin_share = 1.5 }", "BTCUSDT", "margin_share must be a share above 0"),
        ("hedge = { margin_share = 0.02 }", "BTCUSDT", "0.02 of its money at the venue cannot"),
        ("hedge = { haircut = 1.0 }", "BTCUSDT", "haircut must be a share from 0 to below 1"),
        (
            "hedge = { haircut = 0.98 }",
            "BTCUSDT",
            "1 of its money at the venue, 0.98 of which does",
        ),
        ("hedge = { topup_at = 0.5 }", "BTCUSDT", "topup_at must be >= 1"),
        ("hedge = { topup_latency_ms = -1.0 }", "BTCUSDT", "topup_latency_ms must be >= 0"),
        ('hedge = { account = "mine" }', "BTCUSDT", "account"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, more: str, symbol: str, told: str) -> None:
    """Each with the setting that is wrong."""
    data = COIN if symbol == "XBTUSD" else DATA
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, more, symbol), symbols=data)
    assert told in str(caught.value)


def test_the_issuers_side_is_in_the_summary(tmp_path: Path) -> None:
    """His profit is what his own units gained, and the hedge less what all are owed; holders'
    causes sum to the change of their NAV, and the hedge's to that of its own."""
    start = 1_700_000_000_000
    closes = [100.0, 101.0, 99.0, 104.0, 104.0]
    rows = [
        [start + i * 60_000, *[str(p)] * 4, "5", start + i * 60_000 + 59_999, "5", 1, "2", "2", "0"]
        for i, p in enumerate(closes)
    ]
    data = tmp_path / "BTCUSDT-1m-usdm.json"
    data.write_text(json.dumps(rows))
    config = written(tmp_path, 'terms = { nav = "formula" }')
    summary = run(data, config=config, write=False).summary
    book, product = summary["issuer"]["products"]["P"], summary["products"]["P"]
    hedge = book["hedge"]
    assert product["equity_end"] == pytest.approx(1_000_000 * (1 + 3 * 0.04), abs=1e-6)
    assert hedge["liability"] == product["equity_end"]
    assert sum(hedge["attribution"].values()) == pytest.approx(hedge["equity"] - 1e6, abs=1e-5)
    assert product["attribution"]["price"] == pytest.approx(120_000, abs=1e-5)
    assert product["attribution"]["fees"] == 0.0
    assert hedge["attribution"]["fees"] < 0.0
    assert book["profit"] == pytest.approx(hedge["equity"] - 1_000_000, abs=1e-5)
