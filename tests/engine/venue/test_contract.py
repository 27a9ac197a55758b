"""Tests of ``engine.venue.contract``."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest

from engine.errors import ConfigError
from engine.venue.contract import Contract, to_price_step
from engine.venue.contract_spec import ContractSpec
from tests.builders import a_contract

USDT = 10**6
BTC = 10**8
DRAWS = 1_000


def linear(**fields: float) -> Contract:
    """Lots of a micro-coin, settled in USDT."""
    return Contract(a_contract(**fields))


def inverse(**fields: float) -> Contract:
    """Contracts of one dollar, settled in coin."""
    return Contract(a_contract("XBTUSD", inverse=True, **fields))


def test_three_coins_at_60_000_are_worth_180_000() -> None:
    """Catches lots counted as coins, and money in the wrong step."""
    assert linear().exposure_value(3_000_000, 60_000.0) == 180_000 * USDT
    assert linear().exposure_value(-3_000_000, 60_000.0) == -180_000 * USDT


def test_buying_linear_lots_costs_what_they_are_worth() -> None:
    """3 BTC bought at 100 with 100 of NAV leave -200 of cash: NAV 100 at 100, 64 at 88, 160 at
    120, and 0 at 66.67. Catches the sign of a purchase."""
    contract = linear()
    cash = 100 * USDT + contract.trade_cash(3_000_000, 100.0)
    assert cash == -200 * USDT
    for mark, nav in ((100.0, 100), (88.0, 64), (120.0, 160)):
        assert contract.nav(cash, 3_000_000, mark) == nav * USDT
    assert contract.nav(cash, 3_000_000, 200.0 / 3.0) in (-1, 0)
    assert contract.line(cash, 3_000_000) == (-200.0 * USDT, 3.0 * USDT)


def test_a_million_dollar_contracts_from_10_000_to_12_500_earn_20_coins() -> None:
    """Inverse: they bring in 100 BTC at 10,000 and cost 80 BTC at 12,500. Catches a profit that is
    reckoned as if the contract were linear (25 BTC)."""
    contract = inverse()
    bought = contract.trade_cash(1_000_000, 10_000.0)
    sold = contract.trade_cash(-1_000_000, 12_500.0)
    assert (bought, sold) == (100 * BTC, -80 * BTC)
    assert bought + sold == 20 * BTC


def test_the_coin_in_the_middle_of_an_inverse_pair_is_the_same_money() -> None:
    """NAV = coins * mark - lots * face: 1 BTC at 10,000 is 10,000 dollars and 1x long; with 20,000
    contracts bought there are 3 BTC and the same NAV, leverage 1 + 20,000 / 10,000 = 3. At 12,000
    that is 36,000 - 20,000 = 16,000, three times +20 %. Catches the face or the coins left out."""
    contract = inverse()
    assert contract.nav(BTC, 0, 10_000.0) == 10_000 * USDT
    coins = BTC + contract.trade_cash(20_000, 10_000.0)
    assert coins == 3 * BTC
    assert contract.nav(coins, 20_000, 10_000.0) == 10_000 * USDT
    assert contract.nav(coins, 20_000, 12_000.0) == 16_000 * USDT
    intercept, slope = contract.line(coins, 20_000)
    assert (intercept, slope) == (-20_000.0 * USDT, 3.0 * USDT)


def test_a_trade_rounds_against_the_account() -> None:
    """One dollar at 30,000 is 3,333.33 satoshi: the buyer of the contract receives 3,333 and its
    seller pays 3,334; a third of a micro likewise. Catches rounding to the nearest, by which the
    venue would pay for dust."""
    coin = inverse()
    assert coin.trade_cash(1, 30_000.0) == 3_333
    assert coin.trade_cash(-1, 30_000.0) == -3_334
    quote = linear()
    third = 1.0 / 3.0  # as a float a little less than a third
    assert quote.trade_cash(1, third) == -1
    assert quote.trade_cash(-1, third) == 0
    assert quote.trade_cash(10, third) == -4
    assert quote.trade_cash(-10, third) == 3


def test_a_price_is_the_fraction_that_its_float_is() -> None:
    """One lot of a coin at 0.1 is 100,000.0000000000055 micros: it is worth 100,000, and who buys
    it pays 100,001. Catches a price that passes through decimals or a rounded product."""
    contract = linear(lot_size=1.0)
    assert contract.exposure_value(1, 0.1) == 100_000
    assert contract.trade_cash(1, 0.1) == -100_001
    random = Random(1)
    for _ in range(DRAWS):
        lots, price = random.randint(-(10**12), 10**12), random.uniform(0.01, 1e5)
        assert contract.exposure_value(lots, price) == math.floor(Fraction(price) * lots * USDT)
        true = -Fraction(lots * BTC) / Fraction(price)
        assert inverse().exposure_value(lots, price) == math.floor(true)


@pytest.mark.parametrize("contract", [linear(), inverse()], ids=["linear", "inverse"])
def test_going_there_and_back_never_earns(contract: Contract) -> None:
    """Bought and sold at one price, an account is never richer, and poorer by one step at most.
    Catches a rounding in the account's favour, which a loop would turn into money."""
    random = Random(2)
    for _ in range(DRAWS):
        lots, price = random.randint(1, 10**9), random.uniform(1.0, 1e5)
        both = contract.trade_cash(lots, price) + contract.trade_cash(-lots, price)
        assert both in (-1, 0)


