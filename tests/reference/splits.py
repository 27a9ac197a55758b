"""Units counted anew, holder by holder."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from engine.events import CreationRequest, UnitsNotSplit, UnitsSplit
from engine.units import NEVER_NS
from tests.reference import desk, traded

if TYPE_CHECKING:
    from tests.reference.product import Product

UNITS_MAX = 2**60


def rules_of(product: Product, at_ns: int) -> Any:
    """The rules that hold at an instant: the last ones that began."""
    terms = product.spec.terms
    return [terms.split, *(later for from_ns, later in terms.splits if from_ns <= at_ns)][-1]


def next_instant(product: Product, after_ns: int) -> int:
    """When there may next be something to do, by the rules that hold then."""
    found, spec = [], product.spec.terms
    for from_ns, terms in ((0, spec.split), *spec.splits):
        since_ns = max(after_ns, from_ns - 1)
        times = [] if terms is None else [at_ns for at_ns, _, _ in terms.dates if at_ns > since_ns]
        if terms is not None and terms.merge_below:
            grid = math.floor(Fraction(since_ns - terms.at_ns, terms.every_ns)) + 1
            times.append(terms.at_ns + grid * terms.every_ns)
        found += [at_ns for at_ns in times if rules_of(product, at_ns) is terms]
    return min(found, default=NEVER_NS)


def at_its_instant(product: Product) -> None:
    """What was announced for now, and the rule where it is its time."""
    since, due = product.split_ns, product.market.due_ns
    terms = rules_of(product, since)
    assert terms is not None
    product.split_ns = next_instant(product, due)
    for at_ns, new, old in terms.dates:
        if since <= at_ns <= due:
            _tell(product, new, old, "announced", split(product, new, old, "announced"))
    held = product.holding
    if terms.merge_below and not (since - terms.at_ns) % terms.every_ns and held.units:
        intercept, slope = held.line()
        nav = intercept + slope * product.price
        if nav * product.quote * 10**8 / held.units < terms.merge_below:
            why = split(product, 1, terms.merge, "low_nav")
            if why != product.unsplit:
                _tell(product, 1, terms.merge, "low_nav", why)
            product.unsplit = why


def _tell(product: Product, new: int, old: int, reason: str, why: str | None) -> None:
    if why is None:
        return
    held, mark = product.holding, product.market.mark
    product.say(
        UnitsNotSplit,
        reason=reason,
        why=why,
        new=new,
        old=old,
        units_total=held.units,
        nav_atoms=held.nav(mark),
        mark_price=mark,
    )


def split(product: Product, new: int, old: int, reason: str) -> str | None:
    """Each holder keeps whole units of the product's decimals, the rest of his is paid out."""
    held, mark = product.holding, product.market.mark
    terms = rules_of(product, product.market.now_ns)
    nav, total = held.nav(mark), held.units
    if nav <= 0 or total <= 0:
        return "nav_not_positive"
    if math.floor(Fraction(total * new, old)) > UNITS_MAX:
        return "too_large"
    grain = 10 ** (8 - terms.decimals) if terms is not None else 1
    worth = Fraction(nav, total)  # of an old unit's step
    issuer = total - sum(product.owned)
    kept, paid = [], []
    for units in [*product.owned, issuer]:
        mine = math.floor(Fraction(units * new, old * grain)) * grain
        kept.append(mine)
        paid.append(math.floor((units - Fraction(mine * old, new)) * worth))
    if not sum(kept):
        return "too_small"
    product.watch_high_water()
    for order in product.deals:
        if not isinstance(order.request, CreationRequest):
            user = product.users.index(order.request.user)
            product.pledged[user] -= desk.steps_of(order.request)
        desk.refuse(product, order.request, "split")
    product.deals.clear()
    for _, request in product.waiting():
        desk.refuse(product, request, "split")
    product.queue.clear()
    for request in product.orders:
        desk.refuse(product, request, "split")
    product.orders.clear()
    coins = held.regroup(sum(kept), (sum(paid[:-1]), paid[-1]), mark)
    product.changed += [user for user, units in enumerate(product.owned) if units]
    product.owned = kept[:-1]
    product.units_scale *= new / old
    product.traded = True
    product.say(
        UnitsSplit,
        reason=reason,
        new=new,
        old=old,
        units_before=total,
        units_total=held.units,
        paid_atoms=sum(paid),
        nav_atoms=held.nav(mark),
        mark_price=mark,
        coin_atoms=coins,
    )
    traded.dealt(product)
    return None
