"""The engine on a case of the oracle's, and every difference between what the two say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from engine.engine import Engine, EngineSpec
from engine.events import (
    CreationRefused,
    CreationRequest,
    DeficitPaid,
    FundingSettled,
    ManagementFeeCharged,
    OrderFilled,
    Output,
    RedemptionRefused,
    RedemptionRequest,
    UnitsCreated,
    UnitsRedeemed,
    UnitsSplit,
)
from engine.ledger import Cause
from engine.market import MarketSpec
from engine.nav import nav_columns
from engine.offering import Offering
from engine.outputs import ATTRIBUTION, NavBlock
from engine.product import HedgeTerms, ProductSpec, Terms
from engine.sampler import Sampling
from engine.splits import SplitTerms
from engine.ticks import Bbo, Funding, Heartbeats, Index, Marks, Step, Table, Trades
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from strategies import LeverageBand, MarginFloor, Schedule
from tests.oracle.case import Case, Row
from tests.oracle.oracle import Oracle
from tests.oracle.primary import Primary
from tests.oracle.promise import Promise, oracle_of

NEVER_STALE_NS = 10**18
TINY = Fraction(1, 10**12)


@dataclass
class Seen:
    """What the engine said of a tape."""

    engine: Engine
    events: list[Output]
    nav: list[NavBlock]

    def of(self, *kinds: type[Output]) -> list[Any]:
        """The events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]


def spec_of(case: Case) -> EngineSpec:
    """The case as the engine is told it."""
    policies: list[Any] = []
    for kind, *numbers in case.policies:
        if kind == "band":
            policies.append(LeverageBand(target=numbers[0], low=numbers[1], high=numbers[2]))
        elif kind == "floor":
            policies.append(MarginFloor(max_leverage=numbers[0], cut_to=numbers[1]))
        else:
            policies.append(Schedule(target=numbers[0], every_s=numbers[1] / 1e9))
    names = [user for user, _ in case.holdings]
    product = ProductSpec(
        id="P",
        market=0,
        seed_atoms=case.seed,
        holdings=tuple((names.index(user), quote) for user, quote in case.holdings),
        terms=Terms(
            nav="formula" if case.formula else "basket",
            formula_price="index" if case.index else "mark",
            management_fee=case.management_fee,
            fee_every_ns=case.fee_every,
            while_rebalancing="queue" if case.queue else "refuse",
            offering=_offering(case),
            split=SplitTerms(
                merge_below=case.primary.merge_below,
                merge=case.primary.merge,
                every_ns=case.primary.merge_every,
                dates=case.primary.dates,
                decimals=case.primary.decimals,
            ),
        ),
        hedge=HedgeTerms(latency_ns=case.latency, reserve_atoms=case.reserve),
    )
    market = MarketSpec(
        symbol=0,
        contract=ContractSpec(
            symbol="BTCUSDT",
            base="BTC",
            quote="USDT",
            kind="inverse" if case.inverse else "linear",
            lot_size=case.lot_size,
            contract_size=case.face,
            taker_fee=case.taker_fee,
        ),
        book=BookSpec(model="flat", half_spread_bps=case.half_spread_bps),
        funding=FundingSpec(recorded=case.rate_8h is None, rate_8h=case.rate_8h),
        mark_source="last" if case.source == "trade" else case.source,  # type: ignore[arg-type]
        stale_after_ns=NEVER_STALE_NS,
        frozen_after_ns=NEVER_STALE_NS,
    )
    return EngineSpec(
        symbols=("BTCUSDT",),
        markets=(market,),
        products=(product,),
        policies=(tuple(policies),),
        users=tuple(names),
        sampling=Sampling(nav_every_ns=case.nav_every),
    )


def _offering(case: Case) -> Offering:
    rules = case.primary
    return Offering(
        opens_ns=rules.opens,
        closes_ns=rules.closes,
        outside="queue" if rules.waits else "refuse",
        batch_ns=case.batch,
        request_max=rules.request_max,
        user_day_max=rules.user_day_max,
        day_max=rules.day_max,
        nav_max=rules.nav_max,
        units_max=rules.units_max,
    )


