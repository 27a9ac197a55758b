"""Bugs to plant in the heart, and the checks that must find them.

Each is a fault that somebody could make in good faith. ``plant`` changes the running code through
pytest's monkeypatch; ``found_by`` names the check that must turn red.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import engine.engine
import engine.folding
import engine.policy
import engine.snapshot
from engine.account import Account
from engine.dealing import Dealing
from engine.execution import Desk
from engine.handler import Handler
from engine.intake import Column, Intake, Rows
from engine.ledger import Cause
from engine.market import Market
from engine.orders import DeskState
from engine.router import Router
from engine.units import NEVER_NS
from engine.venue.contract import Contract
from engine.venue.depth import DepthBook
from engine.venue.taking import Top

__all__ = ["BUGS", "Bug"]

Patch = Any


@dataclass(frozen=True)
class Bug:
    """A fault: what it is, how it is planted, and which check finds it."""

    name: str
    plant: Callable[[Patch], None]
    found_by: str


def _wrong_sign_of_funding(patch: Patch) -> None:
    right = Account.pay_funding
    patch.setattr(Account, "pay_funding", lambda self, paid, mark: right(self, -paid, mark))


def _fee_twice(patch: Patch) -> None:
    right = Account.execute

    def execute(self: Any, *args: Any, **how: bool) -> Any:
        done = right(self, *args, **how)
        self.pay_funding(done.fee, args[-1])
        return done

    patch.setattr(Account, "execute", execute)


def _fee_without_a_payee(patch: Patch) -> None:
    right = Account.execute

    def execute(self: Any, *args: Any, **how: bool) -> Any:
        done = right(self, *args, **how)
        self.balances[self._cash] -= 1
        return done

    patch.setattr(Account, "execute", execute)


def _looser_edge(patch: Patch) -> None:
    def beyond(low: float, high: float) -> tuple[float, float]:
        return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)

    patch.setattr(engine.policy, "drawn_in", beyond)


def _alarm_a_tick_late(patch: Patch) -> None:
    right = Rows.first_after
    patch.setattr(Rows, "first_after", lambda self, ts: min(right(self, ts) + 1, self.end))


def _fill_at_mark(patch: Patch) -> None:
    patch.setattr(Market, "top", lambda self: Top(self.mark, -1.0, self.ts_ns))


def _fee_rounded_down(patch: Patch) -> None:
    right = Contract.taker_fee
    patch.setattr(Contract, "taker_fee", lambda self, cash: max(0, right(self, cash) - 1))


def _redemption_above_nav(patch: Patch) -> None:
    right = Dealing._redeem

    def redeem(self: Any, scene: Any, order: Any, request: Any, nav: int, *rest: int) -> None:
        right(self, scene, order, request, nav + nav // 1_000, *rest)

    patch.setattr(Dealing, "_redeem", redeem)


def _silence_unnoticed(patch: Patch) -> None:
    patch.setattr(Market, "next_check_ns", lambda self: NEVER_NS)


def _no_latency(patch: Patch) -> None:
    right = Desk.order

    def order(self: Any, scene: Any, *args: Any, **fields: Any) -> Any:
        sent = right(self, scene, *args, **fields)
        sent.arrives_ns = scene.ts_ns
        return sent

    patch.setattr(Desk, "order", order)


def _rest_dropped(patch: Patch) -> None:
    right = Desk.retry

    def retry(self: Any, scene: Any, order: Any, reason: str) -> None:
        right(self, scene, order, reason)
        order.left = 0

    patch.setattr(Desk, "retry", retry)


def _late_tick_accepted(patch: Patch) -> None:
    right = Intake._judge

    def judge(self: Any, *args: Any) -> str | None:
        reason = right(self, *args)
        return None if reason == "late" else reason

    patch.setattr(Intake, "_judge", judge)


def _ruin_after_policies(patch: Patch) -> None:
    right = Handler._decide

    def decide(self: Any, scene: Any) -> tuple[bool, Any]:
        intercept, slope = self.account.line()
        if intercept + slope * scene.mark <= 0.0:
            decision, _ = self._ask(scene, self._view(scene))
            if decision is not None:
                return True, None
        return right(self, scene)

    patch.setattr(Handler, "_decide", decide)


def _duplicate_trade_taken(patch: Patch) -> None:
    right = Intake._judge

    def judge(self: Any, *args: Any) -> str | None:
        reason = right(self, *args)
        return None if reason == "duplicate" else reason

    patch.setattr(Intake, "_judge", judge)


def _first_row_skipped(patch: Patch) -> None:
    right = Router.open

    def skip(self: Any, rows: Any) -> None:
        right(self, rows)
        self._positions = [1] * len(self._positions)

    patch.setattr(Router, "open", skip)


def _grid_forgets_the_open_cell(patch: Patch) -> None:
    right = Market.close

    def close(self: Any, *args: Any) -> None:
        right(self, *args)
        self.state.cell_low, self.state.cell_high = math.inf, -math.inf

    def feed(self: Any, close: float, high: float, low: float, fresh: bool) -> None:
        right_step(self, close, max(high, close), min(low, close), fresh)

    signals = engine.folding.Signals  # type: ignore[attr-defined]
    right_step = signals.step
    patch.setattr(Market, "close", close)
    patch.setattr(signals, "step", feed)


def _peek_at_the_next_row(patch: Patch) -> None:
    right = Column.last

    def last(self: Any, symbol: int, before: int) -> int:
        return right(self, symbol, before + 3)

    patch.setattr(Column, "last", last)


def _order_forgotten_in_a_snapshot(patch: Patch) -> None:
    right = engine.snapshot.restore

    def restore(*args: Any) -> Any:
        restored = right(*args)
        for handler in restored.handlers:
            handler.desk.state = DeskState(deals=[], sent=handler.desk.state.sent)
        return restored

    patch.setattr(engine.snapshot, "restore", restore)


def _looking_moves_the_book(patch: Patch) -> None:
    right = DepthBook.depth

    def depth(self: Any, ts_ns: int) -> float:
        self.state.taken_ask *= 0.999
        self.state.taken_bid *= 0.999
        return right(self, ts_ns)

    patch.setattr(DepthBook, "depth", depth)


def _units_from_nowhere(patch: Patch) -> None:
    right = Account.create

    def create(self: Any, quote: int, units: int, mark: float) -> None:
        right(self, quote, units, mark)
        self.ledger.post(Cause.CREATION, self._issuer_units, self._users_units, 1)

    patch.setattr(Account, "create", create)


BUGS = (
    Bug("funding with the wrong sign", _wrong_sign_of_funding, "reference"),
    Bug("fee taken twice", _fee_twice, "events"),
    Bug("fee without a payee", _fee_without_a_payee, "conservation"),
    Bug("edge an ulp beyond its price", _looser_edge, "reference"),
    Bug("alarm a tick late", _alarm_a_tick_late, "reference"),
    Bug("fill at mark instead of mid", _fill_at_mark, "reference"),
    Bug("fee rounded to the other side", _fee_rounded_down, "reference"),
    Bug("redemption above NAV", _redemption_above_nav, "dealing"),
    Bug("silent market unnoticed", _silence_unnoticed, "reference"),
    Bug("latency ignored", _no_latency, "reference"),
    Bug("rest of a partial fill dropped", _rest_dropped, "reference"),
    Bug("late tick accepted", _late_tick_accepted, "reference"),
    Bug("duplicate trade accepted", _duplicate_trade_taken, "reference"),
    Bug("NAV <= 0 tested after the policies", _ruin_after_policies, "reference"),
    Bug("first row of a block never looked at", _first_row_skipped, "partition"),
    Bug("open cell of the grid forgotten at a cut", _grid_forgets_the_open_cell, "partition"),
    Bug("a look at rows that are yet to come", _peek_at_the_next_row, "causality"),
    Bug("orders left out of a snapshot", _order_forgotten_in_a_snapshot, "restart"),
    Bug("looking at the book moves it", _looking_moves_the_book, "observer"),
    Bug("units from nowhere", _units_from_nowhere, "conservation"),
)
