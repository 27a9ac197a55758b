"""From what a configuration says of creations and redemptions to what the heart needs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from engine.config.complaints import SettingError
from engine.config.offering_settings import OfferingConfig, SecondaryConfig, SplitConfig
from engine.durations import duration_ns
from engine.offering import Offering
from engine.secondary import SecondaryTerms
from engine.splits import SplitTerms
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, UNIT_STEPS

__all__ = ["offering_of", "secondary_of", "split_of"]

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_OFFSET: Final = re.compile(r"([+-])([01][0-9]):([0-5][0-9])")
_RATIO_MAX: Final = 1_000_000
_DECIMALS: Final = 8
_CAPS: Final = ("request_max", "user_day_max", "day_max", "nav_max", "units_max")


def offering_of(path: tuple[str | int, ...], config: OfferingConfig, atoms: int) -> Offering:
    """What the heart needs of it; ``atoms`` a quote.

    Raises:
        SettingError: with the place of what is no time, no grid or no cap.
    """
    found = _OFFSET.fullmatch(config.utc_offset)
    if not found:
        said = f"utc_offset: {config.utc_offset!r} is none; expected such as +08:00"
        raise SettingError((*path, "utc_offset"), said)
    sign = -1 if found[1] == "-" else 1
    ahead_ns = sign * (int(found[2]) * HOUR_NS + int(found[3]) * MINUTE_NS)
    opens_ns, closes_ns = (
        _clock_ns((*path, "window"), at) for at in config.window or ("00:00",) * 2
    )
    if config.window is not None and opens_ns == closes_ns:
        raise SettingError((*path, "window"), "window: it never opens; leave it out for all day")
    every_ns = 0 if config.batch_every is None else duration_ns(config.batch_every)
    if config.batch_every is not None and every_ns < SECOND_NS:
        said = f"batch_every must be at least 1s, was {config.batch_every!r}"
        raise SettingError((*path, "batch_every"), said)
    caps = {name: _cap(path, name, config, atoms) for name in _CAPS}
    return Offering(
        day_at_ns=-ahead_ns % DAY_NS,
        opens_ns=opens_ns,
        closes_ns=closes_ns,
        outside=config.outside,
        batch_ns=every_ns,
        batch_at_ns=_clock_ns((*path, "batch_at"), config.batch_at) - ahead_ns,
        **caps,
    )


def split_of(path: tuple[str | int, ...], config: SplitConfig) -> SplitTerms:
    """What the heart needs of splits and merges.

    Raises:
        SettingError: with the place of what cannot be.
    """
    if not 0.0 <= config.merge_below < 1e9:
        said = f"merge_below must be an amount of quote, was {config.merge_below:g}"
        raise SettingError((*path, "merge_below"), said)
    if not 2 <= config.merge <= _RATIO_MAX:
        said = f"merge must be from 2 to {_RATIO_MAX}, was {config.merge}"
        raise SettingError((*path, "merge"), said)
    if not 0 <= config.decimals <= _DECIMALS:
        said = f"decimals must be from 0 to {_DECIMALS}, was {config.decimals}"
        raise SettingError((*path, "decimals"), said)
    dates = []
    for number, each in enumerate(config.announced):
        if min(each.new, each.old) != 1 or not 2 <= max(each.new, each.old) <= _RATIO_MAX:
            said = f"new and old: 1 and from 2 to {_RATIO_MAX}, was {each.new} for {each.old}"
            raise SettingError((*path, "announced", number), said)
        dates.append((_instant_ns((*path, "announced", number, "at"), each.at), each.new, each.old))
    return SplitTerms(
        merge_below=config.merge_below,
        merge=config.merge,
        at_ns=_clock_ns((*path, "at"), config.at),
        dates=tuple(sorted(dates)),
        decimals=config.decimals,
    )


def secondary_of(
    path: tuple[str | int, ...], config: SecondaryConfig, atoms: int
) -> SecondaryTerms:
    """What the heart needs of how units trade; ``atoms`` a quote.

    Raises:
        SettingError: with the place of what cannot be.
    """
    depth = config.depth_at_1pct * atoms
    if not 1.0 <= depth < 2.0**62:
        said = f"depth_at_1pct must be an amount > 0, was {config.depth_at_1pct:g}"
        raise SettingError((*path, "depth_at_1pct"), said)
    if not 0.0 < config.limit < 1.0:
        said = f"limit must be a share between 0 and 1, was {config.limit:g}"
        raise SettingError((*path, "limit"), said)
    half_life_ns = duration_ns(config.half_life)
    if half_life_ns < SECOND_NS:
        said = f"half_life must be at least 1s, was {config.half_life!r}"
        raise SettingError((*path, "half_life"), said)
    return SecondaryTerms(depth_atoms=int(depth), half_life_ns=half_life_ns, limit=config.limit)


def _instant_ns(path: tuple[str | int, ...], text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        said = f"at: {text!r} is no time such as 2021-08-17T00:00:00Z"
        raise SettingError(path, said) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * SECOND_NS


def _clock_ns(path: tuple[str | int, ...], text: str) -> int:
    found = _CLOCK.fullmatch(text)
    if not found:
        said = f"{path[-1]}: {text!r} is no time of the day; expected HH:MM"
        raise SettingError(path, said)
    return int(found[1]) * HOUR_NS + int(found[2]) * MINUTE_NS


def _cap(path: tuple[str | int, ...], name: str, config: OfferingConfig, atoms: int) -> int:
    value = getattr(config, name)
    if value is None:
        return 0
    most = value * (UNIT_STEPS if name == "units_max" else atoms)
    if not 1.0 <= most < 2.0**62:
        raise SettingError((*path, name), f"{name} must be an amount > 0, was {value:g}")
    return int(most)
