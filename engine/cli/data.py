"""``data inspect``, ``data import``, ``data sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import DataFiles, Json, Quiet, SymbolName

if TYPE_CHECKING:
    from feeds.recording import Recording
    from feeds.unrecorded import Unrecorded

__all__ = ["import_data", "inspect", "sample"]

SAMPLE: Final = Path("sample.parquet")

Out = Annotated[Path | None, Parameter(name=["--out", "-o"], help="Parquet file to write.")]


def inspect(
    *data: DataFiles,
    symbol: SymbolName = None,
    json: Json = False,
) -> int:
    """What files hold and where they are poor: rows, span, gaps, duplicates, late rows."""
    import msgspec

    from engine.cli import showing
    from engine.inputs import open_data
    from engine.report.words import plural

    found = open_data(data, symbol).inspect()
    if json:
        showing.emit_json(msgspec.to_builtins(found))
        return 0
    header, *rows = found.table()
    showing.show_rows(header, rows)
    counts = f"{plural(found.rows, 'row')} from {plural(found.files, 'file')}"
    showing.emit(f"{counts}: {', '.join(found.formats)}")
    if found.malformed:
        showing.emit(f"malformed rows: {found.malformed:,}, the first: {found.malformed_first}")
    for one in found.refused:
        of = f" of {one.symbol}" if one.symbol else ""
        showing.emit(f"{one.reason} rows{of}: {one.rows:,}, the first: {one.first}")
    if found.bars_without_trades:
        showing.emit(f"bars without trades (no ticks): {found.bars_without_trades:,}")
    if found.book_breaks:
        showing.emit(
            f"gaps in the book's stream, after which it waited for an image: {found.book_breaks:,}"
        )
    for path, seems in found.skipped:
        showing.emit(f"skipped {path}: {seems}")
    return 0


def import_data(
    *data: Annotated[Path, Parameter(help="Files and folders.")],
    out: Out = None,
    symbol: SymbolName = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write files as one Parquet recording; replaying it gives the same result, faster."""
    from engine.cli import showing
    from engine.errors import InputError
    from feeds.recording import open_recording, write_parquet

    if not data:
        raise InputError(
            "give the files or folders to import: levsim data import DATA --out FILE.parquet"
        )
    path = out or Path(f"{data[0].name.split('.')[0]}.parquet")
    if any(path.resolve() == each.resolve() for each in data):
        raise InputError(f"{path} is one of the inputs; give another --out")
    recording = open_recording(list(data), symbol=symbol)
    if not quiet:
        showing.note(f"importing {len(recording.inputs)} files")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = write_parquet(recording, path)
    _told(path, rows, as_json=json)
    return 0


def sample(
    *,
    out: Out = SAMPLE,
    seed: Annotated[int, Parameter(help="Of the noise; the story stays.")] = 7,
    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], help="TOML whose generator makes the market instead."),
    ] = None,
    json: Json = False,
) -> int:
    """Write the synthetic sample: a day of ticks with calm, trend, chop and a crash."""
    from engine.errors import ConfigError
    from engine.inputs import open_market
    from feeds.recording import write_parquet
    from feeds.synthetic import Synthetic

    made: Recording | Unrecorded = Synthetic(seed) if config is None else open_market(config=config)
    if isinstance(made, Synthetic) and config is not None:
        raise ConfigError(f"{config} has no [generator]")
    path = out or SAMPLE
    path.parent.mkdir(parents=True, exist_ok=True)
    _told(path, write_parquet(made, path), as_json=json, kind="synthetic ")
    return 0


def _told(path: Path, rows: int, *, as_json: bool, kind: str = "") -> None:
    from engine.cli import showing

    if as_json:
        showing.emit_json({"path": str(path), "rows": rows, "bytes": path.stat().st_size})
    else:
        showing.emit(f"wrote {path}: {rows:,} {kind}rows, {path.stat().st_size / 1e6:.1f} MB")
