"""What befell products in a run: when the venue or a lender closed one, and how often its owner was
called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.events import Output, ProductClosed, ProductWarned
from engine.venue_events import LiquidationEnded, LiquidationStarted, MarginCalled

__all__ = ["FATEFUL", "Fates"]

FATEFUL: Final = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (ProductClosed, ProductWarned, LiquidationStarted, LiquidationEnded, MarginCalled)
)
"""Tags of the events that ``Fates.note`` wants."""

_OWN_ACCOUNT: Final = ("futures", "margin_loan")
_PRODUCT: Final = "product:"


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
        elif isinstance(event, LiquidationStarted | LiquidationEnded | MarginCalled):
            self._note_account(event)

    def _note_account(self, event: LiquidationStarted | LiquidationEnded | MarginCalled) -> None:
        if not event.account.startswith(_PRODUCT):
            return
        name = event.account.removeprefix(_PRODUCT)
        if isinstance(event, MarginCalled):
            self.called[name] += 1
        elif isinstance(event, LiquidationStarted):
            self._started.setdefault(name, (event.ts_ns, event.mark_price))
        elif event.outcome == "restored":
            self._started.pop(name, None)

    def actions(self, name: str) -> int:
        """What an owner with an account of his own had to do: answer each call, and open again
        after a liquidation. Who holds units of a fund, or coins, has nothing to do."""
        if self._kinds[name] not in _OWN_ACCOUNT:
            return 0
        return self.called[name] + (name in self.liquidated)
