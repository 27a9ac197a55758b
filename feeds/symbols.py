"""Which inputs are one symbol, and which are one capture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.errors import InputError
from engine.ticks import Kind
from engine.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from feeds.formats.format import Content, Contract, Format, Market, markets_of

__all__ = ["SymbolInfo", "chained", "symbols_of"]

_COARSE: Final = 10
"""Marks this many times sparser than the bars cannot value a product between them."""


class SymbolInfo(Struct, frozen=True):
    """One symbol of a recording.

    Attributes:
        symbol: the venue's name; the spot market of a name that is also a contract's ends in
            ``-SPOT``, and of prices in bars of several lengths the longer ones end in theirs
            (``-1d``).
        base, quote: assets.
        contract: what one contract pays.
        contract_size: quote face of one contract where inverse, else 1.0.
        kinds: what is recorded of it.
        bar_ns: interval of the (shortest) bars where it is fed by bars, else ``None``.
        mark_ns: usual time between recorded marks where it is known to be long, else ``None``.
        decade: the power of ten at or below its first prices; ``None`` where nobody has looked.
    """

    symbol: str
    base: str
    quote: str
    contract: Contract
    contract_size: float
    kinds: tuple[Kind, ...]
    bar_ns: int | None = None
    mark_ns: int | None = None
    decade: float | None = None

    @property
    def mark_coarse(self) -> bool:
        """Recorded marks are more than 10 times sparser than prices: no source of marks."""
        priced = Kind.TRADE in self.kinds or Kind.BBO in self.kinds
        return priced and self.mark_ns is not None and self.mark_ns > _COARSE * (self.bar_ns or 0)


def chained(
    contents: Sequence[tuple[Format, Content]],
) -> list[tuple[Format, tuple[Content, ...]]]:
    """Captures of one market that follow one another, as one; in the order of their first files.

    Files of one market and format stand in the order of their times, in whichever they were named:
    what one ends with and the next begins with may be of one instant."""
    contents = _in_time(contents)
    chains: list[tuple[Format, list[Content]]] = []
    ordered = sorted(enumerate(contents), key=lambda pair: (pair[1][1].received_ns[0], pair[0]))
    placed: list[int] = []
    for number, (known, content) in ordered:
        for place, (_, chain) in enumerate(chains):
            last = chain[-1]
            follows = last.received_ns[1] <= content.received_ns[0]
            if content.chain and last.chain == content.chain and follows:
                chain.append(content)
                placed[place] = min(placed[place], number)
                break
        else:
            chains.append((known, [content]))
            placed.append(number)
    order = sorted(range(len(chains)), key=lambda place: placed[place])
    return [(chains[place][0], tuple(chains[place][1])) for place in order]


def _in_time(contents: Sequence[tuple[Format, Content]]) -> list[tuple[Format, Content]]:
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, (known, content) in enumerate(contents):
        alike.setdefault((known.name, content.markets, content.priority), []).append(place)
    ordered = list(contents)
    for places in alike.values():
        in_time = sorted((contents[place] for place in places), key=lambda each: each[1].first_ns)
        for place, each in zip(places, in_time, strict=True):
            ordered[place] = each
    return ordered


def symbols_of(
    chains: Sequence[tuple[Content, ...]],
) -> tuple[tuple[SymbolInfo, ...], list[tuple[int, ...]]]:
    """The recording's symbols in order of appearance, and the place of each input's own symbols
    among them.

    Prices of one market in bars of two lengths (or in bars and in ticks) are two symbols: mixed,
    the long bar would tell its high before the short ones reach it. The finest keeps the name, and
    the funding and marks.

    Raises:
        InputError: if no input has a market.
    """
    everything = [market for chain in chains for content in chain for market in content.markets]
    if not everything:
        raise InputError(chains[0][0].marketless)
    finest: dict[tuple[str, bool], int] = {}
    for market in everything:
        if _is_priced(market):
            length = market.bar_ns or 0
            finest[_key(market)] = min(length, finest.get(_key(market), length))
    found: dict[tuple[str, bool, int], list[Market]] = {}

    def place_of(market: Market) -> tuple[str, bool, int]:
        fine = finest.get(_key(market), 0)
        return (*_key(market), (market.bar_ns or 0) if _is_priced(market) else fine)

    for market in everything:
        found.setdefault(place_of(market), []).append(market)
    order = {key: place for place, key in enumerate(found)}
    infos = []
    for (name, spot, bar_ns), markets in found.items():
        shown = f"{name}-SPOT" if spot and any(k[0] == name and not k[1] for k in found) else name
        if bar_ns != finest.get((name, spot), bar_ns):
            shown += f"-{_length(bar_ns)}"
        infos.append(_info(shown, markets))
    places = [tuple(order[place_of(m)] for m in markets_of(chain)) for chain in chains]
    return tuple(infos), places


def _key(market: Market) -> tuple[str, bool]:
    return market.symbol, market.contract == "spot"


def _is_priced(market: Market) -> bool:
    return Kind.TRADE in market.kinds or Kind.BBO in market.kinds


def _length(bar_ns: int) -> str:
    """A bar's length as venues write it: 1m, 8h, 1d."""
    for unit_ns, unit in ((DAY_NS, "d"), (HOUR_NS, "h"), (MINUTE_NS, "m")):
        if bar_ns % unit_ns == 0:
            return f"{bar_ns // unit_ns}{unit}"
    return f"{bar_ns // SECOND_NS}s"


def _info(name: str, markets: Sequence[Market]) -> SymbolInfo:
    first = markets[0]
    kinds = {kind for market in markets for kind in market.kinds}
    bars = [market.bar_ns for market in markets if market.bar_ns is not None]
    marks = [market.mark_ns for market in markets if Kind.MARK in market.kinds]
    spaced = [mark_ns for mark_ns in marks if mark_ns is not None]
    return SymbolInfo(
        symbol=name,
        base=first.base,
        quote=first.quote,
        contract=first.contract,
        contract_size=first.contract_size,
        kinds=tuple(sorted(kinds)),
        bar_ns=min(bars, default=None),
        mark_ns=min(spaced, default=None) if len(spaced) == len(marks) else None,
    )
