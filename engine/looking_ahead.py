"""Reviews that find nothing to do, one after the other, while nothing else happens.

A policy that is asked every so often mostly wants nothing. Such a review changes what the policy
remembers and when it cares next, and nothing besides; so as long as no row, message or other alarm
lies between, they are asked in one go, with views that were looked up for many of them at once.
Where one wants something, the way through the step goes on from there as ever, and asks it again.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from engine.agenda import Key, Priority
from engine.handler import Handler
from engine.market import Market
from engine.passing import Passing
from engine.router import Router
from engine.rows import Rows
from engine.spec import EngineSpec
from engine.views_ahead import ViewsAhead

__all__ = ["LookingAhead"]

_POLICY, _VENUE = Priority.POLICY, Priority.VENUE  # looked up once; see ``folding``
_AGAIN: Final = 16
"""Reviews after which it is tried again to look ahead, where it did not pay."""


class _Resting(NamedTuple):
    """A product that can be asked ahead, and between which marks the step's rows lie."""

    market: Market
    handler: Handler
    views: ViewsAhead
    least: float
    most: float


class _Scan:
    """Which rows are known to wake nobody.

    Attributes:
        calm: whether none of the step does.
    """

    __slots__ = ("_ahead", "_clear", "_end", "_router", "_stop", "calm")

    def __init__(self, router: Router, end: int) -> None:
        """``end``: sequence of the next message, or of the step's end."""
        self._router = router
        self._end = self._stop = end
        self.calm = router.is_calm()
        self._clear, self._ahead = (end if self.calm else -1), 1

    def passes(self, limits: list[int], place: int) -> bool:
        """Whether no row below one of the limits wakes anybody; those below the limits after it are
        looked through with them, for the next who asks: each time twice as many."""
        limit = limits[place]
        if self._clear < limit <= self._stop:
            last = min(limits[min(place + self._ahead, len(limits)) - 1], self._stop)
            self._clear, self._ahead = self._router.clear_until(self._clear, last), 2 * self._ahead
            if self._clear < last:
                self._stop = self._clear
        return limit <= self._stop

    def begin_again(self, limit: int) -> None:
        """From there on there are other edges."""
        self.calm = self._router.is_calm()
        self._clear = self._end if self.calm else limit
        self._stop, self._ahead = self._end, 1


