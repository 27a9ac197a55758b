"""What a result owes to the path: the same returns in another order, the same ends with more
volatility.

Every product of a configuration is run, without costs, on paths of one price a step. A multiple
that is struck at every step does not mind the order of its returns, and loses to volatility by
``exp(-L (L - 1) sigma^2 T / 2)``; bands and Smart Leverage mind both in their own way.

Source: ``products.md`` 3.1 (path identities), ``ux.md`` 4.6 (charts 4 and 5). Paths are drawn by
Philox from ``(seed, path)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import Struct, structs

from engine.config import RunConfig, spec_of
from engine.engine import Engine, EngineSpec
from engine.errors import ConfigError
from engine.market_state import MarketSpec
from engine.path_prices import prices_of
from engine.policy import Policy
from engine.product import ProductSpec
from engine.provenance import Data
from engine.sampler import Sampling
from engine.ticks import Marks, Step
from engine.units import DAY_NS, SECOND_NS
from engine.venue.book import BookSpec
from engine.venue.contract_spec import ContractSpec
from engine.venue.funding import FundingSpec
from feeds.chance import raw_words
from feeds.generators.draws import Purpose, standard_normals
from strategies import Constant

__all__ = ["PathRuns", "PathsSpec", "run_paths"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_START: Final = 19_723 * DAY_NS
"""2024-01-01: where paths begin, on every review's grid."""
_MULTIPLES: Final = (3.0, -3.0)
_SEED_ATOMS: Final = 10**12
_YEAR_S: Final = 365.0 * 86_400.0
_LOT_VALUE: Final = 0.001
"""Quote that a lot is worth: a billionth of the product."""
_LEAST_STEPS: Final = 2


class PathsSpec(Struct, frozen=True, kw_only=True):
    """What is drawn.

    Attributes:
        seed: of every draw.
        paths: orders of the returns, and paths of each volatility.
        steps: returns of a path; ``vol_steps`` of one of given volatility.
        days, end: how long these are, and how far they end from where they began.
        vols: volatilities a year.
    """

    seed: int = 7
    paths: int = 60
    steps: int = 288
    vol_steps: int = 240
    days: float = 30.0
    end: float = 0.0
    vols: tuple[float, ...] = (0.3, 0.6, 0.9, 1.2)

    def __post_init__(self) -> None:
        if self.paths < 1 or self.steps < _LEAST_STEPS or self.vol_steps < _LEAST_STEPS:
            raise ConfigError("paths need at least one path of two steps")
        if not self.days > 0.0 or not self.end > -1.0 or not all(v > 0.0 for v in self.vols):
            raise ConfigError("days and volatilities must be > 0, the end must be > -1")
        if not self.vols:
            raise ConfigError("paths need at least one volatility")


class PathRuns(Struct, kw_only=True):
    """NAVs per unit at the end of each path.

    Attributes:
        symbol: of whose market the returns are.
        move: how far that market moved.
        names: products, those that are struck at every step first; ``multiples`` of these.
        order: by product, shape (paths,): the same returns in shuffled order.
        as_it_was: by product: the order that was.
        volatility: by product and volatility, shape (paths,).
    """

    spec: PathsSpec
    symbol: str
    move: float
    names: list[str]
    multiples: dict[str, float]
    order: dict[str, F64]
    as_it_was: dict[str, float]
    volatility: dict[str, list[F64]]

    def theory(self, name: str) -> list[float]:
        """``(1 + end)^L exp(-L (L - 1) sigma^2 T / 2)`` at each volatility."""
        times, years = self.multiples[name], self.spec.days / 365.0
        drag = times * (times - 1.0) / 2.0 * years
        growth = (1.0 + self.spec.end) ** times
        return [growth * math.exp(-drag * vol * vol) for vol in self.spec.vols]

    def order_table(self) -> pa.Table:
        """``product, path, nav``: the same returns in shuffled order."""
        paths = self.spec.paths
        return pa.table(
            {
                "product": [name for name in self.names for _ in range(paths)],
                "path": list(range(paths)) * len(self.names),
                "nav": np.concatenate([self.order[name] for name in self.names]),
            }
        )

    def volatility_table(self) -> pa.Table:
        """``product, volatility, path, nav``: the same ends."""
        rows = [
            (name, vol, path, nav)
            for name in self.names
            for vol, navs in zip(self.spec.vols, self.volatility[name], strict=True)
            for path, nav in enumerate(navs.tolist())
        ]
        columns = zip(*rows, strict=True)
        return pa.table(dict(zip(("product", "volatility", "path", "nav"), columns, strict=True)))


