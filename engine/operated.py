"""What the operator says to a market: halted, its withdrawals frozen."""

from __future__ import annotations

from engine.events import MarketStale
from engine.handler import Handler
from engine.market_state import Staleness
from engine.matching import Matching
from engine.outputs import Tape

__all__ = ["Operated"]


class Operated(Matching):
    """A market as its operator sees it."""

    handlers: list[Handler]
    tape: Tape
    ts_ns: int
    stale: bool

    @property
    def launched(self) -> bool:
        """Whether the products were launched: all at the first price."""
        return bool(self.handlers) and self.handlers[0].state.status != "pending"

    def _go_stale(self, reason: Staleness, since_ns: int) -> None:
        state = self.state
        state.stale, state.stale_since_ns = reason, since_ns
        self.stale = True
        symbol = self.spec.contract.symbol
        self.tape.say(MarketStale, symbol=symbol, reason=reason, since_ns=since_ns)

    @property
    def halted(self) -> bool:
        """Whether the operator made it stale."""
        return self.state.stale == "halted"

    def halt(self) -> str | None:
        """The operator: stale until ``lift``, whatever comes; why not, where it is refused."""
        if not self.launched:
            return "not_launched"
        if self.halted:
            return "halted"
        self._go_stale("halted", self.state.stale_since_ns if self.stale else self.ts_ns)
        return None

    @property
    def frozen_ns(self) -> int:
        """Until when no top-up of margin arrives."""
        return self.state.frozen_ns

    def freeze(self, until_ns: int) -> str | None:
        """The operator: no top-up arrives before; why not, where it is so already."""
        state, now_ns = self.state, self.ts_ns
        if max(until_ns, now_ns) == max(state.frozen_ns, now_ns):
            return "frozen" if until_ns > now_ns else "not_frozen"
        state.frozen_ns = until_ns
        return None

    def lift(self) -> str | None:
        """The operator: the next fresh price resumes; why not, where it is refused."""
        if not self.halted:
            return "not_halted"
        if self.state.defaulted:
            return "defaulted"
        self.state.stale = "gap"
        return None
