"""A generated market, used like a recording."""

from __future__ import annotations

from collections.abc import Iterator

from engine.ticks import Step
from feeds.formats.names import split_symbol
from feeds.generators.draws import Draws
from feeds.generators.model import Model
from feeds.generators.quoting import KINDS, Quoting, decade_of
from feeds.inspection import when
from feeds.recording import InputFile, SymbolInfo
from feeds.unrecorded import Unrecorded

__all__ = ["Generated"]


class Generated(Unrecorded):
    """One path of a model; attributes and methods as in ``feeds.recording``."""

    def __init__(self, model: Model, seed: int, path: int, kind: str) -> None:
        self._model, self._seed, self._path = model, seed, path
        self._grid = model.grid()
        name = model.__struct_config__.tag
        super().__init__(
            f"{kind}:{name}:{seed}:{path}",
            kind,
            tuple(_info(model, symbol) for symbol in model.symbols),
            self._grid.start_ns + 1,
            self._made,
        )

    def files(self) -> tuple[InputFile, ...]:
        return self._model.files()

    def _made(self) -> Iterator[tuple[Step, float]]:
        draws = Draws(self._seed, self._path)
        quoting = Quoting(self._model, self._grid, draws)
        for number, chunk in enumerate(self._model.chunks(self._grid, draws)):
            yield quoting.step(number, chunk), (number + 1) / self._grid.chunks
        self.assumed = tuple(
            f"price_bound: {self.symbols[place].symbol}: what was drawn left e^30 times its "
            f"opening, or one part in that, at {when(ts_ns)}; a generated price stays at that "
            "bound until it comes back"
            for place, ts_ns in sorted(quoting.bounded_ns.items())
        )


def _info(model: Model, symbol: str) -> SymbolInfo:
    base, quote = split_symbol(symbol)
    decade = decade_of(model.opening(symbol))
    return SymbolInfo(
        symbol, base, quote or "USDT", "linear", 1.0, KINDS[model.rows], decade=decade
    )
