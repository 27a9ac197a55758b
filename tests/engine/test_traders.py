"""The venue's other customers: whom it does not admit, and why."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import ConfigError
from engine.market import MarketSpec
from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from tests.builders import a_contract, a_market, a_spec

TIERS = (
    Tier(cap=1e4, max_leverage=20.0, rate=0.02),
    Tier(cap=1e6, max_leverage=5.0, rate=0.1, deduction=800.0),
)


def a_venue(*tiers: Tier, inverse: bool = False) -> MarketSpec:
    contract = a_contract("BTCUSD", inverse=True) if inverse else a_contract()
    return a_market(contract=contract, venue=VenueRules(margin=MarginRules(tiers=tiers or TIERS)))


def admitted(market: MarketSpec, *, wallet: Any, lots: Any, **fields: Any) -> Engine:
    """An engine with one trader; ``lots`` from an entry of 100."""
    entry = fields.pop("entry", 100.0)
    positions = (PositionSpec(market=0, lots=lots, entry=entry),)
    trader = TraderSpec(id="t", wallet_atoms=wallet, positions=positions, **fields)
    return Engine(a_spec(markets=(market,), traders=(trader,)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wallet": 0}, "wallet_atoms must be a whole number > 0, was 0"),
        ({"wallet": -1}, "wallet_atoms must be a whole number > 0, was -1"),
        ({"wallet": math.nan}, "wallet_atoms must be a whole number > 0, was nan"),
        ({"lots": 0}, "lots must be a whole number and not 0, were 0"),
        ({"lots": math.nan}, "lots must be a whole number and not 0, were nan"),
        ({"entry": 0.0}, "entry must be finite and > 0, was 0.0"),
        ({"entry": math.nan}, "entry must be finite and > 0, was nan"),
        ({"entry": math.inf}, "entry must be finite and > 0, was inf"),
        ({"max_leverage": math.nan}, "max_leverage must be finite and >= 0, was nan"),
        ({"max_leverage": -2.0}, "max_leverage must be finite and >= 0, was -2.0"),
    ],
)
def test_numbers_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    """NaN, zero and infinity are refused before anything is booked, by name."""
    chosen = {"wallet": 10**9, "lots": 10**6, **fields}
    with pytest.raises(ConfigError, match=f"^trader t: {message}$"):
        admitted(a_venue(), **chosen)


def test_more_than_the_venue_lets_anybody_open() -> None:
    """100 coins are 10,000 and need 500 at 20x; 101 are of the next tier and need 2,020 at 5x; more
    than a million nobody may hold."""
    admitted(a_venue(), wallet=500 * 10**6, lots=100 * 10**6, max_leverage=20.0)
    with pytest.raises(ConfigError, match="needs 500 USDT of initial margin, 499 were paid in"):
        admitted(a_venue(), wallet=499 * 10**6, lots=-100 * 10**6)
    admitted(a_venue(), wallet=2_020 * 10**6, lots=101 * 10**6)
    with pytest.raises(ConfigError, match="needs 2,020 USDT of initial margin"):
        admitted(a_venue(), wallet=2_019 * 10**6, lots=101 * 10**6)
    with pytest.raises(ConfigError, match="allows a position of this size 5x, not 6x"):
        admitted(a_venue(), wallet=10**12, lots=101 * 10**6, max_leverage=6.0)
    with pytest.raises(ConfigError, match="allows no position of this size"):
        admitted(a_venue(), wallet=10**15, lots=10**11)


def test_coins_are_margin_by_the_face() -> None:
    """10,000 dollars at 200 are 50 coins: 2.5 of them at 20x."""
    market = a_venue(inverse=True)
    admitted(market, wallet=25 * 10**7, lots=10_000, entry=200.0)
    with pytest.raises(ConfigError, match=r"needs 2\.5 BTC of initial margin, 2\.49 were"):
        admitted(market, wallet=249 * 10**6, lots=10_000, entry=200.0)


def test_tiers_out_of_order() -> None:
    """A table that does not ascend is refused where the venue lists the contract."""
    with pytest.raises(ConfigError, match="tier 2"):
        admitted(a_venue(*reversed(TIERS)), wallet=10**12, lots=10**6)
