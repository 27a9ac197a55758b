"""Which heart is under test, and where the processes that tests start import it from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import engine
from engine import walk

__all__ = ["COMPILED", "IMPORTED_FROM"]

COMPILED: Final = not walk.__file__.endswith(".py")

IMPORTED_FROM: Final = os.pathsep.join(
    dict.fromkeys(str(Path(file).parents[1]) for file in (engine.__file__, __file__))
)
"""``PYTHONPATH`` of such a process: the compiled heart, where that is tested, then this folder."""
