"""What a run replays: recorded files, a generated market, or the sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.config import RunConfig, load_generator
from engine.errors import ConfigError
from engine.provenance import Data
from feeds.generators import generated
from feeds.recording import open_recording
from feeds.synthetic import Synthetic

__all__ = ["open_data", "open_market"]


def open_data(data: Sequence[str | Path] | str | Path = (), symbol: str | None = None) -> Data:
    """A recording, or the synthetic sample for no data or ``sample``."""
    paths = [data] if isinstance(data, str | Path) else list(data)
    if not paths or [str(p) for p in paths] == ["sample"]:
        return Synthetic()
    return open_recording(paths, symbol=symbol)


def open_market(
    data: Sequence[str | Path] | str | Path = (),
    config: str | Path | RunConfig | None = None,
    sets: Sequence[str] = (),
    symbol: str | None = None,
) -> Data:
    """What a run replays: its data, or the market that its configuration generates.

    Raises:
        ConfigError: if there are both.
    """
    found = config if isinstance(config, RunConfig) else load_generator(config, sets)
    if found is None or found.generator is None:
        return open_data(data, symbol)
    if isinstance(data, str | Path) or data:
        raise ConfigError("[generator] makes the market, and DATA were given too; leave one out")
    return generated(found.generator, found.seed)
