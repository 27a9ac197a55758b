"""What a run directory says of its own making: configuration, versions, inputs with their
hashes."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config import PROVENANCE, RunConfig, resolved_toml, write_toml
from engine.config.settings import UserPolicyConfig
from engine.errors import InputError
from feeds.formats.files import sha256
from feeds.recording import Recording
from feeds.unrecorded import Unrecorded
from strategies.user import policy_file

__all__ = [
    "OUTPUTS",
    "VERSION",
    "WHATIF",
    "Data",
    "finish_directory",
    "output_directory",
    "summary_bytes",
    "writing",
]

VERSION: Final = "0.1.0"
Data = Recording | Unrecorded

OUTPUTS: Final = (
    "events.jsonl",
    "nav.parquet",
    "user_nav.parquet",
    "fills.parquet",
    "milestones.parquet",
    "journal.bin",
    "run.toml",
    "summary.json",
    "whatif.json",
    "paths.json",
    "report.html",
)
"""What a run directory holds."""
WHATIF: Final = "whatif"
"""The folder of a run directory where the run with a change lies; ``whatif.json`` has the
difference."""


def output_directory(out: str | Path | None) -> Path:
    """Where a run writes: ``out``, or a new folder under ``runs``.

    The new folder is made at once, so that no two runs of one second write into the same.

    Raises:
        InputError: if ``out`` is a file, or a folder with something in it that no run has written;
            if no folder can be made.
    """
    if out is not None:
        path = Path(out)
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, and a run writes a folder; give another --out")
        found = {each.name for each in path.iterdir()} if path.is_dir() else set()
        if "run.toml" not in found and not found <= set(OUTPUTS):
            raise InputError(f"{path} is not empty and is no run directory; give another --out")
        return path
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    path, number = Path("runs") / stamp, 1
    while not _made(path):
        number += 1
        path = Path("runs") / f"{stamp}-{number}"
    return path


def _made(path: Path) -> bool:
    """Whether it was not there, and is now."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from None
    return True


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror}; give another --out")


@contextmanager
def writing(path: Path | None) -> Iterator[None]:
    """A run's directory while it is written: without the outputs of an earlier run, which would
    stand beside new ones, and without half of a run's own where it fails.

    Raises:
        InputError: if nothing can be written there.
    """
    if path is None:
        yield
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        # An earlier run.toml may be this run's configuration: it stays until it is replaced.
        kept = {"run.toml"} if (path / "run.toml").exists() else set()
        _clear(path, kept)
        beside = (path / WHATIF / "run.toml").exists()  # of an earlier run with a change
        if beside:
            _clear(path / WHATIF, {"run.toml"})
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield
    except BaseException:
        _clear(path, kept)
        with suppress(OSError):  # somebody else's files stay
            path.rmdir()
        raise
    if beside:
        with suppress(OSError):
            (path / WHATIF / "run.toml").unlink(missing_ok=True)
            (path / WHATIF).rmdir()


def _clear(path: Path, kept: set[str]) -> None:
    for name in OUTPUTS:
        if name not in kept:
            (path / name).unlink(missing_ok=True)


def finish_directory(
    path: Path,
    summary: dict[str, Any],
    config: RunConfig,
    data: Data,
    requests: str | Path | None,
    symbol: str | None,
    journal: bytes,
) -> None:
    """Write ``run.toml``, ``journal.bin`` and ``summary.json``; ``runs/latest`` points here from
    now on.

    Args:
        config: the resolved configuration.
        requests, symbol: as they were given to the run.
    """
    provenance: dict[str, Any] = {
        "levsim": VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "config_hash": summary["config_hash"],
        "inputs": [
            {"path": _absolute(f.path), "sha256": f.sha256, "bytes": f.size, "format": f.format}
            for f in data.inputs
        ],
    }
    if symbol is not None:
        provenance["symbol"] = symbol
    policies = dict.fromkeys(
        str(file)
        for product in config.products
        for policy in product.policies
        if isinstance(policy, UserPolicyConfig) and (file := policy_file(policy.path))
    )
    if policies:
        provenance["policies"] = [{"path": p, "sha256": sha256(p)} for p in policies]
    if requests is not None:
        name = str(requests)
        provenance["requests"] = {"path": _absolute(name), "sha256": sha256(name)}
    text = f"{resolved_toml(config).rstrip()}\n\n{write_toml({PROVENANCE: provenance})}"
    (path / "run.toml").write_text(text, encoding="utf-8")
    (path / "journal.bin").write_bytes(journal)
    (path / "summary.json").write_bytes(summary_bytes(summary))
    latest = path.parent / "latest"
    # Who writes into ``runs/latest`` itself has replaced the run that it points to already.
    if path.parent.name != "runs" or path == latest:
        return
    if latest.is_symlink() or not latest.exists():
        latest.unlink(missing_ok=True)
        latest.symlink_to(path.name)


def summary_bytes(summary: dict[str, Any]) -> bytes:
    """``summary.json`` as it is written."""
    return f"{json.dumps(summary, indent=1)}\n".encode()


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path
