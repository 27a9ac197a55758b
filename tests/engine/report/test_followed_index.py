"""A product whose formula follows the index is told against it, and its hedge at the mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.engine import Engine
from engine.report import explain, table_of, verdict_of
from engine.report.alternatives import alternatives_of
from engine.report.captions import terms_words
from engine.report.crash import price_of
from engine.report.crisis import crisis_of
from engine.report.hedge_desk import desk_card, exposures_of
from engine.report.history import History, read_history
from engine.report.holding_map import gaps_of
from engine.report.numbers import numbers_of
from engine.report.reading import Run, read_run
from engine.rundir import RunWriter
from engine.summary import summarise
from engine.ticks import Kind
from engine.units import SECOND_NS
from engine.venue.book import BookSpec
from strategies import Constant
from tests.builders import T0, a_contract, a_market, a_product, a_row, a_spec, a_tape

MARKS = (100.0, 104.0, 110.0, 120.0)
INDEXES = (50.0, 49.0, 48.0, 45.0)
STEP_NS = 10 * SECOND_NS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute in which the mark rises by 20 % and the index falls by 10 %; two formulas of
    3x, one on each, and no costs."""
    rows = [a_row(Kind.INDEX, T0, INDEXES[0])]
    for place, (mark, index) in enumerate(zip(MARKS, INDEXES, strict=True)):
        rows.append(a_row(Kind.MARK, T0 + place * STEP_NS, mark))
        rows.append(a_row(Kind.INDEX, T0 + place * STEP_NS, index))
    market = a_market(contract=a_contract(taker_fee=0.0), book=BookSpec(model="flat"))
    policies = (Constant(target=3.0),)
    spec = a_spec(
        (a_product("ON-INDEX", nav="formula", formula_price="index"), policies),
        (a_product("ON-MARK", nav="formula"), policies),
        markets=[market],
    )
    path, engine = tmp_path_factory.mktemp("index"), Engine(spec)
    with RunWriter(path, engine) as writer:
        writer.collect(engine.process(a_tape(rows)))
        writer.collect(engine.finish())
        writer.close()
    more = {"verdict": "", "assumed": [], "bars": None, "synthetic": False}
    (path / "summary.json").write_text(json.dumps({**more, **summarise(engine, writer)}))
    (path / "run.toml").write_text(
        '[[markets]]\nsymbol = "BTCUSDT"\n'
        'contract = { kind = "linear", base = "BTC", quote = "USDT", lot_size = 0.000001 }\n'
    )
    return path


@pytest.fixture(scope="module")
def read(folder: Path) -> Run:
    """As a report reads it."""
    return read_run(folder)


@pytest.fixture(scope="module")
def history(folder: Path) -> History:
    """As ``explain`` reads it."""
    return read_history(folder)


def test_the_summary_says_which_price_and_how_far_it_went(read: Run) -> None:
    """3x of -10 % is -30 %, and 3x of +20 % is +60 %: each gave what its own price promised."""
    on_index, on_mark = (read.summary["products"][name] for name in ("ON-INDEX", "ON-MARK"))
    prices = [(one["follows"], one["price_start"], one["price_end"]) for one in (on_index, on_mark)]
    assert prices == [("index", 50.0, 45.0), ("mark", 100.0, 120.0)]
    assert on_index["multiple_return"] == pytest.approx(-0.3)
    assert on_index["return"] == pytest.approx(-0.3)
    assert on_mark["return"] == pytest.approx(on_mark["multiple_return"]) == pytest.approx(0.6)


def test_samples_say_the_index_beside_the_mark(folder: Path) -> None:
    """A column of its own; the mark stays the market's."""
    table = pq.read_table(folder / "nav.parquet", filters=[("product", "=", "ON-INDEX")])
    pairs = set(zip(table["mark_price"].to_pylist(), table["index_price"].to_pylist(), strict=True))
    assert pairs == set(zip(MARKS, INDEXES, strict=True))


def test_pictures_shade_the_gap_to_the_index(read: Run) -> None:
    """At every point it got what 3x of the index gives: there is no gap. Catches a myth that is 3x
    of the mark, which would be +60 %."""
    curve = read.curves["ON-INDEX"]["value"].series
    assert curve["got"].tolist() == pytest.approx(curve["myth"].tolist(), abs=1e-9)
    assert curve["myth"].min() == pytest.approx(-0.3)
    under = read.curves["ON-INDEX"]["underwater"].series
    assert under["underlying"].min() == pytest.approx(-0.1)
    product, moments = read.summary["products"]["ON-INDEX"], read.moments["ON-INDEX"]
    assert {round(gap, 9) for row in gaps_of(product, moments) for gap in row[:1]} == {0.0}
    assert price_of(read, "BTCUSDT").series["mark"].max() == pytest.approx(120.0)


