"""A venue's risk desk told a second time, in fractions: who is liquidated, what the fund pays, who
is auto-deleveraged in which order, and who shares what nobody paid.

It imports nothing of ours. One contract, linear or inverse (``coins`` are contracts of a dollar
then, and money is coins), accounts of one position each that nobody adds to, and a book that takes
everything at the mark: an order up to the bankruptcy price is filled where equity is not below
zero, and not at all where it is. Source: reference venue notes 2.4 to 2.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

SECOND = 10**9


@dataclass
class Account:
    """``cash`` after what the position cost; ``waits`` until when nobody looks, 0 where it is not
    being liquidated; ``parted``: when it was last closed in part."""

    name: str
    coins: Fraction
    entry: Fraction
    cash: Fraction
    leverage: Fraction
    waits: int | None = None
    parted: int | None = None
    inverse: bool = False

    def worth(self, coins: Fraction, price: Fraction) -> Fraction:
        """Signed, beside the cash that was paid for it."""
        return -coins / price if self.inverse else coins * price

    def equity(self, mark: Fraction) -> Fraction:
        return self.cash + self.worth(self.coins, mark)

    def trade(self, coins: Fraction, price: Fraction) -> None:
        self.coins += coins
        self.cash -= self.worth(coins, price)


@dataclass
class Rules:
    """As the venue publishes them; ``tiers`` of ``(cap, rate, deduction)``, in the money of the
    accounts; ``lots`` in a coin."""

    inverse: bool
    lots: int

    tiers: list[tuple[Fraction, Fraction, Fraction]]
    strict: bool
    steps: str
    portion: Fraction
    portion_above: Fraction
    pause: int
    cooldown: int
    limit: str
    surplus: str
    fee: Fraction
    backstop: Fraction
    drawdown: Fraction
    ranking: str
    price: str
    mark_beyond: Fraction
    rest: str


@dataclass
class Desk:
    """All accounts, in declared order. ``log``: ``(ns, what, account, coins)``."""

    rules: Rules
    accounts: list[Account]
    fund: Fraction
    log: list[tuple[int, str, str, Fraction]] = field(default_factory=list)
    peaks: list[Fraction] = field(default_factory=list)
    backstop: Fraction = Fraction(0)
    mark: Fraction = Fraction(0)
    before: Fraction = Fraction(0)
    now: int = 0

    def see(self, now: int, mark: Fraction) -> None:
        """A mark: first those whom it makes short, then, as long as there are any at its instant,
        those whose next step is due."""
        self.peaks.append(self.fund)
        self.now, self.before, self.mark = now, self.mark or mark, mark
        self._settle([one for one in self.accounts if one.waits is None and self._is_due(one)])
        while due := [one for one in self.accounts if self._is_due(one)]:
            self._settle(due)

    def _settle(self, due: list[Account]) -> None:
        """All liquidations come before all auto-deleveragings, those of whoever is due at this
        instant, too."""
        unpaid = [each for each in due if not self._review(each)]
        if unpaid:
            late = [each for each in self.accounts if each not in due and self._is_due(each)]
            unpaid += [each for each in late if not self._review(each)]
        for one in unpaid:
            self._deleverage(one)

    def _is_due(self, one: Account) -> bool:
        if one.waits is not None:
            return bool(one.coins) and one.waits <= self.now
        return bool(one.coins) and self._is_short(one)

    def size(self, coins: Fraction) -> Fraction:
        return abs(coins) / self.mark if self.rules.inverse else abs(coins) * self.mark

    def maintenance(self, coins: Fraction) -> Fraction:
        size, tiers = self.size(coins), self.rules.tiers
        _, rate, deduction = next((t for t in tiers if size <= t[0]), tiers[-1])
        return size * rate - deduction

    def _is_short(self, one: Account) -> bool:
        left = one.equity(self.mark) - self.maintenance(one.coins)
        return left < 0 or (left == 0 and not self.rules.strict)

    def _say(self, what: str, one: Account, coins: Fraction) -> None:
        self.log.append((self.now, what, one.name, coins))

    # Liquidation ----------------------------------------------------------------------------------

    def _review(self, one: Account) -> bool:
        """Whether nothing is left for the counterparties."""
        if one.waits is None:
            one.waits = self.now
        while one.coins:
            if not self._is_short(one):
                one.waits = None
                return True
            done = self._step(one)
            if done is not None:
                return done
        one.waits = None
        return one.cash >= 0

    def _step(self, one: Account) -> bool | None:
        """Whether it ends here, and whether paid; ``None``: it goes on."""
        rules, equity, needed = self.rules, one.equity(self.mark), self.maintenance(one.coins)
        if rules.backstop and equity < 0:
            return False
        if rules.backstop and equity < rules.backstop * needed:
            self.backstop += equity
            self._say("backstop", one, -one.coins)
            one.cash = one.coins = Fraction(0)
            return None
        size = self._size(one)
        if rules.limit == "bankruptcy" and equity < 0:
            return self._insure(one)
        whole = size == abs(one.coins)
        closed = -size if one.coins > 0 else size
        freed = needed - (self.maintenance(one.coins + closed) if not whole else 0)
        share = max(equity * freed / needed, Fraction(0))
        one.trade(closed, self.mark)
        paid = min(rules.fee * self.size(size), share)
        if whole and rules.surplus == "fund":
            paid = share
        one.cash -= paid
        self.fund += paid
        self._say("full" if whole else "partial", one, closed)
        if not whole and rules.steps == "portion":
            one.parted = self.now
            if rules.pause:
                one.waits = self.now + rules.pause
                return True
        return None

    def _size(self, one: Account) -> Fraction:
        rules, held, lots = self.rules, abs(one.coins), self.rules.lots
        size, worth = held, self.size(held)
        if rules.steps == "tier":
            caps = [cap for cap, _, _ in rules.tiers if cap < worth]
            if caps:
                kept = caps[-1] * held / worth
                size = held - Fraction(floor(kept * lots), lots)
        elif rules.steps == "portion":
            cools = one.parted is not None and self.now < one.parted + rules.cooldown
            quote = held if rules.inverse else worth
            if quote > rules.portion_above and not cools:
                size = Fraction(floor(held * rules.portion * lots), lots)
        return min(max(size, Fraction(1, lots)), held)

    def _available(self) -> Fraction:
        return max(self.fund - (1 - self.rules.drawdown) * max(*self.peaks, self.fund), Fraction(0))

    def _insure(self, one: Account) -> bool | None:
        """The fund lets so much be sold beyond the bankruptcy price as it can pay for."""
        each = -one.equity(self.mark) / abs(one.coins)
        lots = self.rules.lots
        size = min(abs(one.coins), Fraction(floor(self._available() / each * lots), lots))
        if size:
            closed = -size if one.coins > 0 else size
            one.trade(closed, self.mark)
            one.cash += size * each
            self.fund -= size * each
            self._say("insured", one, closed)
        return False if one.coins else None

    # Auto-deleveraging ----------------------------------------------------------------------------

    def _deleverage(self, one: Account) -> None:
        rules, side = self.rules, 1 if one.coins > 0 else -1
        bankruptcy = self.mark
        if one.coins:
            bankruptcy = one.coins / one.cash if rules.inverse else -one.cash / one.coins
        price = {"mark": self.mark, "previous_mark": self.before}.get(rules.price, bankruptcy)
        far = abs(bankruptcy - self.mark) > rules.mark_beyond * self.mark
        if rules.price == "bankruptcy" and rules.mark_beyond and far:
            price = self.mark
        queue = [a for a in self.accounts if a.coins * side < 0 and a.waits is None]
        for other, coins in self._taken(queue if one.coins else [], abs(one.coins)):
            one.trade(-side * coins, price)
            other.trade(side * coins, price)
            self._say("adl", other, side * coins)
        if one.coins and rules.rest == "socialise" and queue:
            one.trade(-one.coins, self.mark)
        if not one.coins:
            self._cover(one)
            one.waits = None
        elif not self._is_short(one):
            one.waits = None
        else:
            one.waits = self.now + SECOND

    def _taken(self, queue: list[Account], wanted: Fraction) -> Iterable[tuple[Account, Fraction]]:
        ranking = self.rules.ranking
        if ranking in ("pro_rata", "risk_aware"):
            return self._shared(queue, min(wanted, sum(abs(a.coins) for a in queue)))
        found = []
        for other in sorted(queue, key=self.score, reverse=True):
            coins = min(abs(other.coins), wanted)
            wanted -= coins
            if coins:
                found.append((other, coins))
        return found

    def score(self, one: Account) -> tuple[bool, Fraction]:
        """The published rankings; who has no equity comes last."""
        equity, size, side = one.equity(self.mark), self.size(one.coins), 1 if one.coins > 0 else -1
        if equity <= 0:
            return self.rules.ranking == "binance", Fraction(0)
        quote = self.mark if self.rules.inverse else Fraction(1)
        gain = (
            1 - one.entry / self.mark if self.rules.inverse else self.mark / one.entry - 1
        ) * side
        profit = (one.worth(one.coins, self.mark) - one.worth(one.coins, one.entry)) * quote
        times, margin = size / equity, equity / self.maintenance(one.coins)
        towards = self.mark / one.entry if one.coins > 0 else one.entry / self.mark
        rules: dict[str, Callable[[], Fraction]] = {
            "bitmex": lambda: gain * times if gain > 0 else gain / times,
            "binance": lambda: max(profit, 0) / max(equity * quote - profit, 1) / margin,
            "okx": lambda: gain / margin if gain > 0 else gain * margin,
            "gate": lambda: gain * (one.leverage or times),
            "hyperliquid": lambda: towards * times,
            "risk_aware": lambda: times,
        }
        return True, rules[self.rules.ranking]()

    def _shared(self, queue: list[Account], wanted: Fraction) -> Iterable[tuple[Account, Fraction]]:
        """Everybody by what he holds (times his leverage), nobody beyond it; whole lots by largest
        remainder. On whom no weight falls gives what the others have not."""
        weights = [Fraction(1)] * len(queue)
        if self.rules.ranking == "risk_aware":
            queue = sorted(queue, key=self.score, reverse=True)
            weights = [self.score(each)[1] for each in queue]
        heavy = sum(abs(a.coins) for a, w in zip(queue, weights, strict=True) if w)
        exact = self._raised(queue, weights, min(wanted, heavy))
        light = [Fraction(not weight) for weight in weights]
        more = self._raised(queue, light, max(wanted - heavy, Fraction(0)))
        exact = [one + other for one, other in zip(exact, more, strict=True)]
        unit = self.rules.lots
        lots = [floor(each * unit + Fraction(1, 10**6)) for each in exact]
        left = int(wanted * unit) - sum(lots)
        places = sorted(range(len(lots)), key=lambda n: lots[n] - exact[n] * unit)
        for place in places[:left]:
            lots[place] += 1
        return [(a, Fraction(n, unit)) for a, n in zip(queue, lots, strict=True) if n]

    def _raised(
        self, queue: list[Account], weights: list[Fraction], wanted: Fraction
    ) -> list[Fraction]:
        """``min(level * weight, 1)`` of each holding, the level found by halving."""
        if not wanted:
            return [Fraction(0)] * len(queue)
        pairs = [(abs(each.coins), weight) for each, weight in zip(queue, weights, strict=True)]
        low, high = Fraction(0), 1 / min(weight for weight in weights if weight)
        for _ in range(80):
            level = (low + high) / 2
            raised = sum(coins * min(level * weight, 1) for coins, weight in pairs)
            low, high = (level, high) if raised < wanted else (low, level)
        return [coins * min(high * weight, 1) for coins, weight in pairs]

    def _cover(self, one: Account) -> None:
        """What an account without a position owes: the fund's as far as it goes, then shared by
        what everybody holds."""
        if one.cash >= 0:
            return
        paid = min(-one.cash, self._available())
        one.cash += paid
        self.fund -= paid
        open_coins = sum(abs(each.coins) for each in self.accounts)
        if one.cash < 0 and self.rules.rest == "socialise" and open_coins:
            for other in self.accounts:
                other.cash += one.cash * abs(other.coins) / open_coins
            one.cash = Fraction(0)

    def total(self) -> Any:
        """All money: what was paid in, while the other side of every trade is the mark's."""
        return self.fund + self.backstop + sum(each.equity(self.mark) for each in self.accounts)