def run_paths(
    data: Data,
    config: RunConfig,
    spec: PathsSpec | None = None,
    told: Callable[[int, int], None] | None = None,
) -> PathRuns:
    """Run the funds of a configuration's first market on paths of its data.

    Args:
        data: where the returns are from.
        config: which funds; two that are struck at every step are put beside them.
        spec: what is drawn.
        told: ``(paths done, paths in all)``.

    Raises:
        InputError: if the data have fewer prices than steps.
    """
    chosen = spec or PathsSpec()
    whole = spec_of(config, data.symbols)
    market = whole.markets[0]
    prices, step_s = prices_of(data, market, chosen.steps)
    funds = _funds(whole, market)
    returns = prices[1:] / prices[:-1]
    total, done = chosen.paths * (1 + len(chosen.vols)) + 1, 0

    def navs(ratios: F64, step: int) -> dict[str, float]:
        nonlocal done
        done += 1
        if told is not None:
            told(done, total)
        return _ended(_spec(market, funds, float(prices[0]), step), ratios, prices[0], step)

    was = navs(returns, step_s)
    order = [navs(_shuffled(returns, chosen.seed, n), step_s) for n in range(chosen.paths)]
    step = max(1, round(chosen.days * 86_400.0 / chosen.vol_steps))
    vols = [
        [navs(_drawn(chosen, vol, step, n), step) for n in range(chosen.paths)]
        for vol in chosen.vols
    ]
    names = list(was)
    return PathRuns(
        spec=chosen,
        symbol=market.contract.symbol,
        move=float(prices[-1] / prices[0] - 1.0),
        names=names,
        multiples={_name(times): times for times in _MULTIPLES},
        order={name: np.array([one[name] for one in order]) for name in names},
        as_it_was=was,
        volatility={name: [np.array([one[name] for one in of]) for of in vols] for name in names},
    )


def _name(times: float) -> str:
    return f"{times:g}x, every step"


def _funds(whole: EngineSpec, market: MarketSpec) -> dict[str, tuple[Policy, ...]]:
    """The policies of the market's funds."""
    return {
        product.id: policies
        for product, policies in zip(whole.products, whole.policies, strict=True)
        if whole.markets[product.market] is market and product.kind == "fund" and policies
    }


def _spec(
    market: MarketSpec, funds: Mapping[str, tuple[Policy, ...]], price: float, step_s: int
) -> EngineSpec:
    """The funds in a market of no costs, one price a step."""
    known = market.contract
    contract = ContractSpec(
        symbol=known.symbol,
        kind="linear",
        base=known.base,
        quote="USDT",
        lot_size=10.0 ** math.floor(math.log10(_LOT_VALUE / price)),
    )
    free = MarketSpec(
        symbol=0,
        contract=contract,
        book=BookSpec(model="flat"),
        funding=FundingSpec(recorded=False),
        signals=structs.replace(market.signals, every_ns=step_s * SECOND_NS),
        mark_source="mark",
        stale_after_ns=3 * step_s * SECOND_NS,
        frozen_after_ns=1_000_000 * step_s * SECOND_NS,
    )
    every = {
        _name(times): (Constant(target=times, review_s=float(step_s)),) for times in _MULTIPLES
    }
    own = {
        name: tuple(_reviewed(policy, float(step_s)) for policy in policies)
        for name, policies in funds.items()
    }
    named = {**every, **own}
    return EngineSpec(
        symbols=(known.symbol,),
        markets=(free,),
        products=tuple(ProductSpec(id=name, market=0, seed_atoms=_SEED_ATOMS) for name in named),
        policies=tuple(tuple(policies) for policies in named.values()),
        sampling=Sampling(nav_every_ns=0),
    )


def _reviewed(policy: Policy, step_s: float) -> Policy:
    """Reviewed once a step where it was more often: between two prices there is nothing to see."""
    review_s = getattr(policy, "review_s", step_s)
    if review_s >= step_s:
        return policy
    # What has a grid of reviews is a struct.
    reviewed: Policy = structs.replace(policy, review_s=step_s)  # type: ignore[type-var]
    return reviewed


def _ended(spec: EngineSpec, ratios: F64, start: float, step_s: int) -> dict[str, float]:
    """NAVs per unit at the end of a path of such price ratios."""
    prices = start * np.cumprod(np.concatenate([[1.0], ratios]))
    rows = np.arange(len(prices))
    table = Marks(sequence=rows, symbol=0, ts_ns=_START + rows * step_s * SECOND_NS, price=prices)
    engine = Engine(spec)
    engine.process(Step(first=0, end=len(prices), tables=(table,)))
    engine.finish()
    mark = engine.markets[0].state.mark
    return {
        handler.spec.id: max(handler.account.nav(mark), 0) / _SEED_ATOMS
        for handler in engine.handlers
    }


def _shuffled(returns: F64, seed: int, path: int) -> F64:
    """The same returns in the order that the words of a path say."""
    words = raw_words(seed, path, int(Purpose.BLOCKS) << 128, len(returns))
    return returns[np.argsort(words, kind="stable")]


def _drawn(spec: PathsSpec, volatility: float, step_s: int, path: int) -> F64:
    """Price ratios of a volatility that lead to the given end: a random walk bent to it."""
    count = spec.vol_steps
    words = raw_words(spec.seed, path, int(Purpose.PRICE) << 128, count)
    normals = standard_normals(words)
    each = volatility * math.sqrt(step_s / _YEAR_S)
    logs = each * (normals - normals.mean()) + math.log1p(spec.end) / count
    ratios: F64 = np.exp(logs)
    return ratios
