"""The treasury of one product: tops its margin up when that runs short.

The venue sees what lies there, and nothing else: money that is on its way does not count before it
arrives. A top-up brings the margin back to its share of the product's equity, and at least to twice
what it was called at (of which the venue's haircut does not count), as far as the treasury goes;
one is under way at a time. While the venue's withdrawals are frozen none arrives.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from engine.account import Account
from engine.orders import Scene
from engine.units import NEVER_NS, Rounding, decimal, mul_div, total
from engine.venue_events import TopUpArrived, TopUpFrozen, TopUpOrdered

__all__ = ["TopUp", "Treasury"]


class TopUp(Struct):
    """Money on its way to the venue: settlement atoms, when it is due, and when it arrives."""

    atoms: int
    due_ns: int
    arrives_ns: int


class Treasury:
    """Orders the top-ups of one product, and books them."""

    __slots__ = ("account", "peers", "topup")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.topup: TopUp | None = None
        self.peers: Callable[[], list[tuple[Scene, list[Account]]]] | None = None
        """Of an omnibus account: the books of all its products that live, this one's too, by
        market."""

    @property
    def arrives_ns(self) -> int:
        """When the top-up under way arrives."""
        return NEVER_NS if self.topup is None else self.topup.arrives_ns

    def call(self, scene: Scene, multiple: float) -> bool:
        """The margin came down to ``multiple`` times maintenance; whether a top-up was ordered."""
        account, listing = self.account, scene.listing
        if listing is None or not account.backed:
            return False
        needed = listing.maintenance(account.lots, account.state.cost, scene.mark)
        share = decimal(multiple)
        least = mul_div(2 * needed, share.numerator, share.denominator, Rounding.UP)
        return self._order(scene, least)

    def covers(self, scene: Scene, lots: int) -> bool:
        """Whether the margin at the venue, of an omnibus account that of all its products on all
        its markets, lets the account trade ``lots``; where it does not a top-up is ordered. Only
        what opens more needs any."""
        account, listing = self.account, scene.listing
        if listing is None or not (account.backed or self.peers or account.spec.hedge.haircut):
            return True
        margin = needed = 0
        for market, books in [(scene, [account])] if self.peers is None else self.peers():
            held, mark = total(book.lots for book in books), market.mark
            if market is scene:
                if abs(held + lots) <= abs(held):
                    return True
                held += lots
            margin += total(book.margin(mark) - book.withheld_of(book.state.cost) for book in books)
            if held and market.listing is not None:
                needed += market.listing.opening(held, mark)
        if margin >= needed:
            return True
        self._order(scene, 2 * listing.opening(account.lots + lots, scene.mark))
        return False

    def _order(self, scene: Scene, least: int) -> bool:
        """Order what brings the margin to its share, and to ``least``; whether that is any."""
        account = self.account
        margin, treasury = account.margin(scene.mark), account.treasury
        counted = margin - account.withheld_of(account.state.cost)
        kept = 1 - decimal(account.spec.hedge.haircut)
        more = mul_div(least - counted, kept.denominator, kept.numerator, Rounding.UP)
        wanted = max(account.share_of(margin + treasury) - margin, more)
        atoms = min(wanted, account.backing)
        if self.topup is not None or atoms <= 0:
            return False
        due_ns = scene.ts_ns + account.spec.hedge.topup_latency_ns
        self.topup = TopUp(atoms, due_ns, due_ns)
        scene.tape.say(
            TopUpOrdered,
            product=account.spec.id,
            atoms=atoms,
            arrives_ns=due_ns,
            margin_atoms=margin,
            treasury_atoms=treasury,
        )
        self.freeze(scene)
        return True

    def freeze(self, scene: Scene) -> None:
        """The venue's withdrawals are frozen, or no more: what is under way waits as long."""
        topup = self.topup
        if topup is None:
            return
        before, topup.arrives_ns = topup.arrives_ns, max(topup.due_ns, scene.frozen_ns, scene.ts_ns)
        if topup.arrives_ns > before:
            scene.tape.say(
                TopUpFrozen,
                product=self.account.spec.id,
                atoms=topup.atoms,
                until_ns=topup.arrives_ns,
            )

    def arrive(self, scene: Scene) -> None:
        """Book what arrives: as much of it as the treasury still has."""
        account, topup = self.account, self.topup
        assert topup is not None
        self.topup = None
        atoms = min(topup.atoms, account.backing)
        own = max(0, atoms - account.treasury)
        account.top_up(atoms, scene.mark)
        account.state.topups += 1
        scene.tape.say(
            TopUpArrived,
            product=account.spec.id,
            atoms=atoms,
            margin_atoms=account.margin(scene.mark),
            treasury_atoms=account.treasury,
            issuer_atoms=own,
        )
