"""Tests of ``engine/config/comparators.py``: futures, loans and the venue's other customers in a
configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine import api
from engine.config import RunConfig, load_config, resolved_toml, spec_of
from engine.config.assumptions import assumptions
from engine.config.loading import placed
from engine.errors import ConfigError
from engine.product import LoanTerms
from engine.verify import verify
from feeds.recording import SymbolInfo
from feeds.synthetic import Synthetic
from strategies import MarginLevel
from tests.engine.test_config import a_symbol

TICKS = (a_symbol(),)
COINS = (a_symbol("BTCUSD_PERP", contract="inverse", contract_size=100.0, quote="USD"),)
MARKET = '[[markets]]\nsymbol = "BTCUSDT"\n'
FUTURES = '[[products]]\nid = "F"\nsymbol = "BTCUSDT"\nkind = "futures"\n'
CLAIM = '[[products]]\nid = "T"\nsymbol = "BTCUSDT"\n'
QUOTED = f'{CLAIM}terms = {{ nav = "quoted" }}\n'
LOAN = '[[products]]\nid = "M"\nsymbol = "BTCUSDT"\nkind = "margin_loan"\n'
TRADER = '[[traders]]\nid = "t"\nsymbol = "BTCUSDT"\n'


def loaded(tmp_path: Path, text: str, symbols: tuple[SymbolInfo, ...] = TICKS) -> RunConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return load_config(path, symbols=symbols)


def said(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)


def test_what_stands_behind_futures_reaches_the_heart(tmp_path: Path) -> None:
    """The stake of isolated futures is all that lies at the venue, of cross ones all that there is;
    a tier is asked for the stake's position, at the leverage that was chosen."""
    staked = f"{FUTURES}leverage = 40.0\nstake = 0.25\n"
    text = staked + staked.replace('"F"', '"X"') + 'margin = "cross"\n'
    config = loaded(tmp_path, text)
    assert loaded(tmp_path, resolved_toml(config)) == config
    isolated, cross = spec_of(config, TICKS).products
    assert [each.hedge.margin_share for each in (isolated, cross)] == [0.25, 1.0]
    for each in (isolated, cross):
        assert (each.leverage, each.stake) == (40.0, 0.25)
        assert each.opening_target(inverse=False) == 10.0
        assert each.opening_target(inverse=True) == 11.0
        assert each.edges == ((10.0, 40.0),)


def test_futures_and_loans_reach_the_heart(tmp_path: Path) -> None:
    """Kind, leverage and terms are the heart's; a loan has its lender's rule; a limit lower than
    the leverage does not forbid it; and all of it loads back from the resolved text."""
    loan = "leverage = -3.0\nloan = { hourly_rate = 0.001, call_level = 1.25, sell_level = 1.15 }\n"
    config = loaded(
        tmp_path,
        f"{FUTURES}leverage = 20.0\n{LOAN}{loan}{LOAN}leverage = 2\n".replace(
            'id = "M"', 'id = "M2"', 1
        ).replace('id = "M"', 'id = "M3"', 1),
    )
    assert loaded(tmp_path, resolved_toml(config)) == config
    spec = spec_of(config, TICKS)
    futures, short, long = spec.products
    assert (futures.kind, futures.leverage, spec.policies[0]) == ("futures", 20.0, ())
    assert futures.limit >= 20.0
    terms = LoanTerms(hourly_rate=0.001, call_level=1.25, sell_level=1.15)
    assert (short.kind, short.leverage, short.loan) == ("margin_loan", -3.0, terms)
    assert spec.policies[1:] == ((MarginLevel(call=1.25, sell=1.15),), (MarginLevel(),))
    assert (long.leverage, long.loan) == (2.0, LoanTerms())


