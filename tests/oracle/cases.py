"""Random products and random tapes, the prices aimed at the product's own edges."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from tests.oracle.case import HOUR, Case, Row, Rules
from tests.oracle.oracle import Oracle, RunawayError
from tests.oracle.promise import oracle_of

SECOND = 10**9
MIDNIGHT_NS = 1_700_006_400 * SECOND
"""00:00 UTC: funding, fees and schedules all fall due."""
STARTS = (MIDNIGHT_NS, MIDNIGHT_NS - 1, MIDNIGHT_NS - 90 * SECOND, MIDNIGHT_NS + 12_345)
LATENCIES = (0, 0, 0, 1, SECOND // 4, 5 * SECOND, 2 * HOUR)


@st.composite
def policies(draw: st.DrawFn) -> tuple[tuple[Any, ...], ...]:
    """A comfort policy, or two, and sometimes a margin floor."""
    target = draw(st.sampled_from((3.0, 2.0, 1.5, 5.0, -1.0, -2.0, -3.0, 0.5)))
    size = abs(target)
    width = draw(st.sampled_from((0.002, 0.05, 0.2, 0.5)))
    found: list[tuple[Any, ...]] = []
    kind = draw(st.sampled_from(("band", "band", "schedule", "both")))
    if kind != "schedule":
        found.append(("band", target, size * (1 - width), size * (1 + width * 1.5)))
    if kind != "band":
        found.append(("schedule", target, draw(st.sampled_from((600 * SECOND, HOUR, 8 * HOUR)))))
    if draw(st.booleans()):
        top = size * draw(st.sampled_from((1.2, 2.0)))
        cut = size * draw(st.sampled_from((0.5, 1.0)))
        found.insert(draw(st.integers(0, len(found))), ("floor", top, cut))
    return tuple(found)


CAPS = ("request_max", "user_day_max", "day_max")


@st.composite
def primaries(draw: st.DrawFn) -> Case:
    """A basket whose primary market has rules of every sort."""

    def pick(*options: Any) -> Any:
        return draw(st.sampled_from(options))

    case = draw(cases())
    opens, when = pick(0, 0, 0, HOUR // 2, 8 * HOUR), pick(0, 1, HOUR, 8 * HOUR)
    held = case.seed + 6 * 10**9
    rules = Rules(
        opens=opens,
        closes=opens and opens + pick(HOUR, 9 * HOUR),
        waits=draw(st.booleans()),
        **pick({}, *({name: 8_000 * 10**6} for name in CAPS)),
        nav_max=pick(0, 0, held + 20_000 * 10**6),
        units_max=pick(0, (held + 20_000 * 10**6) * 100),
        dates=((MIDNIGHT_NS + when, *pick((7, 1), (1, 4), (1, 1_000_000))),) if when else (),
        merge_below=pick(0.0, 0.0, 0.7, 3.0),
        merge=pick(2, 10),
        merge_every=pick(HOUR, 8 * HOUR),
        decimals=pick(8, 2, 0),
    )
    own = {"holdings": (("ann", 5 * 10**9), ("ben", 10**9)), "queue": True, "primary": rules}
    return Case(**{**vars(case), **own})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One product of any sort."""
    inverse = draw(st.booleans())

    def pick(*options: Any) -> Any:
        return draw(st.sampled_from(options))

    return Case(
        seed=pick(10**10, 10**12, 123_456_789_012),
        holdings=pick((), (("ann", 5 * 10**9), ("ben", 1_000_001))),
        inverse=inverse,
        source=pick("mark", "mark", "mid", "trade"),
        lot_size=1.0 if inverse else pick(0.001, 0.000001, 0.01),
        face=pick(1.0, 100.0) if inverse else 1.0,
        taker_fee=pick(0.0, 0.0004, 0.00075),
        half_spread_bps=pick(0.0, 0.5, 7.0),
        policies=draw(policies()),
        latency=draw(st.sampled_from(LATENCIES)),
        queue=draw(st.booleans()),
        batch=pick(0, 0, 600 * SECOND, 8 * HOUR),
        management_fee=pick(0.0, 0.0003, 0.001),
        fee_every=pick(HOUR, 24 * HOUR),
        rate_8h=pick(None, 0.0001, -0.00037, 0.0),
        insurance=pick(0, 10**7, 10**13),
        reserve=pick(0, 10**7, 10**13),
        nav_every=pick(600 * SECOND, HOUR),
    )


