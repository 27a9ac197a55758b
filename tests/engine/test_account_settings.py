"""Hedge accounts that products of several markets name, as a configuration says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import load_config, share_of, spec_of
from engine.errors import ConfigError
from feeds.publishing import homes_of
from tests.engine.test_venues import a_symbol

DATA = (
    a_symbol(),
    a_symbol("ETHUSDT", base="ETH"),
    a_symbol("ETHUSDC", base="ETH", quote="USDC"),
    a_symbol("XBTUSD", quote="USD", contract="inverse"),
    a_symbol("XBTEUR", quote="EUR", contract="inverse"),
)
PRODUCT = """[[products]]
id = "{name}"
symbol = "{symbol}"
seed_capital = 10_000
policies = [ {{ type = "leverage_band", target = 3.0, low = 2.25, high = 4.125 }} ]
hedge = {hedge}
"""
DESK = '{ account = "omnibus", account_name = "desk" }'


def written(tmp_path: Path, *products: tuple[str, str], markets: str = "") -> Path:
    """Products A, B, ... on symbols, each with its hedge."""
    path = tmp_path / "c.toml"
    told = [
        PRODUCT.format(name=name, symbol=symbol, hedge=hedge)
        for name, (symbol, hedge) in zip("ABC", products, strict=False)
    ]
    path.write_text("".join(told) + markets)
    return path


def test_a_name_reaches_the_heart(tmp_path: Path) -> None:
    """Products of two markets may name one account, and another of its own market beside."""
    own = '{ account = "omnibus" }'
    path = written(tmp_path, ("BTCUSDT", DESK), ("ETHUSDT", DESK), ("ETHUSDT", own))
    spec = spec_of(load_config(path, symbols=DATA), DATA)
    assert [each.hedge.account_name for each in spec.products] == ["desk", "desk", ""]


@pytest.mark.parametrize(
    ("second", "markets", "line", "told"),
    [
        (("ETHUSDC", DESK), "", 12, "BTCUSDT is settled in USDT, ETHUSDC in USDC"),
        (("XBTUSD", DESK), "", 12, "BTCUSDT is settled in USDT, XBTUSD in BTC"),
        (
            ("ETHUSDT", DESK),
            '[[markets]]\nsymbol = "ETHUSDT"\nvenue = { preset = "bybit" }\n',
            12,
            "BTCUSDT and ETHUSDT are at different venues, binance and bybit",
        ),
        (
            ("ETHUSDT", DESK),
            '[[markets]]\nsymbol = "ETHUSDT"\nvenue = { tiers = [] }\n',
            12,
            "ETHUSDT has no tiers and asks for no margin",
        ),
        (
            ("ETHUSDT", '{ account_name = "desk" }'),
            "",
            12,
            'B: an account with a name is shared; set account = "omnibus"',
        ),
        (
            ("ETHUSDT", '{ account = "omnibus", account_name = "ETHUSDT" }'),
            "",
            12,
            "account ETHUSDT has the name of a market",
        ),
        (
            ("ETHUSDT", '{ account = "omnibus", account_name = "our desk" }'),
            "",
            12,
            "account_name must be a name without spaces, colons or slashes, was 'our desk'",
        ),
        (
            ("ETHUSDT", '{ account = "omnibus", acount_name = "desk" }'),
            "",
            12,
            'is not a setting; did you mean "account_name"?',
        ),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, second: tuple[str, str], markets: str, line: int, told: str
) -> None:
    """With its line, and why."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, ("BTCUSDT", DESK), second, markets=markets), symbols=DATA)
    assert told in str(caught.value)
    assert f"c.toml:{line}: " in str(caught.value)


def test_coins_quoted_in_two_currencies_are_refused(tmp_path: Path) -> None:
    """Though both are settled in bitcoin."""
    with pytest.raises(ConfigError, match=r"c\.toml:12: .*XBTUSD is quoted in USD, XBTEUR in EUR"):
        load_config(written(tmp_path, ("XBTUSD", DESK), ("XBTEUR", DESK)), symbols=DATA)


def test_an_account_does_not_fall_apart_over_shards(tmp_path: Path) -> None:
    """Where its markets are in different partitions no shard starts; where they are in one it
    does."""
    config = load_config(written(tmp_path, ("BTCUSDT", DESK), ("ETHUSDT", DESK)), symbols=DATA)
    names = [info.symbol for info in DATA]
    parted = next(n for n in range(2, 30) if len(set(homes_of(names, n)[:2])) == 2)
    with pytest.raises(ConfigError, match="account desk holds A and B, whose markets fall to"):
        share_of(config, DATA, 0, parted)
    assert len(share_of(config, DATA, 0, 1)[0].products) == 2
