"""Where a NAV change came from: the causes as they stand, and the price part split.

The causes of an account sum to its change of equity. The price part splits into

- ``direction``: the first target held once, ``L0 * NAV0 * (S_T / S_0 - 1)``;
- ``leverage_change``: promised leverage that differed from the first, ``sum (L - L0) * NAV * r``;
- ``timing``: held leverage that differed from the promised (drift within the band, latency);
- ``gap``: what lay beyond an edge before the product could act, against one back at its target
there;
- ``compounding``: the rest, ``sum L0 * NAV * r - direction``: volatility decay where it is
negative.

Source: exact additive attribution with reference leverage; another ``L0`` moves amounts between
direction and leverage change.
"""

from __future__ import annotations

from copy import copy

from engine.account import Account
from engine.outputs import ATTRIBUTION

__all__ = ["attribution", "price_split"]


def attribution(account: Account, mark: float) -> dict[str, int]:
    """Quote atoms by cause up to ``mark``; they sum to ``nav(mark) - equity_start``."""
    parts = dict(zip(ATTRIBUTION, account.state.attribution, strict=True))
    parts["price"] += account.nav(mark) - account.nav(account.state.since_mark)
    return parts


def price_split(account: Account, mark: float) -> dict[str, float]:
    """The price part up to ``mark``, in quote atoms; the five sum to it."""
    kept = account.state
    account.state = copy(kept)
    account.state.attribution = list(kept.attribution)
    try:
        account.close_segment(mark)
        state = account.state
        price = float(state.attribution[0])
        start = state.first_mark
        move = mark / start - 1.0 if start else 0.0
        direction = state.first_target * state.equity_start * move
        return {
            "direction": direction,
            "compounding": price - direction - state.leverage_change - state.timing - state.gap,
            "leverage_change": state.leverage_change,
            "timing": state.timing,
            "gap": state.gap,
        }
    finally:
        account.state = kept