class LookingAhead(Passing):
    """Reviews between the rows that matter."""

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        self._ahead: dict[tuple[int, int, bool], ViewsAhead | int] = {}
        """By market, grid and whether signals are used; a time, where it did not pay, from which on
        it may."""

    def _pass_reviews(self, rows: Rows, due: int, barrier: int, clear_ns: int) -> int:
        """Pass the reviews that are next and find nothing to do; when the next alarm rings then.

        Args:
            due: when it rings now.
            barrier: sequence of the next message, or of the step's end.
            clear_ns: up to when checks may look at all rows before it.
        """
        agenda, scan, clear = self.agenda, _Scan(self.router, barrier), -1
        resting: dict[Key, _Resting] = {}
        passed: dict[int, tuple[int, int, float]] = {}
        moved: dict[Key, _Resting] = {}
        seen: ViewsAhead | None = None
        seen_ns = asked = empty = 0
        while due < rows.time_ns:
            key = agenda.next_key()
            rests = resting.get(key)
            if rests is None:
                if key[0] == _VENUE and (later := self.pass_checks(clear_ns)) > due:
                    due = later
                    continue
                rests = self._resting(rows, key, due, scan)
                if rests is None:
                    break
                resting[key] = rests
            market, handler, views, least, most = rests
            if seen_ns != due or seen is not views:
                place = views.places.get(due, -1)
                if place < 0 or not scan.passes(views.limits, place):
                    break
                clear, view, seen, seen_ns = views.limits[place], views.view(place), views, due
            edges = handler.edges
            if handler.uses_high_water:
                market.stage(clear, due, due, view.mark)
            changed = handler.review(market, view, due)
            if changed is None:
                break
            asked, empty = asked + 1, empty + (not changed)
            passed[key[1]] = clear, due, view.mark
            if handler.edges != edges:
                moved[key] = rests
                low, high = handler.edges
                scan.calm = scan.calm and low < least and most < high
            later = agenda.put_off(handler.next.policy_ns)
            if moved and not scan.calm and later != due:
                self._arm(moved)
                scan.begin_again(clear)
            due = later
        self._arm(moved)
        if clear >= 0:
            self.router.skip(clear)
        self.state.wakes += asked
        self.state.wakes_empty += empty
        self._passed(rows, passed)
        return due

    def _ask(self, market: Market, handler: Handler, due: int, before: int) -> bool:
        """A review among other alarms of its instant is one like all others, where what it sees was
        looked up and nothing but the depth can have changed since."""
        key = self.router.of_symbol[market.spec.symbol], handler.review_ns, handler.uses_signals
        views = self._ahead.get(key)
        if isinstance(views, ViewsAhead) and views.holds and handler.rests and not market.stale:
            place = views.places.get(due, -1)
            if place >= 0 and views.limits[place] == before:
                changed = handler.review(market, views.view_now(place), due)
                if changed is not None:
                    return changed
        return handler.attend(market)

    def _arm(self, moved: dict[Key, _Resting]) -> None:
        """Reviews moved the edges of these."""
        for (_, _, place), rests in moved.items():
            rests.market.edges.arm(place, *rests.handler.edges)
        for number in dict.fromkeys(number for _, number, _ in moved):
            self.router.arm(self.markets[number])
        moved.clear()

    def _passed(self, rows: Rows, passed: dict[int, tuple[int, int, float]]) -> None:
        """Reviews were passed: by market the last of them, ``(first tick later, time, mark)``."""
        for number, (limit, due_ns, mark) in passed.items():
            self.markets[number].stage(limit, due_ns, due_ns, mark)
        if passed:
            limit, due_ns, _ = max(passed.values())
            self._pass_time(rows, due_ns, limit)

    def _resting(self, rows: Rows, key: Key, due: int, scan: _Scan) -> _Resting | None:
        """A product that is due for a review, if it can be asked ahead."""
        if key[0] != _POLICY:
            return None
        market, handler = self.markets[key[1]], self.markets[key[1]].handlers[key[2]]
        if not handler.review_ns or market.state.stale:
            return None
        known = self._ahead.get((key[1], handler.review_ns, handler.uses_signals), 0)
        if (not isinstance(known, ViewsAhead) and due < known) or not handler.rests:
            return None
        limit = rows.first_after(due)
        # Nobody looks at a market as of a time before which something else happens.
        views = self._views(rows, key, due, limit) if scan.passes([limit], 0) else None
        if views is None:
            return None
        column = market.source
        low, high = (math.inf, -math.inf) if column is None else (column.low, column.high)
        return _Resting(market, handler, views, low, high)

    def _views(self, rows: Rows, key: Key, due: int, limit: int) -> ViewsAhead | None:
        """What a product sees at the reviews from ``due`` on, if they can be looked up; ``limit``:
        the first tick later."""
        market = self.markets[key[1]]
        handler = market.handlers[key[2]]
        every_ns, signalled = handler.review_ns, handler.uses_signals
        known = self._ahead.get((key[1], every_ns, signalled))
        if isinstance(known, ViewsAhead) and known.holds and due in known.places:
            return known
        found = None
        if type(market) is Market and market.spec.book.model != "recorded" and not due % every_ns:
            market.stage(limit, due, due)
            market.view(signalled)
            found = ViewsAhead.of(market, rows, due, every_ns, uses_signals=signalled)
        self._ahead[key[1], every_ns, signalled] = found or due + _AGAIN * every_ns
        return found