def test_traders_reach_the_heart(tmp_path: Path) -> None:
    """``count`` makes many alike by number; sizes become lots, wallets atoms of what settles."""
    rows = "wallet = 1000.5\nsize = -0.25\nentry = 20000.0\nleverage = 25.0\n"
    config = loaded(tmp_path, f"{FUTURES}leverage = 5\n{TRADER}{rows}count = 3\n")
    assert loaded(tmp_path, resolved_toml(config)) == config
    traders = spec_of(config, TICKS).traders
    assert [trader.id for trader in traders] == ["t-1", "t-2", "t-3"]
    (position,) = traders[0].positions
    assert (position.market, position.lots, position.entry) == (0, -250_000, 20_000.0)
    assert (traders[0].wallet_atoms, traders[0].max_leverage) == (1_000_500_000, 25.0)
    coins = f"{FUTURES}leverage = 5\n{TRADER}wallet = 0.5\nsize = 40\nentry = 20000.0\n"
    config = loaded(tmp_path, coins.replace("BTCUSDT", "BTCUSD_PERP"), COINS)
    (trader,) = spec_of(config, COINS).traders
    assert (trader.id, trader.wallet_atoms, trader.positions[0].lots) == ("t", 50_000_000, 40)


def test_all_of_it_is_hashed(tmp_path: Path) -> None:
    """Another leverage, rate, wallet or number of traders is another run."""
    trader = "wallet = 1000\nsize = 0.25\nentry = 20000.0\n"
    base = f"{FUTURES}leverage = 5\n{LOAN}leverage = 3\n{TRADER}{trader}"
    changed = [
        base,
        base.replace("leverage = 5", "leverage = 6"),
        base.replace("leverage = 3\n", "leverage = 3\nloan = { hourly_rate = 0.1 }\n"),
        base.replace("wallet = 1000", "wallet = 1001"),
        f"{base}count = 2\n",
    ]
    hashes = {spec_of(loaded(tmp_path, text), TICKS).config_hash for text in changed}
    assert len(hashes) == len(changed)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (FUTURES, 1, "futures wants a leverage"),
        (f"{FUTURES}leverage = 9\nstake = 0.0\n", 6, "stake must be a share above 0"),
        (f"{FUTURES}leverage = 9\nstake = 1.5\n", 6, "at most 1, was 1.5"),
        (f"{LOAN}leverage = 2\nstake = 0.5\n", 6, "stake is of futures"),
        (f'{LOAN}leverage = 2\nmargin = "cross"\n', 6, "margin is of futures"),
        (f"{FUTURES}leverage = 0\n", 5, "leverage must not be 0"),
        (f"{FUTURES}leverage = nan\n", 5, "leverage must not be 0"),
        (f"{FUTURES}leverage = 126\n", 5, "allows that leverage up to 0"),
        (f"{FUTURES}leverage = 100\n", 5, "at most 6,000 USDT fit"),
        (f"{FUTURES}leverage = 5\nseed_capital = 1e9\n", 5, "96,000,000 USDT fit"),
        (
            f'{FUTURES}leverage = 5\npolicies = [ {{ type = "margin_floor" }} ]\n',
            6,
            "futures has no policies",
        ),
        (f"{FUTURES}leverage = 5\nloan = {{}}\n", 6, "only a margin_loan has loan terms"),
        (f"{FUTURES}leverag = 5\n", 5, 'did you mean "leverage"?'),
        (f"{LOAN}leverage = 1\n", 5, "borrows nothing"),
        (f"{LOAN}leverage = 5\n", 5, "the borrower is called at 1.3"),
        (f"{LOAN}leverage = 3\nloan = {{ sell_level = 1.4 }}\n", 6, "1 < sell_level < call_level"),
        (f"{LOAN}leverage = 3\nloan = {{ hourly_rate = nan }}\n", 6, "hourly_rate must be a share"),
        (f"{LOAN}leverage = 3\nloan = {{ rate = 0.1 }}\n", 6, "loan.rate is not a setting"),
        (FUTURES.replace("futures", "future"), 4, 'did you mean "futures"?'),
        (
            '[[products]]\nid = "S"\nsymbol = "BTCUSDT"\nkind = "spot"\nleverage = 2\n',
            5,
            "leverage is of futures and margin_loan",
        ),
        (f'{CLAIM}policies = [ {{ type = "fixed_term" }} ]\n', 4, 'set terms.nav = "quoted"'),
        (
            f'{QUOTED}policies = [ {{ type = "cppi" }} ]\n',
            5,
            "this policy keeps a leverage",
        ),
        (
            f'{QUOTED}policies = [ {{ type = "fixed_term" }}, {{ type = "fixed_term" }} ]\n',
            5,
            "a claim has one policy",
        ),
    ],
)
def test_products_that_cannot_be(tmp_path: Path, text: str, line: int, what: str) -> None:
    """Each is refused with its line and a reason."""
    message = said(tmp_path, text)
    assert f"run.toml:{line}: " in message
    assert what in message


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        ({"symbol": '"BTCUSD"'}, 8, 'did you mean "BTCUSDT"?'),
        ({"wallet": "0"}, 9, "wallet must be finite"),
        ({"wallet": "nan"}, 9, "wallet must be finite"),
        ({"size": "0"}, 10, "whole lots"),
        ({"size": "0.0000005"}, 10, "whole lots"),
        ({"size": "inf"}, 10, "whole lots"),
        ({"size": "nan"}, 10, "whole lots"),
        ({"size": "0.2500000000005"}, 10, "whole lots of 1e-06, at least one"),
        ({"size": "5e9"}, 10, "at most 4.5e+15, was 5000000000.0"),
        ({"entry": "-1"}, 11, "entry must be finite"),
        ({"leverage": "126"}, 12, "at most 125x"),
        ({"leverage": "60", "size": "200"}, 12, "at most 50x"),
        ({"count": "0"}, 13, "count must be"),
        ({"colour": "1"}, 14, "colour is not a setting"),
        ({"id": '""'}, 7, "nameless"),
    ],
)
def test_traders_that_cannot_be(
    tmp_path: Path, change: dict[str, Any], line: int, what: str
) -> None:
    """Each is refused with its line and a reason; the same trader unchanged is not."""
    given = {
        "id": '"t"',
        "symbol": '"BTCUSDT"',
        "wallet": "1000",
        "size": "0.25",
        "entry": "20000.0",
        "leverage": "25",
        "count": "2",
    }
    head = f"{FUTURES}leverage = 5\n[[traders]]\n"
    rows = "\n".join(f"{name} = {value}" for name, value in given.items())
    assert loaded(tmp_path, f"{head}{rows}\n").traders
    rows = "\n".join(f"{name} = {value}" for name, value in {**given, **change}.items())
    message = said(tmp_path, f"{head}{rows}\n")
    assert f"run.toml:{line}: " in message
    assert what in message


