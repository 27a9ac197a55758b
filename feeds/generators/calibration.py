"""A generator fitted to a recording, by estimators that can be said in a sentence each.

- **Volatility**: the median of three neighbouring absolute returns, squared (MedRV), which neither
  a jump nor its neighbours move.
- **Jumps**: returns beyond 6 local standard deviations, those of the MedRV of two hours around;
  smaller jumps count as volatility.
- **Regimes**: hours are parted into two groups by the logarithm of their MedRV (two means); a
  regime's volatility is the root mean MedRV of its hours, its duration the mean length of its runs.
- **Trades**: the branching ratio from the variance of counts in windows of ten minutes over their
  mean, ``1 / (1 - n)^2``; the memory from how their autocovariance in windows of 5 s falls.

Source: Andersen, Dobrev, Schaumburg, "Jump-robust volatility estimation using nearest neighbor
truncation" (2012); Lee and Mykland (2008) for jumps; Hardiman and Bouchaud (2014) for branching.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from engine.durations import duration_ns, duration_text
from engine.errors import InputError
from engine.ticks import Kind
from engine.units import HOUR_NS, MINUTE_NS, SECOND_NS
from feeds.generators import Generator
from feeds.generators.gbm import Gbm
from feeds.generators.grid import YEAR_NS, check_step
from feeds.generators.hawkes import Hawkes
from feeds.generators.kou import Kou
from feeds.generators.merton import Merton
from feeds.generators.recorded import log_returns
from feeds.generators.regimes import Regime, Regimes
from feeds.recording import open_recording

__all__ = ["FITTED", "Calibration", "calibrate"]

F64 = np.ndarray[Any, np.dtype[np.float64]]

_MEDRV: Final = math.pi / (6.0 - 4.0 * math.sqrt(3.0) + math.pi)
_JUMP: Final = 6.0
_LOCAL_NS: Final = 2 * HOUR_NS
_HOURS_MIN: Final = 24
_STEPS_MIN: Final = 30
_APART: Final = 1.5
"""Volatilities of two regimes differ by this factor at least."""
_ROUNDS: Final = 100
_WINDOW_NS: Final = 10 * MINUTE_NS
_BIN_NS: Final = 5 * SECOND_NS
_LAGS: Final = 5
_BRANCHING_MAX: Final = 0.99


class Calibration(NamedTuple):
    """A fitted generator, and what was found on the way, a sentence each."""

    generator: Generator
    notes: tuple[str, ...]


class _Recorded(NamedTuple):
    """The recording on the grid: log returns of each symbol, and what all models share."""

    path: str
    returns: F64
    years: float
    common: dict[str, Any]


def calibrate(
    recording: str, model: str = "merton", *, symbols: Sequence[str] = (), step: str = "1m"
) -> Calibration:
    """A generator whose parameters are estimated from a recording.

    With several symbols the parameters are the first one's; the others differ by their scale and
    have the mean correlation.

    Args:
        recording: file or folder.
        model: one of ``FITTED``.
        symbols: of the recording; all that it has without.
        step: grid of the returns, and of the generator.

    Raises:
        InputError: if the recording is too short, the model does not fit it at all, or no
            generator has such a step.
    """
    try:
        check_step(duration_ns(step))
    except ValueError as fault:
        raise InputError(str(fault)) from None
    if model not in FITTED:
        raise InputError(f"no estimator for {model!r}; known are {', '.join(FITTED)}")
    names = tuple(symbols) or tuple(info.symbol for info in open_recording([recording]).symbols)
    returns, opening = log_returns(recording, names, step)
    if returns.shape[1] < _STEPS_MIN:
        said = f"{recording} holds {returns.shape[1]:,} steps of {step}"
        raise InputError(f"{said}, a calibration takes {_STEPS_MIN} or more")
    years = duration_ns(step) / YEAR_NS
    widths = [math.sqrt(_medrv(own).mean() / years) for own in returns]
    if not all(width > 0.0 for width in widths):
        raise InputError(f"{recording} has prices that hardly move; give a longer --step")
    scales = {s: _round(w / widths[0]) for s, w in zip(names[1:], widths[1:], strict=True)}
    common: dict[str, Any] = {
        "symbols": names,
        "prices": {symbol: _round(price) for symbol, price in opening.items()},
        "step": step,
        "scales": scales,
    }
    error = _volatility_error(widths[0], returns.shape[1])
    seen = f"{returns.shape[1]:,} returns of {step}"
    notes = [f"{seen}; volatility {widths[0]:.4g} +- {error:.2g}"]
    if len(names) > 1:
        pairs = np.asarray(np.corrcoef(returns))[np.triu_indices(len(names), 1)]
        mean = float(pairs.mean())
        common["correlation"] = _round(min(max(mean, 0.0), 1.0))
        taken = "" if mean >= 0.0 else "; no model has one below 0, so it is 0"
        notes.append(f"correlation {mean:.3g}, the mean of {len(pairs)} pairs{taken}")
    fitted = FITTED[model](_Recorded(recording, returns, years, common), widths[0], notes)
    notes.append("drift and quotes are not fitted: they are as without a recording")
    return Calibration(fitted, tuple(notes))


def _volatility_error(width: float, count: int) -> float:
    """Standard error: MedRV's variance is 2.96 over the count."""
    return width / 2.0 * math.sqrt(2.96 / count)


