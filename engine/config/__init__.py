"""What a run consists of: settings, their file, the standard line-up, and what the heart makes of
them."""

from __future__ import annotations

from engine.config.assumptions import assumptions
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
    "assumptions",
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
