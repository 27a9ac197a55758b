"""Valuing products in vectors: NAVs lie on lines, a row is a line at a price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from engine.outputs import ATTRIBUTION, NavBlock, Queued
from engine.units import UNIT_STEPS

__all__ = ["exact_navs", "nav_columns"]

F64 = np.ndarray[Any, np.dtype[np.float64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

ReadOff = Callable[[float, float, float], int]


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


class _Rows(NamedTuple):
    """The rows of blocks, one after the other.

    Attributes:
        samples: shape (blocks,).
        counts: shape (all samples,), rows of each.
        place: of each row's product in its block.
        product: of each row.
        marks: of each row.
        prices: at which each row's line is read.
        line: intercept, slope and since of each row.
        parts, version: all parts of all blocks, and which of them hold in each row.
    """

    samples: I64
    counts: I64
    place: I64
    product: np.ndarray[Any, np.dtype[np.int32]]
    marks: F64
    prices: F64
    line: list[F64]
    parts: I64
    version: I64


def _rows_of(blocks: list[NavBlock]) -> _Rows:
    """All blocks at once: a step of many markets has many blocks of few samples."""
    samples = np.array([len(block.ts_ns) for block in blocks])
    widths = np.array([len(block.products) for block in blocks])
    counts, block_rows = widths.repeat(samples), widths * samples
    prices = marks = np.concatenate([block.mark for block in blocks]).repeat(counts)
    if any(block.index is not None for block in blocks):
        prices = np.concatenate([block.prices().ravel() for block in blocks])
    place = np.arange(len(marks)) - (counts.cumsum() - counts).repeat(counts)
    line, parts, version = _all_versions(blocks, block_rows, place)
    products = np.array([product for block in blocks for product in block.products], np.int32)
    listed = (widths.cumsum() - widths).repeat(block_rows) + place
    return _Rows(
        *(samples, counts, place, products.take(listed), marks, prices),
        *([line[:, column].take(version) for column in range(3)], parts, version),
    )


def _columns(blocks: list[NavBlock]) -> dict[str, np.ndarray[Any, Any]]:
    samples, counts, place, product, marks, prices, line, parts, version = _rows_of(blocks)
    ts_ns = np.concatenate([block.ts_ns for block in blocks]).repeat(counts)
    sequence = np.concatenate([block.sequence for block in blocks])
    intercept, slope, since = line
    indexes = np.full(len(marks), np.nan)
    if any(block.index is not None for block in blocks):
        indexes = np.concatenate([_indexes(block) for block in blocks]).repeat(counts)
    exposure = slope * prices
    nav = intercept + exposure
    units = parts[:, 0].take(version)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_unit = np.where(units > 0, nav * UNIT_STEPS / units, 0.0)
        leverage = np.where(nav > 0.0, exposure / nav, np.nan)
    rows: dict[str, np.ndarray[Any, Any]] = {
        "ts_ns": ts_ns,
        "product": product,
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
    if not any(block.queues for block in blocks):
        return found
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


def exact_navs(blocks: Sequence[NavBlock], read_off: Sequence[ReadOff]) -> list[int]:
    """NAVs in whole quote atoms, as the accounts round, of the rows of `nav_columns`. In Python's
    integers, for those who need few of them.

    Args:
        read_off: for each product, how NAV is read off intercept, slope and price.
    """
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return []
    rows = _rows_of(blocks)
    intercept, slope, _ = rows.line
    lines = zip(*(each.tolist() for each in (intercept, slope, rows.prices)), strict=True)
    reads = [read_off[product] for product in rows.product.tolist()]
    return [read(*line) for read, line in zip(reads, lines, strict=True)]
