"""A small sweep: two points, two products, a few paths of an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

BASE = """
seed = 11
[generator]
model = "gbm"
volatility = 1.5
days = 0.0208333
rows = "marks"
step = "1s"
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
policies = [ { type = "leverage_band", target = 3.0, low = 2.9, high = 3.1 } ]
[[products]]
id = "BTC3S"
symbol = "BTCUSDT"
policies = [ { type = "constant", target = -3.0, review_s = 300.0 } ]
[output]
nav_every = "10s"
"""
AXIS = "products.BTC3L.policies.0.target=2.95,3.0"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "base.toml"
    path.write_text(BASE)
    return path
