"""``venue limits``: where accounts end, beside the closed forms that venues publish."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from engine.cli import main
from engine.config import venue_rules
from engine.config.settings import ContractConfig, VenueConfig
from engine.venue.rules import Tier
from tests.engine.venue.closed_forms import entry_priced, liquidation_price, mark_priced
from tests.engine.venue.closed_inverse import liquidation_price_inverse
from tests.engine.venue.closed_joint import Leg, joint_shock

Said = Callable[..., dict[str, Any]]


def tiers(venue: str, base: str = "BTC", quote: str = "USDT") -> tuple[Tier, ...]:
    rules = venue_rules(
        VenueConfig(preset=venue),  # type: ignore[arg-type]  # one of the names
        ContractConfig(base=base, quote=quote),
    )
    return rules.margin.tiers


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def asked(*arguments: str) -> dict[str, Any]:
        assert main(["venue", "limits", *arguments, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.mark.parametrize("size", [1.0, -1.0, 300.0, -300.0])
def test_a_position_valued_at_the_mark(said: Said, size: float) -> None:
    """Binance's closed form, in the first tier and beyond it. Catches a tier of today's notional
    instead of that at the price itself, a side mistaken, a bankruptcy that counts maintenance."""
    wallet = abs(size) * 12_000.0
    (found,) = said("binance", f"BTCUSDT:{size}:100000", "--wallet", f"{wallet}")["positions"]
    side = int(math.copysign(1, size))
    dies = liquidation_price(side, abs(size), 100_000.0, wallet, tiers("binance"))
    assert found["liquidated"] == pytest.approx(dies, rel=1e-9)
    assert found["bankrupt"] == pytest.approx(100_000.0 - side * 12_000.0, rel=1e-9)


def test_a_position_valued_at_its_entry(said: Said) -> None:
    """Bybit's maintenance does not follow the mark: ``EP - (C - MM) / q``, as long as its fee of
    closing is left out; with it the price is higher by less than 0.1 %. Catches a preset whose
    ``priced_at`` nobody asks."""
    (found,) = said("bybit", "BTCUSDT:1:100000", "--wallet", "5000")["positions"]
    (first, *_) = tiers("bybit")
    plain = entry_priced(1, 1.0, 100_000.0, 5_000.0, rate=first.rate)
    assert plain <= found["liquidated"] < plain * 1.001
    at_mark = mark_priced(1, 1.0, 100_000.0, 5_000.0, rate=first.rate)
    assert abs(found["liquidated"] - at_mark) > 1.0


@pytest.mark.parametrize(("side", "wallet"), [(1, 0.1), (-1, 0.2)])
def test_coins_of_an_inverse_contract(said: Said, side: int, wallet: float) -> None:
    """BitMEX counts risk in coin. Catches contracts taken for coins, and caps in quote."""
    found = said("bitmex", f"XBTUSD:{side * 10_000}:10000", "--wallet", f"{wallet}")
    (limit,) = found["positions"]
    dies = liquidation_price_inverse(side, 10_000.0, 10_000.0, wallet, tiers("bitmex", quote="USD"))
    assert found["asset"] == "BTC"
    assert limit["liquidated"] == pytest.approx(dies, rel=1e-6)


def test_half_a_contract_is_no_position(capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused, not rounded."""
    assert main(["venue", "limits", "bitmex", "XBTUSD:1.5:10000", "--wallet", "1"]) == 3
    assert "XBTUSD is held in whole lots of 1, not 1.5" in capsys.readouterr().err


def test_coins_that_cover_what_is_owed_never_end(said: Said) -> None:
    """A short of 10,000 USD with 2 coins at 10,000 is no position that a price can end."""
    (limit,) = said("bitmex", "XBTUSD:-10000:10000", "--wallet", "2")["positions"]
    assert (limit["liquidated"], limit["bankrupt"]) == (None, None)


def test_all_marks_together(said: Said) -> None:
    """Long two coins dies of a common fall long before either price alone would end it. Catches a
    shock of one market, one measured from entries, and maintenance that stays as it was."""
    found = said("binance", "BTCUSDT:1:100000:98000", "ETHUSDT:20:4000", "--wallet", "30000")
    legs = [
        Leg(side=1, size=1.0, entry=1e5, mark=98e3, tiers=tiers("binance")),
        Leg(side=1, size=20.0, entry=4e3, mark=4e3, tiers=tiers("binance", "ETH")),
    ]
    shock = joint_shock(30_000.0, legs)
    assert found["down"] == pytest.approx(shock.down, rel=1e-9)
    assert found["up"] is None
    assert shock.up == math.inf
    for limit in found["positions"]:
        assert limit["liquidated"] < limit["mark"] * (1.0 + found["down"])


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A long's price is rounded up to the step, a short's down, so that it says early rather than
    late; bankruptcy of the long is at 90,000 exactly."""
    assert main(["venue", "limits", "binance", "BTCUSDT:1:100000", "--wallet", "10000"]) == 0
    head, position, ends = capsys.readouterr().out.splitlines()
    assert head.endswith(": 10,000 USDT paid in")
    assert position == "  BTCUSDT: long 1 from 100,000, now 100,000, needs 450 USDT"
    assert ends == "      liquidated at 90,402.1 and below, bankrupt at 90,000"


def test_an_account_that_is_short_already(capsys: pytest.CaptureFixture[str]) -> None:
    """No price is told of what is over, and why the venue would not have opened it is."""
    assert main(["venue", "limits", "gate", "BTCUSDT:1:100000:90000", "--wallet", "400"]) == 0
    told = capsys.readouterr().out
    assert "would not let it be opened: needs" in told
    assert "short of margin as it is" in told
    assert " and below" not in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("gtae", "BTCUSDT:1:100", "--wallet", "9"), 'no venue "gtae"; did you mean "gate"'),
        (("gate", "--wallet", "9"), "which position?"),
        (("gate", "BTCUSDT:1:x", "--wallet", "9"), '"BTCUSDT:1:x" is no position'),
        (("gate", "BTCUSDT:0:9", "--wallet", "9"), "SIZE is not 0"),
        (("gate", "BTCUSDT:nan:9", "--wallet", "9"), "SIZE is not 0"),
        (("gate", "BTCUSDT:1:9", "--wallet", "0"), "--wallet must be above 0"),
        (("gate", "BTCUSDT:1:9", "BTCUSDT:1:9", "--wallet", "9"), "one position a symbol"),
        (("gate", "BTCUSDT:1:9", "XBTUSD:1:9", "--wallet", "9"), "settled in BTC and USDT"),
    ],
)
def test_what_cannot_be_asked(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake has a sentence, and none a traceback."""
    assert main(["venue", "limits", *arguments]) == 3
    assert sentence in capsys.readouterr().err