def _medrv(returns: F64) -> F64:
    """Shape (n - 2,): the variance of a step around each triple of neighbours."""
    middle = np.median(sliding_window_view(np.abs(returns), 3), axis=1)
    variance: F64 = _MEDRV * middle * middle
    return variance


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _gbm(recorded: _Recorded, width: float, notes: list[str]) -> Generator:
    del notes
    return Gbm(**recorded.common, volatility=_round(width))


def _jumps(recorded: _Recorded) -> F64:
    """Returns beyond the threshold, of the first symbol."""
    returns = recorded.returns[0]
    local = _medrv(returns)
    span = min(max(round(_LOCAL_NS / (recorded.years * YEAR_NS)), 1), len(local))
    mean = np.convolve(local, np.ones(span), "same") / np.convolve(
        np.ones(len(local)), np.ones(span), "same"
    )
    width = np.sqrt(np.pad(mean, 1, "edge"))
    jumps: F64 = returns[np.abs(returns) > _JUMP * width]
    return jumps


def _said(jumps: F64, recorded: _Recorded) -> tuple[float, str]:
    """Jumps a year, and a sentence."""
    years = recorded.returns.shape[1] * recorded.years
    rate = len(jumps) / years
    error = math.sqrt(max(len(jumps), 1)) / years
    return rate, f"{len(jumps)} jumps: {rate:.4g} +- {error:.2g} a year"


def _merton(recorded: _Recorded, width: float, notes: list[str]) -> Generator:
    jumps = _jumps(recorded)
    rate, said = _said(jumps, recorded)
    notes.append(said)
    mean, sd = (float(jumps.mean()), float(jumps.std())) if len(jumps) else (0.0, 0.0)
    return Merton(
        **recorded.common,
        volatility=_round(width),
        jumps_per_year=_round(rate),
        jump_mean=_round(mean),
        jump_sd=_round(sd),
    )


def _kou(recorded: _Recorded, width: float, notes: list[str]) -> Generator:
    jumps = _jumps(recorded)
    rate, said = _said(jumps, recorded)
    up, down = jumps[jumps > 0.0], -jumps[jumps < 0.0]
    if not len(up) or not len(down):
        raise InputError(f"{recorded.path} has no jumps on both sides ({said}); take merton or gbm")
    notes.append(f"{said}, {len(up)} of them up")
    # An exponential forgets its threshold: what lies beyond the least jump seen has its mean.
    return Kou(
        **recorded.common,
        volatility=_round(width),
        jumps_per_year=_round(rate),
        up_share=_round(len(up) / len(jumps)),
        up_mean=_round(max(float((up - up.min()).mean()), 1e-6)),
        down_mean=_round(max(float((down - down.min()).mean()), 1e-6)),
    )


