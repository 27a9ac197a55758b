"""Why a price profit is what it is: direction, compounding, leverage change, timing, gap.

Between two decisions everything earns ``lots x change of mark``, so it is lots that are split. With
``L0`` the leverage at the start, bought once with ``NAV0`` at the mark ``S0``, and ``L`` that of
the last decision, taken at ``NAV`` and the mark ``S`` (*struck*):

- ``direction``: what ``L0 * NAV0 / S0`` earned, the first multiple bought once and held, which is
  ``L0 * NAV0 * (S_T / S0 - 1)`` where nobody came or went;
- ``compounding``: what ``L0 * NAV / S`` earned beyond that: the multiple applies to a NAV that
  moves, so swings wear it out (volatility decay) and trends add;
- ``leverage_change``: what ``(L - L0) * NAV / S`` earned: another leverage was decided;
- ``timing``: what was held beyond ``L * NAV / S`` earned: orders that were under way, refused or
  filled in part, lots cut down to whole ones, positions that the venue took;
- ``gap``: where a decision found the mark beyond the edge that should have woken who decided, what
  was held earned less than a product struck at that edge would have on the way from there; that
  product is what the other parts see on this way.

They sum to the price part by construction. A position held and never decided anew is all direction;
one struck at every step compounds by ``sum(L0 * NAV * r) - direction``. All five turn at decisions,
and where holders come or go, who join in what is there: no part depends on how the input was cut,
nor on fundings and samples in between. Another ``L0`` moves amounts between the first three.

Source: exact additive attribution with a reference leverage at the holder's entry, ``sum(L0 * NAV *
r)`` and ``sum((L - L0) * NAV * r)``, over the steps at which leverage is set.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.units import total as added

__all__ = ["PARTS", "PriceSplit", "whole_parts"]

PARTS: Final = ("direction", "compounding", "leverage_change", "timing", "gap")


class PriceSplit(Struct):
    """Running sums of one holding: a product's since its launch, or a user's since his entry.

    Attributes:
        since: mark up to which the sums are.
        leverage: ``L0``; of several entries their mean, weighted by units.
        target: ``L``.
        held, struck, decided: ``L0 * NAV0 / S0``, ``L0 * NAV / S`` and ``L * NAV / S``: what one
            unit of mark is worth to each, in the caller's money.
        direction, restruck, promised: what these earned.
        gap: see the module.
    """

    since: float = 0.0
    leverage: float = 0.0
    target: float = 0.0
    held: float = 0.0
    struck: float = 0.0
    decided: float = 0.0
    direction: float = 0.0
    restruck: float = 0.0
    promised: float = 0.0
    gap: float = 0.0

    def open(self, first_mark: float, worth: float, leverage: float) -> None:
        """The first leverage is known, at the mark up to which the sums are; it counts from
        ``first_mark`` on, when the holding was worth ``worth``."""
        self.leverage = leverage
        self.held = self.struck = leverage * worth / first_mark
        self.direction = self.restruck = self.held * (self.since - first_mark)

    def move(self, mark: float) -> None:
        """The mark moved, and nothing else."""
        way = mark - self.since
        self.direction += self.held * way
        self.restruck += self.struck * way
        self.promised += self.decided * way
        self.since = mark

    def strike(
        self, mark: float, nav: float, target: float, slope: float, edge: float | None
    ) -> None:
        """A decision.

        Args:
            nav: at ``mark``; less than nothing counts as nothing.
            target: the leverage decided.
            slope: what one unit of mark was worth to what was held until now.
            edge: the mark that should have woken who decided, where a jump led beyond it.
        """
        # ``move`` to the edge and from there to the mark; every rebalance comes through here.
        since, held, struck, decided = self.since, self.held, self.struck, self.decided
        direction, restruck, promised = self.direction, self.restruck, self.promised
        if edge is not None:
            way, beyond, since = edge - since, mark - edge, edge
            direction += held * way
            restruck += struck * way
            promised += decided * way
            there = nav - slope * beyond
            rate = there / edge if there > 0.0 else 0.0
            struck, decided = self.leverage * rate, self.target * rate
            self.gap += (slope - decided) * beyond
        way = mark - since
        self.direction = direction + held * way
        self.restruck = restruck + struck * way
        self.promised = promised + decided * way
        self.since, self.target = mark, target
        rate = nav / mark if nav > 0.0 else 0.0
        self.struck, self.decided = self.leverage * rate, target * rate

    def scale(self, mark: float, share: float) -> None:
        """Holders came or went in proportion: what is held is ``share`` of what it was."""
        self.move(mark)
        self.held *= share
        self.struck *= share
        self.decided *= share

    def enter(self, mark: float, slope: float, leverage: float, share: float) -> None:
        """Somebody buys into what is there: for him it is what was decided.

        Args:
            slope: what one unit of mark is worth to what he bought.
            leverage: of what he bought.
            share: of what he has now that he bought now, 1 where he had nothing.
        """
        self.move(mark)
        self.held += slope
        self.struck += slope
        self.decided += slope
        self.leverage += (leverage - self.leverage) * share

    def parts(self, mark: float, price: float) -> dict[str, float]:
        """The price part up to ``mark``, in ``PARTS``."""
        way = mark - self.since
        direction = self.direction + self.held * way
        restruck = self.restruck + self.struck * way
        promised = self.promised + self.decided * way
        return {
            "direction": direction,
            "compounding": restruck - direction,
            "leverage_change": promised - restruck,
            "timing": price - promised - self.gap,
            "gap": self.gap,
        }


def whole_parts(parts: dict[str, float], total: int) -> dict[str, int]:
    """Parts in whole steps that sum to ``total`` exactly; each is less than a step away from what
    it was where they summed to it before.

    The largest remainders go up: ``{a: 1.6, b: 1.4}`` of 3 are 2 and 1.
    """
    floors = {name: int(value // 1.0) for name, value in parts.items()}
    missing = total - added(floors.values())
    order = sorted(parts, key=lambda name: floors[name] - parts[name])
    for turn in range(abs(missing)):
        name = order[turn % len(order)] if missing > 0 else order[-1 - turn % len(order)]
        floors[name] += 1 if missing > 0 else -1
    return floors
