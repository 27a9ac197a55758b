"""Tests of ``feeds.download`` against an archive of our own that breaks off, corrupts and lacks."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.errors import InputError
from feeds.download import ATTEMPTS_MAX, Archived, binance_day, download
from feeds.recording import open_recording
from tests.feeds.rows import rows

DAY = "2025-10-10"
NAME = f"BTCUSDT-aggTrades-{DAY}"
PLACE = f"/data/futures/um/daily/aggTrades/BTCUSDT/{NAME}.zip"


def zipped() -> bytes:
    """A day of three trades, as Binance packs it, and ballast that does not compress."""
    lines = [
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    ]
    lines += [f"{n},122000.{n},0.5,{n},{n},{1_760_054_400_000 + n},true" for n in range(1, 4)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{NAME}.csv", "\n".join(lines) + "\n")
        archive.comment = bytes(range(256)) * 250
    return packed.getvalue()


class Archive:
    """What the server holds, how it behaves, and what it was asked.

    Attributes:
        cut: bytes after which each transfer breaks off; none for 0.
        ranges: whether it knows how to begin in the middle.
        failing: so many requests are answered 503 first.
        asked: the first byte of each request for the file.
    """

    def __init__(self) -> None:
        self.body = zipped()
        self.checksum = f"{hashlib.sha256(self.body).hexdigest()}  {NAME}.zip\n"
        self.cut = 0
        self.ranges = True
        self.failing = 0
        self.asked: list[int] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.failing:
            self.failing -= 1
            handler.send_error(503)
        elif handler.path == f"{PLACE}.CHECKSUM":
            self._send(handler, self.checksum.encode(), 200)
        elif handler.path == PLACE:
            given = handler.headers.get("Range")
            start = int(given.removeprefix("bytes=").rstrip("-")) if given else 0
            self.asked.append(start)
            if start >= len(self.body):
                handler.send_error(416)
            elif start and self.ranges:
                self._send(handler, self.body[start:], 206, start)
            else:
                self._send(handler, self.body, 200)
        else:
            handler.send_error(404)

    def _send(
        self, handler: BaseHTTPRequestHandler, data: bytes, status: int, start: int = 0
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        if status == 206:
            whole = start + len(data)
            handler.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        handler.end_headers()
        handler.wfile.write(data[: self.cut or None] if len(data) > 200 else data)


@pytest.fixture
def archive() -> Iterator[Archive]:
    """An archive on a free port of this machine."""
    held = Archive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(archive: Archive, tmp_path: Path) -> Callable[..., tuple[Path, bool]]:
    """Downloads the day, without waiting between attempts."""

    def fetched(**how: Any) -> tuple[Path, bool]:
        file = binance_day("BTCUSDT", DAY, base_url=archive.url)
        return download(file, tmp_path, **{"wait": lambda _: None, **how})

    return fetched


Fetch = Callable[..., tuple[Path, bool]]


def test_a_day_is_fetched_and_replays(archive: Archive, fetch: Fetch) -> None:
    """The file lies there whole, under its own name, and is a recording."""
    seen: list[tuple[int, int | None]] = []
    path, fetched = fetch(told=lambda done, total: seen.append((done, total)))
    assert (path.name, fetched) == (f"{NAME}.zip", True)
    assert path.read_bytes() == archive.body
    assert [file.name for file in path.parent.iterdir()] == [f"{NAME}.zip"]
    assert seen[-1] == (len(archive.body), len(archive.body))
    recording = open_recording([path])
    assert [s.symbol for s in recording.symbols] == ["BTCUSDT"]
    assert len(rows(recording.steps())) == 3


def test_what_is_there_is_not_fetched_again(archive: Archive, fetch: Fetch) -> None:
    """Only its checksum is asked for."""
    fetch()
    assert fetch()[1] is False
    assert archive.asked == [0]


def test_a_transfer_that_breaks_off_goes_on_where_it_ended(archive: Archive, fetch: Fetch) -> None:
    """Each request asks for what is missing, and the whole has the right bytes."""
    archive.cut = 20_000
    path, _ = fetch()
    assert path.read_bytes() == archive.body
    assert archive.asked == list(range(0, len(archive.body), 20_000))


def test_the_next_command_goes_on_too(archive: Archive, fetch: Fetch, tmp_path: Path) -> None:
    """Bytes that an earlier command brought count, whole or in part."""
    (tmp_path / f"{NAME}.zip.partial").write_bytes(archive.body[:12_345])
    assert fetch()[0].read_bytes() == archive.body
    assert archive.asked == [12_345]
    (tmp_path / f"{NAME}.zip").rename(tmp_path / f"{NAME}.zip.partial")
    assert fetch()[0].read_bytes() == archive.body
    assert archive.asked[1:] == [len(archive.body)]


def test_an_archive_that_cannot_begin_in_the_middle_begins_anew(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    """An answer from the first byte on replaces what was there."""
    archive.ranges = False
    (tmp_path / f"{NAME}.zip.partial").write_bytes(b"x" * 50_000)
    assert fetch()[0].read_bytes() == archive.body


def test_corrupt_bytes_are_deleted_and_told(archive: Archive, fetch: Fetch, tmp_path: Path) -> None:
    """No file of that name comes to be, and nothing is left to go on from."""
    good = archive.body
    archive.body = good[:500] + bytes([good[500] ^ 1]) + good[501:]
    with pytest.raises(InputError, match=r"checksum is wrong.*deleted, try again"):
        fetch()
    assert list(tmp_path.iterdir()) == []
    archive.body = good
    assert fetch()[1]


def test_a_partial_file_of_something_else_is_found_out(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    """What was there before the transfer is checked with it."""
    (tmp_path / f"{NAME}.zip.partial").write_bytes(b"x" * 999_999)
    with pytest.raises(InputError, match="checksum is wrong"):
        fetch()
    assert fetch()[0].read_bytes() == archive.body


def test_another_file_of_that_name_stays(fetch: Fetch, tmp_path: Path) -> None:
    """Nobody's file is overwritten."""
    (tmp_path / f"{NAME}.zip").write_bytes(b"mine")
    with pytest.raises(InputError, match="is another file; move it away"):
        fetch()
    assert (tmp_path / f"{NAME}.zip").read_bytes() == b"mine"


