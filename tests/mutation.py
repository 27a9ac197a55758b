"""Breaks the venue's code one operator at a time, and says which breaks no test notices.

``python -m tests.mutation [--module engine/venue/adl.py] [--tests T ...] [--minutes 30] [--list]``

Each mutant flips one comparison, one arithmetic or boolean operator, one sign, swaps a smallest for
a largest, or moves one number by one. A child of this process imports the broken text in the
module's place and runs the tests that name the module, then the other narrow ones, until one fails;
nothing is written to the tree. What stays green has survived. Verdicts are kept in the report, a
line each, under the text they were found for, and are not asked again: a run that was cut short
goes on where it was. A child that uses up its processor time counts as killed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ("tests/engine/venue", "tests/engine/test_conform.py", "tests/engine/test_philox.py")
CPU_SECONDS = 60
"""Of one child: a loop that no longer ends is killed. Not by the clock, which a busy machine
stretches."""
OPTIONS = (
    *("-q", "-x", "-p", "no:cacheprovider", "-W", "error"),
    *("-c", os.devnull, "--rootdir", str(ROOT)),
)
PRELOADED = ("numpy", "msgspec", "json", "hypothesis", "engine.units", "engine.exact")
"""What every child would import anew; none of it knows the venue. Plug-ins stay out: half of a
child's life would be theirs."""

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
REVERSED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
}
WORKED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
SWAPPED = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """One fault: the line it is in, what it does there, and the module's whole text with it."""

    path: str
    line: int
    change: str
    text: str = ""

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"

    @property
    def key(self) -> str:
        """Of the broken text itself: a module that changed is asked again."""
        return hashlib.sha256(f"{self.path}\n{self.text}".encode()).hexdigest()[:24]


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Every fault of a module, in the order of its lines; names are unique."""
    seen: dict[str, int] = {}
    count = sum(1 for _ in _faults(ast.parse(source)))
    found = []
    for number in range(count):
        tree = ast.parse(source)
        node, change, apply = next(
            fault for place, fault in enumerate(_faults(tree)) if place == number
        )
        before = ast.unparse(node)
        apply()
        text = f"{before} -> {change or ast.unparse(node)}"
        key = f"{node.lineno}{text}"
        seen[key] = seen.get(key, 0) + 1
        label = text if seen[key] == 1 else f"{text} ({seen[key]})"
        found.append(Mutant(path, node.lineno, label, ast.unparse(tree)))
    yield from sorted(found, key=lambda mutant: mutant.line)


Fault = tuple[ast.expr | ast.stmt, str, Callable[[], None]]
"""A node, what it becomes where its own text does not say it, and what breaks it."""


def _faults(tree: ast.Module) -> Iterator[Fault]:
    """Every place that can be broken."""
    for node in _code(tree):
        if isinstance(node, ast.Compare):
            for place, operator in enumerate(node.ops):
                for table in (COMPARED, REVERSED):
                    if type(operator) in table:
                        yield node, "", _item(node.ops, place, table[type(operator)]())
        elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in WORKED:
            yield node, "", _attribute(node, "op", WORKED[type(node.op)]())
        elif isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, "", _attribute(node, "op", other)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, "", _attribute(node, "op", ast.UAdd())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            twice = ast.UnaryOp(op=ast.Not(), operand=node.operand)
            yield node, "", _attribute(node, "operand", twice)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, "", _attribute(node, "value", node.value + 1)
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            yield node, "", _attribute(node, "value", not node.value)
        elif isinstance(node, ast.Name) and node.id in SWAPPED:
            yield node, "", _attribute(node, "id", SWAPPED[node.id])
        elif isinstance(node, ast.Attribute) and node.attr in SWAPPED:
            yield node, "", _attribute(node, "attr", SWAPPED[node.attr])


UNASKED = frozenset({"annotation", "returns", "decorator_list"})


def _code(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes but annotations, decorators, the keywords of a class, and messages."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        yield node
        for name, value in ast.iter_fields(node):
            if name in UNASKED or (name == "keywords" and isinstance(node, ast.ClassDef)):
                continue
            children = value if isinstance(value, list) else [value]
            waiting += [
                child
                for child in children
                if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr)
            ]


def _item(items: list[ast.cmpop], place: int, value: ast.cmpop) -> Callable[[], None]:
    def apply() -> None:
        items[place] = value

    return apply


def _attribute(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    def apply() -> None:
        setattr(node, name, value)

    return apply


class Broken(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and gives it another text."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = ".".join(Path(mutant.path).with_suffix("").parts)

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        origin = str(ROOT / self._mutant.path)
        return importlib.util.spec_from_loader(fullname, self, origin=origin)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(ROOT / self._mutant.path)
        exec(compile(self._mutant.text, module.__file__, "exec"), module.__dict__)


def survives(mutant: Mutant, first: Sequence[str], then: Sequence[str]) -> bool:
    """Whether all tests pass with the fault in place."""
    return passes(first, mutant) and (not then or passes(then, mutant))


def passes(tests: Sequence[str], mutant: Mutant | None = None) -> bool:
    """Whether the tests are green, run by a child that imports the mutant in its module's place."""
    if not tests:  # pytest would run all there are
        return True
    child = os.fork()
    if child == 0:
        _run(tests, mutant)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _run(tests: Sequence[str], mutant: Mutant | None) -> None:
    """The child's whole life."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.chdir(ROOT)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        if mutant is not None:
            sys.meta_path.insert(0, Broken(mutant))
        code = int(pytest.main([*OPTIONS, *tests]))
    finally:
        os._exit(code)


def files_naming(path: str, tests: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of the test files, those that name a module, and the others."""
    files: list[Path] = []
    for test in tests:
        place = ROOT / test
        files += sorted(place.rglob("test_*.py")) if place.is_dir() else [place]
    word = re.compile(rf"\b{Path(path).stem}\b")
    named: dict[bool, list[str]] = {True: [], False: []}
    for file in files:
        beside = [each.read_text() for each in file.parent.glob("*.py") if each.stem == "known"]
        text = file.read_text()
        texts = [text, *beside] if "known import" in text else [text]
        mentioned = any(word.search(each) for each in texts)
        named[mentioned].append(str(file.relative_to(ROOT)))
    return named[True], named[False]


