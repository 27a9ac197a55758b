"""``feeds/requests.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.commands import ForceTarget, HaltMarket
from engine.errors import InputError
from engine.events import CreationRequest, RedemptionRequest
from feeds.merge import load_requests

GOOD = (
    '{"ts": 1723161256000000001, "id": "a", "user": "alice", "product": "BTC3L", '
    '"side": "create", "quote": 100}\n'
    '{"ts": "2024-08-08T23:54:16Z", "id": "b", "user": "bob", "product": "BTC3L", '
    '"side": "redeem", "units": 2.5}\n'
)


def test_both_sides(tmp_path: Path) -> None:
    """Creations and redemptions are read with both forms of time, to the nanosecond.

    Catches times that pass through a float.
    """
    path = tmp_path / "requests.jsonl"
    path.write_text(GOOD)
    create, redeem = load_requests(path)
    assert create == CreationRequest(
        ts_ns=1723161256000000001, id="a", user="alice", product="BTC3L", quote=100.0
    )
    assert isinstance(redeem, RedemptionRequest)
    assert redeem.ts_ns == 1723161256 * 10**9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"quote"', '"qoute"'), "did you mean 'quote'"),
        (('"create"', '"craete"'), "did you mean 'create'"),
        (('"quote": 100', '"quote": -1'), "quote must be a finite number > 0"),
        (('"quote": 100', '"units": 1'), "a create request has 'quote', not 'units'"),
        ((', "quote": 100', ""), "'quote' is missing"),
        (("1723161256000000001", '"yesterday"'), "no time such as"),
        (("1723161256000000001", "1.5"), "ts must be ns"),
        (('"alice"', "7"), "user must be a text"),
        (("100}", "100"), "expected one JSON object"),
    ],
)
def test_bad_lines(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """A bad line is told with file, line and what is right. Catches a request silently lost."""
    path = tmp_path / "requests.jsonl"
    first, second, _ = GOOD.split("\n")
    path.write_text(f"{second}\n{first.replace(*change)}\n")
    with pytest.raises(InputError, match=message) as caught:
        load_requests(path)
    assert f"{path}:2:" in str(caught.value)
    assert caught.value.exit_code == 4


COMMANDS = (
    '{"ts": 1723161256000000001, "id": "h", "kind": "halt", "symbol": "BTCUSDT", "reason": "why"}\n'
    '{"ts": "2024-08-08T23:54:16Z", "id": "t", "kind": "target", "product": "BTC3L", "target": 2}\n'
)


def test_commands(tmp_path: Path) -> None:
    """What the operator says stands among the requests, told by its kind, with the same times."""
    path = tmp_path / "requests.jsonl"
    path.write_text(GOOD + COMMANDS)
    assert load_requests(path)[2:] == [
        HaltMarket(ts_ns=1723161256000000001, id="h", symbol="BTCUSDT", reason="why"),
        ForceTarget(ts_ns=1723161256 * 10**9, id="t", product="BTC3L", target=2.0),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"halt"', '"hlat"'), "kind 'hlat' is no command; did you mean 'halt'"),
        (('"symbol"', '"symbl"'), "did you mean 'symbol'"),
        (('"reason"', '"product"'), "unknown key 'product'"),
        (('"ts": 1723161256000000001, ', ""), "'ts' is missing; the command halt has ts, id"),
        (('"id": "h", ', ""), "missing required field `id`"),
        (('"BTCUSDT"', '""'), "symbol must be a text that is not empty"),
        (("1723161256000000001", "0"), "would be in 1970"),
    ],
)
def test_bad_commands(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """A bad command is told as a bad request is."""
    path = tmp_path / "requests.jsonl"
    path.write_text(GOOD + COMMANDS.replace(*change))
    with pytest.raises(InputError, match=message) as caught:
        load_requests(path)
    assert f"{path}:3:" in str(caught.value)
