"""Many runs: the points of a grid on the paths of a generator, in chunks that anybody may work."""

from __future__ import annotations

from engine.sweep.driver import Progress
from engine.sweep.finished import SweepResult, load_sweep
from engine.sweep.sweeping import sweep

__all__ = ["Progress", "SweepResult", "load_sweep", "sweep"]
