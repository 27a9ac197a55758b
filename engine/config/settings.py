"""What a run consists of, as its configuration file says it.

Durations are texts (``90s 5m 2h 1d 250ms``), money is in quote, leverage signed. ``None`` means: as
the data say (``lineup.completed`` fills it in).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.config.crowd_settings import CrowdConfig, ImpactConfig
from engine.config.offering_settings import OfferingConfig, SecondaryConfig, SplitConfig
from engine.config.policy_settings import PolicyConfig, UserPolicyConfig
from engine.config.venue_settings import VenueConfig
from engine.durations import Duration, duration_ns
from engine.plans import NOW, Plan
from engine.product import LoanTerms
from engine.venue.depth import BETA_FAR, BETA_NEAR
from engine.venue.queue import QueueSpec
from feeds.generators import Generator
from feeds.scenarios import Scenario
from feeds.security import Security
from feeds.user_navs import USER_BLOCKS_ABOVE

__all__ = [
    "BookConfig",
    "ContractConfig",
    "CrowdConfig",
    "Duration",
    "FundingConfig",
    "HedgeConfig",
    "IndexConfig",
    "KafkaConfig",
    "MarketConfig",
    "OutputConfig",
    "PolicyConfig",
    "PopulationConfig",
    "ProductConfig",
    "RunConfig",
    "SignalConfig",
    "TermsConfig",
    "TraderConfig",
    "UserConfig",
    "UserPolicyConfig",
    "VenueConfig",
    "duration_ns",
]


class _Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings: unknown keys are errors."""


class ContractConfig(_Setting, frozen=True, kw_only=True):
    """What the venue publishes about the contract.

    ``lot_size`` is in base where linear, in contracts where inverse; fees are shares of notional, a
    negative ``maker_fee`` is a rebate. What is left open is the preset's.
    """

    kind: Literal["linear", "inverse"] | None = None
    price_step: float | None = None
    lot_size: float | None = None
    contract_size: float | None = None
    taker_fee: float | None = None
    maker_fee: float | None = None
    base: str | None = None
    quote: str | None = None


class BookConfig(_Setting, frozen=True, kw_only=True):
    """The book that hedge orders meet; ``depth_at_1pct``: quote per side within 1 % of mid.

    ``beta_near``, ``beta_far``: the power of the distance with which the depth grows, inside 1 %
    and outside; ``queue``: where in it lots are cancelled before an order that rests.
    """

    model: Literal["flat", "depth", "recorded"] = "depth"
    half_spread_bps: float = 0.0
    depth_at_1pct: float | None = None
    half_life_s: float = 180.0
    beta_near: float = BETA_NEAR
    beta_far: float = BETA_FAR
    queue: QueueSpec = QueueSpec()


class FundingConfig(_Setting, frozen=True, kw_only=True):
    """Rates as recorded, made of premiums by the venue's rules, a constant ``rate_8h`` at 00, 08
    and 16 UTC, or those of a ``file``. Where nothing is said: of premiums in a market with
    ``feedback``, elsewhere as recorded."""

    source: Literal["recorded", "premium", "none"] | None = None
    rate_8h: float | None = None
    file: str | None = None


class IndexConfig(_Setting, frozen=True, kw_only=True):
    """A spot market that an index stands on: its mid, or else its last trade; it counts until it is
    silent for ``stale_after``."""

    symbol: str
    weight: float = 1.0
    stale_after: Duration = "10s"


class SignalConfig(_Setting, frozen=True, kw_only=True):
    """The grid of volatility and trend; half-lives, window and staleness in steps of it."""

    every: Duration | None = None
    vol_half_life: float = 60.0
    trend_half_life: float = 120.0
    window: int = 60
    stale_after: int = 5


class MarketConfig(_Setting, frozen=True, kw_only=True):
    """One symbol; ``mark`` says which price values positions, ``index`` of which spot markets the
    venue's own prices are made (of recorded index rows where there are none). With ``feedback``,
    of generated markets alone, what is traded moves the price, by ``impact``."""

    symbol: str
    contract: ContractConfig = ContractConfig()
    book: BookConfig = BookConfig()
    venue: VenueConfig = VenueConfig()
    funding: FundingConfig = FundingConfig()
    mark: Literal["auto", "mark", "venue", "mid", "last"] = "auto"
    index: tuple[IndexConfig, ...] = ()
    stale_after: Duration | None = None
    frozen_after: Duration | None = None
    signals: SignalConfig = SignalConfig()
    feedback: bool = False
    impact: ImpactConfig = ImpactConfig()


class TermsConfig(_Setting, frozen=True, kw_only=True):
    """What holders were promised; ``management_fee``: share of NAV per ``fee_every``;
    ``create_fee``, ``redeem_fee``: share of the money of a request, at least ``least_quote``, in
    the windows and under the caps of ``offering``; ``split``: when units are merged or split;
    ``secondary``: how they are traded beside, of which nothing is said without it.

    ``nav = "formula"``: NAV is the last rebalance's times ``1 + L (P / P_prev - 1)``, P the mark or
    the index by ``formula_price``, and all costs of the hedge are the issuer's; ``"quoted"``: what
    its one policy quotes, of a claim (``fixed_term``). ``pack``: a rule pack, from which NAV, fee
    and policies come (``levsim pack list``); the rules in force at ``as_of`` for the whole run, or
    each in its time.
    """

    pack: str = "none"
    as_of: str | None = None
    nav: Literal["basket", "formula", "quoted"] = "basket"
    formula_price: Literal["mark", "index"] = "mark"
    management_fee: float = 0.0
    fee_every: Duration = "1d"
    create_fee: float = 0.0
    redeem_fee: float = 0.0
    least_quote: float = 0.0
    while_rebalancing: Literal["refuse", "queue"] = "refuse"
    offering: OfferingConfig | None = None
    split: SplitConfig | None = None
    secondary: SecondaryConfig | None = None