def test_a_server_in_trouble_is_asked_again_so_many_times(archive: Archive, fetch: Fetch) -> None:
    """Waits grow, and end: after the last attempt the sentence says what to do."""
    waits: list[float] = []
    archive.failing = 3
    assert fetch(wait=waits.append)[1]
    assert waits == [0.5, 1.0, 2.0]
    archive.failing = 10**6
    with pytest.raises(InputError, match=f"answered 503 .*after {ATTEMPTS_MAX} attempts"):
        fetch(wait=waits.append)


def test_a_transfer_that_brings_nothing_ends(
    archive: Archive, fetch: Fetch, tmp_path: Path
) -> None:
    """After so many attempts in a row without a byte; what came so far is kept and told."""
    (tmp_path / f"{NAME}.zip.partial").write_bytes(archive.body[:10_000])
    archive.cut = -len(archive.body)
    with pytest.raises(InputError, match=r"ended early, after 5 attempts; 10,000 bytes are kept"):
        fetch()
    assert archive.asked == [10_000] * ATTEMPTS_MAX
    archive.cut = 0
    assert fetch()[0].read_bytes() == archive.body


def test_a_day_that_is_not_there_is_explained(archive: Archive, tmp_path: Path) -> None:
    """An old day: is the symbol right? A new one: it comes when it is over."""
    old = binance_day("NOUSDT", DAY, base_url=archive.url)
    with pytest.raises(InputError, match=r"not there \(404\); is NOUSDT spelt right"):
        download(old, tmp_path)
    new = binance_day("BTCUSDT", "2099-01-01", base_url=archive.url)
    with pytest.raises(InputError, match=r"not there \(404\); a day is put there after"):
        download(new, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_told(tmp_path: Path) -> None:
    """Nobody listens there."""
    waits: list[float] = []
    file = Archived("http://127.0.0.1:9/data/x.zip", "")
    with pytest.raises(InputError, match=r"cannot be reached.*is there a network"):
        download(file, tmp_path, wait=waits.append)
    assert len(waits) == ATTEMPTS_MAX - 1


def test_a_checksum_of_something_else_is_refused(archive: Archive, fetch: Fetch) -> None:
    """A page of a proxy, or another file's."""
    archive.checksum = "<html>please log in</html>"
    with pytest.raises(InputError, match="expected a sha256 of BTCUSDT-aggTrades"):
        fetch()


@pytest.mark.parametrize(
    ("symbol", "day", "url", "said"),
    [
        ("../../etc", DAY, "http://x", "is no symbol"),
        ("BTCUSDT", "10.10.2025", "http://x", "is no day"),
        ("BTCUSDT", DAY, "file:///etc", "begins with https"),
    ],
)
def test_what_can_be_no_file_is_refused(symbol: str, day: str, url: str, said: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(InputError, match=said):
        binance_day(symbol, day, base_url=url)


def test_places_of_the_other_markets() -> None:
    """As the archive has them."""
    assert binance_day("btcusdt", DAY).url == f"https://data.binance.vision{PLACE}"
    coin = binance_day("BTCUSD_PERP", DAY, market="cm", rows="trades").url
    assert coin.endswith(f"/data/futures/cm/daily/trades/BTCUSD_PERP/BTCUSD_PERP-trades-{DAY}.zip")
    spot = binance_day("BTCUSDT", DAY, market="spot").url
    assert "/data/spot/daily/aggTrades/BTCUSDT/" in spot


def test_the_command(archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Says where the file is; a missing day is a data error, no traceback."""
    out = tmp_path / "days"
    given = ["data", "download", "binance", "BTCUSDT"]
    where = ["--out", str(out), "--base-url", archive.url]
    assert main([*given, DAY, *where]) == 0
    assert f"wrote {out}/{NAME}.zip" in capsys.readouterr().out
    assert main([*given, DAY, *where]) == 0
    assert "is there already" in capsys.readouterr().out
    assert main([*given, "2025-10-09", *where]) == 4
    assert "not there (404)" in capsys.readouterr().err
    assert main([*given, *where]) == 4
    assert "give a day" in capsys.readouterr().err
