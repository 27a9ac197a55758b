"""The examples in the docstrings of what ``engine.api`` offers are true, and none lacks one."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import engine.api
import engine.paths
import engine.report.notebook
import engine.results
import engine.running
import engine.streaming
import engine.sweep.finished
import engine.sweep.sweeping
import engine.whatif

MODULES = (
    *(engine.paths, engine.report.notebook, engine.results, engine.running),
    *(engine.streaming, engine.sweep.sweeping, engine.sweep.finished, engine.whatif),
)
OFFERED = ("compare", "load", "load_sweep", "paths", "run", "shown", "stream", "sweep", "whatif")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_are_true(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line that a reader may type answers what is printed beneath it. Catches an example that
    nobody ran."""
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(module)
    assert done.attempted >= 1
    assert done.failed == 0


def test_everything_offered_says_what_it_takes_and_shows_it() -> None:
    """Each function has types for all it takes and gives, says what goes wrong, and has an example.
    Catches one that was added in haste."""
    functions = {n for n in engine.api.__all__ if inspect.isfunction(getattr(engine.api, n))}
    assert functions == {*OFFERED, "open_data", "open_market"}
    for name in OFFERED:
        function = getattr(engine.api, name)
        told = inspect.signature(function)
        assert told.return_annotation is not inspect.Signature.empty, name
        assert all(one.annotation is not one.empty for one in told.parameters.values()), name
        text = inspect.getdoc(function) or ""
        assert name == "shown" or "Raises:" in text, name
        assert ">>> " in text, name
