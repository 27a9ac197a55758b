"""The notebooks do what they show, and their words say what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.notebooks import NOTEBOOKS, ROOT, outputs_of, ran, shown_by

WRITE = "if the change is meant: python -m tests.docs.notebooks"
LINES_MAX, CELLS_MAX = 16, 24
_NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?(?: %)?")


@cache
def written(path: Path) -> Any:
    """The notebook as it lies there."""
    return nbformat.read(path, as_version=4)


def words_of(path: Path) -> Iterator[str]:
    """Its cells of text."""
    return (cell.source for cell in written(path).cells if cell.cell_type == "markdown")


def test_there_are_three() -> None:
    """A first replay, a policy of one's own, a black swan, in this order. Catches one that is
    forgotten."""
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["1_first_replay", "2_own_policy", "3_black_swan"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_runs_in_a_clean_kernel_and_shows_what_it_shows(path: Path, tmp_path: Path) -> None:
    """From first to last cell without an error or a warning, and every table, picture and number is
    the one that lies in the file. Catches a result that changed and a call that is gone."""
    done = ran(path, tmp_path)
    for number, (now, then) in enumerate(
        zip(outputs_of(done), outputs_of(written(path)), strict=True), start=1
    ):
        assert all(one.get("name") != "stderr" for one in now), (number, now)
        assert now == then, f"code cell {number} shows something else; {WRITE}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_numbers_in_the_words_are_numbers_of_the_cells(path: Path) -> None:
    """What is said in decimals or per cent was shown, or stands in the code; a loss may be said
    without its sign. Catches a text that outlived its result."""
    code = " ".join(cell.source for cell in written(path).cells if cell.cell_type == "code")
    shown = f"{' '.join(shown_by(written(path)))} {code}"
    known = {number.lstrip("+−-") for number in _NUMBER.findall(shown)}
    for text in words_of(path):
        plain = re.sub(r"\(.*?\)|`.*?`|2\.4 to 3\.6", "", text)
        for number in _NUMBER.findall(plain):
            if "%" in number or "." in number.rstrip("."):
                found = number.lstrip("+−-").rstrip(".")
                percent = f"-{found.removesuffix(' %')}.0"
                assert found in known or percent in code, number


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_names_a_machine(path: Path) -> None:
    """No path but those under ``runs/``, no host, no user, no version of Python. Catches outputs
    that were written by hand from somebody's own notebook."""
    text = path.read_text()
    for found in ("/home", "/tmp", "/root", "/usr", "site-packages", "localhost", str(ROOT)):
        assert found not in text, found
    assert set(written(path).metadata) == {"kernelspec", "language_info"}
    assert written(path).metadata.language_info == {"name": "python"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_is_short(path: Path) -> None:
    """Cells of one idea, words before code, one picture at most between two texts. Catches a
    notebook that nobody reads to its end."""
    cells = written(path).cells
    assert len(cells) <= CELLS_MAX
    assert cells[0].source.startswith("# ")
    assert all(len(cell.source.splitlines()) <= LINES_MAX for cell in cells)
    nbformat.validate(written(path))
