"""The directory of a sweep: what it is, and its finished chunks.

A chunk is written beside its place, forced to disk and renamed, so that it is there whole or not at
all; its name bears a hash of its bytes, so that damage is found. The same command finds what is
finished, whoever died in between.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from engine.errors import InputError, LevsimError
from engine.sweep.plan import Chunk, Plan

__all__ = ["MANIFEST", "Store"]

MANIFEST: Final = "sweep.json"
_CHUNKS: Final = "chunks"
_LOCK: Final = ".lock"
_NAME: Final = re.compile(r"chunk-(\d{7})-([0-9a-f]{32})\.arrow")
_OURS: Final = frozenset(
    {MANIFEST, _CHUNKS, _LOCK, "sweep.parquet", "summary.json", "report.html", "judged"}
)


class Store:
    """The directory ``path`` of the sweep ``plan``.

    Attributes:
        finished: by number of the chunk, its file.
        damaged: files that were not what their names said, and were removed.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan
        self.finished: dict[int, Path] = {}
        self.damaged: list[str] = []

    @contextmanager
    def opened(self, said: dict[str, Any]) -> Iterator[None]:
        """Hold the directory; find what is finished.

        Args:
            said: what the manifest says beside the sweep's id.

        Raises:
            InputError: if the directory is another sweep's, no sweep's, or somebody writes there.
        """
        self._check(said)
        try:
            (self.path / _CHUNKS).mkdir(parents=True, exist_ok=True)
            lock = (self.path / _LOCK).open("w")
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{self.path}: another sweep is writing there") from None
            manifest = json.dumps({"id": self.plan.id, **said}, indent=1)
            self._put(self.path / MANIFEST, f"{manifest}\n".encode())
            self._find()
            yield

    def _check(self, said: dict[str, Any]) -> None:
        path = self.path
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, and a sweep writes a folder; give another --out")
        if not path.exists():
            return
        try:
            known = json.loads((path / MANIFEST).read_text("utf-8"))
        except FileNotFoundError:
            if {each.name for each in path.iterdir()} <= _OURS:
                return
            raise InputError(f"{path} is not empty and no sweep's; give another --out") from None
        except ValueError:
            raise InputError(f"{path / MANIFEST} is damaged; give another --out") from None
        if not isinstance(known, dict) or known.get("id") != self.plan.id:
            raise InputError(
                f"{path} holds another sweep ({_difference(known, said)}); give another --out, or "
                "the command of that sweep to go on with it"
            )

    def _find(self) -> None:
        """Take in what is finished and sound; sweep away what a dead driver left."""
        folder, count = self.path / _CHUNKS, len(self.plan.chunks)
        for file in sorted(folder.iterdir()):
            name = _NAME.fullmatch(file.name)
            if name is None or int(name[1]) >= count:
                file.unlink()
            elif sha256(file.read_bytes()).hexdigest()[:32] != name[2]:
                self.damaged.append(file.name)
                file.unlink()
            else:
                self.finished[int(name[1])] = file

    def put(self, chunk: Chunk, content: bytes) -> Path:
        """A chunk is finished."""
        digest = sha256(content).hexdigest()[:32]
        file = self.path / _CHUNKS / f"chunk-{chunk.number:07d}-{digest}.arrow"
        self._put(file, content)
        self.finished[chunk.number] = file
        return file

    def write(self, name: str, content: bytes) -> Path:
        """One of the results."""
        return self._put(self.path / name, content)

    def settle(self, beside: Path, name: str) -> Path:
        """One of the results, written ``beside`` its place: force it to disk and rename it."""
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        return self._rename(beside, self.path / name)

    def _put(self, file: Path, content: bytes) -> Path:
        beside = file.with_name(f".{file.name}.tmp")
        try:
            with beside.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            return self._rename(beside, file)
        except OSError as error:
            raise LevsimError(
                f"{file.parent} cannot be written: {error.strerror}; what is finished is kept, the "
                "same command goes on from there"
            ) from None

    def _rename(self, beside: Path, file: Path) -> Path:
        beside.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file


def _difference(known: Any, said: dict[str, Any]) -> str:
    """What the two commands have different, in words."""
    if not isinstance(known, dict):
        return "its manifest is damaged"
    for name, value in said.items():
        if known.get(name) != json.loads(json.dumps(value)):
            return f"its {name} was {known.get(name)!r}, not {value!r}"
    return "the same command, with another configuration or other files behind it"
