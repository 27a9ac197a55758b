"""Valuing products and users in vectors.

Product NAVs lie on lines, so rows are an outer product of lines and marks. A user's NAV is
``floor(units * NAV / units_total)`` exactly: a float quotient is right to a few units, and the
exact remainder in wrapping 64-bit arithmetic says which; the sum of users plus the reported dust is
the product's NAV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Final

import numpy as np

from engine.errors import OutOfRangeError
from engine.outputs import ATTRIBUTION, NavBlock, Queued, UserNavBlock
from engine.units import UNIT_STEPS

__all__ = ["exact_navs", "nav_columns", "value_users", "worth_of"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

ReadOff = Callable[[float, float, float], int]

_CHUNK: Final = 32_768
_DRAWN_DOWN: Final = 1.0 / 2**51
_FLOAT_EXACT: Final = 2**52
_TOTAL_MAX: Final = 2**61


def nav_columns(blocks: Sequence[NavBlock]) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of product NAVs: one per sample and product, in the order of the samples, products in
    declared order.

    Returns:
        ``ts_ns, product, sequence, ordinal, nav_atoms`` (float, quote atoms), ``nav_per_unit``
        (quote atoms per unit), ``units`` (steps), ``leverage`` (nan where NAV <= 0),
        ``mark_price``, ``index_price`` (nan where no product of the market follows it), one column
        per cause, quote atoms, ``adl_quantile`` (nan where the hedge is in no queue) and
        ``plan_lots``.
    """
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return {name: np.empty(0, dtype) for name, dtype in _COLUMNS.items()}
    return _columns(blocks)


_COLUMNS: Final[dict[str, str]] = {
    "ts_ns": "i8",
    "product": "i4",
    "sequence": "i8",
    "ordinal": "i8",
    "nav_atoms": "f8",
    "nav_per_unit": "f8",
    "units": "i8",
    "leverage": "f8",
    "mark_price": "f8",
    "index_price": "f8",
    **dict.fromkeys(ATTRIBUTION, "f8"),
    "adl_quantile": "f8",
    "plan_lots": "i8",
}


def _versions(block: NavBlock) -> tuple[F64, I64, I64 | None]:
    """All lines and parts of a block, those of its changes last, and which of them holds where:
    shape (samples, products), ``None`` where each product has one."""
    changes = block.changes
    if changes is None:
        return block.line, block.parts, None
    version, samples = changes.stretches(len(block.ts_ns), len(block.products))
    line = np.concatenate([block.line, changes.line])
    parts = np.concatenate([block.parts, changes.parts])
    return line, parts, version.repeat(samples, axis=0)


def _columns(blocks: list[NavBlock]) -> dict[str, np.ndarray[Any, Any]]:
    """All blocks at once: a step of many markets has many blocks of few samples."""
    samples = np.array([len(block.ts_ns) for block in blocks])
    widths = np.array([len(block.products) for block in blocks])
    counts, block_rows = widths.repeat(samples), widths * samples
    ts_ns = np.concatenate([block.ts_ns for block in blocks]).repeat(counts)
    marks = np.concatenate([block.mark for block in blocks]).repeat(counts)
    sequence = np.concatenate([block.sequence for block in blocks])
    first = (counts.cumsum() - counts).repeat(counts)
    place = np.arange(len(first)) - first
    line, parts, version = _all_versions(blocks, block_rows, place)
    products = np.array([product for block in blocks for product in block.products], np.int32)
    listed = (widths.cumsum() - widths).repeat(block_rows) + place
    intercept, slope, since = (line[:, column].take(version) for column in range(3))
    prices, indexes = marks, np.full(len(marks), np.nan)
    if any(block.index is not None for block in blocks):
        prices = np.concatenate([block.prices().ravel() for block in blocks])
        indexes = np.concatenate([_indexes(block) for block in blocks]).repeat(counts)
    exposure = slope * prices
    nav = intercept + exposure
    units = parts[:, 0].take(version)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_unit = np.where(units > 0, nav * UNIT_STEPS / units, 0.0)
        leverage = np.where(nav > 0.0, exposure / nav, np.nan)
    rows: dict[str, np.ndarray[Any, Any]] = {
        "ts_ns": ts_ns,
        "product": products.take(listed),
        "sequence": sequence.repeat(counts),
        "ordinal": _ordinals(blocks, samples, sequence).repeat(counts) + place,
        "nav_atoms": nav,
        "nav_per_unit": per_unit,
        "units": units,
        "leverage": leverage,
        "mark_price": marks,
        "index_price": indexes,
    }
    for number, cause in enumerate(ATTRIBUTION):
        closed = parts[:, 1 + number].astype(np.float64).take(version)
        rows[cause] = closed + slope * (prices - since) if cause == "price" else closed
    rows["adl_quantile"] = _quantiles(blocks, len(marks))
    rows["plan_lots"] = _plan_lots(blocks, len(marks))
    return rows


def _indexes(block: NavBlock) -> F64:
    return np.full(len(block.ts_ns), np.nan) if block.index is None else block.index


def _quantiles(blocks: list[NavBlock], rows: int) -> F64:
    """Of each row's hedge in the venue's queue; nan where it is in none. What stood unchanged over
    many blocks is worked out at once."""
    found = np.full(rows, np.nan)
    spans: dict[Queued, list[tuple[NavBlock, int, int, int]]] = {}
    offset = 0
    for block in blocks:
        ends = [*(first for first, _ in block.queues[1:]), len(block.ts_ns)]
        for (first, queue), end in zip(block.queues, ends, strict=bool(block.queues)):
            spans.setdefault(queue, []).append((block, first, end, offset))
        offset += len(block)
    for queue, parts in spans.items():
        times = np.concatenate([block.ts_ns[first:end] for block, first, end, _ in parts])
        marks = {
            number: np.concatenate([b.marks[number][first:end] for b, first, end, _ in parts])
            for number in queue.markets
        }
        quantiles, done = queue.quantiles(times, marks), 0
        for block, first, end, begin in parts:
            places = len(block.products)
            part = quantiles[done : done + end - first]
            found[begin + first * places : begin + end * places] = part.ravel()
            done += end - first
    return found


