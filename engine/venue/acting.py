"""When the owners of margin accounts last did something themselves: a venue whose liquidation fee
rises while nobody stirs counts from then.

An owner acts by a trade of his own and by paying money in. What the venue does to him, and funding,
are no acts of his. The venue's other customers act once, when they open their positions.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.venue.margined import Lots, Margined, lots_of

__all__ = ["Acting"]


class Acting:
    """The last act of each account that is told of.

    Args:
        known: by account when its owner last acted, what it held and the top-ups it had since.
        counts: whether any venue asks; else nothing is kept.
    """

    __slots__ = ("counts", "known")

    def __init__(self, known: dict[str, tuple[int, Lots, int]], *, counts: bool) -> None:
        self.known = known
        self.counts = counts

    def opened(self, names: Iterable[str], ts_ns: int) -> None:
        """These opened what they hold."""
        if self.counts:
            self.known.update((name, (ts_ns, (), 0)) for name in names)

    def changed(self, account: Margined, ts_ns: int) -> None:
        """An account changed, not by the venue's hand: whoever holds other lots of a market, or
        paid in, did it himself."""
        if self.counts:
            held = _held(account)
            last = self.known.get(account.name)
            if last is None or last[1:] != held:
                self.known[account.name] = (ts_ns, *held)

    def seized(self, accounts: Iterable[Margined]) -> None:
        """The venue moved what these hold."""
        for account in accounts if self.counts else ():
            last = self.known.get(account.name)
            if last is not None:
                self.known[account.name] = (last[0], *_held(account))

    def idle_ns(self, name: str, ts_ns: int) -> int:
        """For how long the owner has done nothing; 0 where nothing is known of him."""
        last = self.known.get(name)
        return 0 if last is None else ts_ns - last[0]


def _held(account: Margined) -> tuple[Lots, int]:
    return lots_of(account.positions()), account.topups