@pytest.mark.parametrize("contract", [linear(), inverse()], ids=["linear", "inverse"])
def test_the_float_line_is_the_exact_nav(contract: Contract) -> None:
    """Triggers read the float line, money is exact: they agree to a step and float accuracy.
    Catches two formulas that part."""
    random = Random(3)
    for _ in range(DRAWS):
        cash, lots = random.randint(-(10**13), 10**13), random.randint(-(10**9), 10**9)
        mark = random.uniform(10.0, 1e5)
        intercept, slope = contract.line(cash, lots)
        size = abs(intercept) + abs(slope * mark)
        assert intercept + slope * mark == pytest.approx(
            contract.nav(cash, lots, mark), abs=2.0 + size * 1e-14
        )
        assert contract.line_nav(intercept, slope, mark) == contract.nav(cash, lots, mark)


def test_how_an_account_stands_at_one_mark_after_another() -> None:
    """Three coins for 200 of debt at 100, 88 and again 100; 20,000 contracts against three coins
    at 10,000 and 12,000. Catches what was kept of another mark."""
    contract, line = linear(), (-200.0 * USDT, 3.0 * USDT)
    for mark, nav in ((100.0, 100), (88.0, 64), (88.0, 64), (100.0, 100)):
        assert contract.stand(-200 * USDT, 3_000_000, mark) == (*line, nav * USDT)
    contract, line = inverse(), (-20_000.0 * USDT, 3.0 * USDT)
    for mark, nav in ((10_000.0, 10_000), (12_000.0, 16_000)):
        assert contract.stand(3 * BTC, 20_000, mark) == (*line, nav * USDT)


@pytest.mark.parametrize(
    ("contract", "lots", "cash", "price"),
    [
        (linear(), 3_000_000, -300 * USDT, 100.0),
        (linear(), -3_000_000, 300 * USDT, 100.0),
        (linear(), 1, -1, 1.0),
        (inverse(), 20_000, 2 * BTC, 10_000.0),
        (inverse(), -20_000, -2 * BTC, 10_000.0),
        (inverse(), 1, 1, 1e8),
    ],
)
def test_the_price_of_a_trade(contract: Contract, lots: int, cash: int, price: float) -> None:
    """What was paid for a coin, or the face for each coin; none where nothing is traded or paid, or
    the money goes the wrong way."""
    assert contract.price_of(lots, cash) == price
    for none in ((lots, 0), (0, cash), (lots, -cash), (-lots, cash)):
        assert contract.price_of(*none) is None


@pytest.mark.parametrize(
    ("price", "side", "limit"),
    [
        (100.3, 1, 100.0),
        (100.3, -1, 100.5),
        (100.5, 1, 100.5),
        (100.5, -1, 100.5),
        (0.7, 1, 0.5),
        (0.2, 1, 0.5),
    ],
)
def test_a_limit_on_a_price_step(price: float, side: int, limit: float) -> None:
    """Buys at no more, sells at no less; a step at least."""
    assert linear(price_step=0.5).on_step(price, side) == limit


def test_a_contract_that_says_no_more_than_its_name() -> None:
    """Linear, in millionths of a coin, a tenth a step, without fees."""
    spec = ContractSpec(symbol="BTCUSDT", base="BTC", quote="USDT")
    assert (spec.kind, spec.price_step, spec.lot_size) == ("linear", 0.1, 1e-6)
    assert (spec.contract_size, spec.taker_fee, spec.maker_fee) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("leverage", "nav", "mark", "lots"),
    [
        (3.0, 100, 100.0, 3_000_000),
        (-3.0, 100, 100.0, -3_000_000),
        (3.0, 64, 88.0, 2_181_818),  # 2.1818181..: towards less
        (-3.0, 64, 88.0, -2_181_818),
        (0.0, 100, 100.0, 0),
    ],
)
def test_linear_lots_for_a_leverage(leverage: float, nav: int, mark: float, lots: int) -> None:
    """Leverage * NAV / price, truncated. Catches a rounding away from zero, by which a product
    would hold more than it asked for."""
    assert linear().lots_for(leverage, nav * USDT, mark) == lots


