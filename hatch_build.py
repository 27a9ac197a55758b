"""Compiles the heart for a wheel, where whoever builds it asks for that.

``HATCH_BUILD_HOOKS_ENABLE=1 pip install .`` makes of the modules that ``pyproject.toml`` names one
extension, by mypyc: the same modules, of the same source, that say the same to the last byte.
Everything else stays as it is, and so does all of it in an editable installation. Takes a C
compiler and Python's headers.

What mypyc 2.4 does otherwise than Python is mended, or refused:

- a ``Final`` tuple of floats at the top of a module counts as never set: it is no ``Final`` there;
- a ``Struct`` would lose its tag: no module that defines one may be named;
- integers beyond 2**53 are divided as floats, and rounded twice: that function is replaced;
- where a processor multiplies and adds in one rounding, a C compiler may use that: it may not here.

An integer that is compared with a float is made a float before: beyond 2**53 write ``float(...)``.
"""

from __future__ import annotations

import ast
import shutil
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY: Final = "levsim"
"""All modules share one library: ``levsim__mypyc`` in the wheel."""

EXACTLY: Final = "-ffp-contract=off"

QUOTIENT: Final = """
static double exact_quotient(CPyTagged x, CPyTagged y) {
    const CPyTagged most = (CPyTagged)1 << 54; /* 2**53, tagged: so far doubles are exact */
    if (!((x | y) & CPY_INT_TAG) && x + most <= 2 * most && y + most <= 2 * most)
        return CPyTagged_TrueDivide(x, y);
    PyObject *over = CPyTagged_AsObject(x), *under = CPyTagged_AsObject(y);
    PyObject *quotient = PyNumber_TrueDivide(over, under);
    Py_DECREF(over);
    Py_DECREF(under);
    if (quotient == NULL)
        return CPY_FLOAT_ERROR;
    double found = PyFloat_AS_DOUBLE(quotient);
    Py_DECREF(quotient);
    return found;
}
"""


class CompiledHeart(BuildHookInterface[Any]):
    """The hook ``custom`` of ``pyproject.toml``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put what comes out beside the sources in the wheel."""
        self.folder = TemporaryDirectory()  # gone at the end, also where compiling fails
        if version != "editable":
            found = compiled(Path(self.root), Path(self.folder.name), self.config["modules"])
            build_data["force_include"].update(found)
            build_data["infer_tag"], build_data["pure_python"] = True, False

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """The wheel is made."""
        self.folder.cleanup()


def compiled(root: Path, folder: Path, modules: list[str]) -> dict[str, str]:
    """Make extensions of modules.

    Args:
        root: where the packages lie.
        folder: an empty one, to work in.
        modules: names, of one package.

    Returns:
        Where each extension and their library lie now, and their place in the wheel.
    """
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    source, in_c, made = folder / "source", folder / "c", folder / "made"
    package = modules[0].partition(".")[0]
    shutil.copytree(root / package, source / package)
    paths = [module.replace(".", "/") + ".py" for module in modules]
    for path in paths:
        text = (source / path).read_text("utf-8")
        (source / path).write_text(prepared(text, path), "utf-8")
    with chdir(source):
        extensions = mypycify(
            ["--strict", "--follow-imports=silent", *paths],
            opt_level="3",
            debug_level="0",
            group_name=LIBRARY,
            target_dir=str(in_c),
        )
        for file in in_c.rglob("*.c"):
            file.write_text(divided_exactly(file.read_text("utf-8")), "utf-8")
        for extension in extensions:
            extension.extra_compile_args.append(EXACTLY)
        command = build_ext(Distribution({"name": LIBRARY, "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(made), str(folder / "objects")
        command.ensure_finalized()
        command.run()
    found = sorted(path for path in made.rglob("*") if path.is_file())
    if len(found) != len(paths) + 1:
        raise SystemExit(f"asked for {len(paths)} modules and their library, and got {found}")
    return {str(path): path.relative_to(made).as_posix() for path in found}


def prepared(text: str, path: str) -> str:
    """A module's source as mypyc takes it, each line where it was.

    Raises:
        SystemExit: if it defines a ``Struct``.
    """
    tree, lines = ast.parse(text), text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("Struct" in ast.unparse(b) for b in node.bases):
            where = f"{path}:{node.lineno}"
            raise SystemExit(f"{where}: {node.name} is a Struct, which cannot be compiled")
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Tuple):
            line = statement.lineno - 1
            lines[line] = lines[line].replace(": Final =", " =", 1)
    return "\n".join(lines) + "\n"


def divided_exactly(text: str) -> str:
    """C of mypyc with quotients of integers that are rounded as Python rounds them: once."""
    call = "= CPyTagged_TrueDivide("
    if call not in text:
        return text
    head, include, rest = text.rpartition("#include")
    line, _, body = rest.partition("\n")
    return f"{head}{include}{line}\n{QUOTIENT}{body.replace(call, '= exact_quotient(')}"
