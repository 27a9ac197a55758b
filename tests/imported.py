"""Where the heart under test was imported from, for the processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import engine

__all__ = ["IMPORTED_FROM"]

IMPORTED_FROM: Final = os.pathsep.join(
    dict.fromkeys(str(Path(file).parents[1]) for file in (engine.__file__, __file__))
)
"""``PYTHONPATH`` of such a process: the compiled heart, where that is tested, then this folder."""
