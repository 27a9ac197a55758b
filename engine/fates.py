"""What befell products in a run: when the venue or a lender closed one, and how often its owner was
called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.events import Output, ProductClosed, ProductWarned, Rebalanced
from engine.venue_events import (
    LiquidationEnded,
    LiquidationStarted,
    MarginCalled,
    OmnibusShared,
)

__all__ = ["FATEFUL", "Fates"]

FATEFUL: Final = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        *(ProductClosed, ProductWarned, Rebalanced),
        *(LiquidationStarted, LiquidationEnded, MarginCalled, OmnibusShared),
    )
)
"""Tags of the events that ``Fates.note`` wants."""

_OWN_ACCOUNT: Final = ("futures", "margin_loan")
_PRODUCT: Final = "product:"
_OMNIBUS: Final = "omnibus:"
_LIQUIDATION: Final = "liquidation"


class Fates:
    """By product, brought up to date event by event.

    Attributes:
        liquidated: instant and mark at which the liquidation that ended a product began.
        called: how often its owner was warned or asked for margin.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.liquidated: dict[str, tuple[int, float]] = {}
        self.called = dict.fromkeys(kinds, 0)
        self._kinds = kinds
        self._started: dict[str, tuple[int, float]] = {}
        self._ended: set[str] = set()
        self._shared: dict[str, tuple[tuple[int, float], list[str]]] = {}

    def note(self, event: Output) -> None:
        """One event of those in ``FATEFUL``."""
        if isinstance(event, ProductClosed):
            name = event.product
            own = self._kinds[name] in _OWN_ACCOUNT and event.reason != "venue_default"
            if name in self._started or own:
                at = (event.ts_ns, event.mark_price)
                self.liquidated[name] = self._started.get(name, at)
        elif isinstance(event, ProductWarned):
            self.called[event.product] += 1
        elif isinstance(event, Rebalanced):
            if event.product in self._ended:  # nothing was left, and it went on
                self._forget(event.product)
        elif isinstance(event, OmnibusShared):
            self._note_share(event)
        elif isinstance(event, LiquidationStarted | LiquidationEnded | MarginCalled):
            self._note_account(event)

    def _note_account(self, event: LiquidationStarted | LiquidationEnded | MarginCalled) -> None:
        if event.account.startswith(_OMNIBUS):
            self._note_omnibus(event)
        if not event.account.startswith(_PRODUCT):
            return
        name = event.account.removeprefix(_PRODUCT)
        if isinstance(event, MarginCalled):
            self.called[name] += 1
        elif isinstance(event, LiquidationStarted):
            self._start(name, (event.ts_ns, event.mark_price))
        else:
            self._end(name, event.outcome)

    def _note_omnibus(self, event: LiquidationStarted | LiquidationEnded | MarginCalled) -> None:
        """Whom it takes from is said by each share."""
        if isinstance(event, LiquidationStarted):
            self._shared.setdefault(event.account, ((event.ts_ns, event.mark_price), []))
        elif isinstance(event, LiquidationEnded) and event.outcome != "unfilled":
            for name in self._shared.pop(event.account, (None, []))[1]:
                self._end(name, event.outcome)

    def _note_share(self, event: OmnibusShared) -> None:
        known = self._shared.get(event.account)
        if known is not None and event.cause == _LIQUIDATION and event.lots:
            known[1].append(event.product)
            self._start(event.product, known[0])

    def _start(self, name: str, at: tuple[int, float]) -> None:
        self._started.setdefault(name, at)
        self._ended.discard(name)

    def _end(self, name: str, outcome: str) -> None:
        if outcome == "restored":
            self._forget(name)
        elif outcome == "closed":
            self._ended.add(name)

    def _forget(self, name: str) -> None:
        self._started.pop(name, None)
        self._ended.discard(name)

    def actions(self, name: str) -> int:
        """What an owner with an account of his own had to do: answer each call, and open again
        after a liquidation. Who holds units of a fund, or coins, has nothing to do."""
        if self._kinds[name] not in _OWN_ACCOUNT:
            return 0
        return self.called[name] + (name in self.liquidated)
