"""Tests of ``tests.mutation``: each kind of fault is made, once, and its text is importable."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests import mutation
from tests.mutation import Broken, Mutant, files_naming, mutants, verdicts

SOURCE = '''"""A module."""
LIMIT: int = 3
def f(a: "int | 7", b=-1.5, *, strict=True):
    """Nothing of 1 + 1 here is broken."""
    if a < b and not strict:
        raise ValueError(f"{a + 1}")
    a *= min(b, np.maximum(a, b))
    return a is None or a + LIMIT == b
class Rules(Struct, frozen=True):
    done: bool = False
'''


def test_every_operator_number_and_truth_is_broken_once() -> None:
    """In the order of the lines; annotations, keywords of a class, docstrings and the text of
    messages are left alone."""
    changes = [f"{mutant.line} {mutant.change}" for mutant in mutants("m.py", SOURCE)]
    assert sorted(changes) == sorted(
        [
            "2 3 -> 4",
            "3 -1.5 -> +1.5",
            "3 1.5 -> 2.5",
            "3 True -> False",
            "5 a < b and (not strict) -> a < b or not strict",
            "5 a < b -> a <= b",
            "5 a < b -> a >= b",
            "5 not strict -> not not strict",
            "7 a *= min(b, np.maximum(a, b)) -> a /= min(b, np.maximum(a, b))",
            "7 min -> max",
            "7 np.maximum -> np.minimum",
            "8 a is None or a + LIMIT == b -> a is None and a + LIMIT == b",
            "8 a is None -> a is not None",
            "8 a + LIMIT == b -> a + LIMIT != b",
            "8 a + LIMIT -> a - LIMIT",
            "10 False -> True",
        ]
    )
    assert [int(change.split()[0]) for change in changes] == sorted(
        int(change.split()[0]) for change in changes
    )


def test_each_mutant_has_a_name_and_a_key_of_its_own() -> None:
    """The same change twice in a line is told apart, so that a report can be gone on with."""
    found = list(mutants("m.py", "x = 1 + 1 + 1\n"))
    assert len({mutant.name for mutant in found}) == len(found) == 5
    assert len({mutant.key for mutant in found}) == 5
    assert {mutant.text for mutant in found} == {
        "x = 2 + 1 + 1",
        "x = 1 + 2 + 1",
        "x = 1 + 1 + 2",
        "x = 1 - 1 + 1",
        "x = 1 + 1 - 1",
    }


def test_a_broken_module_is_imported_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finder gives its text for that module, and knows no other."""
    whole = importlib.import_module("engine.philox")
    broken = Broken(Mutant("engine/philox.py", 1, "", "word = 7\n"))
    assert broken.find_spec("engine.units") is None
    monkeypatch.delitem(sys.modules, "engine.philox")
    monkeypatch.setattr(sys, "meta_path", [broken, *sys.meta_path])
    import engine.philox

    assert engine.philox.word == 7  # type: ignore[comparison-overlap]
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "engine.philox", whole)


def test_the_tests_that_name_a_module_come_first(tmp_path: Path) -> None:
    """Also those that name it through the drivers of the known answers; and every test file is
    in one of the two."""
    named, others = files_naming("engine/venue/closing.py", mutation.TESTS)
    assert "tests/engine/venue/test_closing.py" in named
    assert "tests/engine/venue/test_known.py" in named
    assert "tests/engine/venue/test_funding.py" in others
    assert not set(named) & set(others)
    report = tmp_path / "report.jsonl"
    assert verdicts(report) == {}
    report.write_text('{"key": "a", "survived": true}\n{"key": "b", "survived": false}\n')
    assert verdicts(report) == {"a": True, "b": False}
