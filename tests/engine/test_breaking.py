"""The gaps that break products, by short runs and in closed form; how large products may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.breaking import Shape, capacities, survived
from engine.cli import main
from engine.errors import ConfigError
from engine.venue.book import BookSpec
from engine.venue.rules import MarginRules, Tier, VenueRules
from strategies import LeverageBand
from tests.builders import a_contract, a_market, a_product, a_spec, a_tape, run

SECOND_NS = 10**9
PRODUCT = """
[[products]]
id = "BTC3L"
symbol = "BTCUSDT"
policies = [ { type = "leverage_band", target = 3.0, low = 2.4, high = 3.6 } ]
"""


def _spec(
    target: float, depth: float = 1e15, *, inverse: bool = False, lot: float = 0.0, **market: Any
) -> Any:
    lots = {"lot_size": lot} if lot else {}
    edges = {"low": abs(target) * 0.8, "high": abs(target) * 1.2}
    book = BookSpec(model="depth", depth_at_1pct=depth)
    contract = a_contract(inverse=inverse, taker_fee=0.0, **lots)
    known = a_market(book=book, contract=contract, **market)
    product = a_product("P", seed_atoms=10**12)
    return a_spec((product, (LeverageBand(target=target, **edges),)), markets=(known,))


@pytest.mark.parametrize("target", [3.0, 2.0, -1.0, -3.0])
@pytest.mark.parametrize("before", [0.0, -0.03, 0.03])
def test_a_gap_of_one_over_the_leverage_now(target: float, before: float) -> None:
    """Without costs and margin NAV is gone at 1 / l, of the leverage that the product has by now:
    after a move within its band that is not 1 / L."""
    found = survived(_spec(target), 0, Shape(before=before))
    assert found.zero == pytest.approx(found.survives, rel=2e-3)
    assert found.survives == pytest.approx(1.0 / abs(found.leverage))
    if before and abs(target) > 1.0:
        assert found.survives != pytest.approx(1.0 / abs(target), rel=0.02)
    assert found.margin is None


def test_the_venue_comes_first() -> None:
    """Where maintenance is asked for, the account is liquidated before NAV is gone, and the issuer
    loses only beyond it."""
    tier = Tier(cap=1e12, max_leverage=50.0, rate=0.02)
    venue = VenueRules(margin=MarginRules(tiers=(tier,)))
    found = survived(_spec(3.0, venue=venue), 0, Shape(loss=0.05))
    assert found.margin is not None
    assert found.issuer is not None
    # Maintenance of 2 %: equity of 1 - 3 g meets 0.02 * 3 (1 - g).
    assert found.margin == pytest.approx((1 - 0.06) / (3 - 0.06), rel=5e-3)
    assert found.margin < found.survives < found.issuer


def test_the_issuer_of_a_promise_loses_what_its_hedge_does_not_hold() -> None:
    """A 3x promise of a million in a book of two: holders are paid by the formula, and selling into
    a fall of a minute costs the issuer. At the gap found that is half a per cent of the assets more
    than the opening cost him, a little before it is less. Catches an issuer who loses only where
    holders owe him."""
    spec, shape = _spec(3.0, depth=2e6), Shape(over_ns=60 * SECOND_NS, loss=0.005)
    (product,) = spec.products
    promise = structs.replace(product, terms=structs.replace(product.terms, nav="formula"))
    spec = structs.replace(spec, products=(promise,))

    def lost(gap: float) -> int:
        falling = [50_000.0 * (1.0 - gap * n / 60.0) for n in range(1, 61)] if gap else []
        said = run(spec, a_tape([50_000.0] * 20 + falling))
        account, mark = said.engine.handlers[0].account, said.engine.markets[0].state.mark
        return int(account.nav(mark) - account.book.nav(mark))

    found = survived(spec, 0, shape)
    assert found.zero is not None
    assert found.issuer is not None
    assert found.issuer < 0.5 * found.zero
    most = 0.005 * 10**12 + lost(0.0)
    assert lost(found.issuer * 1.005) > most > lost(found.issuer * 0.995)


def test_what_makes_it_worse() -> None:
    """A fall that takes a minute lets a product survive more than a gap; late orders and a feed
    that is dead take that away again, and so does a thin book."""
    spec = _spec(3.0)
    gap = survived(spec, 0, Shape())
    slow = survived(spec, 0, Shape(over_ns=60 * SECOND_NS))
    late = survived(spec, 0, Shape(over_ns=60 * SECOND_NS, latency_ns=30 * SECOND_NS))
    dead = survived(spec, 0, Shape(over_ns=60 * SECOND_NS, outage_ns=59 * SECOND_NS))
    thin = survived(_spec(3.0, depth=2e7), 0, Shape(over_ns=60 * SECOND_NS))
    assert None not in (gap.zero, slow.zero, late.zero, dead.zero, thin.zero)
    assert slow.zero > late.zero > gap.zero
    assert dead.zero == pytest.approx(gap.zero, rel=2e-3)
    assert thin.zero < slow.zero


def test_the_largest_assets() -> None:
    """At the size found the crash costs what it may; four times the depth carries four times the
    assets; a book without end carries any."""
    shape = Shape(over_ns=60 * SECOND_NS)
    thin = capacities(_spec(3.0, depth=1e7), 0, shape, 0.2, 0.01)
    deep = capacities(_spec(3.0, depth=4e7), 0, shape, 0.2, 0.01)
    assert thin.assets
    assert deep.assets
    assert thin.cost == pytest.approx(0.01, rel=1e-3)
    assert deep.assets / thin.assets == pytest.approx(4.0, rel=1e-3)
    assert thin.seconds == pytest.approx(60.0 / 0.2 / 3.0, rel=0.1)
    assert thin.speed == pytest.approx(thin.traded / thin.seconds)
    assert capacities(_spec(3.0), 0, shape, 0.2, 0.01).assets is None


def test_money_is_quote_whatever_a_contract_settles_in() -> None:
    """Of contracts settled in coins the same depth carries the assets that it carries of linear
    ones, within a factor of two: their face does not fall with the price. Catches coins that are
    taken for quote."""
    shape = Shape(over_ns=60 * SECOND_NS)
    linear = capacities(_spec(3.0, depth=1e7), 0, shape, 0.2, 0.01)
    inverse = capacities(_spec(3.0, depth=1e7, inverse=True), 0, shape, 0.2, 0.01)
    assert linear.assets
    assert inverse.assets
    assert inverse.cost == pytest.approx(0.01, rel=1e-3)
    assert 0.5 < inverse.assets / linear.assets < 2.0
    assert 0.5 < inverse.traded / linear.traded < 2.0


def test_what_is_too_large_at_any_size_has_no_capacity() -> None:
    """Where the smallest product that is tried costs more than it may, none does, and its figures
    say why. Catches a smallest size that is told for one that fits."""
    found = capacities(_spec(3.0, depth=200.0), 0, Shape(over_ns=60 * SECOND_NS), 0.2, 0.01)
    assert found.assets == 0.0
    assert found.cost > 0.01


def test_sizes_that_trade_nothing_are_not_too_large() -> None:
    """In lots of fifty million nothing below 17 million opens, and what a fine lot carries is
    carried within a lot; where even the least that trades costs too much there is no capacity.
    Catches a search that takes too small for too large."""
    shape = Shape(over_ns=60 * SECOND_NS)
    fine, coarse = (
        capacities(_spec(3.0, depth=1e9, lot=lot), 0, shape, 0.2, 0.01) for lot in (1e-6, 1e3)
    )
    assert fine.assets
    assert coarse.assets == pytest.approx(fine.assets, rel=0.05)
    assert capacities(_spec(3.0, lot=1e3), 0, shape, 0.2, 0.01).assets is None
    thin = capacities(_spec(3.0, depth=1e9, lot=1e3), 0, shape, 0.5, 1e-6)
    assert (thin.assets, thin.cost > 1e-6) == (0.0, True)


def test_what_cannot_be_counted_is_no_lack_of_a_bound() -> None:
    """In lots of 1e-17 a few hundred thousand can be counted, and more is not said of a book that
    bears more; in lots of 1e-30 nothing. Catches no bound where none was looked for, and a division
    by what is left of the largest size."""
    shape = Shape(over_ns=60 * SECOND_NS)
    counted = capacities(_spec(3.0, depth=1e9, lot=1e-17), 0, shape, 0.2, 0.01)
    assert counted.assets is not None
    assert 1e4 <= counted.assets <= 1e7
    assert counted.cost < 0.01
    with pytest.raises(ConfigError, match="64 bits count no 1,000 in its lots"):
        capacities(_spec(3.0, lot=1e-30), 0, shape, 0.2, 0.01)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both print a table, or one object; what they cannot read is said."""
    (tmp_path / "run.toml").write_text(PRODUCT)
    given = ["-c", str(tmp_path / "run.toml")]
    assert main(["breakpoint", *given, "--before", "-0.04", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["breaks"]
    long = next(row for row in rows if row["product"] == "BTC3L")
    assert long["zero"] < long["survives"] < 1 / 3.2
    assert main(["capacity", *given, "--gap", "0.3"]) == 0
    assert "BTC3L" in capsys.readouterr().out
    assert main(["breakpoint", *given, "--depth", "deep"]) == 3
    assert "--depth deep" in capsys.readouterr().err


def test_assets_in_coins_have_their_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a market that is quoted in bitcoin assets are told to the satoshi. Catches coins rounded
    to whole ones."""
    (tmp_path / "run.toml").write_text(
        '[generator]\nmodel = "gbm"\nsymbols = ["ETHBTC"]\nprices = { ETHBTC = 0.05 }\n'
        '[[markets]]\nsymbol = "ETHBTC"\nbook = { model = "depth", depth_at_1pct = 9e3 }\n'
        + PRODUCT.replace("BTCUSDT", "ETHBTC")
    )
    assert main(["capacity", "-c", str(tmp_path / "run.toml"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["capacities"]
    assert main(["capacity", "-c", str(tmp_path / "run.toml")]) == 0
    shown = capsys.readouterr().out
    assert f"{found['assets']:,.8f}" in shown
    assert f"{found['traded']:,.8f}" in shown


def test_what_was_gone_before_is_said() -> None:
    """A price that took NAV before leaves nothing to break: the smallest gap is none, and a deficit
    beyond what the issuer may lose counts at once."""
    for before, issuer in ((-0.334, None), (-0.6, 0.0)):
        found = survived(_spec(3.0), 0, Shape(before=before))
        assert (found.leverage, found.survives, found.zero) == (0.0, 0.0, 0.0)
        assert found.issuer == issuer


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("breakpoint", "--latency=-1s"), "--latency must be a duration such as 0s"),
        (("breakpoint", "--latency", "soon"), "several with commas between, was 'soon'"),
        (("breakpoint", "--outage=0s,-1m"), "--outage must be a duration such as 0s"),
        (("breakpoint", "--latency=99999999999999d"), "--latency must be a day at most"),
        (("capacity", "--over=1d,1s"), "--over must be a duration"),
        (("capacity", "--over=25h"), "--over must be a day at most"),
        (("breakpoint", "--depth=znan"), "--depth znan: expected shares such as 0.3, or moves"),
        (("breakpoint", "--depth=1,zinf"), "--depth 1,zinf: expected shares"),
        (("breakpoint", "--depth", "0"), "--depth must be above 0 and below 1e+06, was 0.0"),
        (("breakpoint", "--before", "nan"), "--before must be between -0.9 and 10, was nan"),
        (("breakpoint", "--loss=-1"), "--loss must be 0 or more, was -1.0"),
        (("capacity", "--gap", "2"), "--gap must be above 0 and below 1, was 2.0"),
        (("capacity", "--cost", "nan"), "--cost must be above 0 and below 1, was nan"),
        (("capacity", "--over", "1m,2m"), "--over must be a duration"),
        (("capacity", "--over=-5s"), "--over must be a duration such as 0s or 500ms, was '-5s'"),
    ],
)
def test_what_is_no_crash_is_refused(
    line: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option and what it was."""
    assert main(list(line)) == 3
    assert said in capsys.readouterr().err
