"""The examples in the docstrings of ``engine.api``, and of what it takes in, are true."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType

import pytest

import engine.api
import engine.paths
import engine.results


@pytest.mark.parametrize(
    "module", [engine.api, engine.paths, engine.results], ids=lambda module: module.__name__
)
def test_examples_are_true(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line that a reader may type answers what is printed beneath it. Catches an example that
    nobody ran."""
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(module)
    assert done.attempted >= 3
    assert done.failed == 0