@pytest.mark.parametrize(
    ("leverage", "lots"),
    [
        (3.0, 20_000),
        (1.0, 0),
        (0.5, -5_000),
        (-3.0, -40_000),
        (0.0, -10_000),
        (2.99995, 19_999),
        (0.99995, -1),  # half a contract short is one: of none more would be long
        (-0.00005, -10_000),  # half a contract more than none of exposure is none
    ],
)
def test_inverse_lots_for_a_leverage(leverage: float, lots: int) -> None:
    """(leverage - 1) * NAV / face on 10,000 dollars: the coins themselves are one times long.
    Catches a short that forgets its coins."""
    assert inverse().lots_for(leverage, 10_000 * USDT, 10_000.0) == lots
    whole = inverse().lots_for(leverage, 10_000 * USDT + 1, 10_000.0)
    assert whole == (lots - 1 if leverage == 0.5 else lots)
    assert inverse().lots_for(0.0, 10_000_500_000, 10_000.0) == -10_000  # of 10,000.5


def test_no_position_has_more_exposure_than_was_asked_for() -> None:
    """For random leverages, inverse lots give an exposure of at most the wanted one, and one lot
    more would exceed it (by a dollar's rounding). Catches lots rounded towards zero, which a short
    of its own coins must not be."""
    contract, random = inverse(), Random(4)
    for _ in range(DRAWS):
        nav, leverage = (
            random.randint(10**9, 10**13),
            random.choice((-1, 1)) * random.uniform(0.1, 9),
        )
        lots = contract.lots_for(leverage, nav, 1.0)
        exposure = nav + lots * USDT
        assert abs(exposure) <= abs(leverage) * nav * (1 + 1e-12)
        assert abs(exposure) + USDT >= abs(leverage) * nav * (1 - 1e-12)


def test_the_notional_is_unsigned_and_rounds_down() -> None:
    """A long and a short of one size have one notional: 180,000 USDT of three coins at 60,000;
    33.33 BTC of a million dollars at 30,000. Catches a short that pays fees on one step more."""
    assert linear().notional(3_000_000, 60_000.0) == linear().notional(-3_000_000, 60_000.0)
    assert linear().notional(3_000_000, 60_000.0) == 180_000 * USDT
    for lots in (1_000_000, -1_000_000):
        assert inverse().notional(lots, 30_000.0) == 3_333_333_333
    assert linear().quote_notional(-3_000_000, 60_000.0) == pytest.approx(180_000.0)
    assert inverse().quote_notional(-20_000, 60_000.0) == 20_000.0


def test_the_fee_rounds_up() -> None:
    """0.04 % of 180,000 is 72; of one micro, and of minus one, it is a whole micro; of nothing,
    nothing. Catches a fee that small orders escape."""
    contract = linear(taker_fee=0.0004)
    assert contract.taker_fee(180_000 * USDT) == contract.taker_fee(-180_000 * USDT) == 72 * USDT
    assert contract.taker_fee(1) == contract.taker_fee(-1) == 1
    assert contract.taker_fee(0) == 0
    assert contract.taker_fee(2_500) == 1
    assert contract.taker_fee(2_501) == 2


def test_exchanging_money_rounds_down_both_ways() -> None:
    """A satoshi at 30,000 is 300 micros; 100 micros are a third of a satoshi, hence none, and a
    debt of them is a whole one. Linear money is the same money. Catches an exchange that can be
    repeated at a profit."""
    contract = inverse()
    assert contract.to_quote(1, 30_000.0) == 300
    assert contract.to_settlement(100, 30_000.0) == 0
    assert contract.to_settlement(-100, 30_000.0) == -1
    assert contract.to_quote(-1, 30_000.5) == -301
    assert linear().to_quote(-77, 123.4) == linear().to_settlement(-77, 123.4) == -77
    random = Random(5)
    for _ in range(DRAWS):
        atoms, mark = random.randint(-(10**12), 10**12), random.uniform(1.0, 1e5)
        assert contract.to_quote(contract.to_settlement(atoms, mark), mark) <= atoms
        assert contract.to_settlement(contract.to_quote(atoms, mark), mark) <= atoms