def step_of(tape: list[Row]) -> Step:
    """All rows of a tape as one step."""
    by_kind: dict[str, list[tuple[int, Row]]] = {}
    messages: list[tuple[int, Any]] = []
    for place, row in enumerate(tape):
        if row[0] in ("create", "redeem", "stop", "take"):
            _, ts, name, user, amount, *level = row
            at = {"stop": "at_or_below", "take": "at_or_above"}
            waits = {at[row[0]]: level[0]} if level else {}
            about = {"ts_ns": ts, "id": name, "user": user, "product": "P"}
            messages.append(
                (
                    place,
                    CreationRequest(quote=amount, **about)
                    if row[0] == "create"
                    else RedemptionRequest(units=amount, **about, **waits),
                )
            )
        else:
            by_kind.setdefault(row[0], []).append((place, row))
    tables: list[Table] = []
    for kind in ("trade", "bbo", "mark", "index", "funding", "heartbeat"):
        if rows := by_kind.get(kind):
            places, *columns = (list(c) for c in zip(*((p, *r[1:]) for p, r in rows), strict=True))
            tables.append(_table(kind, np.array(places), [np.array(c) for c in columns]))
    return Step(first=0, end=len(tape), tables=tuple(tables), messages=tuple(messages))


def _table(kind: str, places: Any, columns: list[Any]) -> Table:
    where: dict[str, Any] = {"sequence": places, "symbol": 0, "ts_ns": columns[0]}
    ones = np.ones(len(places))
    if kind == "mark":
        return Marks(price=columns[1], **where)
    if kind == "index":
        return Index(price=columns[1], **where)
    if kind == "trade":
        ids = np.full(len(places), -1)
        return Trades(price=columns[1], size=ones, aggressor=ids * 0, trade_id=ids, **where)
    if kind == "bbo":
        return Bbo(bid=columns[1], bid_size=ones, ask=columns[2], ask_size=ones, **where)
    if kind == "funding":
        return Funding(rate=columns[1], next_ns=columns[2], **where)
    return Heartbeats(**where)


def run_engine(case: Case, tape: list[Row]) -> Seen:
    """The real engine over the whole tape."""
    engine = Engine(spec_of(case))
    ledger = engine.ledger
    issuer, insurance = ledger.open("issuer", "USDT"), ledger.open("insurance", "USDT")
    ledger.post(Cause.INSURANCE, issuer, insurance, case.insurance)
    seen = Seen(engine, [], [])
    for outputs in (engine.process(step_of(tape)), engine.finish()):
        seen.events += outputs.events
        seen.nav += outputs.nav
    ledger.check()
    return seen


def run_oracle(case: Case, tape: list[Row], seen: Seen | None = None) -> Oracle:
    """The oracle over the whole tape; with the prices that the engine's venue confirmed."""
    oracle = oracle_of(case, [fill.price for fill in seen.of(OrderFilled)] if seen else [])
    for row in tape:
        oracle.feed(row)
    return oracle.end()


def differences(case: Case, tape: list[Row]) -> list[str] | None:
    """Every way in which engine and oracle disagree; ``None`` where a decision was too close."""
    seen = run_engine(case, tape)
    oracle = run_oracle(case, tape, seen)
    return None if oracle.close_calls else disagreements(seen, oracle)


def disagreements(seen: Seen, oracle: Oracle) -> list[str]:
    """What the engine said against what the oracle says."""
    account = seen.engine.markets[0].handlers[0].account
    found: list[str] = []
    found += _compare("fill", _fills(seen), [_whole(fill) for fill in oracle.fills])
    found += _compare("payment", _payments(seen), oracle.paid)
    found += _compare("deal", _deals(seen), oracle.dealt)
    refusals = [(e.id, e.reason) for e in seen.of(CreationRefused, RedemptionRefused)]
    found += _compare("refusal", refusals, oracle.refused)
    if isinstance(oracle, Primary):
        splits = [(e.ts_ns, e.new, e.old, e.units_total, e.paid_atoms) for e in seen.of(UnitsSplit)]
        found += _compare("split", splits, oracle.splits)
    if oracle.status == "pending" or found:
        return found
    ends = [account.nav(oracle.mark), account.lots, account.units]
    found += _compare("end", ends, [oracle.whole, oracle.lots, oracle.units.total()])
    if isinstance(oracle, Promise):
        found += _hedge(account.book, oracle)
    return found + _samples(seen, oracle) + _attribution(account, oracle)


def _hedge(book: Any, oracle: Promise) -> list[str]:
    """The issuer's account: what it is worth, and what it spent on what."""
    book.close_segment(oracle.mark)
    parts = dict(zip(ATTRIBUTION, book.state.attribution, strict=True))
    found = _compare("hedge", [book.nav(oracle.mark)], [floor(oracle.hedge)])
    for cause in ("fees", "funding", "management_fee", "issuer", "insurance", "flows"):
        if abs(parts[cause] - oracle.spent[cause]) > oracle.off[cause]:
            found.append(f"hedge's {cause}: {parts[cause]}, oracle {float(oracle.spent[cause])}")
    for cause in ("basis", "spread_impact"):
        if abs(parts[cause] - oracle.spent[cause]) > 2 * len(oracle.fills) + oracle.off[cause]:
            found.append(f"hedge's {cause}: {parts[cause]}, oracle {float(oracle.spent[cause])}")
    return found


