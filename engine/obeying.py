"""The operator's commands, obeyed or refused."""

from __future__ import annotations

from typing import Any, Final

from engine.agenda import Priority
from engine.commands import (
    AutoDeleverage,
    Command,
    CustodyCommand,
    DefaultVenue,
    DegradeMarket,
    FreezeWithdrawals,
    HaltMarket,
    MarketCommand,
    MarkScenario,
    MaskIndex,
    OpenPopulation,
    PriceCollateral,
    ThinBook,
)
from engine.custody import deleverage, fail, forget, gather, look, reprice, seized
from engine.events import CommandObeyed, CommandRefused, Dated, ScenarioMark
from engine.guarding import MARGINS, Guarding
from engine.priced_market import trouble
from engine.units import NEVER_NS

__all__ = ["Obeying"]

_HANDLER: Final = 0
_VENUE: Final = Priority.VENUE


class Obeying(Guarding):
    """Does what it is told, once."""

    def _after(self, number: int, place: int, sequence: int) -> None:
        """A handler was attended. ``Passing`` gives it, who knows whom that concerns."""
        raise NotImplementedError

    def _command(self, sequence: int, command: Command, untimely: str | None) -> None:
        known, detail = self.state.commands, command.detail
        refusal = "duplicate" if command.id in known else untimely
        if untimely is not None and refusal == untimely:
            detail = self._dates(command)
        known.setdefault(command.id, sequence)
        refusal = refusal or self._obey(sequence, command)
        said: dict[str, Any] = {
            "command": command.__struct_config__.tag,
            "id": command.id,
            "symbol": getattr(command, "symbol", None),
            "product": getattr(command, "product", None),
            "detail": detail,
        }
        if refusal:
            self.tape.say(CommandRefused, reason=refusal, **said)
        elif isinstance(command, MarkScenario):
            self._marked(command)
        else:
            self.tape.say(CommandObeyed, **said)

    def _marked(self, command: MarkScenario) -> None:
        self.tape.say(
            ScenarioMark,
            scenario=command.scenario,
            name=command.name,
            what=command.what,
            until_ns=command.until_ns,
            detail=command.words,
        )

    def _obey(self, sequence: int, command: Command) -> str | None:
        """Do it; why not, where it is refused."""
        if isinstance(command, MarketCommand):
            return self._obey_market(sequence, command)
        if isinstance(command, MarkScenario):
            return None
        known = self.by_id.get(command.product)
        if known is None:
            return "unknown_product"
        market = self.markets[known[0]]
        self._stage(known[0], sequence, self.state.time_ns, self.state.time_ns)
        refusal = market.handlers[known[1]].obey(market, command)
        self._after(*known, sequence)
        self.router.arm(market)
        return refusal

    def _obey_market(self, sequence: int, command: MarketCommand) -> str | None:
        symbols = self.spec.symbols
        known = symbols.index(command.symbol) if command.symbol in symbols else -1
        number = self.router.of_symbol[known] if known >= 0 else -1
        if number < 0:
            return "unknown_symbol"
        market = self.markets[number]
        self._stage(number, sequence, self.state.time_ns, self.state.time_ns)
        if isinstance(command, DegradeMarket | MaskIndex | ThinBook):
            return trouble(market, command, symbols)
        if isinstance(command, CustodyCommand):
            return self._obey_custody(sequence, number, command)
        if isinstance(command, FreezeWithdrawals):
            refusal = market.freeze(command.until_ns)
            for place, handler in enumerate(market.handlers):
                handler.freeze(market)
                self._set_fill(number, place)
            return refusal
        refusal = market.halt() if isinstance(command, HaltMarket) else market.lift()
        if market.stale:
            self.agenda.set((_VENUE, number, _HANDLER), NEVER_NS)
        self.router.arm(market)
        return refusal

    # What befalls accounts at the venue -----------------------------------------------------------

    def _obey_custody(self, sequence: int, number: int, command: CustodyCommand) -> str | None:
        market = self.markets[number]
        if isinstance(command, OpenPopulation):
            refusal, due = gather(self.margins, number, command)
            if due:
                self.agenda.hasten(MARGINS, self.tape.ts_ns)
        elif isinstance(command, PriceCollateral):
            refusal = reprice(market, number, command, self.margins)
            if refusal is None and self.margins is not None and look(self.margins, number):
                self.agenda.hasten(MARGINS, self.tape.ts_ns)
        elif isinstance(command, AutoDeleverage):
            refusal = deleverage(market, number, command)
            if self.margins is not None:
                seized(self.margins, number)
        else:
            refusal = self._fail(number, command)
        for place, handler in enumerate(market.handlers):
            if handler.traded:
                self._after(number, place, sequence)
        self.router.arm(market)
        return refusal

    def _fail(self, number: int, command: DefaultVenue) -> str | None:
        market = self.markets[number]
        refusal = fail(market, number, command)
        if refusal is None:
            self.agenda.set((_VENUE, number, _HANDLER), NEVER_NS)
            if self.margins is not None:
                forget(self.margins, number)
        return refusal

    def _dates(self, message: Dated) -> str:
        return f"dated {message.ts_ns}, engine time {self.state.time_ns}"