def test_what_inverse_lots_owe_rounds_up() -> None:
    """Half a micro of face is owed as one; a short is owed it rounded down. Catches a debt that
    vanishes in the step."""
    tiny = inverse(lot_size=1.0, contract_size=0.0000005)
    assert tiny.face(1) == 1
    assert tiny.face(-1) == 0
    assert tiny.face(3) == 2
    assert inverse().face(20_000) == 20_000 * USDT


def test_selling_the_exposure_in_lots_never_oversells() -> None:
    """The face of the lots is the exposure, towards zero. Catches a close that turns a long into a
    short."""
    assert inverse().exposure_lots(3.0 * USDT, 9_999.9) == 29_999
    assert inverse().exposure_lots(-3.0 * USDT, 9_999.9) == -29_999


def test_a_contract_without_size_is_refused() -> None:
    """Catches a division by zero at the first trade."""
    with pytest.raises(ConfigError, match="must be > 0"):
        linear(lot_size=0.0)


@pytest.mark.parametrize(
    ("contract", "lots", "net", "cash"),
    [
        (linear(taker_fee=0.001), -1, 999_000, 1_000_000),
        (linear(taker_fee=0.001), 1, -1_001_000, -1_000_000),
        (linear(taker_fee=0.001), -1, 999_001, 1_000_002),
        (linear(taker_fee=0.001), 1, -1_000_999, -999_999),
        (inverse(taker_fee=0.001), 1, 999_000, 1_000_000),
        (inverse(taker_fee=0.001), -1, -1_001_000, -1_000_000),
        (linear(taker_fee=0.001), -1, 1, 2),
    ],
)
def test_before_a_fee(contract: Contract, lots: int, net: int, cash: int) -> None:
    """What is traded for, so that the fee leaves a net amount or a little more; no positive price
    moves money the other way, and no fee is due."""
    assert contract.before_fee(lots, net) == cash
    assert cash - contract.closing_fee(lots, cash) >= net
    assert cash - 1 - contract.closing_fee(lots, cash - 1) < net
    assert contract.before_fee(-lots, net) == net
    assert contract.closing_fee(-lots, cash) == 0
    assert contract.closing_fee(lots, 0) == contract.before_fee(lots, 0) == 0


def test_how_lots_of_a_thousandth_stand() -> None:
    """Three coins are 3,000 of them: the line and what is read off it are those of three coins."""
    contract = linear(lot_size=0.001)
    assert contract.stand(-200 * USDT, 3_000, 88.0) == (-200.0 * USDT, 3.0 * USDT, 64 * USDT)
    assert contract.line_nav(-200.0 * USDT, 3.0 * USDT, 88.0) == 64 * USDT
    assert linear().stand(5, 1, 88.5) == (5.0, 1.0, 93)  # a millionth is 88 atoms, rounded down


@pytest.mark.parametrize("mark", [1.0, 2.0])
def test_a_first_mark_may_be_any(mark: float) -> None:
    """Before anything was kept of another. Catches a ratio that was kept of none."""
    for contract, worth in ((linear(lot_size=1.0), mark * USDT), (inverse(), -BTC / mark)):
        assert contract.exposure_value(1, mark) == worth
    assert linear(lot_size=1.0).nav(0, 1, mark) == mark * USDT


def test_coins_of_six_decimals_for_quote_of_eight() -> None:
    """A hundred satoshi at half a bitcoin a dollar are two millionths of a dollar, and back."""
    contract = Contract(a_contract(inverse=True, base="USDC", quote="BTC"))
    assert contract.to_settlement(100, 0.5) == 2
    assert contract.to_quote(2, 0.5) == 100


@pytest.mark.parametrize(
    ("contract", "lots", "cash"),
    [
        (linear(taker_fee=0.5), -1, 1),
        (inverse(taker_fee=0.5), 1, 1),
        (inverse(taker_fee=0.5), -1, -1),
    ],
)
def test_a_single_atom_pays_a_fee(contract: Contract, lots: int, cash: int) -> None:
    """Of one lot, where a price moves it; of nothing, or the wrong way, there is none."""
    assert contract.closing_fee(lots, cash) == 1
    assert contract.closing_fee(lots, 0) == contract.closing_fee(lots, -cash) == 0


def test_a_price_as_near_a_step_as_a_trillionth() -> None:
    """Of itself and one: it is on it, and what is farther is not. A long's is rounded up."""
    assert to_price_step(1.0 + 1.5e-12, 1.0, 1) == 1.0
    assert to_price_step(1.0 + 2.5e-12, 1.0, 1) == 2.0
    bound = 1e-12 * (1.0 + 1e-12)
    assert bound == 1e-12 * (1.0 + bound)
    assert to_price_step(bound, 1.0, 1) == 0.0
