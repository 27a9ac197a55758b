"""How the engine and the venue's risk desk speak: who is looked at, on markets as of now; and
whether a market is fresh."""

from __future__ import annotations

from typing import Final

from engine.agenda import Priority
from engine.parts import Parts
from engine.priced_market import PricedMarket
from engine.rows import Column, Rows
from engine.venue.margined import Margined

__all__ = ["MARGINS", "Guarding"]

_FILL, _VENUE = Priority.FILL, Priority.VENUE  # looked up once; see ``folding``
MARGINS: Final = (Priority.LIQUIDATION, 0, 0)
"""The desk's own alarm: one for all markets."""
_HANDLER: Final = 0


class Guarding(Parts):
    """Lets the venue look at margin accounts, and at the age of prices."""

    def _stage_others(
        self, number: int, before: int, ts_ns: int, due_ns: int, *, made: bool = False
    ) -> None:
        """Where accounts depend on several markets: the others as of now, too. Of marks ``made`` at
        one instant those of the markets before this one are there already."""
        if self.margins is not None and self.margins.crosses:
            for place, market in enumerate(self.markets):
                if place < number and made and isinstance(market, PricedMarket):
                    market.stage(before, ts_ns, due_ns, market.made_at(ts_ns))
                elif place != number:
                    market.stage(before, ts_ns, due_ns)

    def _stage(
        self,
        number: int,
        before: int,
        ts_ns: int,
        due_ns: int,
        mark: float | None = None,
        *,
        made: bool = False,
    ) -> None:
        """The scene of a market; where hedges share margin across markets, of the others too: who
        trades asks what all of its account is worth."""
        self.markets[number].stage(before, ts_ns, due_ns, mark)
        if self.margins is not None and self.margins.joint:
            self._stage_others(number, before, ts_ns, due_ns, made=made)

    def _arm_others(self, number: int) -> None:
        """Accounts that depend on several markets may have other edges in the others, too."""
        if self.margins is not None and self.margins.crosses:
            for place, market in enumerate(self.markets):
                if place != number:
                    self.router.arm(market)

    def _review(self, accounts: list[Margined], ts_ns: int) -> list[tuple[int, int]]:
        """Let the venue look at accounts; the products that it touched."""
        margins = self.margins
        assert margins is not None
        touched, next_ns = margins.review(accounts, self.tape.sequence)
        self.agenda.hasten(MARGINS, next_ns or ts_ns)
        for market in self.markets:
            self.router.arm(market)
        return touched

    def _set_fill(self, number: int, place: int) -> None:
        arrival = self.markets[number].handlers[place].desk.next_arrival_ns()
        self.agenda.set((_FILL, number, place), arrival)

    def _is_fresh(self, number: int, before: int, due: int) -> bool:
        """Whether a market is fresh at its check; then the next check is set."""
        next_ns = self.markets[number].check_ns(before, due)
        if next_ns <= due:
            return False
        self.agenda.set((_VENUE, number, _HANDLER), next_ns)
        return True

    def clear_ns(self, rows: Rows, barrier: int) -> int:
        """Up to when checks may look at all rows: a message rings the alarms up to its time, and
        the rows behind it, of that very time too, were not seen yet.

        Args:
            barrier: sequence of the next message, or of the step's end.
        """
        if barrier == rows.end:
            return rows.time_ns
        return rows.time_at(barrier, self.state.time_ns)

    def pass_checks(self, before_ns: int, column: Column | None = None) -> int:
        """When the next alarm rings, but for checks earlier than ``before_ns`` that find their
        market fresh: whatever happens first, all that they change is when the next one is.

        Args:
            column: where markets were not opened, all rows of the step.
        """
        agenda = self.agenda
        due = agenda.next_ns()
        while due < before_ns:
            priority, number, _ = agenda.next_key()
            if priority != _VENUE:
                break
            market = self.markets[number]
            source = market.source
            if column is not None and column.holds(market.kind, market.spec.symbol):
                source = column
            next_ns = market.check_through(due, before_ns, source)
            if next_ns <= due:
                break
            due = agenda.put_off(next_ns)
        return due
