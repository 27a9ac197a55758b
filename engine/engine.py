"""The heart: ``process(step) -> outputs``, the same for a recording and for a live stream.

No clock, no I/O, no tasks. Cut the input anywhere: the output log is the same. A step is judged,
walked from wake to wake, sampled, and forgotten; one that matters to nobody is not walked at all.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from engine.clock import LEAP_NS
from engine.digest import Chain, SampleChain
from engine.errors import InvariantError, OutOfRangeError
from engine.intake import Intake
from engine.lines import LINE_BYTES
from engine.live import Live
from engine.lull import Lull
from engine.market import Market
from engine.outputs import Outputs
from engine.priced_market import PricedMarket
from engine.quiet import Quiet
from engine.rows import Rows
from engine.spec import EngineSpec, EngineState
from engine.ticks import Step, Tick
from engine.walk import Walker

__all__ = ["Engine", "EngineSpec", "EngineState"]

_NOTHING: Final = Outputs()


class Engine(Walker):
    """Markets, products and users, driven by steps."""

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        self.intake = Intake(len(spec.symbols))
        self.events_chain = Chain()
        self.line_chains = [Chain() for _ in spec.symbols]
        self.nav_chains = [SampleChain() for _ in spec.symbols]
        followed = [market.spec.symbol for market in self.markets if market.followers]
        self._index_chains = {symbol: SampleChain() for symbol in followed}
        self.nav_chains += self._index_chains.values()
        self._lull = Lull(self.sampler, self.nav_chains, self._index_chains)
        self._quiet = Quiet(self, self.intake, self._lull)
        self._live = Live(self.intake, self.markets)
        # Up to when live ticks pass quietly, and up to when no sample is due with them either.
        self._quiet_ns = self._calm_ns = -1

    @property
    def sequence(self) -> int:
        """The sequence that the next input must begin with."""
        if self._live.waiting:
            self.settle()
        return self.state.sequence

    @property
    def time_ns(self) -> int:
        """Engine time: the running maximum of exchange time."""
        if self._live.waiting:
            self.settle()
        return self.state.time_ns

    def settle(self) -> None:
        """Let what passed quietly count, samples and live ticks: before the state of the engine or
        of any of its parts is used."""
        self._quiet.end()
        if self._live.waiting:
            rows, ts_ns = self._live.settle()
            state = self.state
            state.sequence += rows
            state.ticks += rows
            state.time_ns = max(state.time_ns, ts_ns)

    def process(self, step: Step) -> Outputs:
        """Take the next rows of the input; everything they cause.

        Raises:
            InvariantError: if the step does not follow the last one.
            OutOfRangeError: where a product leaves 64 bits; the engine cannot go on.
        """
        if self._live.waiting:
            self.settle()
        state = self.state
        if step.first != state.sequence:
            raise InvariantError(f"step begins at {step.first}, expected {state.sequence}")
        self._quiet_ns = self._calm_ns = -1
        tables, messages, end = step.tables, step.messages, step.end
        if len(tables) == 1 and not messages:
            samples = self._quiet.take(tables[0])
            if samples is not None:
                state.ticks += end - step.first
                state.sequence = end
                return Outputs(nav=samples)
        self._general(step)
        state.ticks += end - step.first - len(messages)
        state.sequence = end
        return self._outputs()

    def _general(self, step: Step) -> None:
        self._quiet.end()
        state = self.state
        refused = self.intake.clock.refused(step, state.time_ns)
        rows = self.intake.accept(step, state.time_ns, refused)
        self.sampler.open(rows)
        markets = self._concerned(rows)
        for market in markets:
            market.open(rows)
        try:
            self._walk(rows)
        except (OutOfRangeError, OverflowError) as error:
            raise self._out_of_range(error) from None
        state.time_ns = max(state.time_ns, rows.time_ns)
        if self.sampler.wakes_ns < state.time_ns:
            self.sampler.pass_time(rows, state.time_ns, rows.end)
        for market in markets:
            market.close(state.time_ns)

    def _concerned(self, rows: Rows) -> list[Market]:
        """The markets that the step may be about; the time alone is about those with signals, and
        those whose venue makes prices of other symbols."""
        symbol = rows.columns[0].symbol if len(rows.columns) == 1 else None
        if not isinstance(symbol, int):
            return self.markets
        return [
            m
            for m in self.markets
            if m.spec.symbol == symbol or m.uses_signals or isinstance(m, PricedMarket)
        ]

    def finish(self) -> Outputs:
        """A finite input ended: let its last instant pass. Alarms and samples up to now are due."""
        self.settle()
        self._quiet_ns = self._calm_ns = -1
        state = self.state
        rows = Rows(Step(first=state.sequence, end=state.sequence), state.time_ns)
        for market in self.markets:
            market.open(rows)
        try:
            self._make_marks(rows, state.time_ns, rows.end)
            while self.agenda.next_ns() <= state.time_ns:
                self._ring(rows, self.agenda.next_ns(), rows.end)
        except (OutOfRangeError, OverflowError) as error:
            raise self._out_of_range(error) from None
        self.sampler.pass_time(rows, state.time_ns + 1, rows.end)
        for market in self.markets:
            market.close(state.time_ns)
        return self._outputs()

    def _out_of_range(self, error: Exception) -> OutOfRangeError:
        """Which product, at which tick, and what to do. Arithmetic that overflowed names none: then
        it is the one of the greatest position."""
        largest = max(self.handlers, key=lambda handler: abs(handler.account.lots))
        product = error.args[0] if isinstance(error, OutOfRangeError) else largest.spec.id
        market = self.markets[self.by_id[product][0]]
        return OutOfRangeError(
            f"{product} tick {self.tape.sequence} (ts {self.tape.ts_ns}): at a price of "
            f"{market.mark:g} its money or its lots no longer fit 64 bits; use a smaller "
            f"seed_capital or a larger lot_size of {market.spec.contract.symbol}"
        )

    def process_tick(self, tick: Tick) -> Outputs:
        """One live row as plain numbers, by the same rules; ticks that matter to nobody pass
        quietly."""
        ts_ns = tick.ts_ns
        if ts_ns <= self._calm_ns:
            if self._live.passes(tick):
                return _NOTHING
        elif ts_ns <= self._quiet_ns:
            self.settle()
            sequence, marks = self.state.sequence, self.sampler.marks()
            if self._live.passes(tick):
                self.sampler.pass_instant(ts_ns, sequence, marks)
                self._calm_ns = min(self._quiet_ns, self.sampler.wakes_ns)
                return self._samples()
        outputs = self.process(tick.step(self.sequence))
        self._await()
        return outputs

    def _await(self) -> None:
        """Until when live ticks pass quietly."""
        self._quiet.settle()
        grid_ns, users_ns = self._live.shut(), self.sampler.state.next_users_ns
        leap_ns = -1 if self.intake.clock.suspects else self.state.time_ns + LEAP_NS
        self._quiet_ns = min(self.agenda.next_ns(), users_ns, grid_ns, leap_ns)
        if self.priced:  # its points remember every row
            self._quiet_ns = -1
        self._calm_ns = min(self._quiet_ns, self.sampler.wakes_ns)

    def _outputs(self) -> Outputs:
        events, text, milestones = self.tape.take()
        if events:
            self.events_chain.lines(text, len(events))
        for market in self.markets:
            if market.lines.has_records:
                chain = self.line_chains[market.spec.symbol]
                chain.records(market.lines.records(), LINE_BYTES)
        outputs = self._samples()
        outputs.events, outputs.text, outputs.milestones = events, text, milestones
        return outputs

    def _samples(self) -> Outputs:
        """Nothing was said: at most samples were taken."""
        nav, users = self.sampler.take()
        for block in nav:
            self.nav_chains[block.market].samples(block.ts_ns, block.mark, block.sequence)
            if block.index is not None:
                chain = self._index_chains[block.market]
                chain.samples(block.ts_ns, block.index, block.sequence)
        return Outputs(nav=nav, user_nav=users)

    def digest(self) -> str:
        """The output digest: events and product NAVs; users' NAVs follow from them."""
        self._lull.settle()
        chains = [self.events_chain, *self.line_chains, *self.nav_chains]
        return sha256(b"".join(chain.digest() for chain in chains)).hexdigest()
