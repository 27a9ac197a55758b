"""``breakpoint`` and ``capacity``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as combinations
from math import inf, isfinite
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from engine.cli.running import ConfigFile, Json, PolicyName, Sets

if TYPE_CHECKING:
    from engine.breaking import Break, Capacity, Shape
    from engine.engine import EngineSpec

__all__ = ["breakpoint_of", "capacity"]

_ROUNDS: Final = 64
"""Combinations of depth, latency and outage that one command looks at."""
HEADS: Final = (
    "\nproduct",
    "leverage\nnow",
    "1 / l\nsurvives",
    "\nNAV gone",
    "issuer\nloses",
    "margin\ncalled",
    "depth\nleft",
    "\nlatency",
    "\noutage",
)
SIZES: Final = (
    "\nproduct",
    "largest\nassets",
    "trades in\nthe crash",
    "\ncost",
    "seconds\nto ruin",
    "must trade\na second",
)
Depths = Annotated[
    str, Parameter(help="Shares of the book's depth, or z16: after such a move; commas between.")
]
Times = Annotated[str, Parameter(help="Durations such as 0s,500ms,1m, with commas between.")]
Over = Annotated[str, Parameter(help="In which the price goes; 0s: from one tick to the next.")]


def breakpoint_of(
    *,
    config: ConfigFile = None,
    policy: PolicyName = None,
    sets: Sets = None,
    depth: Depths = "1",
    latency: Times = "0s",
    outage: Times = "0s",
    over: Over = "0s",
    before: Annotated[float, Parameter(help="What the price did before, a share.")] = 0.0,
    loss: Annotated[float, Parameter(help="Of the issuer, as a share of the assets.")] = 0.01,
    json: Json = False,
) -> int:
    """Find the smallest adverse gap at which a product's NAV is gone, its issuer loses, or the
    venue calls its margin: by short runs of the engine, beside the closed form."""
    import msgspec

    from engine.breaking import survived
    from engine.cli import showing

    spec = _spec(config, sets, policy)
    rows, found = [], []
    for shape in _shapes(depth, latency, outage, over, before, loss):
        for place in range(len(spec.products)):
            broken = survived(spec, place, shape)
            rows.append(_row(broken, shape))
            told = {"depth": shape.depth, "latency_ns": shape.latency_ns}
            found.append({**msgspec.to_builtins(broken), **told, "outage_ns": shape.outage_ns})
    if json:
        showing.emit_json({"breaks": found})
        return 0
    showing.show_rows(HEADS, rows)
    showing.emit(
        "1 / l is of the leverage now, not of the target; the venue liquidates before it where "
        "maintenance is asked for."
    )
    return 0


def capacity(
    *,
    config: ConfigFile = None,
    policy: PolicyName = None,
    sets: Sets = None,
    gap: Annotated[float, Parameter(help="Of the crash, a share, against each product.")] = 0.2,
    over: Over = "10m",
    cost: Annotated[float, Parameter(help="Share of the assets it may cost.")] = 0.01,
    depth: Annotated[float, Parameter(help="Share of the book's depth that is there.")] = 1.0,
    json: Json = False,
) -> int:
    """Find the largest assets with which a crash costs a product no more than a share of them in
    spread and impact, and how fast it must trade then."""
    import msgspec

    from engine.breaking import Shape, capacities
    from engine.cli import showing
    from engine.errors import ConfigError

    for name, share, limit in (("gap", gap, 1.0), ("cost", cost, 1.0), ("depth", depth, 1e6)):
        if not 0.0 < share < limit:
            raise ConfigError(f"--{name} must be above 0 and below {limit:g}, was {share!r}")
    (over_ns,) = _lengths("over", over, 1)
    spec, shape = _spec(config, sets, policy), Shape(depth=depth, over_ns=over_ns)
    places = [n for n, each in enumerate(spec.products) if each.kind == "fund"]
    found = [capacities(spec, place, shape, gap, cost) for place in places]
    if json:
        showing.emit_json({"capacities": [msgspec.to_builtins(each) for each in found]})
        return 0
    showing.show_rows(SIZES, [_size(spec, *each) for each in zip(places, found, strict=True)])
    showing.emit(f"A fall (for shorts a rise) of {gap:.0%} in {over}; quote of each market.")
    return 0


def _size(spec: EngineSpec, place: int, found: Capacity) -> tuple[str, ...]:
    """In the digits of the market's quote: coins are not told in whole ones."""
    from engine.report.words import number, whole_digits

    contract = spec.markets[spec.products[place].market].contract
    digits = whole_digits(contract.quote)
    return (
        found.product,
        "no bound" if found.assets is None else number(found.assets, digits),
        number(found.traded, digits),
        f"{found.cost:.2%}",
        number(found.seconds, 0),
        number(found.speed, digits),
    )


