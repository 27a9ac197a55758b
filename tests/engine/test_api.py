"""A run as a whole: what it writes, that it repeats, and that a changed byte is found out."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from msgspec import structs

from engine.api import RunResult, load, open_data, run
from engine.config import standard_lineup
from engine.config.offering_settings import SplitConfig
from engine.errors import ConfigError, InputError
from engine.provenance import output_directory
from engine.verify import verify
from feeds.recording import open_recording, write_parquet

BANDS = ["products.0.policies.0.low=2.9995", "products.0.policies.0.high=3.0005"]
FIRST_LINES = 12_000


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """The first lines of the recorded BTCUSDT perpetual."""
    whole = shared_data / "ticks" / "binance-usdm-btcusdt-20240808.raw.gz"
    path = tmp_path_factory.mktemp("capture") / "binance-usdm-btcusdt-part.raw.gz"
    with gzip.open(whole, "rb") as source, gzip.open(path, "wb") as target:
        for _ in range(FIRST_LINES):
            target.write(source.readline())
    return path


@pytest.fixture(scope="module")
def finished(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run of it with a band so narrow that it trades."""
    out = tmp_path_factory.mktemp("runs") / "narrow"
    return run(capture, sets=BANDS, out=out, report=False)


@pytest.fixture
def copy_of(finished: RunResult, tmp_path: Path) -> Callable[[], Path]:
    """A copy of the run directory, to be spoilt."""

    def copied() -> Path:
        assert finished.path is not None
        for file in finished.path.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        return tmp_path

    return copied


def test_nav_records_tell_the_place_in_the_venues_queue(finished: RunResult) -> None:
    """Two hedges a side: one first, one second, at every sample after the opening; who asks for no
    margin, or stands beside everybody, has none."""
    assert finished.path is not None
    table = pq.read_table(finished.path / "nav.parquet")
    places: dict[str, set[float | None]] = {}
    for row in table.select(["product", "adl_quantile"]).to_pylist():
        places.setdefault(row["product"], set()).add(row["adl_quantile"])
    assert places["BTC3L"] | places["BTC-SMART-L"] == {0.5, 1.0}
    assert places["BTC3S"] | places["BTC-SMART-S"] == {0.5, 1.0}
    assert places["BTC-SPOT"] == places["BTC-FUT10L"] == places["BTC-LOAN3L"] == {None}
    assert set(table["plan_lots"].to_pylist()) == {0}


def test_a_run_trades_and_its_causes_sum(finished: RunResult) -> None:
    """Catches a cause that is booked twice or forgotten, on a tape where the product really
    traded."""
    product = finished.summary["products"]["BTC3L"]
    assert product["rebalances"] >= 10
    change = product["equity_end"] - product["equity_start"]
    assert sum(product["attribution"].values()) == pytest.approx(change, abs=1e-6)
    assert sum(product["price_split"].values()) == pytest.approx(
        product["attribution"]["price"], abs=1e-5
    )
    assert abs(product["attribution"]["rounding"]) <= product["roundings"] * 1e-6
    assert product["attribution"]["fees"] < 0.0


def test_causes_follow_from_the_fills_alone(finished: RunResult) -> None:
    """Catches fees or impact in the summary that the fills do not bear out."""
    fills = finished.fills.filter(pc.equal(finished.fills["product"], "BTC3L"))
    parts = finished.summary["products"]["BTC3L"]["attribution"]
    assert -sum(fills["fee_atoms"].to_pylist()) / 1e6 == pytest.approx(parts["fees"], abs=1e-9)
    impact = sum(fills["spread_impact_atoms"].to_pylist()) / 1e6
    assert impact == pytest.approx(parts["spread_impact"], abs=1e-9)


def test_every_nav_record_is_the_account_rebuilt_from_its_fills(finished: RunResult) -> None:
    """Catches a NAV read off a stale line: cash and lots of the fills so far, at the sample's mark,
    must give it."""
    nav = finished.nav.filter(pc.equal(finished.nav["product"], "BTC3L")).to_pylist()
    fills = [f for f in finished.fills.to_pylist() if f["product"] == "BTC3L"]
    cash, lots, place = 1e12, 0, 0
    for row in nav:
        while place < len(fills) and fills[place]["sequence"] < row["sequence"]:
            fill = fills[place]
            lots += fill["lots"]
            cash += fill["hedge_atoms"] + fill["spread_impact_atoms"] - fill["fee_atoms"]
            place += 1
        assert row["nav"] == pytest.approx((cash + lots * row["mark_price"]) / 1e6, rel=1e-12)
    assert place >= len(fills) - 1 > 10  # the last may come after the last sample


def test_an_imported_recording_gives_the_digest_of_the_capture(
    capture: Path, finished: RunResult, tmp_path: Path
) -> None:
    """Catches rows that the import drops, reorders or rounds."""
    path = tmp_path / "imported.parquet"
    write_parquet(open_recording([capture]), path)
    again = run(path, sets=BANDS, write=False)
    assert again.summary["digest"] == finished.summary["digest"]


def test_two_files_give_the_digest_of_one(
    capture: Path, finished: RunResult, tmp_path: Path
) -> None:
    """Catches a merge that depends on where the files were cut."""
    lines = gzip.decompress(capture.read_bytes()).splitlines(keepends=True)
    one, other = tmp_path / "usdm-a.raw", tmp_path / "usdm-b.raw"
    one.write_bytes(b"".join(lines[:5_000]))
    other.write_bytes(b"".join(lines[5_000:]))
    again = run([one, other], sets=BANDS, write=False)
    assert again.summary["digest"] == finished.summary["digest"]