def test_a_size_is_the_lots_that_are_written(tmp_path: Path) -> None:
    """98,765,432.100001 are 98,765,432,100,001 lots of a millionth, though the quotient in floats
    is a sixty-fourth more."""
    trader = '[[traders]]\nid = "t"\nsymbol = "BTCUSDT"\nwallet = 1e9\nentry = 1.0\n'
    config = loaded(tmp_path, f"{FUTURES}leverage = 5\n{trader}size = 98765432.100001\n")
    (found,) = spec_of(config, TICKS).traders
    assert found.positions[0].lots == 98_765_432_100_001


def test_traders_where_no_product_is_are_refused(tmp_path: Path) -> None:
    """Nobody would look at them: said with the line of their symbol."""
    rows = "wallet = 0.5\nsize = 40\nentry = 20000.0\n"
    trader = TRADER.replace("BTCUSDT", "BTCUSD_PERP")
    path = tmp_path / "run.toml"
    market = '[[markets]]\nsymbol = "BTCUSD_PERP"\n'
    path.write_text(f"{FUTURES}leverage = 5\n{trader}{rows}{market}")
    with pytest.raises(ConfigError, match=r"run\.toml:8: t: BTCUSD_PERP has no product; its"):
        load_config(path, symbols=(*TICKS, *COINS))


