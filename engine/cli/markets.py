"""The markets of a live engine: from a configuration, or from data that look like the ticks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

if TYPE_CHECKING:
    from engine.config import RunConfig
    from engine.engine import EngineSpec
    from engine.sampler import Sampling
    from feeds.recording import SymbolInfo

__all__ = ["Like", "Live", "live_markets"]

Like = Annotated[
    Path | None,
    Parameter(help="Data with the symbols of the ticks, instead of a file's markets."),
]


class Live(NamedTuple):
    """What the shards of one configuration serve together."""

    settings: RunConfig
    symbols: tuple[SymbolInfo, ...]
    whole: EngineSpec

    def share(self, shard: int, shards: int) -> tuple[EngineSpec, tuple[SymbolInfo, ...]]:
        """What one shard's engine consists of, and the symbols that it gets."""
        from msgspec.structs import replace

        from engine.config import share_of, spec_of

        spec, symbols = self.whole, self.symbols
        if shards > 1 or shard > 0:
            settings, symbols = share_of(self.settings, symbols, shard, shards)
            spec = spec_of(settings, symbols)
        return replace(spec, sampling=_sampling(self.settings, spec.sampling)), symbols


def live_markets(
    config: Path | None,
    like: Path | None,
    sets: list[str] | None,
    policy: str | None,
    *,
    isolate: bool = False,
) -> Live:
    """The configuration with its markets; what is wrong with a setting is told with its line."""
    from engine.config import check_generated, isolated, load_config, placed, spec_of

    symbols = _symbols(config, like)
    settings = load_config(config, sets or [], symbols=symbols, policy=policy)
    settings = isolated(settings) if isolate else settings
    with placed(config if policy is None else None, sets or []):
        check_generated(settings, synthetic=False)
        return Live(settings, symbols, spec_of(settings, symbols))


def _sampling(settings: RunConfig, sampling: Sampling) -> Sampling:
    """Holders at once when their product trades, and all of them at the cadence: a topic takes what
    a file would be too large for."""
    from msgspec.structs import replace

    from engine.config import duration_ns

    output = settings.output
    every_ns = 0 if output.users == "none" else duration_ns(output.user_nav_every)
    return replace(sampling, users_on_trade=True, user_nav_every_ns=every_ns)


def _symbols(config: Path | None, like: Path | None) -> tuple[SymbolInfo, ...]:
    """The symbols of the ticks: those of a recording, or of the markets that the configuration
    lists."""
    from engine import api
    from engine.config import load_config
    from engine.errors import ConfigError

    if like is not None:
        return tuple(api.open_data([like]).symbols)
    listed = load_config(config) if config is not None else None
    if listed is None or not listed.markets:
        raise ConfigError(
            "which symbols do the ticks have? List [[markets]] in "
            "-c CONFIG.toml, or give --like DATA "
            "(--like sample for the synthetic one)"
        )
    return tuple(_info(listed, number) for number in range(len(listed.markets)))


def _info(config: RunConfig, number: int) -> SymbolInfo:
    """A live market: every kind of row may come; ``mark = "auto"`` means recorded marks."""
    from engine.ticks import Kind
    from feeds.formats.names import market
    from feeds.recording import SymbolInfo

    listed = config.markets[number]
    known = market("configuration", listed.symbol, listed.contract.kind)
    contract = listed.contract
    return SymbolInfo(
        symbol=listed.symbol,
        base=contract.base or known.base,
        quote=contract.quote or known.quote,
        contract=contract.kind or known.contract,
        contract_size=contract.contract_size or known.contract_size,
        kinds=tuple(Kind),
    )