def verdicts(report: Path) -> dict[str, bool]:
    """What an earlier run found, by the mutant's key: true where it survived."""
    if not report.exists():
        return {}
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    return {line["key"]: line["survived"] for line in lines}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--module", action="append", help="a module; all of engine/venue without")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this long")
    parser.add_argument("--report", type=Path, default=ROOT / "runs" / "mutation.jsonl")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="files or folders of tests")
    parser.add_argument("--narrow", action="store_true", help="only tests that name the module")
    parser.add_argument("--again", action="store_true", help="ask the survivors once more")
    parser.add_argument("--list", action="store_true", help="only say what would be broken")
    given = parser.parse_args(arguments)
    modules = given.module or sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "engine" / "venue").glob("*.py")
    )
    wanted = {path: list(mutants(path, (ROOT / path).read_text())) for path in modules}
    every = [mutant for each in wanted.values() for mutant in each]
    if given.list:
        print("\n".join(mutant.name for mutant in every))
        return 0
    known = verdicts(given.report)
    if given.again:
        known = {key: survived for key, survived in known.items() if not survived}
    given.report.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + given.minutes * 60.0
    for name in PRELOADED:
        importlib.import_module(name)
    with given.report.open("a") as report:
        for path, each in wanted.items():
            first, then = files_naming(path, given.tests)
            then = [] if given.narrow else then
            left = [mutant for mutant in each if mutant.key not in known]
            if left and time.monotonic() < until and not passes(first):
                print(f"{path}: the tests are red without any fault", file=sys.stderr)
                return 1
            for mutant in left:
                if time.monotonic() > until:
                    break
                known[mutant.key] = survived = survives(mutant, first, then)
                line = {"key": mutant.key, "name": mutant.name, "survived": survived}
                report.write(json.dumps(line) + "\n")
                report.flush()
    return said(every, known)


def said(wanted: Sequence[Mutant], known: dict[str, bool]) -> int:
    """Print survivors and shares; 0 when all were asked."""
    asked = [mutant for mutant in wanted if mutant.key in known]
    survivors = [mutant for mutant in asked if known[mutant.key]]
    for mutant in survivors:
        print(f"survived {mutant.name}")
    killed = len(asked) - len(survivors)
    share = 100.0 * killed / len(asked) if asked else 0.0
    print(f"{killed} of {len(asked)} killed ({share:.1f} %), {len(wanted) - len(asked)} not asked")
    return 0 if len(asked) == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
