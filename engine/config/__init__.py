"""What a run consists of: settings, their file, the standard line-up, and what the heart makes of
them.

Each part is imported when a name of it is asked for: who lists presets or packs waits for neither
the engine nor the formats of recordings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from engine.config.binding import spec_of
    from engine.config.complaints import SettingError, nearest
    from engine.config.lineup import standard_lineup
    from engine.config.loading import (
        PROVENANCE,
        load_config,
        load_generator,
        placed,
        resolved_toml,
    )
    from engine.config.packs import pack, pack_names
    from engine.config.pricing import check_generated
    from engine.config.replacing import isolated
    from engine.config.settings import RunConfig, duration_ns
    from engine.config.sharding import share_of
    from engine.config.toml_text import write_toml
    from engine.config.venue_settings import PRESETS
    from engine.config.venues import facts_of, preset, venue_rules

__all__ = [
    "PRESETS",
    "PROVENANCE",
    "RunConfig",
    "SettingError",
    "check_generated",
    "duration_ns",
    "facts_of",
    "isolated",
    "load_config",
    "load_generator",
    "nearest",
    "pack",
    "pack_names",
    "placed",
    "preset",
    "resolved_toml",
    "share_of",
    "spec_of",
    "standard_lineup",
    "venue_rules",
    "write_toml",
]

_PLACES: Final = {
    "binding": ("spec_of",),
    "complaints": ("SettingError", "nearest"),
    "lineup": ("standard_lineup",),
    "loading": ("PROVENANCE", "load_config", "load_generator", "placed", "resolved_toml"),
    "packs": ("pack", "pack_names"),
    "pricing": ("check_generated",),
    "replacing": ("isolated",),
    "settings": ("RunConfig", "duration_ns"),
    "sharding": ("share_of",),
    "toml_text": ("write_toml",),
    "venue_settings": ("PRESETS",),
    "venues": ("facts_of", "preset", "venue_rules"),
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
