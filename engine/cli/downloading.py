"""``data download``: recorded days from a public archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from engine.cli.running import Json, Quiet

__all__ = ["download"]


def download(
    archive: Annotated[Literal["binance"], Parameter(help="Whose archive.")],
    symbol: Annotated[str, Parameter(help="As it is called there, such as BTCUSDT.")],
    /,
    *days: Annotated[str, Parameter(help="Such as 2025-10-10 (UTC).")],
    market: Annotated[
        Literal["um", "cm", "spot"],
        Parameter(help="USD-M futures, COIN-M futures, or spot."),
    ] = "um",
    rows: Annotated[
        Literal["aggTrades", "trades"], Parameter(help="Trades of one order as one, or each.")
    ] = "aggTrades",
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="Folder that the files go to.")
    ] = Path("data"),
    base_url: Annotated[str | None, Parameter(help="A mirror of the archive.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Fetch days of a public archive, checked against its checksums; a broken transfer goes on."""
    from engine.cli import showing
    from engine.errors import InputError
    from feeds.download import BINANCE, binance_day
    from feeds.download import download as fetch

    del archive
    if not days:
        raise InputError("give a day or several: levsim data download binance BTCUSDT 2025-10-10")
    url = base_url or BINANCE
    files = [binance_day(symbol, d, market=market, rows=rows, base_url=url) for d in days]
    done = []
    for file in files:
        path, fetched = fetch(file, out, told=None if quiet else _shown(file.name))
        size = path.stat().st_size
        done.append({"path": str(path), "bytes": size, "fetched": fetched})
        if not json:
            what = "wrote" if fetched else "is there already:"
            showing.emit(f"{what} {path}, {size / 1e6:.1f} MB, checksum good")
    if json:
        showing.emit_json({"files": done})
    return 0


def _shown(name: str) -> Callable[[int, int | None], None]:
    """Says on stderr how far a file is: over itself in a terminal, now and then elsewhere."""
    import sys
    import time

    from engine.cli.progress import EVERY_SECONDS

    terminal = sys.stderr.isatty()
    every = 0.1 if terminal else EVERY_SECONDS
    said = began = time.perf_counter()

    def told(done: int, total: int | None) -> None:
        nonlocal said
        now = time.perf_counter()
        complete = done == total
        if now - said < every and not (complete and terminal):
            return
        said = now
        share = f"{100 * done // total:3d} %  " if total else ""
        speed = done / 1e6 / max(now - began, 1e-9)
        line = f"  {share}{name}  {done / 1e6:.1f} MB at {speed:.1f} MB/s"
        sys.stderr.write(f"\r{line}" + "\n" * complete if terminal else f"{line}\n")
        sys.stderr.flush()

    return told
