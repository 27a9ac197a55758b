"""What units are traded at, looked at at every price, alarm and request."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any

from engine.events import CreationRequest, SecondaryPriced
from engine.exact import exp2
from engine.units import NEVER_NS
from tests.reference import desk

if TYPE_CHECKING:
    from tests.reference.product import Product

TURNED_AWAY = (
    *("gated", "paused", "halted", "stale", "rebalancing", "outside_window"),
    *("request_cap", "user_cap", "day_cap", "nav_cap", "units_cap", "risk_limit"),
)


class Premium:
    """Where the units of one product trade."""

    def __init__(self) -> None:
        self.height, self.at_ns = 0.0, 0
        self.shut, self.capped, self.said = ("", ""), ("", ""), ("", "")
        self.day = -1


def look(product: Product) -> None:
    """Which sides are shut by now."""
    state, due = product.premium, product.market.due_ns
    if product.spec.terms.secondary is None or product.status == "pending":
        return
    shut = ("closed", "closed")
    if product.status == "active":
        why = ""
        if product.paused:
            why = "paused"
        elif product.market.stale:
            why = "halted" if product.market.stale == "halted" else "stale"
        elif product.plan is not None:
            why = "rebalancing"
        elif desk.times_of(desk.offering_of(product, due), due)[0] > due:
            why = "outside_window"
        shut = ("gated" if product.gated else why, why)
    day = _day_of(product)
    turned = day != state.day
    if turned or shut != state.shut:
        state.day, state.shut = day, shut
        _settle(product, 0, counts=turned)


def turn_away(product: Product, request: Any, reason: str) -> None:
    """Who cannot create buys, who cannot redeem sells what he has."""
    if reason not in TURNED_AWAY or product.spec.terms.secondary is None:
        return
    if isinstance(request, CreationRequest):
        _settle(product, desk.quote_of(product, request), counts=True)
        return
    user = product.users.index(request.user)
    owned = product.owned[user] if user is not None and user < len(product.owned) else 0
    nav, units = product.holding.nav(product.market.mark), product.holding.units
    _settle(product, -(min(desk.steps_of(request), owned) * nav // max(units, 1)), counts=True)


def dealt(product: Product) -> None:
    """There are more units now, or fewer."""
    if product.spec.terms.secondary is not None:
        _settle(product, 0, counts=True)


def next_edge(product: Product) -> int:
    """The next instant at which a window opens or closes, a day turns or other rules begin."""
    due, terms = product.market.due_ns, product.spec.terms
    offering = desk.offering_of(product, due)
    times = [at_ns for at_ns, _ in terms.offerings if at_ns > due]
    for day in range(-2, 3):
        begins = _day_of(product) + day * desk.DAY_NS
        if offering.opens_ns != offering.closes_ns:
            times += [begins + offering.opens_ns, begins + offering.closes_ns]
        if offering.day_max:
            times.append(begins)
    return min((at_ns for at_ns in times if at_ns > due), default=NEVER_NS)


def _day_of(product: Product) -> int:
    due = product.market.due_ns
    begins = desk.offering_of(product, due).day_at_ns
    return floor((due - begins) // desk.DAY_NS) * desk.DAY_NS + begins


def _settle(product: Product, flow: int, *, counts: bool) -> None:
    terms, state, mark = product.spec.terms.secondary, product.premium, product.market.mark
    nav, units = product.holding.nav(mark), product.holding.units
    assert terms is not None
    if nav <= 0 or units <= 0 or state.said == ("closed", "closed"):
        return
    height = state.height
    if height:
        height *= exp2(-(product.market.now_ns - state.at_ns) / terms.half_life_ns)
    height += flow / (100.0 * terms.depth_atoms)
    cost = 0.0 if product.formula else desk.basket_cost(product) / nav
    fees = [desk.fee_rate(product, redeems) for redeems in (0, 1)]
    top, bottom = min(terms.limit, fees[0] + cost), max(-terms.limit, -(fees[1] + cost))
    if counts:
        state.capped = (
            _cap(product, terms.depth_atoms * 100.0 * (height - top), creates=True),
            _cap(product, terms.depth_atoms * 100.0 * (bottom - height), creates=False),
        )
    sides = state.shut[0] or state.capped[0], state.shut[1] or state.capped[1]
    if flow == 0 and sides == state.said:
        return
    if sides == ("closed", "closed"):
        height = 0.0
    height = max(height, -terms.limit if sides[1] else bottom)
    height = min(height, terms.limit if sides[0] else top)
    state.height, state.at_ns, state.said = height, product.market.now_ns, sides
    per_unit = nav * 10**8 / units / round(1 / product.quote)
    product.say(
        SecondaryPriced,
        flow_atoms=flow,
        premium=height,
        creations=sides[0] or "open",
        redemptions=sides[1] or "open",
        nav_per_unit=per_unit,
        price_per_unit=per_unit * (1.0 + height),
        mark_price=mark,
    )


def _cap(product: Product, wanted: float, *, creates: bool) -> str:
    terms, held = desk.offering_of(product, product.market.due_ns), product.holding
    nav, day = held.nav(product.market.mark), _day_of(product)
    used = sum(each[3] for each in product.taken if each[:2] == (day, creates))
    rooms = [("day_cap", terms.day_max, terms.day_max - used)]
    if creates:
        units = (terms.units_max - held.units) * nav // held.units
        rooms += [
            ("units_cap", terms.units_max, units),
            ("nav_cap", terms.nav_max, terms.nav_max - nav),
        ]
        rooms += [("risk_limit", 1, desk.largest_nav(product) - nav)]
    for name, there_is, room in rooms:
        if there_is and wanted > 0.0 and wanted > room:
            return name
    return ""
