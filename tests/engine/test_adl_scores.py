"""Every rule of auto-deleveraging on one drawn population."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from engine.adl_scores import scored
from engine.cli import main
from engine.errors import ConfigError
from engine.venue.rules import Ranking


def test_every_rule_is_scored() -> None:
    """All close the same lots at the same price, so none overshoots by more than a lot an account;
    sharing is nearer to equal shares of profit than any queue, and spares the hardest hit."""
    found = scored(5_000)
    by_name = {each.ranking: each for each in found.scores}
    assert set(by_name) == set(get_args(Ranking))
    queues = ("bitmex", "binance", "okx", "bybit", "gate", "hyperliquid", "dydx")
    for name, each in by_name.items():
        assert each.overshoot == pytest.approx(0.0, abs=1e-5), name
        assert each.pmr == pytest.approx(each.ptsr * found.deficit / found.largest_deficit)
    for name in queues:
        assert by_name["pro_rata"].regret < by_name[name].regret
        assert by_name["pro_rata"].largest < by_name[name].largest
        assert by_name["pro_rata"].accounts > by_name[name].accounts
    assert scored(5_000) == found
    assert scored(5_000, seed=8) != found


def test_nobody_is_bankrupt() -> None:
    """A fall too small to bankrupt anybody is said."""
    with pytest.raises(ConfigError, match="nobody is bankrupt"):
        scored(100, fall=0.0001)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A row a rule, or one object; bad numbers are said."""
    assert main(["venue", "adl-scores", "--count", "2000"]) == 0
    assert "hyperliquid" in capsys.readouterr().out
    assert main(["venue", "adl-scores", "--count", "2000", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scores"]) == len(get_args(Ranking))
    assert main(["venue", "adl-scores", "--fall", "2"]) == 3
    assert "fall between 0 and 1" in capsys.readouterr().err
