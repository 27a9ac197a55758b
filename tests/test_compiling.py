"""Tests of ``hatch_build.py``: what is compiled says what Python says, to the last bit.

``FUNDS`` holds what mypyc by itself takes otherwise. Without the mending its pair of floats counts
as never set, and a third of the quotients of integers beyond 2**53 are wrong by one bit; both were
planted once. ``tests/docker`` compiles the heart itself, as the image does, and holds its digest to
that of the sources.
"""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from hatch_build import prepared

ROOT = Path(__file__).parents[1]
PACKAGES: Final = ("engine", "feeds", "strategies")

FUNDS: Final = """
from typing import Final

PAIR: Final = (0.5, -4.0)


class Account:
    __slots__ = ("lots",)

    def __init__(self, lots: int) -> None:
        self.lots = lots


class Fund(Account):
    __slots__ = ("level",)

    def __init__(self, lots: int, level: float) -> None:
        super().__init__(lots)
        self.level = level

    def share(self, of: int) -> float:
        return self.lots / of

    def edge(self) -> float:
        return PAIR[0] * self.level + PAIR[1]
"""

ASK: Final = """
import json, sys
from traps.funds import Fund
import traps.funds
pairs, levels = json.load(sys.stdin)
shares = []
for over, under in pairs:
    try:
        shares.append(Fund(over, 0.0).share(under).hex())
    except ArithmeticError as error:
        shares.append(type(error).__name__)
edges = [Fund(0, level).edge().hex() for level in levels]
print(json.dumps([traps.funds.__file__, shares, edges]))
"""


def asked(folder: Path, questions: str) -> tuple[str, list[str], list[str]]:
    """What the module in a folder answers, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        check=False,
        cwd=folder,
        input=questions,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, shares, edges = json.loads(done.stdout)
    return file, shares, edges


def test_compiled_it_says_the_same(tmp_path: Path) -> None:
    """Quotients of integers of all sizes, and what stands on a constant pair of floats."""
    source, work = tmp_path / "source", tmp_path / "work"
    (source / "traps").mkdir(parents=True)
    work.mkdir()
    (source / "traps" / "__init__.py").touch()
    (source / "traps" / "funds.py").write_text(FUNDS)
    build = (
        "import json, sys; from pathlib import Path; from hatch_build import compiled\n"
        "found = compiled(Path(sys.argv[1]), Path(sys.argv[2]), ['traps.funds'])\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", build, str(source), str(work)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 2
    draw = random.Random(7)
    sizes = [draw.getrandbits(draw.randrange(1, 75)) for _ in range(4_000)]
    signed = [size * draw.choice((1, -1)) for size in sizes]
    near = [2**power + away for power in (52, 53, 54, 61, 62, 63, 64) for away in range(-3, 4)]
    numbers = signed + near + [-each for each in near]
    pairs = [(over, under) for over, under in zip(numbers, reversed(numbers), strict=True)]
    pairs += [(1, 0), (10**400, 3), (0, -7), (2**53 + 1, 2**53 + 3), (3, 10**400)]
    questions = json.dumps([pairs, [draw.uniform(-9.0, 9.0) for _ in range(200)]])
    plain = asked(source, questions)
    for lies, place in found.items():
        target = source / place
        target.write_bytes(Path(lies).read_bytes())
    made = asked(source, questions)
    assert plain[0].endswith(".py")
    assert not made[0].endswith(".py")
    assert made[1:] == plain[1:]


def test_prepared_source_keeps_its_lines() -> None:
    """A traceback of the compiled heart names the line in the source."""
    told, before = prepared(FUNDS, "funds.py").splitlines(), FUNDS.splitlines()
    assert [(old, new) for old, new in zip(before, told, strict=True) if old != new] == [
        ("PAIR: Final = (0.5, -4.0)", "PAIR = (0.5, -4.0)")
    ]


@pytest.mark.parametrize("base", ["Struct", "msgspec.Struct"])
def test_a_struct_is_refused(base: str) -> None:
    """Compiled it would lose its tag, and with it its place in every snapshot."""
    with pytest.raises(SystemExit, match=r"state\.py:2: State is a Struct"):
        prepared(f"\nclass State({base}, tag='depth'):\n    lots: int\n", "state.py")


def test_the_modules_that_are_compiled() -> None:
    """Each can be prepared; whatever derives from a class of theirs is compiled, too, and whatever
    that derives from: classes of C have neither heirs nor, where these have slots, parents in
    Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    names: list[str] = hook["modules"]
    assert names == sorted(set(names))
    assert set(hook["dependencies"]) <= set((ROOT / "constraints.txt").read_text().split())
    assert not hook["enable-by-default"]
    own: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            text = path.read_text()
            if name in names:
                prepared(text, name)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    bases = [ast.unparse(base) for base in node.bases]
                    (own if name in names else others)[node.name] = bases
    heirs = {name for name, bases in others.items() if own.keys() & set(bases)}
    parents = {base for bases in own.values() for base in bases} & others.keys() - own.keys()
    assert (heirs, parents) == (set(), set())


def _told(tree: ast.ClassDef) -> tuple[set[str], set[str]]:
    """The attributes that a class annotates, and all that it makes."""
    lines = [ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)]
    annotated, made = {f"self.{line}" for line in lines}, set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            annotated.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign):
            made |= {ast.unparse(target) for target in node.targets}
    annotated = {each for each in annotated if each.startswith("self.")}
    return annotated, annotated | made


def test_no_heir_annotates_what_its_parent_has() -> None:
    """What mypyc makes of such a class shows the attribute to the garbage collector twice, who then
    frees nothing that leads to it: ``Hedging.desk`` kept every engine of a sweep in memory whose
    hedges share an account or have a treasury."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    classes: dict[str, ast.ClassDef] = {}
    for name in hook["modules"]:
        tree = ast.parse((ROOT / (name.replace(".", "/") + ".py")).read_text())
        classes |= {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    twice = set[tuple[str, str]]()
    for name, heir in classes.items():
        parents = [ast.unparse(base) for base in heir.bases]
        while parents:
            parent = classes.get(parents.pop())
            if parent is not None:
                twice |= {(name, each) for each in _told(heir)[0] & _told(parent)[1]}
                parents += [ast.unparse(base) for base in parent.bases]
    assert twice == set()
