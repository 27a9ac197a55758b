"""The index: a weighted median of spot markets that are heard.

A median and no mean: a source of less than half of the weight cannot move it beyond the others,
whatever it says. Comparisons only, so it has the same bits everywhere. A source that is silent for
too long, or masked, does not count; where none is left there is no index.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.venue.price_rules import IndexSource

__all__ = ["index_price", "is_fresh", "weighted_median"]


def weighted_median(prices: Sequence[float], weights: Sequence[float]) -> float:
    """The least price with at least half of the weight at or below it.

    Where exactly half lies at or below it and the next price would do as well, the source declared
    first decides between the two: ``weighted_median([101.0, 100.0], [1.0, 1.0])`` is 101.

    Args:
        prices: at least one, in declared order.
        weights: as many, above zero.
    """
    order = sorted(range(len(prices)), key=lambda source: prices[source])
    total = passed = 0.0
    for weight in weights:
        total += weight
    for place, source in enumerate(order[:-1]):
        passed += weights[source]
        if passed + passed > total:
            return prices[source]
        if passed + passed == total:
            return prices[min(source, order[place + 1])]
    return prices[order[-1]]


def is_fresh(seen_ns: int, stale_after_ns: int, ts_ns: int) -> bool:
    """Whether what was last heard at ``seen_ns`` counts at ``ts_ns``; 0 was never heard."""
    return seen_ns > 0 and ts_ns - seen_ns < stale_after_ns


def index_price(
    sources: Sequence[IndexSource],
    prices: Sequence[float],
    seen_ns: Sequence[int],
    ts_ns: int,
    masked: Sequence[bool] = (),
) -> float | None:
    """The index at ``ts_ns``; ``None`` where no source counts.

    Args:
        prices: last price of each source.
        seen_ns: when it was heard; 0 never.
        masked: which sources are known to be out of order.
    """
    counted = [
        number
        for number, source in enumerate(sources)
        if is_fresh(seen_ns[number], source.stale_after_ns, ts_ns)
        and not (masked and masked[number])
    ]
    if not counted:
        return None
    return weighted_median([prices[n] for n in counted], [sources[n].weight for n in counted])
