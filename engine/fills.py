"""``fills.parquet``: every execution of a run, and all else that moved a product's cash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import UNSET

from engine.custody_events import BalanceLost, CollateralRevalued
from engine.events import (
    DeficitPaid,
    FundingSettled,
    InterestCharged,
    ManagementFeeCharged,
    OrderFilled,
    Output,
    ProductClosed,
    ProductLaunched,
    SurplusTaken,
    UnitsCreated,
    UnitsRedeemed,
    UnitsSplit,
)
from engine.parquet import TIME, timestamps, writer
from engine.venue.contract import Contract
from engine.venue.contract_spec import ContractSpec
from engine.venue_events import AccountCharged, LiquidationFilled, OmnibusShared, TopUpArrived

__all__ = ["MOVING", "Fills"]

MOVING: Final = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        *(OrderFilled, ProductLaunched, ProductClosed, UnitsCreated, UnitsRedeemed, FundingSettled),
        *(InterestCharged, ManagementFeeCharged, DeficitPaid, LiquidationFilled),
        *(OmnibusShared, SurplusTaken, TopUpArrived, AccountCharged),
        *(UnitsSplit, CollateralRevalued, BalanceLost),
    )
)
"""Tags of the events that ``Fills.note`` wants."""
_OF_EXECUTIONS: Final[dict[str, int | None]] = {
    **dict.fromkeys(("order", "price", "mid_price", "mark_price")),
    **dict.fromkeys(("lots", "hedge_atoms", "spread_impact_atoms", "fee_atoms"), 0),
}
"""Columns of an execution, and what stands there in the other rows."""
_SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int64()),
        ("ordinal", pa.int64()),
        *TIME,
        ("product", pa.string()),
        ("symbol", pa.string()),
        ("order", pa.int64()),
        ("purpose", pa.string()),
        ("lots", pa.int64()),
        ("price", pa.float64()),
        ("mid_price", pa.float64()),
        ("mark_price", pa.float64()),
        ("hedge_atoms", pa.int64()),
        ("spread_impact_atoms", pa.int64()),
        ("fee_atoms", pa.int64()),
        ("cash_atoms", pa.int64()),
        ("quote_atoms", pa.int64()),
    ]
)


_PRODUCT: Final = "product:"


class Fills:
    """The rows of a run, in order.

    An execution moves lots and cash. What moves money alone has a row of no lots, with its cause as
    ``purpose``: creation, redemption, split, funding, management_fee, interest, insurance, issuer,
    closing_fee, socialised, revaluation, default. So an account can be rebuilt from the file:
    ``cash_atoms`` is what a row did to it, in atoms of the settlement asset. A product on an
    inverse contract sells its coins when it closes (``settlement``); what was paid for them, and
    what moves from then on, stands in ``quote_atoms``, the atoms of quote money beside the coins.

    Args:
        contracts: of each product.
    """

    def __init__(self, contracts: Mapping[str, ContractSpec]) -> None:
        self._inverse = {
            name: Contract(spec) for name, spec in contracts.items() if spec.kind == "inverse"
        }
        self._coins = dict.fromkeys(self._inverse, 0)
        """Held by each product on an inverse contract, after the rows so far."""
        self._rows: list[tuple[Output, str, str, int, int]] = []

    def note(self, event: Output) -> None:
        """One event of those in ``MOVING``; others say nothing here."""
        if isinstance(event, OrderFilled):
            cash = event.hedge_atoms + event.spread_impact_atoms - event.fee_atoms
            self._add(event, event.product, event.purpose, cash)
        elif isinstance(event, UnitsCreated):
            self._flow(event, "creation", 1, event.quote_atoms)
        elif isinstance(event, UnitsRedeemed):
            self._flow(event, "redemption", -1, event.quote_atoms)
        elif isinstance(event, UnitsSplit):
            self._flow(event, "split", -1, event.paid_atoms)
        elif isinstance(event, FundingSettled):
            self._add(event, event.product, "funding", -event.paid_atoms)
        elif isinstance(event, InterestCharged):
            self._add(event, event.product, "interest", -event.paid_atoms)
        elif isinstance(event, ManagementFeeCharged):
            self._add(event, event.product, "management_fee", -event.paid_atoms)
        else:
            self._note_ends(event)

    def _note_ends(self, event: Output) -> None:
        """How a product begins and ends."""
        if isinstance(event, ProductLaunched):
            contract, cash = self._inverse.get(event.product), event.equity_atoms
            if contract is not None:  # who comes pays up
                cash = -contract.to_settlement(-cash, event.mark_price)
            self._add(event, event.product, "creation", cash)
        elif isinstance(event, ProductClosed):
            coins = self._coins.get(event.product, 0)
            if coins:
                value = self._inverse[event.product].to_quote(coins, event.mark_price)
                self._add(event, event.product, "settlement", -coins, value)
        elif isinstance(event, DeficitPaid):
            payer = "insurance" if event.payer == "insurance" else "issuer"
            self._pay(event, event.product, payer, event.paid_atoms)
        elif isinstance(event, SurplusTaken):
            self._pay(event, event.product, "issuer", -event.atoms)
        else:
            self._note_venue(event)

    def _note_venue(self, event: Output) -> None:
        """What the venue gave or took without a trade, or what became of the money there."""
        if isinstance(event, LiquidationFilled) and event.account.startswith(_PRODUCT):
            name = event.account.removeprefix(_PRODUCT)
            self._add(event, name, "insurance", -event.fund_atoms)
        elif isinstance(event, AccountCharged) and event.account.startswith(_PRODUCT):
            name = event.account.removeprefix(_PRODUCT)
            purpose = "insurance" if event.cause == "cover" else event.cause
            self._add(event, name, purpose, -event.atoms)
        elif isinstance(event, OmnibusShared) and not event.lots:
            self._add(event, event.product, event.cause, event.cash_atoms)
        elif isinstance(event, TopUpArrived):
            self._add(event, event.product, "issuer", event.issuer_atoms)
        elif isinstance(event, CollateralRevalued):
            self._add(event, event.product, "revaluation", event.change_atoms)
        elif isinstance(event, BalanceLost):
            self._add(event, event.product, "default", -event.lost_atoms)

    def _flow(
        self, event: UnitsCreated | UnitsRedeemed | UnitsSplit, purpose: str, side: int, quote: int
    ) -> None:
        if event.coin_atoms is UNSET:
            self._pay(event, event.product, purpose, side * quote)
        else:
            self._add(event, event.product, purpose, side * event.coin_atoms)

    def _pay(self, event: Output, product: str, purpose: str, quote: int) -> None:
        """Quote money moves, which is the settlement asset of all but inverse contracts."""
        if product in self._inverse:
            self._add(event, product, purpose, 0, quote)
        else:
            self._add(event, product, purpose, quote)

    def _add(self, event: Output, product: str, purpose: str, cash: int, quote: int = 0) -> None:
        if product in self._coins:
            self._coins[product] += cash
        if cash or quote or isinstance(event, OrderFilled):
            self._rows.append((event, product, purpose, cash, quote))

    def table(self, symbols: Mapping[str, str]) -> pa.Table:
        """The rows; ``symbols`` by product."""
        rows = self._rows
        events = [event for event, *_ in rows]
        columns: dict[str, Any] = {
            "sequence": [e.sequence for e in events],
            "ordinal": [e.ordinal for e in events],
            "ts_ns": [e.ts_ns for e in events],
            "ts": timestamps(np.array([e.ts_ns for e in events], np.int64)),
            "product": [product for _, product, *_ in rows],
            "symbol": [symbols[product] for _, product, *_ in rows],
            "purpose": [purpose for _, _, purpose, *_ in rows],
            "cash_atoms": [cash for *_, cash, _ in rows],
            "quote_atoms": [quote for *_, quote in rows],
        }
        for name, empty in _OF_EXECUTIONS.items():
            columns[name] = [
                getattr(e, name) if isinstance(e, OrderFilled) else empty for e in events
            ]
        return pa.table({n: columns[n] for n in _SCHEMA.names}, schema=_SCHEMA)

    def write(self, path: Path, symbols: Mapping[str, str]) -> None:
        """Write them; ``symbols`` by product."""
        with writer(path, _SCHEMA) as file:
            file.write_table(self.table(symbols))
