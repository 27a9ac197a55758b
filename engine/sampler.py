"""NAV samples: between wakes NAVs lie on known lines, so a block of sample times is valued at once.

A sample at ``g`` stands on the last price at or before ``g`` and is taken when engine time passes
``g``. Sampling reads and never writes: another cadence changes nobody's result. So in a long
silence the sample times from three days after the last input on are left out and counted: a leap of
the clock costs no more than those three days.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.lines import Taken
from engine.market import Market
from engine.marks import marks_at, prices_at
from engine.outputs import NavBlock, UserNavBlock
from engine.rows import Rows
from engine.sampler_state import SamplerState, Sampling
from engine.units import NEVER_NS
from engine.venue.places import Queue

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
Known = tuple[float, float]
Queues = tuple[tuple[int, Queue], ...]
Held = tuple[Market, Taken, Queues]
"""What a block needs of a market but its prices."""

__all__ = ["Held", "Sampler", "SamplerState", "Sampling"]

_NO_MARKS: Final[dict[int, F64]] = {}
_BLOCK_TIMES: Final = 65_536
"""Sample times valued at once; a gap of a year at one second is taken in parts."""


class Sampler:
    """Collects the NAV records of one call of the heart."""

    __slots__ = (
        "_number",
        "_sampled",
        "_silences",
        "_stride",
        "blocks",
        "markets",
        "spec",
        "state",
        "user_blocks",
        "wakes_ns",
    )

    def __init__(self, spec: Sampling, markets: list[Market]) -> None:
        self.spec = spec
        self.markets = [m for m in markets if m.handlers]
        self._number = {m.spec.symbol: number for number, m in enumerate(markets)}
        self.state = SamplerState()
        self._sampled: list[Market] = []
        self._stride = 0
        self.blocks: list[NavBlock] = []
        self.user_blocks: list[UserNavBlock] = []
        self._silences: list[tuple[int, int]] = []
        self.wakes_ns = NEVER_NS
        """Engine time beyond which there is something to sample."""

    def start(self, ts_ns: int) -> None:
        """The first price: from here on there are samples."""
        spec, state = self.spec, self.state
        if spec.nav_every_ns:
            state.next_ns = -(-ts_ns // spec.nav_every_ns) * spec.nav_every_ns
        if spec.user_nav_every_ns:
            state.next_users_ns = -(-ts_ns // spec.user_nav_every_ns) * spec.user_nav_every_ns
        self.wakes_ns = min(state.next_ns, state.next_users_ns)

    def open(self, rows: Rows) -> None:
        """A new step begins."""
        self._silences = rows.silences

    def resume(self, state: SamplerState) -> None:
        """Go on where a snapshot was taken."""
        self.state = state
        self.wakes_ns = min(state.next_ns, state.next_users_ns)

    def sample_at(self, ts_ns: int) -> int:
        """How many samples lie before ``ts_ns`` and are not taken yet: what changes now holds from
        there on."""
        next_ns = self.state.next_ns
        if ts_ns <= next_ns:
            return 0
        every = self.spec.nav_every_ns
        count = -(-(ts_ns - next_ns) // every)
        for quiet_ns, heard_ns in self._silences:
            first = max(next_ns, (quiet_ns // every + 1) * every)
            if first < min(heard_ns, ts_ns):
                count -= -(-(min(heard_ns, ts_ns) - first) // every)
        return count

    def _skip(self, next_ns: int, before_ns: int, every: int) -> tuple[int, int]:
        """The next sample time that is not in a silence (or the first at or after ``before_ns``),
        and up to where the next silence leaves them."""
        for quiet_ns, heard_ns in self._silences:
            if heard_ns <= next_ns:
                continue
            if quiet_ns >= next_ns:
                return next_ns, min(before_ns, quiet_ns + 1)
            left_out = -(-(min(heard_ns, before_ns) - next_ns) // every)
            self.state.left_out += left_out
            next_ns += left_out * every
            if next_ns >= before_ns:
                break
        return next_ns, before_ns

    def pass_time(self, rows: Rows, before_ns: int, sequence: int) -> None:
        """Take the samples earlier than ``before_ns``.

        Args:
            rows: the present step.
            sequence: the input that lets time pass where nothing of the step does.
        """
        self.pass_users(rows, before_ns, sequence)
        state = self.state
        while state.next_ns < before_ns:
            every = self.spec.nav_every_ns
            state.next_ns, stop_ns = self._skip(state.next_ns, before_ns, every)
            if state.next_ns >= before_ns:
                break
            self._products(rows, self._times(stop_ns), sequence)
        self.wakes_ns = min(state.next_ns, state.next_users_ns)

    def _times(self, before_ns: int) -> I64:
        """The next sample times before that one, which are taken now: all, or as many as are valued
        at once."""
        state, every = self.state, self.spec.nav_every_ns
        first_ns = state.next_ns
        count = min(-(-(before_ns - first_ns) // every), _BLOCK_TIMES)
        state.next_ns = first_ns + count * every
        return np.arange(first_ns, state.next_ns, every)

    def pass_users(self, rows: Rows, before_ns: int, sequence: int) -> None:
        """Value all holders at the sample times earlier than ``before_ns``, on the lines as they
        are."""
        state, every = self.state, self.spec.user_nav_every_ns
        while state.next_users_ns < before_ns:
            state.next_users_ns, _ = self._skip(state.next_users_ns, before_ns, every)
            if state.next_users_ns >= before_ns:
                break
            self._users(rows, state.next_users_ns, sequence)
            state.next_users_ns += every

    def pass_by(self, before_ns: int) -> I64:
        """The samples earlier than ``before_ns`` count as taken, no holders being due: their
        times."""
        state, every, first_ns = self.state, self.spec.nav_every_ns, self.state.next_ns
        state.next_ns = first_ns - (first_ns - before_ns) // every * every
        self.wakes_ns = min(state.next_ns, state.next_users_ns)
        return np.arange(first_ns, state.next_ns, every)

    def marks(self) -> list[Known]:
        """The present marks and indexes, for ``pass_instant``."""
        return [(market.state.mark, market.state.index) for market in self.launched()]

    def pass_instant(self, before_ns: int, sequence: int, marks: list[tuple[float, float]]) -> None:
        """``pass_time`` where one input lets all times pass, and no holders are to be valued.

        Args:
            marks: the launched markets' marks and indexes before that input.
        """
        state = self.state
        while state.next_ns < before_ns:
            times = self._times(before_ns)
            count = len(times)
            known = [(np.full(count, mark), np.full(count, index)) for mark, index in marks]
            self._take(np.full(count, sequence), times, *map(list, zip(*known, strict=True)))
        self.wakes_ns = min(state.next_ns, state.next_users_ns)

    def launched(self) -> list[Market]:
        """The markets that are sampled; who was launched stays so."""
        if len(self._sampled) < len(self.markets):
            self._sampled = [market for market in self.markets if market.launched]
            self._stride = sum(len(market.handlers) for market in self._sampled)
        return self._sampled

    def _products(self, rows: Rows, times: I64, at: int) -> None:
        passed = rows.firsts_after(times)
        if passed.item(-1) > at:
            passed = np.minimum(passed, at)
        launched = self.launched()
        indexes = [market.indexes_at(passed) for market in launched]
        self._take(passed, times, marks_at(launched, passed, times), indexes)

    def _take(
        self, passed: I64, times: I64, marks: list[F64], indexes: Sequence[F64 | None]
    ) -> None:
        """Samples at ``times``, which the inputs ``passed`` let pass, of the launched markets at
        their marks and indexes."""
        held, base = self.hold(len(times)), self.base(passed)
        whole = [len(times)]
        self.blocks += self.blocks_of(held, passed, times, marks, indexes, base, whole)[0]

    def hold(self, count: int) -> list[Held]:
        """What the next so many samples need of each launched market but its prices."""
        return [
            (
                each,
                each.lines.take(count),
                each.places.take(count) if each.places is not None else (),
            )
            for each in self.launched()
        ]

    def base(self, passed: I64) -> int:
        """Where the ordinals start of samples that these inputs let pass; they are counted."""
        state, first, last = self.state, passed.item(0), passed.item(-1)
        base = state.ordinal if first == state.sequence else 0
        alone = len(passed) == 1 or passed.item(-2) < last
        same = 1 if alone else len(passed) - int(passed.searchsorted(last))
        state.ordinal = same * self._stride + (base if first == last else 0)
        state.sequence = last
        return base

    def blocks_of(
        self,
        held: list[Held],
        passed: I64,
        times: I64,
        marks: list[F64],
        indexes: Sequence[F64 | None],
        base: int,
        ends: Sequence[int],
    ) -> list[list[NavBlock]]:
        """A block for each market, at its marks and indexes, of each part of the samples that is
        not empty; ``ends``: where parts end."""
        offset, stride, found = 0, self._stride, [list[NavBlock]() for _ in ends]
        for number, (market, lines, queues) in enumerate(held):
            symbol, mark, index = market.spec.symbol, marks[number], indexes[number]
            followers = tuple(market.followers)
            needed = self._marks_of(queues, marks) if queues else _NO_MARKS
            begin, first = 0, base
            for end, blocks in zip(ends, found, strict=True):
                if begin < end:
                    part = slice(begin, end)
                    place = symbol, passed[part], first, stride, offset, times[part], mark[part]
                    if queues or followers:
                        there = {of: each[part] for of, each in needed.items()}
                        seen = (index[part], followers) if index is not None else ()
                        blocks.append(NavBlock(*place, *lines, queues, there, *seen))
                    else:
                        blocks.append(NavBlock(*place, *lines))
                begin, first = end, 0
            offset += len(market.handlers)
        return found

    def _marks_of(self, queues: Queues, marks: list[F64]) -> dict[int, F64]:
        """Those on which queues depend."""
        needed = {number for _, queue in queues for number in queue.markets}
        known = zip(self._sampled, marks, strict=True)
        numbered = ((self._number[market.spec.symbol], mark) for market, mark in known)
        return {number: mark for number, mark in numbered if number in needed}

    def _users(self, rows: Rows, ts_ns: int, at: int) -> None:
        sequence = min(rows.first_after(ts_ns), at)
        for market in self.markets:
            for number, price in enumerate(prices_at(market, sequence, ts_ns)):
                self.value_users(market, number, price, ts_ns, sequence, "cadence")

    def value_users(
        self, market: Market, number: int, price: float, ts_ns: int, sequence: int, reason: str
    ) -> None:
        """A record of one product's holders: all of them, or those whose units just changed
        (``holders``)."""
        handler = market.handlers[number]
        account, dealing = handler.account, handler.dealing
        if handler.state.status == "pending" or not account.units or not len(dealing.units):
            return
        state = self.state
        if sequence != state.users_sequence:
            state.users_sequence, state.users_ordinal = sequence, 0
        changed = np.array(dealing.changed, np.int64) if reason == "holders" else None
        self.user_blocks.append(
            UserNavBlock(
                sequence,
                state.users_ordinal,
                ts_ns,
                market.products[number],
                reason,
                changed,
                dealing.shared_units() if changed is None else dealing.units[changed],
                account.worth(price),
                account.units,
            )
        )
        state.users_ordinal += len(dealing.units) if changed is None else len(changed)

    def take(self) -> tuple[list[NavBlock], list[UserNavBlock]]:
        """What was sampled since the last call."""
        taken = self.blocks, self.user_blocks
        self.blocks, self.user_blocks = [], []
        return taken
