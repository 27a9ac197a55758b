"""Runs at a venue that asks for margin, with products of which only a part lies there or that share
an account, and an operator who freezes withdrawals; requests come and go as in the margined
runs."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from engine.commands import Command, FreezeWithdrawals
from engine.engine import EngineSpec
from engine.product import ProductSpec
from engine.ticks import Step
from engine.units import SECOND_NS
from tests.properties.margined import margined_spec
from tests.properties.tapes import a_random_tape

__all__ = ["walleted_spec", "walleted_tape"]

ROWS = 200


def _walleted(random: Random, product: ProductSpec, *, linear: bool) -> ProductSpec:
    if product.kind != "fund":
        return product
    pick: Any = random.choice
    hedge = replace(
        product.hedge,
        account=pick(["segregated", "omnibus", "omnibus"]),
        margin_share=pick([0.1, 0.2, 0.35, 0.7, 1.0]),
        topup_latency_ns=pick([0, SECOND_NS, 7 * SECOND_NS]),
        topup_at=pick([1.5, 2.0, 5.0]),
    )
    own = random if linear else Random(f"{product.id} {hedge.margin_share} {hedge.topup_at}")
    if own.random() < 0.35:
        fee = {"management_fee": own.choice([0.0, 0.002])}
        return replace(product, hedge=hedge, terms=replace(product.terms, nav="formula", **fee))
    return replace(product, hedge=hedge)


def walleted_spec(seed: int) -> EngineSpec:
    """The margined run of a seed, its funds with a treasury each or behind an omnibus account, some
    of them with a formula for their NAV."""
    random, spec = Random(f"wallets {seed}"), margined_spec(seed)
    return replace(
        spec,
        symbols=tuple(market.contract.symbol for market in spec.markets),
        products=tuple(
            _walleted(random, each, linear=spec.markets[each.market].contract.kind == "linear")
            for each in spec.products
        ),
    )


def walleted_tape(seed: int, rows: int = ROWS) -> Step:
    """A tape for that run, on which every command is one to freeze or to thaw."""
    random, spec = Random(f"freezes {seed}"), walleted_spec(seed)
    tape = a_random_tape(Random(seed * 7 + 1), spec, rows, commands=0.05)
    messages = [(sequence, _frozen(random, spec, each)) for sequence, each in tape.messages]
    return Step(first=tape.first, end=tape.end, tables=tape.tables, messages=tuple(messages))


def _frozen(random: Random, spec: EngineSpec, message: Any) -> Any:
    if not isinstance(message, Command):
        return message
    ahead = random.choice([0, 5, 20, 60]) * SECOND_NS
    return FreezeWithdrawals(
        ts_ns=message.ts_ns,
        id=message.id,
        symbol=random.choice(spec.symbols),
        until_ns=message.ts_ns + ahead if ahead else 0,
    )