def _plan_lots(blocks: list[NavBlock], rows: int) -> I64:
    """Lots that the plan of each row's product has still to trade."""
    found, offset = np.zeros(rows, np.int64), 0
    for block in blocks:
        if any(block.plans) or block.plan_changes:
            own = found[offset : offset + len(block)].reshape(len(block.ts_ns), -1)
            own[:] = block.plans
            for sample, place, lots in block.plan_changes:
                own[sample:, place] = lots
        offset += len(block)
    return found


def _all_versions(blocks: list[NavBlock], rows: I64, place: I64) -> tuple[F64, I64, I64]:
    """All lines and parts of all blocks, and which of them holds in each row; ``rows`` of each
    block, ``place`` of each row's product in its block."""
    lines, parts, versions = zip(*map(_versions, blocks), strict=True)
    lengths = np.array([len(line) for line in lines])
    begins, ends = lengths.cumsum() - lengths, rows.cumsum()
    version = begins.repeat(rows) + place
    for own, begin, end in zip(versions, begins.tolist(), ends.tolist(), strict=True):
        if own is not None:
            version[end - own.size : end] = own.ravel() + begin
    return np.concatenate(lines), np.concatenate(parts), version


def _ordinals(blocks: list[NavBlock], samples: I64, sequence: I64) -> I64:
    """Shape (all samples,): `NavBlock.ordinals` of each block, one after the other."""
    ends = samples.cumsum()
    begins = ends - samples
    counted = np.arange(len(sequence))
    fresh = np.ones(len(sequence), bool)
    fresh[1:] = sequence[1:] != sequence[:-1]
    fresh[begins] = True
    rank = counted - np.maximum.accumulate(np.where(fresh, counted, 0))
    base, stride, offset = (
        np.array([getattr(block, name) for block in blocks]).repeat(samples)
        for name in ("base", "stride", "offset")
    )
    first = sequence == sequence[begins].repeat(samples)
    ordinals: I64 = rank * stride + offset + np.where(first, base, 0)
    return ordinals


def worth_of(block: UserNavBlock, units: I64, product: str) -> I64:
    """``value_users`` of some units of a block.

    Raises:
        OutOfRangeError: if a holder has more than 64 bits count.
    """
    try:
        return value_users(np.ascontiguousarray(units), block.product_nav_atoms, block.units_total)
    except OverflowError:
        raise OutOfRangeError(
            f"{product} tick {block.sequence} (ts {block.ts_ns}): what a holder has no longer fits "
            "64 bits; use smaller holdings"
        ) from None


def exact_navs(block: NavBlock, read_off: Sequence[ReadOff]) -> list[list[int]]:
    """NAVs of a block in whole quote atoms, as the accounts round: a list a sample, products in
    declared order. In Python's integers, for those who need few of them.

    Args:
        read_off: for each product of the block, how NAV is read off intercept, slope and price.
    """
    line, _parts, version = _versions(block)
    lines = [(intercept, slope) for intercept, slope, _ in line.tolist()]
    unchanged = range(len(block.products))
    versions = repeat(unchanged, len(block.mark)) if version is None else version.tolist()
    return [
        [
            read(lines[number][0], lines[number][1], price)
            for number, read, price in zip(numbers, read_off, prices, strict=True)
        ]
        for prices, numbers in zip(block.prices().tolist(), versions, strict=True)
    ]


def value_users(units: I64, nav: int, units_total: int, out: I64 | None = None) -> I64:
    """Exact NAV of each holder, rounded down.

    Args:
        units: shape (n,), steps of 1e-8, not negative.
        nav: the product's NAV, atoms; a negative NAV is worth nothing to a holder.
        units_total: units outstanding, > 0.
        out: shape (n,), where to put the answer.

    Returns:
        Shape (n,), atoms.

    Raises:
        ValueError: if ``units_total`` is not positive.
    """
    if units_total <= 0:
        raise ValueError(f"units_total must be > 0, was {units_total}")
    answer = np.empty_like(units) if out is None else out
    if nav <= 0:
        answer[:] = 0
        return answer
    if nav >= _FLOAT_EXACT or units_total >= _TOTAL_MAX:
        answer[:] = [u * nav // units_total for u in units.tolist()]
        return answer
    # Rounding errs by at most 1.5 units in the last place: a ratio drawn down by 4 of them never
    # guesses too high, and too low by less than 6, which is less than one atom up to 2**50 atoms.
    ratio = nav / units_total * (1.0 - _DRAWN_DOWN)
    corrections = 1 + (6 * nav >> 53)
    quotient = np.empty(_CHUNK)
    remainder = np.empty(_CHUNK, np.int64)
    product = np.empty(_CHUNK, np.int64)
    short = np.empty(_CHUNK, bool)
    for start in range(0, len(units), _CHUNK):
        part = units[start : start + _CHUNK]
        size = len(part)
        guess, left = answer[start : start + size], remainder[:size]
        taken, off = product[:size], short[:size]
        np.multiply(part, ratio, out=quotient[:size])
        guess[:] = quotient[:size]
        np.multiply(part, nav, out=left)
        for _ in range(corrections):
            np.multiply(guess, units_total, out=taken)
            np.subtract(left, taken, out=taken)
            np.greater_equal(taken, units_total, out=off)
            guess += off
    return answer
