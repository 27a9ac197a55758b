"""``report.html``: words, tables and packed pictures poured into one self-contained file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from engine.report import captions
from engine.report.appearance import COLORS
from engine.report.card import Card
from engine.report.cards import PRODUCT_CARDS, cards_of, common_cards
from engine.report.comparison import WORDS, comparison_of, head_of
from engine.report.crisis import crisis_of
from engine.report.figures import bokeh_script, figures_json
from engine.report.issuing import (
    ACCOUNTS_HEAD,
    ASSETS_HEAD,
    ISSUER_HEAD,
    account_rows,
    asset_rows,
    issuer_rows,
)
from engine.report.notes import notes_of
from engine.report.numbers import Table, numbers_of, overview_of
from engine.report.packing import KIND, packed
from engine.report.pictures import pictures_of
from engine.report.reading import Run
from engine.report.trading_at import TRADED_HEAD, traded_rows
from engine.report.verdict import promise, undecided, verdict_of
from engine.report.whatif import changed_of, chart_of, sentence_of, table_of_change
from engine.report.words import (
    MINUS,
    date_of,
    instant,
    listed,
    percent,
    plural,
    points,
    underlying_of,
)

__all__ = ["page_of"]

Object = dict[str, Any]

SIZE_MAX: Final = 2_000_000
"""Bytes of a page; with more, curves are drawn with fewer points, then the last products go
without drawings of their own, and then curves have fewer points still."""
_COLUMNS_GOOD: Final = 240
_COLUMNS_MIN: Final = 60
_DAY_NS: Final = 86_400_000_000_000
_SPLIT_DAYS: Final = 2
_NO_FILES: Final = ("synthetic", "generated", "requests")


def page_of(run: Run) -> str:
    """The page of a run: the same text for the same run."""
    cards = cards_of(run)
    page = _page(run, cards)
    while len(page.encode()) > SIZE_MAX:
        if run.columns >= 2 * _COLUMNS_GOOD:
            run = run.thinner()
        elif cards:
            cards.popitem()
        elif run.columns >= 2 * _COLUMNS_MIN:
            run = run.thinner()
        else:
            break
        page = _page(run, cards)
    return page


def _page(run: Run, cards: dict[str, dict[str, Card]]) -> str:
    summary = run.summary
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spaced"] = _spaced
    template = environment.from_string(_part("page.html.j2"))
    return template.render(
        verdict=verdict_of(summary),
        synthetic=summary["synthetic"],
        market=_market(summary),
        period=_period(summary),
        time_label=_time_label(summary),
        ticks=f"{summary['ticks']:,}",
        products=[_product(name, run) for name in run.curves],
        cards={name: _those_of(name, cards) for name in PRODUCT_CARDS},
        common=common_cards(run),
        uncharted=[name for name in summary["products"] if name not in run.curves],
        overview=overview_of(run),
        issuer=Table(ISSUER_HEAD, issuer_rows(summary), words=2),
        assets=Table(ASSETS_HEAD, asset_rows(summary)),
        accounts=Table(ACCOUNTS_HEAD, account_rows(summary), words=2),
        traded=Table(TRADED_HEAD, traded_rows(summary)),
        comparison=Table(head_of(1), comparison_of(run.summary), words=WORDS),
        whatif=_whatif(run),
        crisis=crisis_of(run),
        assumed=[_assumption(text) for text in summary["assumed"]],
        notes=list(notes_of(run)),
        footer=_footer(run),
        style=_part("page.css"),
        bokeh=_bokeh() if run.curves else "",
        script=_part("page.js"),
        packed_kind=KIND,
        data=packed(_data(run, cards)),
    )


@cache
def _bokeh() -> str:
    return packed(bokeh_script())


def _data(run: Run, cards: dict[str, dict[str, Card]]) -> str:
    """What the page's script draws, as JSON. The charts of the product that is shown first stand
    in the page; whoever wants another's has a script that runs."""
    first = next(iter(run.curves), None)
    charts = {
        f"{card.name} {name}": card.chart
        for name, own in cards.items()
        if name != first
        for card in own.values()
    }
    data = {
        "colors": COLORS,
        "figures": figures_json(),
        "pictures": pictures_of(run),
        "charts": charts,
    }
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _those_of(card: str, cards: dict[str, dict[str, Card]]) -> dict[str, Card]:
    """By product: the card of that name, of those who have one."""
    return {name: own[card] for name, own in cards.items() if card in own}


