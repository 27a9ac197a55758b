"""Two runs on the same ticks, one of them with something changed: the difference by cause.

``whatif.json`` of a run directory holds it; the run with the change lies in the folder ``whatif``
beside it, a run directory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.outputs import ATTRIBUTION
from engine.price_split import PARTS
from engine.report.amounts import WORDS, amount
from engine.report.numbers import Table
from engine.report.statement import summary_statement
from engine.report.words import listed, moved, number, percent, points
from engine.units import asset_decimals

__all__ = [
    "changed_of",
    "chart_of",
    "difference_of",
    "lines_of_difference",
    "rows_of",
    "sentence_of",
    "table_of_change",
]

Object = dict[str, Any]

_SMALL: Final = 0.0005
_SEEN: Final = 0.00005
_ROW, _WIDE, _NAMES, _VALUES = 26, 720, 180, 90
_CAUSES: Final = (*PARTS, *(name for name in ATTRIBUTION if name != "price"))


def difference_of(
    before: Mapping[str, Any], after: Mapping[str, Any], changes: Sequence[str]
) -> Object:
    """What a change did to each product that both runs launched.

    Args:
        before, after: summaries of the runs.
        changes: ``KEY=VALUE`` as they were given.

    Returns:
        ``changes``, the two ``digests``, and by product its ``causes``: ``[before, after]`` in
        atoms, without those that are nothing in both; their sums are the changes of ``worth``.
    """
    products = {}
    for name in before["products"]:
        if name not in after["products"]:
            continue
        decimals = asset_decimals(before["products"][name]["quote"])
        pair = [summary_statement(name, summary, decimals) for summary in (before, after)]
        parts = [{**one.split, **one.causes} for one in pair]
        causes = {cause: [part.get(cause, 0) for part in parts] for cause in _CAUSES}
        said = [summary["products"][name] for summary in (before, after)]
        products[name] = {
            "decimals": decimals,
            "start": [one.worth_start for one in pair],
            "worth": [one.worth_end for one in pair],
            "causes": {cause: both for cause, both in causes.items() if any(both)},
            **{
                key: [each[key] for each in said]
                for key in ("return", "rebalances", "deleveragings", "max_drawdown", "status")
            },
        }
    return {
        "changes": list(changes),
        "digests": [before["digest"], after["digest"]],
        "verdict": after["verdict"],
        "products": products,
    }


def _changed(one: Object) -> bool:
    return any(_is_seen(after - before, one) for _, before, after in rows_of(one))


def _is_seen(atoms: int, one: Object) -> bool:
    """Whether a difference is more than nothing in the per cent that are printed."""
    return bool(abs(atoms) >= _SEEN * max(one["start"][0], 1))


def changed_of(difference: Object) -> list[str]:
    """The products that the change did more than 0.005 % of something to."""
    return [name for name, one in difference["products"].items() if _changed(one)]


def sentence_of(name: str, one: Object) -> str:
    """What a holder would say of a change.

    ``BTC3L would have lost 22.0 % where it lost 25.1 %: 3.1 points better, most of it gap.``
    """
    before, after = one["return"]
    if abs(before - after) < _SMALL:
        rest = "by other causes" if before == after else f"but for {percent(after - before, 3)}"
        return f"{name} would have come to the same, {rest}."
    side = "better" if after > before else "worse"
    would = moved(after).replace("gained", "have gained").replace("lost", "have lost")
    would = would.replace("ended", "have ended")
    shares = {cause: b - a for cause, (a, b) in one["causes"].items()}
    sign = 1 if after > before else -1
    most = max(shares, key=lambda cause: sign * shares[cause], default="")
    why = f", most of it {WORDS[most]}" if most and sign * shares[most] > 0 else ""
    return f"{name} would {would} where it {moved(before)}: {points(after, before)} {side}{why}."


def lines_of_difference(difference: Object) -> Iterator[str]:
    """For a terminal: a table a product that changed, and who did not."""
    changes = listed(difference["changes"])
    changed = changed_of(difference)
    yield f"What if {changes}:"
    if not difference["same_ticks"]:
        yield "  The change moved the market, too: the ticks were not the same."
    if not changed:
        yield "  nothing would have changed: no product came to anything else"
        return
    for name in changed:
        yield from _table(name, difference["products"][name])
    same = [name for name in difference["products"] if name not in changed]
    if same:
        yield f"  {listed(same)} would have come to the same, within 0.005 %."


def _table(name: str, one: Object) -> Iterator[str]:
    yield f"  {sentence_of(name, one)}"
    yield f"  {name:<24}{'as it is':>24}{'what if':>24}{'difference':>24}{'of the start':>14}"
    for words, before, after in rows_of(one):
        cells = _cells(words, before, after, one)
        cells = [f"{cell:>{width}}" for cell, width in zip(cells, (24, 24, 24, 14), strict=True)]
        yield f"    {words:<22}{''.join(cells)}".rstrip()
    for key in ("rebalances", "deleveragings"):
        before, after = one[key]
        if before != after:
            words = "forced cuts" if key == "deleveragings" else key
            yield f"    {words:<22}{before:>24,}{after:>24,}{after - before:>+24,}"
    yield ""


def rows_of(one: Object) -> Iterator[tuple[str, int, int]]:
    """``(words, before, after)`` in atoms: the start, each cause, the end; the differences of the
    causes sum to that of the end."""
    if one["start"][0] != one["start"][1]:
        yield "worth at the start", *one["start"]
    for cause, (before, after) in one["causes"].items():
        yield WORDS[cause], before, after
    yield "worth at the end", *one["worth"]


def table_of_change(one: Object) -> Table:
    """The rows of ``rows_of`` as they are read."""
    rows = [[words, *_cells(words, before, after, one)] for words, before, after in rows_of(one)]
    return Table(["cause", "as it is", "what if", "difference", "of the start"], rows)


def _cells(words: str, before: int, after: int, one: Object) -> list[str]:
    decimals, start, worth = one["decimals"], one["start"][0], words.startswith("worth")
    return [
        *(amount(atoms, decimals, signed=not worth) for atoms in (before, after)),
        amount(after - before, decimals),
        percent((after - before) / start, 2) if start else "",
    ]


def chart_of(name: str, one: Object) -> str:
    """The differences by cause as bars, an SVG: what a cause added to the right, what it took to
    the left, and their sum beneath."""
    rows = [(words, after - before) for words, before, after in rows_of(one)]
    rows = [row for row in rows[:-1] if _is_seen(row[1], one)] + rows[-1:]
    start = one["start"][0] or 1
    reach = max((abs(atoms) for _, atoms in rows), default=1) or 1
    middle = _NAMES + (_WIDE - _NAMES) / 2
    room = (_WIDE - _NAMES) / 2 - _VALUES
    parts = [_line(middle, len(rows))]
    for place, (words, atoms) in enumerate(rows):
        top, size = place * _ROW, abs(atoms) / reach * room
        kind = "sum" if place == len(rows) - 1 else "gain" if atoms > 0 else "loss"
        left = middle if atoms > 0 else middle - size
        at, anchor = (left + size + 6, "start") if atoms > 0 else (left - 6, "end")
        share = escape(percent(atoms / start, 2))
        parts += [
            f'<text x="{_NAMES - 10}" y="{top + 17}" text-anchor="end">{escape(words)}</text>',
            _bar(left, top, size, kind),
            f'<text x="{number(at, 1)}" y="{top + 17}" text-anchor="{anchor}">{share}</text>',
        ]
    inside = "\n".join(parts)
    label = escape(f"{name}: difference by cause, in per cent of the equity at the start")
    return (
        f'<svg viewBox="0 0 {_WIDE} {_ROW * len(rows) + 4}" role="img" aria-label="{label}" '
        'style="width:100%;max-width:860px;font-size:13px;fill:var(--text)">\n'
        f"{inside}\n</svg>"
    )


def _bar(left: float, top: int, size: float, kind: str) -> str:
    return (
        f'<rect x="{number(left, 1)}" y="{top + 4}" width="{number(max(size, 1.0), 1)}" '
        f'height="{_ROW - 8}" fill="var(--{kind})"/>'
    )


def _line(middle: float, rows: int) -> str:
    return (
        f'<line x1="{number(middle, 1)}" x2="{number(middle, 1)}" y1="0" y2="{rows * _ROW}" '
        'stroke="var(--edge)"/>'
    )
