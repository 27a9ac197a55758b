"""A tape of aggregated trades, and commands typed at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from tests.bad_input.tape import DATA, csv_of, tape

__all__: list[str] = []


class Typed:
    """A command that was typed: exit code and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.code = main([*arguments])
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        assert "internal error" not in self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Callable[..., Typed]:
    return lambda *arguments: Typed(capsys, *map(str, arguments))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds the clean tape as ``DATA``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / DATA).write_text(csv_of(tape()))
    return tmp_path


@pytest.fixture
def run(folder: Path, typed: Callable[..., Typed]) -> Callable[..., Typed]:
    """Run data in the working folder into ``out``, as JSON."""
    assert folder.is_dir()
    return lambda *more: typed("run", *more, "--out", "out", "--no-report", "--json")
