"""All of levsim as objects, for programs and notebooks.

``run`` replays, ``whatif`` replays once more with something changed, ``load`` opens a finished run,
``compare`` puts runs side by side, ``paths`` shuffles the returns, ``sweep`` runs many settings on
many paths, ``stream`` reads what a live engine commits. Tables are ``pyarrow`` tables, times are
nanoseconds since 1970 in UTC, money stands in atoms or in quote as the column's name says. Nothing
but ``stream`` needs an event loop; all of it works inside one.
"""

from __future__ import annotations

from engine.inputs import open_data, open_market
from engine.paths import PathsResult, paths
from engine.report.notebook import shown
from engine.results import RunResult, compare
from engine.running import Told, load, run
from engine.streaming import Part, stream
from engine.sweep import SweepResult, load_sweep, sweep
from engine.whatif import WhatIf, whatif

__all__ = [
    "Part",
    "PathsResult",
    "RunResult",
    "SweepResult",
    "Told",
    "WhatIf",
    "compare",
    "load",
    "load_sweep",
    "open_data",
    "open_market",
    "paths",
    "run",
    "shown",
    "stream",
    "sweep",
    "whatif",
]
