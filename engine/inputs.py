"""What a run replays: recorded files, a generated market, or the sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from feeds.generators import Generator, generated
from feeds.recording import open_recording
from feeds.synthetic import Synthetic

if TYPE_CHECKING:
    from engine.config import RunConfig
    from engine.provenance import Data

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
    base: Generator | None = None,
) -> Data:
    """What a run replays: its data, or the market that its configuration generates, or that its
    scenario stands on (``base``).

    Raises:
        ConfigError: if there are both.
    """
    from engine.config import RunConfig, load_generator  # dear; a recording needs no settings

    found = config if isinstance(config, RunConfig) else load_generator(config, sets)
    if found is None or found.generator is None:
        if base is None or isinstance(data, str | Path) or data:
            return open_data(data, symbol)
        return generated(base, _seed(config, sets))
    if isinstance(data, str | Path) or data:
        raise ConfigError("[generator] makes the market, and DATA were given too; leave one out")
    return generated(found.generator, found.seed)


def _seed(config: str | Path | RunConfig | None, sets: Sequence[str]) -> int:
    from engine.config import RunConfig, load_config

    if isinstance(config, RunConfig):
        return config.seed
    own = [each for each in sets if each.partition("=")[0].strip() == "seed"]
    return load_config(config, own).seed