def test_a_run_verifies(finished: RunResult) -> None:
    """Catches anything in a run that depends on the clock, the folder or chance."""
    assert finished.path is not None
    assert verify(finished.path) == []


def test_a_changed_digit_of_an_event_is_found(copy_of: Callable[[], Path]) -> None:
    """Catches a verification that compares digests it only copied."""
    path = copy_of() / "events.jsonl"
    text = path.read_text()
    spoilt = re.sub(
        r'("price":\d+\.?\d*)(\d)', lambda m: m[1] + str((int(m[2]) + 1) % 10), text, count=1
    )
    assert spoilt != text
    path.write_text(spoilt)
    assert verify(path.parent) == ["events.jsonl: differs"]


def test_a_changed_row_of_navs_is_found(copy_of: Callable[[], Path]) -> None:
    """Catches a verification that looks at events alone."""
    path = copy_of() / "nav.parquet"
    table = pq.read_table(path)
    values = table["nav_per_unit"].to_pylist()
    values[7] += 1e-9
    column = table.schema.get_field_index("nav_per_unit")
    pq.write_table(table.set_column(column, "nav_per_unit", pa.array(values)), path)
    assert verify(path.parent) == ["nav.parquet: differs"]


def test_a_changed_policy_number_is_found(copy_of: Callable[[], Path]) -> None:
    """Catches a verification that does not run the configuration it finds."""
    path = copy_of() / "run.toml"
    text = path.read_text()
    assert "2.9995" in text
    path.write_text(text.replace("2.9995", "2.9994"))
    found = verify(path.parent)
    assert any(line.startswith("events.jsonl") for line in found)
    assert any("config_hash" in line for line in found)


def test_a_finished_run_loads_as_it_was(finished: RunResult) -> None:
    """Catches a summary that says another thing on disk than in memory."""
    assert finished.path is not None
    loaded = load(finished.path)
    assert loaded.summary == json.loads(json.dumps(finished.summary))
    assert loaded.verdict == finished.verdict
    assert loaded.nav.num_rows > 0
    assert "BTC3L" in loaded._repr_html_()


def test_a_missing_or_spoilt_output_is_told(copy_of: Callable[[], Path]) -> None:
    """Without its events, and with half a line of them, a run says what is wrong with its folder.
    Catches a traceback of a file."""
    path = copy_of()
    (path / "events.jsonl").write_bytes(b'{"event": "rebal')
    with pytest.raises(InputError, match="its outputs cannot be read"):
        load(path).events()
    (path / "events.jsonl").unlink()
    with pytest.raises(InputError, match=r"events\.jsonl missing"):
        load(path).events()


def test_two_runs_of_one_second_write_into_two_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders that were chosen one after the other, before either run wrote, are two. Catches a
    name that is only looked at."""
    monkeypatch.chdir(tmp_path)
    assert len({output_directory(None) for _ in range(5)}) == 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "runs").write_text("")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(InputError, match=r"cannot be written: .*; give another --out"):
        output_directory(None)


def test_the_latest_run_can_be_written_anew(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``runs/latest`` points at the last run; a run into it replaces that one. Catches a link that
    leads to itself."""
    monkeypatch.chdir(tmp_path)
    first = run(capture, sets=BANDS, report=False)
    latest = Path("runs/latest")
    assert first.path is not None
    assert latest.resolve() == first.path.resolve()
    run(capture, out=latest)
    assert latest.resolve() == first.path.resolve()
    assert (first.path / "report.html").exists()
    assert verify(latest) == []


def test_bars_that_cannot_decide_say_so(tmp_path: Path) -> None:
    """Catches a bar-fed run that sells one order of the extremes as the truth: here the low comes
    first or last. And one that takes a merge of units on the way for a gain."""
    start = 1_700_000_000_000
    bars = [[start + i * 60_000, "100", "100.1", "99.9", "100", "5"] for i in range(5)]
    bars.append([start + 5 * 60_000, "100", "130", "72", "100", "5"])
    bars += [[start + i * 60_000, "100", "100.1", "99.9", "100", "5"] for i in range(6, 9)]
    rows = [[*bar, bar[0] + 59_999, "500", 10, "2", "200", "0"] for bar in bars]
    path = tmp_path / "BTCUSDT-1m-usdm.json"
    path.write_text(json.dumps(rows))
    alone = standard_lineup(open_data(path).symbols)
    alone = structs.replace(alone, products=alone.products[:2])
    result = run(path, config=alone, write=False)
    assert result.summary["bars"]["decidable"]["BTC3L"] is False
    assert "not decidable from bars" in result.verdict
    told = {"announced": [{"at": "2023-11-14T22:14:30Z", "new": 1, "old": 10}]}
    split = msgspec.convert(told, SplitConfig)
    merged = [
        structs.replace(each, terms=structs.replace(each.terms, split=split))
        for each in alone.products
    ]
    again = run(path, config=structs.replace(alone, products=tuple(merged)), write=False)
    assert again.summary["products"]["BTC3L"]["splits"]
    for order, ends in result.summary["bars"]["orders"].items():
        assert again.summary["bars"]["orders"][order] == pytest.approx(ends, rel=1e-6)
    with pytest.raises(ConfigError, match="sets and policy change a file"):
        run(path, config=alone, sets=["seed=3"], write=False)
