"""Auto-deleveraging that is shared: by what everybody holds, or by that times his leverage."""

from __future__ import annotations

import numpy as np
import pytest

from engine.venue.accounts import PositionSpec, TraderSpec
from engine.venue.book import BookSpec
from engine.venue.crowd import CrowdSpec
from engine.venue.rules import (
    AdlRules,
    LiquidationRules,
    MarginRules,
    Ranking,
    Tier,
    VenueRules,
)
from tests.builders import a_contract, a_market, a_product, a_spec, a_tape
from tests.properties.agreement import agree

QUOTE = 10**6


def a_trader(name: str, lots: int, wallet: int) -> TraderSpec:
    held = PositionSpec(market=0, lots=lots, entry=100.0)
    return TraderSpec(id=name, wallet_atoms=wallet * QUOTE, positions=(held,))


def taken(ranking: Ranking, coins: int, *, rows: bool = False) -> dict[str, int]:
    """Long so many coins from 100 with 5 for each, he is bankrupt at 95 and marked 90. Two are
    short ten each: *calm* has 500 for 900 by then, 1.8x, and *bold* 200, 4.5x."""
    market = a_market(
        contract=a_contract(taker_fee=0.0, lot_size=1.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
            liquidation=LiquidationRules(limit="bankruptcy"),
            adl=AdlRules(ranking=ranking, rest="stay_open"),
        ),
    )
    traders = [a_trader("one", coins, 5 * coins), a_trader("calm", -10, 400)]
    crowds = []
    if rows:
        bold = CrowdSpec(
            id="bold",
            market=0,
            absolute=True,
            sizes=np.array([-10], np.int64).tobytes(),
            wallets=np.array([100 * QUOTE], np.int64).tobytes(),
            entries=np.array([100.0]).tobytes(),
            leverages=np.array([10.0]).tobytes(),
        )
        crowds.append(bold)
    else:
        traders.append(a_trader("bold", -10, 100))
    spec = a_spec(
        (a_product("IDLE"), ()), markets=(market,), traders=tuple(traders), crowds=tuple(crowds)
    )
    said = agree(spec, a_tape([100.0, 90.0]))
    found = {
        e.account.removeprefix("trader:"): e.lots for e in said.named("position_auto_deleveraged")
    }
    return found | {e.population: e.lots for e in said.named("population_deleveraged")}


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    ("ranking", "coins", "calm", "bold"),
    [
        ("pro_rata", 12, 6, 6),
        # 18 to 45: of 12 coins 3.43 and 8.57, whose remainder is the larger.
        ("risk_aware", 12, 3, 9),
        # 10.71 of 15 are more than *bold* has: he gives all, and *calm* the rest.
        ("risk_aware", 15, 5, 10),
        ("risk_aware", 20, 10, 10),
    ],
)
def test_the_share_follows_what_is_held_or_leverage_too(
    ranking: Ranking, coins: int, calm: int, bold: int, *, rows: bool
) -> None:
    """Of traders and of a population's rows alike. Catches a risk-aware rule that shares like the
    plain one."""
    assert taken(ranking, coins, rows=rows) == {"calm": calm, "bold": bold}


@pytest.mark.parametrize("rows", [False, True])
def test_rounding_leaves_no_loss(*, rows: bool) -> None:
    """Bankrupt at an odd price, closed against seven who hold odd lots: what they pay adds up to
    what he owes, so that he ends with nothing, and nobody covers or shares an atom. Catches parts
    that are rounded down one by one, each of which leaves a debt of an atom."""
    market = a_market(
        contract=a_contract(taker_fee=0.0),
        book=BookSpec(model="flat"),
        venue=VenueRules(
            margin=MarginRules(tiers=(Tier(cap=1e9, max_leverage=50.0, rate=0.01),)),
            liquidation=LiquidationRules(limit="bankruptcy"),
            adl=AdlRules(ranking="pro_rata"),
        ),
        insurance_atoms=0,
    )
    lots = [10_000_019, 9_000_011, 8_000_009, 7_000_003, 6_000_011, 5_000_011, 4_000_037]
    traders, crowds = [a_trader("one", 40_000_003, 197)], []
    if rows:
        crowd = CrowdSpec(
            id="crowd",
            market=0,
            absolute=True,
            sizes=np.array([-each for each in lots], np.int64).tobytes(),
            wallets=np.array([700 * QUOTE] * 7, np.int64).tobytes(),
            entries=np.array([100.0] * 7).tobytes(),
            leverages=np.array([5.0] * 7).tobytes(),
        )
        crowds.append(crowd)
    else:
        traders += [a_trader(f"t{n}", -each, 700) for n, each in enumerate(lots)]
    spec = a_spec(
        (a_product("IDLE"), ()), markets=(market,), traders=tuple(traders), crowds=tuple(crowds)
    )
    said = agree(spec, a_tape([100.0, 90.0]))
    taken = said.named("position_auto_deleveraged", "population_deleveraged")
    assert sum(each.lots for each in taken) == 40_000_003
    assert not said.named("account_charged", "loss_socialised")
    (ended,) = said.named("liquidation_ended")
    assert (ended.outcome, ended.equity_atoms) == ("closed", 0)
    assert said.engine.margins.traders.accounts[0].cash == 0
