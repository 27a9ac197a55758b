"""The notebooks of ``docs/``, run in a clean kernel.

``python -m tests.docs.notebooks`` runs each and writes what came of it into the file: for whoever
changed a notebook, or a rule that changes what it shows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.imported import IMPORTED_FROM

__all__ = ["NOTEBOOKS", "ROOT", "outputs_of", "ran", "shown_by"]

ROOT: Final = Path(__file__).parents[2]
NOTEBOOKS: Final = tuple(sorted((ROOT / "docs").glob("*.ipynb")))
SECONDS: Final = 600
_KEPT: Final = ("text/html", "image/svg+xml", "text/plain")
"""What a notebook shows of a result, the best first; one is kept."""


def ran(path: Path, folder: Path) -> Any:
    """The notebook, run from its first cell to its last in a new kernel that works in ``folder``.

    Raises:
        CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
    client = NotebookClient(
        notebook,
        manager,
        timeout=SECONDS,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR", "--HistoryManager.enabled=False"],
    )
    client.execute(env=_environment(folder), cleanup_kc=True)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_kept(output) for output in cell.outputs]
    notebook.metadata = nbformat.read(path, as_version=4).metadata
    return notebook


def _environment(folder: Path) -> dict[str, str]:
    """What the kernel knows: this tree, and a home of its own."""
    home = {
        name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")
    }
    return {**os.environ, **home, "PYTHONPATH": IMPORTED_FROM, "PYTHONWARNINGS": "default"}


def _kept(output: Any) -> Any:
    """An output without what differs from one machine to the next."""
    if "data" in output:
        best = next(kind for kind in _KEPT if kind in output.data)
        output.data = {best: output.data[best]}
        output.metadata = {}
    return output


def outputs_of(notebook: Any) -> list[list[Mapping[str, Any]]]:
    """What each code cell showed."""
    return [list(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def shown_by(notebook: Any) -> Iterator[str]:
    """All that its cells showed, as text."""
    for outputs in outputs_of(notebook):
        for output in outputs:
            yield from output["data"].values() if "data" in output else [output.get("text", "")]


def main() -> None:
    """Run each and write it."""
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            notebook = ran(path, Path(folder))
        nbformat.write(notebook, path)
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