def test_words_name_the_index(read: Run) -> None:
    """Tables say of what the multiple is; the verdict tells the market by its mark."""
    promises = [row["promise"] for row in table_of(read.summary)]
    assert promises == ["3 x BTC index", "3 x BTC"]
    assert "BTC ended 20.0 % higher." in verdict_of(read.summary)
    alone = {**read.summary, "products": {"P": read.summary["products"]["ON-INDEX"]}}
    assert "BTC index ended 10.0 % lower." in verdict_of(alone)
    (table,) = numbers_of("ON-INDEX", read)["underwater"]
    assert table.head[2] == "BTCUSDT index"


@pytest.mark.parametrize(
    ("product", "follows", "words"),
    [
        ({"terms": {"pack": "gate-3l"}}, "index", "Rules of gate-3l; NAV follows the index"),
        ({"terms": {"pack": "none"}}, "index", "NAV follows the index"),
        ({"terms": {"pack": "kucoin-3l"}}, "mark", "Rules of kucoin-3l"),
        ({}, "mark", ""),
    ],
)
def test_a_product_says_whose_rules_it_has(product: Any, follows: str, words: str) -> None:
    """A product of a pack has no policies of its own to show."""
    assert terms_words(product, follows) == words


def test_an_interval_is_split_on_the_index(history: History) -> None:
    """From 49 to 48 a 3x that stands at 0.94 of 50 has lost 6 % of the million: all of it
    direction. Catches points on the mark between decisions on the index."""
    one = history.statement("ON-INDEX", T0 + STEP_NS, T0 + 2 * STEP_NS)
    assert (one.price_start, one.price_end) == (49.0, 48.0)
    assert one.price == pytest.approx(-60_000 * 10**6, abs=2)
    assert one.split["direction"] == pytest.approx(one.price, abs=2)
    assert one.leverage == pytest.approx(3.0 * 49.0 / 50.0 / 0.94)


def test_alternatives_say_on_which_price_they_are_reckoned(folder: Path, history: History) -> None:
    """Spot and futures of a holder who follows the index are reckoned on it, and say so; another
    product says what it follows."""
    said = list(alternatives_of(history, history.statement("ON-INDEX", None, None)))
    rows = {line[:28].strip(): line[28:].split() for line in said[1:]}
    assert rows["BTC itself"][0] == "900.00"
    assert " ".join(rows["BTC itself"][3:]) == "without costs, at the index"
    assert rows["3x futures on BTC"][0] == "700.00"
    assert " ".join(rows["ON-MARK"][-3:]) == "follows the mark"
    text = explain(folder, "ON-INDEX")
    assert "BTC index moved by −10.0 %; 3 x BTC index would be −30.0 %" in text
    plain = list(alternatives_of(history, history.statement("ON-MARK", None, None)))
    assert not any("at the index" in line for line in plain)


def test_a_crisis_tells_what_befell_the_hedge_of_a_formula(folder: Path) -> None:
    """Its slippage is the hedge's, and who paid in is the issuer, though its holders bear nothing.
    Catches a panel in which a formula is hedged for nothing."""
    run = read_run(folder)
    book = run.summary["issuer"]["products"]["ON-INDEX"]["hedge"]["attribution"]
    book["spread_impact"], book["issuer"] = -1_000.0, 5_000.0
    run.summary["scenario"] = {"names": ["s"], "expected": []}
    found = crisis_of(run)
    assert found is not None
    row = next(row for row in found["products"].rows if row[0] == "ON-INDEX")
    assert (row[3], row[-1]) == ("−0.10 %", "issuer 5,000.00 USDT")


def test_the_desk_sees_the_hedge_of_a_formula(read: Run) -> None:
    """The hedge of the index's formula is 30,000 coins, bought at a mark of 100 and worth 3,600,000
    at 120, while its promise moves with 2,700,000 at the index of 45; its NAV says nothing of that.
    Catches the promise's leverage for the hedge's."""
    held, promised = exposures_of(read, "ON-INDEX")
    assert (held[0], held[-1]) == (pytest.approx(3.0e6), pytest.approx(3.6e6))
    assert promised[-1] == pytest.approx(2.7e6)
    card = desk_card(read)
    assert card is not None
    row: Any = next(row for row in card.tables[0].rows if row[0] == "ON-INDEX")
    assert (row[1], row[2]) == ("1", "3,000,000")