class HedgeConfig(_Setting, frozen=True, kw_only=True):
    """How orders reach the venue, by ``plan`` if none is named; ``reserve``: quote for a NAV < 0.

    Products of one market with ``account = "omnibus"`` share a margin account there, and their
    orders net; those of one ``account_name`` share one across markets. ``margin_share`` of what is
    paid in lies at the venue, where ``haircut`` of it does not count as margin, the rest in the
    issuer's treasury. At ``topup_at`` times maintenance (or where the venue calls before) a top-up
    is ordered; it arrives ``topup_latency_ms`` later.
    """

    reserve: float = 0.0
    account: Literal["segregated", "omnibus"] = "segregated"
    account_name: str = ""
    margin_share: float = 1.0
    haircut: float = 0.0
    topup_latency_ms: float = 0.0
    topup_at: float = 2.0
    retry_ms: float = 1_000.0
    when_stale: Literal["hold", "refuse"] = "hold"
    plan: Plan = NOW


class ProductConfig(_Setting, frozen=True, kw_only=True):
    """One product; ``limit``: largest magnitude of leverage that a policy may ask for.

    ``safe_mode``: what becomes of it when a policy faults: it holds what it has, its other policies
    go on; or it is cut to ``safe_leverage``, and from then on only ever reduced.

    ``futures`` and ``margin_loan`` are what a user would have held instead: they have a signed
    ``leverage`` and no policies, a loan has its terms. Futures hold ``leverage`` times the
    ``stake`` of what their owner has; ``margin`` says whether that alone is at risk
    (``isolated``), or all of it stands behind the position (``cross``).
    """

    id: str
    symbol: str
    kind: Literal["fund", "spot", "futures", "margin_loan"] = "fund"
    leverage: float | None = None
    stake: float = 1.0
    margin: Literal["isolated", "cross"] = "isolated"
    loan: LoanTerms | None = None
    seed_capital: float = 1_000_000.0
    latency_ms: float = 0.0
    policies: tuple[PolicyConfig, ...] = ()
    terms: TermsConfig = TermsConfig()
    hedge: HedgeConfig = HedgeConfig()
    limit: float = 10.0
    safe_mode: Literal["hold", "cut"] = "hold"
    safe_leverage: float = 1.0


class UserConfig(_Setting, frozen=True, kw_only=True):
    """A named user; ``holdings``: quote spent at the start, by product."""

    id: str
    holdings: dict[str, float] = {}


class PopulationConfig(_Setting, frozen=True, kw_only=True):
    """Numbered users ``u1`` ... ``uN``, each with ``quote`` of ``products``; without, of every one
    but futures and margin loans: each borrower and each trader has an account of his own."""

    count: int = 0
    quote: float = 100.0
    products: tuple[str, ...] | None = None

    def holds(self, product: ProductConfig) -> bool:
        """Whether the numbered users, if there are any, hold a product."""
        if self.products is None:
            return product.kind not in ("futures", "margin_loan")
        return product.id in self.products


class TraderConfig(_Setting, frozen=True, kw_only=True):
    """Another customer of the venue, or ``count`` of them alike (``ID-1`` ... ``ID-N``).

    ``wallet`` is in the settlement asset (quote, or coins where inverse), ``size`` signed, long
    positive, in base (contracts where inverse), bought or sold at ``entry``; ``leverage``: what he
    chose, 0 where he chose none.
    """

    id: str
    symbol: str
    wallet: float
    size: float
    entry: float
    leverage: float = 0.0
    count: int = 1


class OutputConfig(_Setting, frozen=True, kw_only=True):
    """Samples: they change no result. ``users = "auto"``: at the cadence up to 10,000 users.

    Left open, ``nav_every`` is ``1s``, or the interval of the bars where prices come from bars.
    """

    nav_every: Duration | None = None
    user_nav_every: Duration = "1m"
    users: Literal["auto", "all", "none"] = "auto"


class KafkaConfig(
    Security, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The log: how brokers are reached, and up to how many users of a product each gets a record of
    his own; beyond, their NAVs go out in packed blocks."""

    user_blocks_above: Annotated[int, Meta(ge=0)] = USER_BLOCKS_ABOVE


class RunConfig(_Setting, frozen=True, kw_only=True):
    """A run.

    Markets that are not listed are as the data say; without products there is the line-up. What
    concerns the log (``kafka``) changes no result; what it consists of leaves it out. A
    ``generator`` makes the market where no data are given; ``scenarios`` are laid over it, one
    after the other.
    """

    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 7
    bars: Literal["close", "ohlc", "olhc", "bridge"] = "ohlc"
    markets: tuple[MarketConfig, ...] = ()
    products: tuple[ProductConfig, ...] = ()
    users: tuple[UserConfig, ...] = ()
    traders: tuple[TraderConfig, ...] = ()
    populations: tuple[CrowdConfig, ...] = ()
    population: PopulationConfig = PopulationConfig()
    output: OutputConfig = OutputConfig()
    kafka: KafkaConfig | None = None
    generator: Generator | None = None
    scenarios: tuple[Scenario, ...] | None = None
