"""A product with a primary market of its own: windows, caps, splits, redemptions at a level of NAV.

In exact fractions, row by row, as the oracle beneath; a level or a threshold that doubles cannot
tell from NAV per unit is a close call.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from tests.oracle.account import ATOMS, UNIT_STEPS, decimal
from tests.oracle.case import HOUR, Case, Row
from tests.oracle.oracle import HAIR, NEVER, Oracle

DAY = 24 * HOUR
LEVELS = ("stop", "take")


class Primary(Oracle):
    """``levels`` wait for theirs; ``taken`` is what counts for the caps of a day."""

    def __init__(self, case: Case, observed: list[float] | None = None) -> None:
        super().__init__(case, observed)
        self.levels: list[Row] = []
        self.taken: list[tuple[int, str, str, int]] = []
        self.split_at = NEVER
        self.splits: list[tuple[int, int, int, int, int]] = []  # when, new, old, units, paid

    # Splits -----------------------------------------------------------------------------------

    def _launch(self) -> None:
        super()._launch()
        self.split_at = self._next_split(self.now)

    def _next_split(self, after: int) -> int:
        rules = self.case.primary
        times = [at for at, _, _ in rules.dates if at > after]
        if rules.merge_below:
            times.append((after // rules.merge_every + 1) * rules.merge_every)
        return min(times, default=NEVER)

    def alarms(self) -> list[int]:
        active = self.status == "active"
        return [*super().alarms(), *([self.split_at] if active else [])]

    def _timed(self, due: int) -> bool:
        return super()._timed(due) or (due == self.split_at and self.status == "active")

    def _serve(self, due: int) -> None:
        if self.status == "active" and self.split_at <= due:
            at, self.split_at = self.split_at, self._next_split(due)
            rules = self.case.primary
            for when, new, old in rules.dates:
                if when == at:
                    self._split(new, old)
            if rules.merge_below and at % rules.merge_every == 0:
                per_unit = self.nav / ATOMS * UNIT_STEPS / self.units.total()
                self._is_close(per_unit, rules.merge_below)
                if per_unit < Fraction(rules.merge_below):
                    self._split(1, rules.merge)
        while self.status == "active":
            self._reach(due)
            if self.plan or not self.waiting or self.waiting[0][0] > due:
                return
            self._request(self.waiting.pop(0)[1], fresh=False)

    def _is_close(self, per_unit: Fraction, level: float) -> None:
        self.close_calls += abs(per_unit - Fraction(level)) < HAIR * (abs(per_unit) + 1)

    def _split(self, new: int, old: int) -> None:
        nav, total = self.whole, self.units.total()
        grain = 10 ** (8 - self.case.primary.decimals)
        kept = {u: units * new // (old * grain) * grain for u, units in self.units.items()}
        left = {
            user: floor(Fraction(units * new - kept[user] * old, total * new) * nav)
            for user, units in self.units.items()
        }
        if nav <= 0 or total * new // old > 2**60 or not sum(kept.values()):
            return
        for order in self.deals:
            assert order.request is not None
            if order.request[0] != "create":
                self.pledged[order.request[3]] -= _steps(order.request)
        waiting = [request for _, request in self.waiting]
        gone = [*(order.request for order in self.deals), *waiting, *self.levels]
        self.refused += [(request[2], "split") for request in gone if request]
        self.deals, self.waiting, self.levels = [], [], []
        paid = sum(left.values())
        for part in (paid - left[""], left[""]):
            self.take(-part)
        self.book("flows", -paid / self.per_atom)
        self.units.update({user: kept[user] - units for user, units in self.units.items()})
        self.splits.append((self.now, new, old, self.units.total(), paid))

    # Requests ---------------------------------------------------------------------------------

    def _wait(self, due: int, row: tuple[Any, ...]) -> None:
        """Whoever is due earlier is dealt earlier; of those due together who came earlier."""
        self.waiting.append((due, row))
        self.waiting.sort(key=lambda each: each[0])

    def _reach(self, due: int) -> None:
        """Whose level NAV per unit has reached is next."""
        if not self.levels:
            return
        per_unit = self.nav / ATOMS * UNIT_STEPS / self.units.total()
        for request in list(self.levels):
            self._is_close(per_unit, request[5])
            low = request[0] == "stop"
            if per_unit <= Fraction(request[5]) if low else per_unit >= Fraction(request[5]):
                self.levels.remove(request)
                self._wait(due, ("redeem", *request[1:5]))

    def _request(self, row: tuple[Any, ...], fresh: bool) -> None:
        if not fresh:
            if reason := self._unable(row):
                self.refused.append((row[2], reason))
            else:
                self._hedge(row)
            return
        rules, active, level = self.case.primary, self.status == "active", row[0] in LEVELS
        begins = self.now // DAY * DAY
        opens, closes = begins + rules.opens, begins + rules.closes
        taken = self.now
        if active and rules.opens != rules.closes and not opens <= self.now < closes:
            taken = opens if self.now < opens else opens + DAY
        due = (taken // self.case.batch + 1) * self.case.batch if self.case.batch else taken
        reason = self._shut(row) or ("closed" if level and self.status == "closed" else "")
        if not level:
            reason = reason or ("rebalancing" if self.plan and not self.case.queue else "")
            late = taken > self.now and not rules.waits
            reason = reason or ("outside_window" if late else "")
        reason = reason or self._unable(row) or ("" if level else self._capped(row))
        if reason:
            self.refused.append((row[2], reason))
        elif level:
            self.levels.append(row)
        elif self.plan or (active and due > self.now):
            self._wait(due if active else self.now, row)
        else:
            self._hedge(row)
        self._serve(self.now)

    def _shut(self, row: Row) -> str:
        if self.status == "pending":
            return "not_launched"
        if self.status == "closing" or (self.status, row[0]) == ("closed", "create"):
            return "closed"
        return "nav_not_positive" if self.whole <= 0 and self.status != "closed" else ""

    def _unable(self, row: Row) -> str:
        if reason := self._shut(row):
            return reason
        rules, (side, _, _, user, amount) = self.case.primary, row[:5]
        if side == "create":
            quote = floor(decimal(amount) * ATOMS)
            if 0 < rules.nav_max < self.whole + quote:
                return "nav_cap"
            return self._size(quote * self.units.total() // self.whole)
        if user not in self.units:
            return "unknown_user"
        if not _steps(row):
            return "too_small"
        return "insufficient_units" if _steps(row) > self.units[user] - self.pledged[user] else ""

    def _size(self, units: int) -> str:
        most = self.case.primary.units_max
        capped = 0 < most < self.units.total() + units
        return "units_cap" if units > 0 and capped else super()._size(units)

    def _capped(self, row: Row) -> str:
        """Beyond a cap of one request, of a user's day or of everybody's; else it counts."""
        rules, (side, _, _, user, amount) = self.case.primary, row[:5]
        quote = floor(decimal(amount) * ATOMS)
        if side != "create":
            quote = _steps(row) * self.whole // self.units.total()
        today = [each for each in self.taken if each[:2] == (self.now // DAY, side)]
        own = sum(each[3] for each in today if each[2] == user)
        for reason, most, used in (
            ("request_cap", rules.request_max, 0),
            ("user_cap", rules.user_day_max, own),
            ("day_cap", rules.day_max, sum(each[3] for each in today)),
        ):
            if most and used + quote > most:
                return reason
        self.taken.append((self.now // DAY, side, user, quote))
        return ""

    def _arrive(self, order: Any) -> None:
        levels = self.levels
        super()._arrive(order)
        if self.status == "closed" and levels:
            self.refused += [(request[2], "closed") for request in levels]
            self.levels = []


def _steps(row: Row) -> int:
    return floor(decimal(row[4]) * UNIT_STEPS)
