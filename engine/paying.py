"""What a product pays or receives at an instant: funding, management fee, interest on a loan."""

from __future__ import annotations

from typing import Final

from engine.account import Account
from engine.events import (
    DeficitPaid,
    FundingSettled,
    InterestCharged,
    ManagementFeeCharged,
    SurplusTaken,
)
from engine.handler_state import ACTIVE, CLOSED, CLOSING, PENDING, HandlerState
from engine.orders import Scene
from engine.units import HOUR_NS
from engine.venue.funding import FundingDue, funding_payment

__all__ = ["Paying"]

_SPOT: Final = ("spot", "margin_loan")
"""What stands on the spot market: it neither pays funding nor asks for margin."""


class Paying:
    """One product's payments.

    Attributes:
        traded: whether balances moved since the engine last looked.
    """

    __slots__ = ("account", "spec", "state", "traded")

    def __init__(self, account: Account, state: HandlerState) -> None:
        self.account = account
        self.spec = account.spec
        self.state = state
        self.traded = False

    def _pay_funding(self, scene: Scene, due: FundingDue, lots: int) -> bool:
        """Funding on the position held, ``lots`` of it; whether there was one to pay for."""
        account = self.account
        if self.state.status in (PENDING, CLOSED) or lots == 0 or self.spec.kind in _SPOT:
            return False
        size = account.contract.notional(lots, due.index_price or scene.mark)
        paid = funding_payment(size, 1 if lots > 0 else -1, due.rate)
        account.pay_funding(paid, scene.mark)
        self.traded = True
        scene.tape.say(
            FundingSettled,
            product=self.spec.id,
            symbol=account.contract.spec.symbol,
            rate=due.rate,
            mark_price=scene.mark,
            position_lots=lots,
            paid_atoms=paid,
            index_price=due.index_price,
        )
        return True

    def _pay_interest(self, scene: Scene) -> None:
        """An hour's interest on what is borrowed, quote money or coins, and when the next is
        due."""
        state, account, rate = self.state, self.account, self.spec.loan.hourly_rate
        state.fee_ns += HOUR_NS
        debt = account.debt(scene.mark)
        if state.status in (ACTIVE, CLOSING) and debt:
            paid = account.pay_interest(debt, rate, scene.mark)
            self.traded = True
            scene.tape.say(
                InterestCharged,
                product=self.spec.id,
                rate=rate,
                debt_atoms=debt,
                paid_atoms=paid,
            )

    def _pay_fee(self, scene: Scene) -> None:
        """The management fee on the present NAV, and when the next one is due."""
        if self.spec.kind == "margin_loan":
            self._pay_interest(scene)
            return
        state, terms = self.state, self.spec.terms
        nav, rate = self.account.nav(scene.mark), terms.fee_rate(state.fee_ns)
        state.fee_ns += terms.fee_every_ns
        if state.status == ACTIVE and nav > 0 and rate:
            paid = self.account.pay_management_fee(rate, scene.mark)
            self.traded = True
            scene.tape.say(
                ManagementFeeCharged,
                product=self.spec.id,
                rate=rate,
                nav_atoms=nav,
                paid_atoms=paid,
            )

    def _pay_deficit(self, scene: Scene, deficit: int) -> None:
        """What is missing after the last fill is paid, in order; what a formula's hedge left
        beyond what holders are owed is the issuer's."""
        account, product = self.account, self.spec.id
        for payer in ("insurance", "reserve", "issuer"):
            paid = account.pay_deficit(payer, deficit) if deficit else 0
            if paid:
                deficit -= paid
                scene.tape.say(DeficitPaid, product=product, payer=payer, paid_atoms=paid)
        surplus = account.take_surplus()
        if surplus:
            scene.tape.say(SurplusTaken, product=product, atoms=surplus)