def _compare(what: str, ours: list[Any], theirs: list[Any]) -> list[str]:
    for place, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our != their:
            return [f"{what} {place}: engine {our}, oracle {their}"]
    if len(ours) != len(theirs):
        extra = max(ours, theirs, key=len)[min(len(ours), len(theirs)) :]
        return [f"{what}s: engine {len(ours)}, oracle {len(theirs)}; extra {extra}"]
    return []


def _whole(fill: dict[str, Any]) -> dict[str, Any]:
    return {**fill, "price": float(fill["price"])}


def _fills(seen: Seen) -> list[dict[str, Any]]:
    return [
        {
            "order": e.order,
            "ts": e.ts_ns,
            "purpose": e.purpose,
            "lots": e.lots,
            "price": e.price,
            "mid": e.mid_price,
            "mark": e.mark_price,
            "hedge": e.hedge_atoms,
            "impact": e.spread_impact_atoms,
            "fee": e.fee_atoms,
        }
        for e in seen.of(OrderFilled)
    ]


def _payments(seen: Seen) -> list[tuple[Any, ...]]:
    names = {FundingSettled: "funding", ManagementFeeCharged: "management_fee"}
    return [
        (names.get(type(e)) or e.payer, e.ts_ns, e.paid_atoms)
        for e in seen.of(FundingSettled, ManagementFeeCharged, DeficitPaid)
    ]


def _deals(seen: Seen) -> list[dict[str, Any]]:
    return [
        {
            "id": e.id,
            "ts": e.ts_ns,
            "units": e.units,
            "cost": e.cost_atoms,
            "quote": e.quote_atoms,
            "nav": e.nav_atoms,
            "held": e.user_units,
        }
        for e in seen.of(UnitsCreated, UnitsRedeemed)
    ]


def _samples(seen: Seen, oracle: Oracle) -> list[str]:
    columns = nav_columns(seen.nav)
    found = _compare("sample time", columns["ts_ns"].tolist(), [s["ts"] for s in oracle.samples])
    if found:
        return found
    for place, want in enumerate(oracle.samples):
        got = {name: column[place].item() for name, column in columns.items()}
        exposure = want["slope"] * Fraction(want["price"])
        size = abs(exposure) + abs(want["nav"] - exposure) + 1
        # A line has whole atoms of face and of cash, and doubles for the rest.
        if abs(Fraction(got["nav_atoms"]) - want["nav"]) > TINY * size + Fraction(1, 1000):
            found.append(f"nav at {want['ts']}: engine {got['nav_atoms']}, oracle {want['nav']}")
        if (got["units"], got["mark_price"]) != (want["units"], want["mark"]):
            found.append(f"units, mark at {want['ts']}: engine {got['units']}, {got['mark_price']}")
        if want["nav"] > TINY * size and abs(exposure / want["nav"]) < 1000:
            leverage = exposure / want["nav"]
            if abs(Fraction(got["leverage"]) - leverage) > TINY * 1000 * (abs(leverage) + 1):
                found.append(f"leverage at {want['ts']}: engine {got['leverage']}")
        found += _causes(got, want, TINY * 100 * size + 1, f"at {want['ts']}")
    return found


def _attribution(account: Any, oracle: Oracle) -> list[str]:
    account.close_segment(oracle.mark)
    parts = dict(zip(ATTRIBUTION, account.state.attribution, strict=True))
    change = account.nav(oracle.mark) - account.state.equity_start
    found = [] if sum(parts.values()) == change else [f"causes {parts} do not sum to {change}"]
    want = {"causes": oracle.causes, "slack": oracle.slack}
    bound = sum(slack for cause, slack in oracle.slack.items() if cause != "price")
    if abs(parts["rounding"]) > bound:
        found.append(f"rounding {parts['rounding']}, at most {float(bound)}")
    if not oracle.case.inverse and abs(parts["rounding"]) > account.state.roundings:
        found.append(f"rounding {parts['rounding']} of {account.state.roundings} roundings")
    return found + _causes(parts, want, Fraction(0), "at the end")


def _causes(
    got: dict[str, Any], want: dict[str, Any], more: Fraction | int, when: str
) -> list[str]:
    return [
        f"{cause} {when}: engine {got[cause]}, oracle {float(want['causes'].get(cause, 0))}"
        for cause in ATTRIBUTION
        if cause != "rounding"
        and abs(Fraction(got[cause]) - want["causes"].get(cause, 0))
        > want["slack"].get(cause, 0) + more
    ]
