"""Bankruptcy prices: where nothing is left, the limit of what a liquidation may cost an account.

A fill better than the bankruptcy price leaves a surplus, a worse one a loss for the insurance fund.
For a cross account, and for closing a part, the price is not defined by equity alone; dYdX's rule
apportions the collateral by maintenance requirement, and is taken as the general one.
Money is in atoms and exact; prices are floats.
"""

from __future__ import annotations

from engine.units import Rounding, decimal, mul_div

__all__ = [
    "bankruptcy_quote",
    "fillable_price",
    "insurance_delta",
]


def bankruptcy_quote(
    notional_change: int, collateral: int, maintenance_change: int, maintenance: int
) -> int:
    """Quote atoms an account must at least get for closing a part, so that it loses no more than
    that part's share of its collateral: ``-dNNV - floor(TNC |dMMR| / TMMR)``.

    Long 0.1 BTC at 50,000 with -4,501 USDC (collateral 499, requirement 500), all of it closed:
    ``5,000 - 499 * 500 / 500 = 4,501``: sold for that, nothing is left. Positive: it receives at
    least that; negative: it pays at most that; it "cannot lose" where the sign is the other way.
    Rounded towards plus infinity, against the account.

    Args:
        notional_change: dNNV, what closing does to the signed net notional, atoms.
        collateral: TNC, the account's whole net collateral (quote + notional), atoms; signed.
        maintenance_change: dMMR of the close, atoms; its sign does not matter.
        maintenance: TMMR of the whole account, atoms, > 0.

    Source: dYdX v4-chain, x/clob/keeper/liquidations.go.
    """
    if maintenance <= 0:
        raise ValueError(f"the account's requirement must be > 0, was {maintenance}")
    share = mul_div(collateral, abs(maintenance_change), maintenance, Rounding.DOWN)
    return -notional_change - share


def fillable_price(
    notional: float,
    size: float,
    collateral: float,
    position_maintenance: float,
    maintenance: float,
    *,
    adjustment: float = 1.0,
    spread: float = 0.1,
) -> float:
    """Worst price of dYdX's liquidation order: ``(PNNV - ABR SMMR PMMR) / PS``.

    It leaves the oracle price as the account nears bankruptcy, ``ABR = clamp(BA (1 - TNC / TMMR),
    0, 1)``. Long 0.1 BTC at 50,000 with 499 of collateral against 500 required: ``ABR = 0.002``,
    ``(5,000 - 0.002 * 0.1 * 500) / 0.1 = 49,999``.

    Args:
        notional: PNNV, signed, quote.
        size: PS, signed, base; not zero.
        collateral: TNC of the account, quote.
        position_maintenance, maintenance: PMMR of the position, TMMR of the account, quote.
        adjustment: BA, how fast the price leaves the oracle.
        spread: SMMR, how far it goes, as a share of the position's requirement.

    Source: dYdX v4-chain, GetFillablePrice.
    """
    if size == 0.0 or maintenance <= 0.0:
        raise ValueError(f"size must not be 0 and the requirement > 0, were {size}, {maintenance}")
    rating = adjustment * (1.0 - collateral / maintenance)
    rating = min(max(rating, 0.0), 1.0)
    return (notional - rating * spread * position_maintenance) / size


def insurance_delta(fill: int, bankruptcy: int, fee: float) -> int:
    """What a liquidation fill brings the insurance fund, atoms; negative: what it must pay.

    The surplus over the bankruptcy value, up to ``fee`` of the notional, or all of the loss. 0.1
    BTC of a long sold at 56,100 with a bankruptcy value of 5,100 and 0.5 %: surplus 510, of which
    28.05 go to the fund. The fee is rounded down.

    Args:
        fill: quote atoms the account gets by the fill; negative where it pays.
        bankruptcy: ``bankruptcy_quote`` of the same part.
        fee: largest share of the notional.

    Source: dYdX v4-chain, GetLiquidationInsuranceFundDelta.
    """
    share = decimal(fee)
    most = mul_div(abs(fill), share.numerator, share.denominator, Rounding.DOWN)
    return min(most, fill - bankruptcy)
