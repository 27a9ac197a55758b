"""What a sweep keeps of one run: a row a product, read off the state of the finished engine.

No run directory, no table of events or samples: what ``levsim run`` would write to find these
numbers takes longer than finding them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pyarrow as pa

from engine.attribution import attribution
from engine.engine import Engine
from engine.events import UnitsSplit
from engine.handler import Handler
from engine.handler_state import CLOSED, PENDING
from engine.market import Market
from engine.outputs import Outputs
from engine.summary import costs_of
from engine.sweep.drawdown import Drawdowns
from engine.units import UNIT_STEPS, asset_decimals

__all__ = ["FAULT", "ROWS", "VIOLATED", "Measures", "faulty_row"]

FAULT: Final = "fault"
"""Column that says why a run has no figures; null where it has."""

VIOLATED: Final = "violated"
"""Column that says which expectations of scenarios a run did not keep to, in the row of its first
product; null where it kept to all."""
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
ROWS: Final = pa.schema(
    [
        ("point", pa.int32()),
        ("path", pa.int64()),
        ("product", _TEXT),
        ("status", _TEXT),
        ("nav_end", pa.float64()),
        ("return", pa.float64()),
        ("underlying_return", pa.float64()),
        ("max_drawdown", pa.float64()),
        ("ruined", pa.bool_()),
        ("equity_start", pa.float64()),
        ("equity_end", pa.float64()),
        ("hedge_cost", pa.float64()),
        ("funding", pa.float64()),
        ("holding_cost", pa.float64()),
        ("issuer_loss", pa.float64()),
        ("issuer_profit", pa.float64()),
        ("insurance_paid", pa.float64()),
        ("adl_loss", pa.float64()),
        ("rebalances", pa.int32()),
        ("deleveragings", pa.int32()),
        ("liquidations", pa.int32()),
        ("adl_events", pa.int32()),
        ("policy_faults", pa.int32()),
        ("unhedged_seconds", pa.float64()),
        ("leverage_end", pa.float64()),
        ("digest", pa.binary(32)),
        (FAULT, pa.string()),
        (VIOLATED, pa.string()),
    ]
)
"""The table of a sweep; money in quote, ratios plain. ``nav_end`` is NAV per unit of the start: a
unit that was split or merged meanwhile counts as what became of it. ``hedge_cost`` is
spread, impact and fees; it, ``funding``, ``insurance_paid`` and ``adl_loss`` are the hedge's, whose
costs a formula's holders do not bear. ``holding_cost`` is what ``levsim run`` calls costs,
``issuer_loss`` deficits that the issuer paid. A product is ``ruined`` whose holders have nothing
left, or which the venue liquidated to the end."""


class Measures:
    """Follows one run; made with the engine before its first step.

    Attributes:
        events: how many of each kind there were.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.events: Counter[str] = Counter()
        spec = engine.spec
        quotes = [spec.markets[product.market].contract.quote for product in spec.products]
        self._scales = [10.0 ** -asset_decimals(quote) for quote in quotes]
        self._drawdowns = Drawdowns([scale * UNIT_STEPS for scale in self._scales])
        self._numbers = {product.id: number for number, product in enumerate(spec.products)}

    def collect(self, outputs: Outputs) -> None:
        """Take the outputs of one step."""
        for event in outputs.events:
            if isinstance(event, UnitsSplit):
                splits = self._drawdowns.splits[self._numbers[event.product]]
                splits.append((event.ts_ns, event.new, event.old))
        self._drawdowns.add(outputs.nav)
        self.events.update(str(type(event).__struct_config__.tag) for event in outputs.events)

    def rows(self, point: int, path: int) -> list[dict[str, Any]]:
        """The rows of the run, in the order of its products. Beside the columns of ``ROWS`` they
        have ``units_scale``: how many units of the end one of the start is."""
        engine = self._engine
        digest, found = bytes.fromhex(engine.digest()), {}
        for market in engine.markets:
            for number, handler in zip(market.products, market.handlers, strict=True):
                row = {"point": point, "path": path, "product": handler.spec.id, "digest": digest}
                if handler.state.status == PENDING:
                    row |= {"status": PENDING}
                else:
                    row |= self._figures(market, handler, number)
                found[number] = row
        return [found[number] for number in sorted(found)]

    def _figures(self, market: Market, handler: Handler, number: int) -> dict[str, Any]:
        account, state, mark = handler.account, handler.state, market.state.mark
        scale, units, price = self._scales[number], account.units, account.at(mark)
        nav, parts = account.nav(mark), attribution(account, mark)
        hedge = attribution(account.book, mark)
        per_unit = nav * scale / (units / UNIT_STEPS) if units else 0.0
        per_unit *= state.units_scale
        intercept, slope = account.line()
        worth, unhedged = intercept + slope * price, state.unhedged_ns
        if handler.desk.state.plan is not None:
            unhedged += self._engine.time_ns - handler.desk.state.plan.decided_ns
        lost, profit = self._issuer(handler, mark, parts)
        gone = state.status == CLOSED and (state.liquidations > 0 or per_unit <= 0.0)
        return {
            "status": state.status,
            "nav_end": per_unit,
            "units_scale": state.units_scale,
            "return": per_unit - 1.0,
            "underlying_return": price / account.state.first_mark - 1.0,
            "max_drawdown": self._drawdowns.at_the_end(number, per_unit if units else None),
            "ruined": gone or (units > 0 and nav <= 0),
            "equity_start": account.state.equity_start * scale,
            "equity_end": nav * scale,
            "hedge_cost": -(hedge["spread_impact"] + hedge["fees"]) * scale,
            "funding": hedge["funding"] * scale,
            "holding_cost": costs_of(parts) * scale,
            "issuer_loss": lost * scale,
            "issuer_profit": profit * scale,
            "insurance_paid": max(hedge["insurance"], 0) * scale,
            "adl_loss": -hedge["adl"] * scale,
            "rebalances": state.rebalances,
            "deleveragings": state.deleveragings,
            "liquidations": state.liquidations,
            "adl_events": state.adl_events,
            "policy_faults": sum(state.faulted),
            "unhedged_seconds": unhedged / 1e9,
            "leverage_end": slope * price / worth if worth > 0.0 else None,
        }

    def _issuer(self, handler: Handler, mark: float, parts: dict[str, int]) -> tuple[int, int]:
        """``(deficits paid, profit)`` of the issuer with this product, quote atoms, as in
        ``issuer`` of a summary."""
        account = handler.account
        paid, gap = parts["issuer"], 0
        if account.formula:
            book = account.book
            paid = attribution(book, mark)["issuer"]
            gap = book.nav(mark) - account.nav(mark)
        held = self._engine.ledger.balance("issuer", f"{handler.spec.id}:units")
        worth = held * account.nav(mark) // account.units if account.units else 0
        earned = account.state.dealing_fees - parts["management_fee"]
        return paid, worth - handler.spec.seed_atoms + earned - paid + gap


def faulty_row(point: int, path: int, fault: str) -> dict[str, Any]:
    """The one row of a run that could not be carried out."""
    return {"point": point, "path": path, FAULT: fault}