def _part(name: str) -> str:
    return files("engine.report").joinpath(name).read_text(encoding="utf-8")


def _spaced(text: str) -> str:
    """Numbers keep their units on one line."""
    return text.replace(" %", "\u00a0%").replace(" x ", "\u00a0x\u00a0")


def _market(summary: Object) -> str:
    symbols = list(summary["markets"])
    if len(symbols) > 4:
        return plural(len(symbols), "market")
    return listed(symbols)


def _bounds(summary: Object) -> tuple[int, int]:
    end = summary["end_ns"]
    return min((p["launched_ns"] for p in summary["products"].values()), default=end), end


def _period(summary: Object) -> str:
    start, end = _bounds(summary)
    return f"{instant(start)} to {instant(end)} UTC"


def _time_label(summary: Object) -> str:
    """Short runs show hours on the axis, so the day stands beneath."""
    start, end = _bounds(summary)
    if end - start > _SPLIT_DAYS * _DAY_NS:
        return "UTC"
    first, last = date_of(start), date_of(end)
    return f"{first}, UTC" if first == last else f"{first} to {last}, UTC"


def _product(name: str, run: Run) -> Object:
    product = run.summary["products"][name]
    own: Object = next((p for p in run.config.get("products", ()) if p["id"] == name), {})
    got, myth = product["return"], product["multiple_return"]
    underwater = run.curves[name]["underwater"].series["underlying"]
    market_worst = float(underwater.min()) if len(underwater) else 0.0
    return {
        "id": name,
        "got": percent(got),
        "myth": percent(myth),
        "gap": f"{'+' if got > myth else MINUS}{points(got, myth)}",
        "promise": promise(product),
        "asset": underlying_of(product),
        "currency": run.currency(name),
        "spot": product["kind"] != "fund",
        "terms": captions.terms_words(own, product["follows"]),
        "status": captions.status_words(product, run.events[name]),
        "undecided": name in undecided(run.summary),
        "policies": [captions.policy_words(policy) for policy in own.get("policies", ())],
        "titles": {
            "value": captions.value_title(name, product),
            "waterfall": captions.waterfall_title(name, product),
            "leverage": captions.leverage_title(name, product),
            "underwater": captions.underwater_title(name, product, market_worst),
        },
        "waterfall_note": captions.waterfall_note(product),
        "numbers": numbers_of(name, run),
    }


def _whatif(run: Run) -> Object | None:
    """What a change did, product by product."""
    if run.whatif is None:
        return None
    changed = changed_of(run.whatif)
    products = [(name, run.whatif["products"][name]) for name in changed]
    return {
        "changes": listed(run.whatif["changes"]),
        "verdict": run.whatif["verdict"],
        "same_ticks": run.whatif["same_ticks"],
        "products": [
            {
                "said": sentence_of(name, one),
                "chart": chart_of(name, one),
                "table": table_of_change(one),
            }
            for name, one in products
        ],
        "unchanged": listed([name for name in run.whatif["products"] if name not in changed]),
    }


def _assumption(text: str) -> tuple[str, str]:
    name, _, said = text.partition(": ")
    return name.replace("_", " "), said or name


def _footer(run: Run) -> Object:
    summary, provenance = run.summary, run.provenance
    inputs = [
        {
            "name": PurePath(one["path"]).name,
            "sha256": one["sha256"],
            "format": one["format"],
            "bytes": f"{one['bytes']:,}",
        }
        for one in provenance.get("inputs", ())
    ]
    if "requests" in provenance:
        one = provenance["requests"]
        name = PurePath(one["path"]).name
        inputs.append({"name": name, "sha256": one["sha256"], "format": "requests", "bytes": ""})
    names = [one["name"] for one in inputs if one["format"] not in _NO_FILES]
    generated = any(one["format"] == "generated" for one in inputs)
    sample = [] if generated else ["sample"]
    command = ["levsim", "run", *(names or sample), "-c", "run.toml"]
    if "symbol" in provenance:
        command += ["--symbol", provenance["symbol"]]
    if "requests" in provenance:
        command += ["--requests", PurePath(provenance["requests"]["path"]).name]
    versions = [
        f"{name} {provenance[name]}"
        for name in ("levsim", "python", "numpy", "pyarrow")
        if name in provenance
    ]
    return {
        "digest": summary["digest"],
        "config_hash": summary["config_hash"],
        "seed": summary["seed"],
        "versions": ", ".join(versions) or f"levsim {summary['levsim']}",
        "inputs": inputs,
        "command": " ".join(command),
    }
