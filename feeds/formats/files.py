"""Bytes of a recording, decompressed as they are needed.

Compression is told by the first bytes. Nothing is ever decompressed further than asked for, so a
bomb costs time and no memory; a line has a longest length.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from engine.errors import InputError
from feeds.gauge import Gauge

__all__ = [
    "HEAD_BYTES",
    "LINE_BYTES_MAX",
    "chunks",
    "head",
    "line_batches",
    "open_bytes",
    "sha256",
]

CHUNK_BYTES: Final = 1 << 20
HEAD_BYTES: Final = 1 << 16
_SMALL_BYTES: Final = 4_096
LINE_BYTES_MAX: Final = 16 << 20

_MARK: Final = b"\xef\xbb\xbf"
"""What editors on Windows begin a text with."""
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_ZIP_EMPTY: Final = b"PK\x05\x06"
_BROKEN: Final = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    NotImplementedError,  # a zip packed in a way that zipfile does not know
    RuntimeError,  # a zip that wants a password
)


@contextmanager
def open_bytes(path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's decompressed bytes as a stream, and the file itself, whose position tells how much
    of it has been read.

    Raises:
        InputError: if it cannot be opened, is a zip that does not hold exactly one file, or has a
            name that no run could note down.
    """
    if not _is_text(path):
        raise InputError(f"{path}: the name of the file is no UTF-8 text; rename it")
    try:
        file = open(path, "rb")  # noqa: SIM115  # it is closed below, once it could be opened
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror or error}") from None
    with file, _decompressed(path, file) as stream:
        yield stream, file


def _decompressed(path: str, file: IO[bytes]) -> IO[bytes]:
    try:
        magic = file.read(4)
        file.seek(0)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror or error}") from None
    if magic[:2] == _GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return _open_zip(path, file) if magic in (_ZIP, _ZIP_EMPTY) else file


def _is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; bytes that are none come as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _open_zip(path: str, file: IO[bytes]) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(file)
        members = [m for m in archive.infolist() if not m.is_dir()]
        if len(members) != 1:
            raise InputError(
                f"{path}: holds {len(members)} files, expected one; unpack it and name the folder"
            )
        return archive.open(members[0])
    except _BROKEN as error:
        raise broken(path, error, 0) from None


def broken(path: str, error: BaseException, line: int) -> InputError:
    """The error for a compressed file that ends early or is damaged."""
    where = f"{path}:{line}" if line else path
    return InputError(
        f"{where}: the compressed file is cut off or damaged "
        f"({str(error) or type(error).__name__}); download or copy it again"
    )


def chunks(path: str, gauge: Gauge | None = None) -> Iterator[bytes]:
    """The decompressed bytes but for a mark of UTF-8 at the front, at most ``CHUNK_BYTES`` at a
    time; the gauge is told how far the file has been read."""
    mark = _MARK
    with open_bytes(path) as (stream, file):
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except _BROKEN as error:
                raise broken(path, error, _last_line(path)) from None
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error}") from None
            if not chunk:
                return
            if gauge is not None:
                gauge.reach(path, file.tell())
            yield chunk.removeprefix(mark)
            mark = b""


def _last_line(path: str) -> int:
    """The line in which a broken file breaks off; small reads show what comes before the break."""
    line = 1
    with open_bytes(path) as (stream, _):
        try:
            while part := stream.read(_SMALL_BYTES):
                line += part.count(b"\n")
        except _BROKEN:
            pass
    return line


def head(path: str) -> bytes:
    """The first ``HEAD_BYTES`` decompressed bytes, as ``chunks`` has them; fewer where the file is
    short or breaks off."""
    if Path(path).stat().st_size == 0:
        return b""
    with open_bytes(path) as (stream, _):
        parts: list[bytes] = []
        wanted = HEAD_BYTES
        try:
            # Small reads: a broken file still shows what comes before the break.
            while wanted and (part := stream.read(min(wanted, _SMALL_BYTES))):
                parts.append(part)
                wanted -= len(part)
        except _BROKEN as error:
            if not parts:
                raise broken(path, error, 0) from None
        return b"".join(parts).removeprefix(_MARK)


def line_batches(path: str, gauge: Gauge | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their ends, in batches, with the number of the batch's first line (from 1).

    Raises:
        InputError: at a line longer than ``LINE_BYTES_MAX``, or where decompression fails.
    """
    number = 1
    rest: list[bytes] = []
    held = 0
    for chunk in chunks(path, gauge):
        cut = chunk.rfind(b"\n")
        if cut < 0:
            rest.append(chunk)
            held += len(chunk)
            if held > LINE_BYTES_MAX:
                raise InputError(
                    f"{path}:{number}: a line is longer than {LINE_BYTES_MAX >> 20} MiB; "
                    "this is no recording that levsim can read"
                )
            continue
        lines = (b"".join(rest) + chunk[:cut]).replace(b"\r\n", b"\n").split(b"\n")
        rest = [chunk[cut + 1 :]]
        held = len(rest[0])
        yield number, lines
        number += len(lines)
    last = b"".join(rest)
    if last:
        yield number, [last]


def sha256(path: str) -> str:
    """Hash of the file as it lies on disk, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
