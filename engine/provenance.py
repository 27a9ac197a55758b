"""What a run directory says of its own making: configuration, versions, inputs with their
hashes."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config import PROVENANCE, RunConfig, resolved_toml, write_toml
from engine.config.settings import UserPolicyConfig
from feeds.formats.files import sha256
from feeds.recording import Recording
from feeds.synthetic import Synthetic
from strategies.user import policy_file

__all__ = ["VERSION", "Data", "finish_directory"]

VERSION: Final = "0.1.0"
Data = Recording | Synthetic


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
    (path / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    if path.parent.name == "runs":
        latest = path.parent / "latest"
        if latest.is_symlink() or not latest.exists():
            latest.unlink(missing_ok=True)
            latest.symlink_to(path.name)


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if Path(path).exists() else path