MOVES = st.one_of(
    st.tuples(st.just("step"), st.integers(-120, 120)),
    st.tuples(st.just("jump"), st.integers(-45, 60)),
    st.tuples(st.just("edge"), st.integers(0, 5), st.sampled_from((-1, 1))),
    st.tuples(st.just("edge"), st.integers(0, 5), st.sampled_from((-1, 1))),
    st.tuples(st.just("quote"), st.integers(1, 80), st.integers(-30, 30)),
    st.tuples(st.just("funding"), st.sampled_from((0.0001, -0.0003, 0.00375)), st.booleans()),
    st.tuples(st.just("create"), st.sampled_from(("ann", "cyd")), st.integers(1, 40_000)),
    st.tuples(st.just("redeem"), st.sampled_from(("ann", "ben", "cyd")), st.integers(1, 4_000)),
    st.tuples(st.just("heartbeat")),
)
LONG = (SECOND, 300 * SECOND, 3 * HOUR)
PAUSES = st.sampled_from((0, 0, 1, SECOND // 8, *LONG, "due", "due", "due-"))
"""How long until a move: nanoseconds, or up to the next thing due, or to just before it."""
WAITS = st.tuples(
    st.sampled_from(("stop", "take")),
    st.sampled_from(("ann", "ben")),
    st.integers(1, 500),
    st.integers(-9, 9),
)
CREATES = st.tuples(
    st.just("create"), st.sampled_from(("ann", "cyd")), st.sampled_from((900, 9_000, 22_000))
)
ORDERS = st.one_of(MOVES, CREATES, CREATES, WAITS, WAITS)
STORIES = st.lists(st.tuples(PAUSES, MOVES), min_size=3, max_size=40)


TALES = st.lists(st.tuples(PAUSES, ORDERS), min_size=3, max_size=40)
"""Stories of products with a primary market of their own."""


def edges(oracle: Oracle) -> list[Fraction]:
    """The prices at which the product would next do something."""
    slope = oracle.slope
    still = oracle.nav - slope * Fraction(oracle.price)
    levels = [Fraction(0)]
    for kind, *numbers in oracle.case.policies:
        levels += map(Fraction, {"band": numbers[1:], "floor": numbers[:1]}.get(kind, []))
    found = [-still / slope] if slope else []
    for level in levels:
        held = -level if slope < 0 else level
        if slope and held not in (0, 1):
            found.append(held * still / (slope * (1 - held)))
    return [p for p in found if oracle.price / 3 < p < oracle.price * 3]


def tell(case: Case, story: list[tuple[Any, tuple[Any, ...]]], start: int) -> list[Row]:
    """The rows of a story, whose prices depend on where the product stands."""
    oracle, tape, now = oracle_of(case), [], start
    moves = [(0, ("step", 0)), *story, (1, ("step", 3)), ("due", ("step", 1))]
    for number, (pause, move) in enumerate(moves):
        if isinstance(pause, str):
            due = min(oracle.alarms(), default=now)
            now = max(now, due - pause.count("-")) if due < now + 9 * HOUR else now
        else:
            now += pause
        tape.append(_row(oracle, move, now, number))
        try:
            oracle.feed(tape[-1])
        except RunawayError:
            return _counted(case, tape)
    try:
        oracle.end()
    except RunawayError:
        return _counted(case, tape)
    return tape


def _counted(case: Case, tape: list[Row]) -> list[Row]:
    """As much of a tape as the product bears."""
    while tape:
        tape = tape[:-1]
        oracle = oracle_of(case)
        try:
            for row in tape:
                oracle.feed(row)
            oracle.end()
        except RunawayError:
            continue
        break
    return tape


def _row(oracle: Oracle, move: tuple[Any, ...], now: int, number: int) -> Row:
    kind, *numbers = move
    mark = oracle.mark or 60_000.0
    if kind in ("create", "redeem"):
        return kind, now, f"{kind} {number}", numbers[0], numbers[1] * 1.001
    if kind in ("stop", "take"):
        total = oracle.units.total()
        per_unit = float(oracle.nav) * 100 / total if total else 1.0
        level = max(round(per_unit * (1 + numbers[2] / 100), 6), 1e-6)
        return kind, now, f"{kind} {number}", numbers[0], numbers[1] * 1.001, level
    if kind == "heartbeat":
        return kind, now
    if kind == "funding":
        instant = (now // (8 * HOUR) + 1) * 8 * HOUR
        return kind, now, numbers[0], instant - (HOUR if numbers[1] else 0)
    if kind == "quote" and oracle.case.source != "mid":
        middle = mark * (1 + numbers[1] * 1e-4)
        return "bbo", now, middle * (1 - numbers[0] * 1e-5), middle * (1 + numbers[0] * 1e-5)
    if oracle.case.index and number % 3:
        return "index", now, _price(oracle, kind, numbers, oracle.price or 60_000.0)
    price = _price(oracle, kind, numbers, mark)
    if oracle.case.source == "mid":
        return "bbo", now, price * 0.9999, price * 1.0001
    return oracle.case.source, now, price


def _price(oracle: Oracle, kind: str, numbers: list[int], mark: float) -> float:
    near = edges(oracle) if kind == "edge" else []
    if near:
        return float(near[numbers[0] % len(near)]) * (1.0 + numbers[1] * 1e-9)
    percent = numbers[0] if kind == "jump" else numbers[0] * 0.01
    return max(round(mark * (1 + percent / 100), 1), 0.1)
