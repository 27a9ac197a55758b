"""Recorded days from a public archive: checked against its checksum, resumed where it broke off.

A file comes into being whole: until its sha256 is the archive's it is called ``NAME.partial``. A
transfer that breaks off goes on where it ended (HTTP ``Range``), now or when the command is typed
again; one whose checksum is wrong is deleted.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple

from engine.errors import InputError

__all__ = ["BINANCE", "Archived", "Markets", "Rows", "Transferred", "binance_day", "download"]

Markets = Literal["um", "cm", "spot"]
Rows = Literal["aggTrades", "trades"]
Transferred = Callable[[int, int | None], None]
"""Told bytes there and bytes in all (``None`` where the archive does not say)."""

BINANCE: Final = "https://data.binance.vision"
ATTEMPTS_MAX: Final = 5
"""In a row without a new byte."""
TRANSFERS_MAX: Final = 200
"""Of one file, however little each brings."""
FILE_BYTES_MAX: Final = 64 << 30
_CHECKSUM_BYTES_MAX: Final = 4_096
_CHUNK_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 30.0
_WAIT_S: Final = 0.5
_WAIT_S_MAX: Final = 8.0
_SYMBOL: Final = re.compile(r"[A-Z0-9]{2,20}(?:_[A-Z0-9]{1,10})?")
_CHECKSUM: Final = re.compile(r"([0-9a-fA-F]{64})(?:\s+\*?(\S+))?\s*")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PARTIAL: Final = 206
_BEYOND: Final = 416
_BUSY: Final = (408, 425, 429)


class Archived(NamedTuple):
    """A file of an archive.

    Attributes:
        url: of it; its checksum lies at ``url + ".CHECKSUM"``.
        missing: why it may not be there.
    """

    url: str
    missing: str

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]


def binance_day(
    symbol: str,
    day: str,
    *,
    market: Markets = "um",
    rows: Rows = "aggTrades",
    base_url: str = BINANCE,
) -> Archived:
    """A day of Binance's public archive.

    Args:
        symbol: as Binance calls it, such as BTCUSDT or BTCUSD_PERP.
        day: such as 2025-10-10, UTC.
        market: ``um`` USD-M futures, ``cm`` COIN-M futures, ``spot``.
        rows: ``aggTrades``, or every trade.
        base_url: of the archive or a mirror of it.

    Raises:
        InputError: if one of them can be none.
    """
    name = symbol.upper()
    if not _SYMBOL.fullmatch(name):
        raise InputError(f"{symbol!r} is no symbol; expected one such as BTCUSDT")
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise InputError(f"{day!r} is no day; expected one such as 2025-10-10") from None
    if not base_url.startswith(("https://", "http://")):
        raise InputError(f"{base_url}: expected an address that begins with https:// or http://")
    place = "spot" if market == "spot" else f"futures/{market}"
    file = f"{name}-{rows}-{when.isoformat()}.zip"
    url = f"{base_url.rstrip('/')}/data/{place}/daily/{rows}/{name}/{file}"
    if when >= datetime.now(UTC).date() - timedelta(days=1):
        missing = "a day is put there after it is over, mostly within a day"
    else:
        missing = f"is {name} spelt right, and was it traded on {market} that day?"
    return Archived(url, missing)


def download(
    file: Archived,
    folder: str | Path,
    *,
    told: Transferred | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> tuple[Path, bool]:
    """Fetch a file, or go on with it.

    Args:
        folder: where it goes; made where it is missing.
        told: how far it is.
        wait: called between two attempts with seconds.

    Returns:
        Its path, and whether anything had to be fetched.

    Raises:
        InputError: if it is not there, cannot be reached, or its checksum is wrong.
    """
    target = Path(folder) / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = _checksum(file, wait)
    if target.exists():
        if _sha256(target) == expected:
            return target, False
        raise InputError(f"{target} is there and is another file; move it away, or give --out")
    partial = target.with_name(f"{target.name}.partial")
    _Transfer(file, partial, told, wait).run()
    found = _sha256(partial)
    if found != expected:
        partial.unlink()
        raise InputError(
            f"{file.url}: the checksum is wrong (sha256 {found[:12]}..., the archive says "
            f"{expected[:12]}...); what came was deleted, try again"
        )
    partial.replace(target)
    return target, True


class _Transfer:
    """Brings a file's bytes behind those that are there, in as many goes as it takes."""

    def __init__(
        self,
        file: Archived,
        partial: Path,
        told: Transferred | None,
        wait: Callable[[float], object],
    ) -> None:
        self._file, self._partial, self._told, self._wait = file, partial, told, wait

    def run(self) -> None:
        failed = 0
        for _ in range(TRANSFERS_MAX):
            before = self._size()
            try:
                if self._go(before):
                    return
                reason = "the connection ended early"
            except _BrokenOff as error:
                reason = str(error)
            failed = 0 if self._size() > before else failed + 1
            if failed >= ATTEMPTS_MAX:
                break
            self._wait(_pause(failed))
        raise InputError(
            f"{self._file.url}: {reason}, after {failed or TRANSFERS_MAX} attempts; "
            f"{self._size():,} bytes are kept, type the command again to go on"
        )

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _go(self, start: int) -> bool:
        """One transfer; whether the file is complete."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            opened = _opened(self._file, self._file.url, headers)
        except _Beyond:
            return True  # all bytes are there, or too many: the checksum tells
        with opened as response:
            first, total = _place(response)
            if first not in (0, start):
                raise _BrokenOff(f"asked for bytes from {start:,} and got them from {first:,}")
            with self._partial.open("r+b" if start else "wb") as out:
                out.seek(first)
                out.truncate()
                return self._copy(response, out, first, total)

    def _copy(
        self, response: http.client.HTTPResponse, out: IO[bytes], done: int, total: int | None
    ) -> bool:
        try:
            while data := response.read(_CHUNK_BYTES):
                out.write(data)
                done += len(data)
                if self._told is not None:
                    self._told(done, total)
                if done > FILE_BYTES_MAX:
                    raise InputError(f"{self._file.url}: more than {FILE_BYTES_MAX >> 30} GiB")
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOff(_said(error)) from None
        finally:
            out.flush()
            os.fsync(out.fileno())
        return total is None or done >= total


class _BrokenOff(Exception):  # noqa: N818 - a state of the transfer
    """The world was away; another attempt may help."""


class _Beyond(Exception):  # noqa: N818 - an answer
    """There are no bytes behind those that were asked to be left out."""


def _opened(file: Archived, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """The archive's answer.

    Raises:
        InputError: if another attempt cannot help.
        _BrokenOff: if it may.
    """
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) is checked
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(  # noqa: S310 - as above
            request, timeout=_TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                raise InputError(f"{url}: not there (404); {file.missing}") from None
            if error.code == _BEYOND:
                raise _Beyond from None
            if error.code >= 500 or error.code in _BUSY:
                raise _BrokenOff(f"the archive answered {error.code} {error.reason}") from None
            said = f"{url}: the archive answered {error.code} {error.reason}"
            raise InputError(said) from None
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(_said(error)) from None
    return response


def _said(error: Exception) -> str:
    """``URLError`` wraps what happened."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection ended early"
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"the archive cannot be reached ({text}; is there a network?)"


def _place(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """The first byte of an answer, and the size of the whole."""
    if response.status == _PARTIAL:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            raise _BrokenOff("the archive sent a part and does not say which")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _pause(failed: int) -> float:
    """Seconds before the next attempt."""
    return float(min(_WAIT_S * 2**failed, _WAIT_S_MAX))


def _checksum(file: Archived, wait: Callable[[float], object]) -> str:
    """The sha256 that the archive tells of a file."""
    url = f"{file.url}.CHECKSUM"
    for attempt in range(ATTEMPTS_MAX):
        try:
            with _opened(file, url, {}) as response:
                text = response.read(_CHECKSUM_BYTES_MAX).decode("ascii", "replace")
        except _BrokenOff as error:
            reason = str(error)
        except (OSError, http.client.HTTPException) as error:
            reason = _said(error)
        else:
            found = _CHECKSUM.fullmatch(text)
            if found is None or found[2] not in (None, file.name):
                raise InputError(f"{url}: expected a sha256 of {file.name}, was {text[:80]!r}")
            return found[1].lower()
        if attempt + 1 < ATTEMPTS_MAX:
            wait(_pause(attempt))
    raise InputError(f"{url}: {reason}, after {ATTEMPTS_MAX} attempts")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