def _regimes(recorded: _Recorded, width: float, notes: list[str]) -> Generator:
    del width
    size = max(round(HOUR_NS / (recorded.years * YEAR_NS)), 3)
    local = _medrv(recorded.returns[0])
    hours = local[: len(local) // size * size].reshape(-1, size).mean(axis=1)
    if len(hours) < _HOURS_MIN:
        said = f"{recorded.path} holds {len(hours)} stretches of {size} steps"
        raise InputError(f"{said}; regimes take {_HOURS_MIN} or more")
    wild = _parted(np.log(np.maximum(hours, hours[hours > 0.0].min())))
    volatility = [
        math.sqrt(float(hours[own].mean()) / recorded.years) if own.any() else 0.0
        for own in (~wild, wild)
    ]
    if not volatility[0] or volatility[1] < _APART * volatility[0]:
        raise InputError(f"{recorded.path} knows one regime of volatility only; take gbm or merton")
    hour_ns = size * recorded.years * YEAR_NS
    edges = np.flatnonzero(np.diff(wild)) + 1
    runs = np.diff(np.concatenate(([0], edges, [len(wild)])))
    first = bool(wild[0])
    found = []
    for name, own, sigma in (("calm", False, volatility[0]), ("wild", True, volatility[1])):
        lengths = runs[(np.arange(len(runs)) % 2 == 1) != (first == own)]
        lasts_ns = round(float(lengths.mean()) * hour_ns / MINUTE_NS) * MINUTE_NS
        notes.append(f"{name}: {len(lengths)} stretches")
        found.append(Regime(name=name, volatility=_round(sigma), lasts=duration_text(lasts_ns)))
    return Regimes(**recorded.common, regimes=tuple(found))


def _parted(values: F64) -> Any:
    """Which of them belong to the upper of two groups: two means, parted at first midway between
    the lowest and the highest tenth."""
    low, high = np.percentile(values, (10, 90))
    upper = values > (low + high) / 2.0
    for _ in range(_ROUNDS):
        if upper.all() or not upper.any():
            break
        again = values > (values[upper].mean() + values[~upper].mean()) / 2.0
        if (again == upper).all():
            break
        upper = again
    return upper


def _hawkes(recorded: _Recorded, width: float, notes: list[str]) -> Generator:
    opened = open_recording([recorded.path])
    symbol = recorded.common["symbols"][0]
    place = [info.symbol for info in opened.symbols].index(symbol)
    tables = [table for step in opened.steps() if (table := step.table(Kind.TRADE)) is not None]
    times = [table.ts_ns[table.symbols() == place] for table in tables]
    at_ns = np.sort(np.concatenate([np.empty(0, np.int64), *times]))
    span_ns = int(at_ns[-1] - at_ns[0]) if len(at_ns) else 0
    if opened.bar_fed or span_ns < 6 * _WINDOW_NS:
        raise InputError(f"{recorded.path} holds too few trades of {symbol} for hawkes")
    windows = _counts(at_ns, _WINDOW_NS)
    fano = float(windows.var(ddof=1) / windows.mean())
    branching = min(max(1.0 - 1.0 / math.sqrt(fano), 0.0) if fano > 1.0 else 0.0, _BRANCHING_MAX)
    memory_s = _memory_s(_counts(at_ns, _BIN_NS))
    half_life_ns = max(round(memory_s * (1.0 - branching) * math.log(2.0) * 1e3), 1) * 1_000_000
    notes.append(f"{len(at_ns):,} trades; excitement lasts {memory_s:.3g} s")
    common = {name: v for name, v in recorded.common.items() if name != "correlation"}
    return Hawkes(
        **common,
        volatility=_round(width),
        rate=_round(len(at_ns) / (span_ns / SECOND_NS)),
        branching=_round(branching),
        half_life=duration_text(half_life_ns),
    )


def _counts(at_ns: Any, window_ns: int) -> F64:
    """Events in whole windows."""
    counts: F64 = np.bincount((at_ns - at_ns[0]) // window_ns)[:-1].astype(np.float64)
    return counts


def _memory_s(counts: F64) -> float:
    """Seconds in which the autocovariance of counts falls to 1/e, from its first lags."""
    away = counts - counts.mean()
    lags = np.arange(1, _LAGS + 1)
    covariance = np.array([(away[lag:] * away[:-lag]).mean() for lag in lags])
    if not (covariance > 0.0).all():
        return _BIN_NS / SECOND_NS
    slope = float(np.polyfit(lags, np.log(covariance), 1)[0])
    return _BIN_NS / SECOND_NS / max(-slope, 1e-3)


FITTED: Final[dict[str, Callable[[_Recorded, float, list[str]], Generator]]] = {
    "gbm": _gbm,
    "merton": _merton,
    "kou": _kou,
    "regimes": _regimes,
    "hawkes": _hawkes,
}
"""Estimators by model."""