def _spec(config: ConfigFile, sets: Sets, policy: PolicyName) -> EngineSpec:
    from engine.config import load_config, placed, spec_of
    from engine.inputs import open_market

    symbols = open_market((), config, sets or ()).symbols
    settings = load_config(config, sets or [], symbols=symbols, policy=policy)
    with placed(config if policy is None else None, sets or []):
        return spec_of(settings, symbols)


def _shapes(
    depth: str, latency: str, outage: str, over: str, before: float, loss: float
) -> Iterator[Shape]:
    from engine.breaking import Shape
    from engine.errors import ConfigError

    try:
        depths = [_depth(each.strip()) for each in depth.split(",")]
    except ValueError:
        raise ConfigError(
            f"--depth {depth}: expected shares such as 0.3, or moves such as z16 and z16p90, with "
            "commas between"
        ) from None
    for share in depths:
        if not 0.0 < share < 1e6:
            raise ConfigError(f"--depth must be above 0 and below 1e+06, was {share!r}")
    if not -0.9 < before < 10.0:
        raise ConfigError(f"--before must be between -0.9 and 10, was {before!r}")
    if not 0.0 <= loss < inf:
        raise ConfigError(f"--loss must be 0 or more, was {loss!r}")
    spans = _lengths("latency", latency), _lengths("outage", outage)
    (over_ns,) = _lengths("over", over, 1)
    rounds = list(combinations(depths, *spans))
    if len(rounds) > _ROUNDS:
        raise ConfigError(f"{len(rounds)} combinations, at most {_ROUNDS}")
    for share, late, out in rounds:
        yield Shape(
            depth=share,
            latency_ns=late,
            outage_ns=out,
            over_ns=over_ns,
            before=before,
            loss=loss,
        )


def _lengths(name: str, said: str, most: int = _ROUNDS) -> list[int]:
    """Durations with commas between, in ns; ``most`` of them."""
    import re

    from engine.durations import DURATION_PATTERN, duration_ns
    from engine.errors import ConfigError
    from engine.units import DAY_NS

    parts = [each.strip() for each in said.split(",")]
    if len(parts) > most or not all(re.fullmatch(DURATION_PATTERN, each) for each in parts):
        more = "" if most == 1 else ", or several with commas between"
        raise ConfigError(f"--{name} must be a duration such as 0s or 500ms{more}, was {said!r}")
    found = [duration_ns(each) for each in parts]
    if max(found) > DAY_NS:
        raise ConfigError(f"--{name} must be a day at most, was {said!r}")
    return found


def _depth(text: str) -> float:
    """A share, or what a move leaves: ``z16`` in the median, ``z16p90`` in nine of ten."""
    from engine.depth_facts import depth_left

    if not text.startswith("z"):
        return float(text)
    said, _, share = text[1:].partition("p")
    z = float(said)
    if not isfinite(z):
        raise ValueError(f"a move of {said} deviations")
    return depth_left(z, float(share) / 100.0 if share else 0.5)


def _row(broken: Break, shape: Shape) -> tuple[str, ...]:
    return (
        broken.product,
        f"{broken.leverage:.3f}x" if broken.leverage else "gone",
        f"{broken.survives:.2%}",
        *(_gap(each) for each in (broken.zero, broken.issuer, broken.margin)),
        f"{shape.depth:.3g}",
        f"{(shape.latency_ns or 0) / 1e9:g} s",
        f"{shape.outage_ns / 1e9:g} s",
    )


def _gap(gap: float | None) -> str:
    return "–" if gap is None else f"{gap:.2%}"