@pytest.mark.parametrize(
    ("size", "wallet", "line", "what"),
    [
        ("1000", "500", 9, "t: needs 800,000 USDT of initial margin, 500 were paid in"),
        ("1e6", "1e9", 10, "t: BTCUSDT allows no position of this size"),
    ],
)
def test_a_trader_whom_the_venue_would_not_let_in(
    tmp_path: Path, size: str, wallet: str, line: int, what: str
) -> None:
    """Margin that is too small for what is held, and a position beyond the last tier, are told with
    their line: 20 million at 25x need 800,000."""
    rows = f"wallet = {wallet}\nsize = {size}\nentry = 20000.0\n"
    config = loaded(tmp_path, f"{FUTURES}leverage = 5\n{TRADER}{rows}")
    with pytest.raises(ConfigError) as caught, placed(tmp_path / "run.toml"):
        spec_of(config, TICKS)
    assert str(caught.value) == f"{tmp_path / 'run.toml'}:{line}: {what}"


def test_a_trader_twice(tmp_path: Path) -> None:
    """Two of one name are refused, also where the number makes the name."""
    rows = "wallet = 1000\nsize = 0.25\nentry = 20000.0\n"
    again = TRADER.replace('"t"', '"t-2"')
    text = f"{FUTURES}leverage = 5\n{TRADER}{rows}count = 2\n{again}{rows}"
    assert 'trader "t-2" is nameless or configured twice' in said(tmp_path, text)


def test_numbered_users_hold_what_can_be_shared(tmp_path: Path) -> None:
    """The population holds no futures and no loan unless it is said to: a million users at 10x are
    no one account that a tier must fit."""
    text = "[population]\ncount = 1_000_000\n"
    config = loaded(tmp_path, text)
    held = {p.id: p.population for p in spec_of(config, TICKS).products}
    assert held["BTC3L"] == (1_000_000, 100_000_000)
    assert held["BTC-FUT10L"] == held["BTC-LOAN3L"] == (0, 0)
    config = loaded(tmp_path, '[population]\ncount = 5\nproducts = ["BTC-FUT10L"]\n')
    held = {p.id: p.population for p in spec_of(config, TICKS).products}
    assert (held["BTC3L"][1], held["BTC-FUT10L"][0]) == (0, 5)


def test_margin_that_decides_is_assumed_aloud(tmp_path: Path) -> None:
    """With futures or traders the venue's rules decide something, and what of them is assumed is
    said; a loan's terms are."""
    fund = '[[products]]\nid = "S"\nsymbol = "BTCUSDT"\nkind = "spot"\n'
    names = [line.partition(":")[0] for line in assumptions(loaded(tmp_path, fund), TICKS)]
    assert "venue_liquidation_fee" not in names
    text = f"{FUTURES}leverage = 5\n{LOAN}leverage = 3\n"
    names = [line.partition(":")[0] for line in assumptions(loaded(tmp_path, text), TICKS)]
    assert {"venue_liquidation_fee", "loan_terms"} <= set(names)


def test_a_run_with_all_of_it_verifies(tmp_path: Path) -> None:
    """What the directory holds gives every byte again: futures, a loan, traders who are
    liquidated."""
    data = Synthetic()
    symbol = data.symbols[0].symbol
    text = (
        f"{FUTURES}leverage = 25\n{LOAN}leverage = 4\n"
        f"{TRADER}wallet = 2000\nsize = 1\nentry = 95000.0\ncount = 3\n"
        '[output]\nnav_every = "1m"\n'
    ).replace("BTCUSDT", symbol)
    path = tmp_path / "run.toml"
    path.write_text(text)
    result = api.run(config=path, out=tmp_path / "out", report=False)
    counts = result.summary["events"]
    assert counts["liquidation_started"] >= 4
    assert counts["interest_charged"] >= 10
    assert structs.replace(load_config(tmp_path / "out" / "run.toml"), kafka=None).traders
    assert verify(tmp_path / "out") == []
