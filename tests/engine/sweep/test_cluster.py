"""Tests of ``engine/sweep/cluster.py``: many machines through dask.distributed."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.api import sweep
from engine.errors import ConfigError
from tests.engine.sweep.conftest import AXIS
from tests.engine.sweep.test_sweep import PATHS, hashes
from tests.imported import IMPORTED_FROM


def test_a_cluster_gives_the_same_bytes(base: Path) -> None:
    """Two workers behind a scheduler, reached by its address, against this process; they are handed
    as much at once as two local ones."""
    with ThreadPoolExecutor(1) as one:
        kept = hashes(sweep(base, [AXIS], paths=PATHS, executor=one, out="here").path)
    given = (str(base), AXIS, str(PATHS), "there")
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.sweep.on_cluster", *given],
        env={**os.environ, "PYTHONPATH": IMPORTED_FROM},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4"]
    assert hashes(Path("there")) == kept


def test_a_cluster_that_is_not_installed_is_a_sentence(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what to type."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'levsim\[cluster\]'"):
        sweep(base, paths=2, cluster="tcp://127.0.0.1:1", out="a")


@pytest.mark.parametrize("address", ["nowhere", "tcp://nowhere", "tcp://nowhere:many"])
def test_an_address_that_is_none_is_a_sentence_at_once(base: Path, address: str) -> None:
    """No client is made that would ask again behind our back. Catches twenty seconds, and a
    traceback of somebody else's after the sentence."""
    with pytest.raises(ConfigError, match=f"--cluster {address}: .*expected tcp://host:8786"):
        sweep(base, [AXIS], paths=1, cluster=address, out="a")
