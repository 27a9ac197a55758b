"""Contracts: what lots are worth, linear (settled in quote) and inverse (settled in coin).

A product holds ``cash`` in the settlement asset and ``lots``. In quote money its NAV is a straight
line in the mark for both kinds:

- linear: ``NAV = cash + lots * lot_size * mark``;
- inverse: coins earn with the price and the contracts owe a fixed quote face, ``NAV = coins * mark
- lots * face``, where
  ``coins`` is what the account holds after each contract bought at ``p`` brought in ``face / p``.
  So its leverage is ``1 + lots * face / NAV``: a flat inverse account is long its own coins.

Money is exact: a float price counts as the fraction it is, and only the last step rounds.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Final

from engine.errors import ConfigError
from engine.units import asset_decimals, decimal
from engine.venue.contract_spec import ContractSpec

__all__ = ["Contract", "to_price_step"]


_ON_STEP: Final = 1e-12
"""A price this near a step, as a share of it, is on it: the rest is the float's."""


class Contract:
    """The arithmetic of one contract; all amounts in atoms, all lots signed, long positive."""

    __slots__ = (
        *("_face_over", "_face_under", "_fee_over", "_fee_under", "_lot", "_lot_decimal"),
        *("_maker_over", "_maker_under", "_over", "_per_lot", "_quote_per_coin", "_ratio"),
        *("_ratio_at", "_under"),
        *("inverse", "quote_asset", "settlement_asset", "spec"),
    )

    def __init__(self, spec: ContractSpec) -> None:
        size = decimal(spec.lot_size) * decimal(spec.contract_size)
        if size <= 0:
            raise ConfigError(f"{spec.symbol}: lot_size and contract_size must be > 0")
        self.spec = spec
        self.inverse = spec.kind == "inverse"
        self.quote_asset = spec.quote
        self.settlement_asset = spec.base if self.inverse else spec.quote
        quote_atoms = 10 ** asset_decimals(spec.quote)
        coin_atoms = 10 ** asset_decimals(spec.base)
        # One lot at price 1, in settlement atoms: (quote face in coins) or (base in quote).
        scale = size * (coin_atoms if self.inverse else quote_atoms)
        self._over: int = scale.numerator
        self._under: int = scale.denominator
        face = size * quote_atoms
        self._face_over: int = face.numerator
        self._face_under: int = face.denominator
        self._per_lot = float(face)
        self._lot = float(size)
        self._quote_per_coin = Fraction(quote_atoms, coin_atoms)
        fee = decimal(spec.taker_fee)
        self._fee_over, self._fee_under = fee.numerator, fee.denominator
        maker = decimal(spec.maker_fee)
        self._maker_over, self._maker_under = maker.numerator, maker.denominator
        self._lot_decimal = decimal(spec.lot_size)
        # The mark at which a NAV was last asked for, and what a lot is worth there.
        self._ratio_at, self._ratio = 1.0, self.value_ratio(1.0)

    def exposure_value(self, lots: int, price: float) -> int:
        """Settlement atoms that ``lots`` add to an account at ``price``, rounded down.

        Linear: ``lots * lot_size * price``. Inverse: ``-lots * face / price`` coins: contracts
        bought at ``p0`` brought in ``face / p0`` each, so the pair earns ``face * (1 / p0 - 1 /
        p)``. The one function behind NAV, fills and attribution.
        """
        over, under = self._ratio if price == self._ratio_at else self.value_ratio(price)
        return lots * over // under

    def value_ratio(self, price: float) -> tuple[int, int]:
        """``(a, b)`` with ``exposure_value(lots) == floor(lots * a / b)``."""
        over, under = price.as_integer_ratio()
        if self.inverse:
            return -self._over * under, self._under * over
        return self._over * over, self._under * under

    def _mark_ratio(self, mark: float) -> tuple[int, int]:
        """``value_ratio``, kept: what is traded at a mark is valued there again and again."""
        self._ratio_at, self._ratio = mark, self.value_ratio(mark)
        return self._ratio

    @property
    def lot_scale(self) -> tuple[int, int]:
        """``(a, b)``: one lot at a price of 1 is ``a / b`` settlement atoms."""
        return self._over, self._under

    def trade_cash(self, lots: int, price: float) -> int:
        """Change of the account's cash when it buys ``lots`` at ``price`` (sells where negative),
        settlement atoms.

        Rounded down: the account pays up and receives down, the venue is never below it.
        """
        over, under = self._ratio if price == self._ratio_at else self.value_ratio(price)
        return -lots * over // under

    def nav(self, cash: int, lots: int, mark: float) -> int:
        """Equity in quote atoms, rounded down. ``cash`` in settlement atoms."""
        if self.inverse:
            return self.to_quote(cash, mark) - self.face(lots)
        over, under = self._ratio if mark == self._ratio_at else self._mark_ratio(mark)
        return cash + lots * over // under

    def face(self, lots: int) -> int:
        """Quote atoms that inverse lots owe whatever the price; rounded up."""
        return -(-lots * self._face_over // self._face_under)

    def line(self, cash: int, lots: int) -> tuple[float, float]:
        """``(intercept, slope)`` of NAV in the mark, in quote atoms: ``NAV = intercept + slope *
        mark``."""
        if self.inverse:
            return float(-self.face(lots)), cash * float(self._quote_per_coin)
        return float(cash), lots * self._per_lot

    def stand(self, cash: int, lots: int, mark: float) -> tuple[float, float, int]:
        """``line``, and ``nav`` at a mark."""
        if self.inverse:
            return *self.line(cash, lots), self.nav(cash, lots, mark)
        over, under = self._ratio if mark == self._ratio_at else self._mark_ratio(mark)
        return float(cash), lots * self._per_lot, cash + lots * over // under

    def line_nav(self, intercept: float, slope: float, mark: float) -> int:
        """``nav`` from its ``line``: equity in quote atoms at ``mark``, rounded down.

        Whole numbers are read off the floats, which hold them as long as cash, face and lots are
        below 2**51.
        """
        if self.inverse:
            worth = self.to_quote(round(slope / float(self._quote_per_coin)), mark)
        else:
            worth = self.exposure_value(round(slope / self._per_lot), mark)
        return int(intercept) + worth

    def lots_for(self, leverage: float, nav: int, mark: float) -> int:
        """Position with that signed leverage at a NAV (quote atoms), rounded towards less exposure.

        Linear: ``leverage * NAV / (lot value at mark)``. Inverse: ``(leverage - 1) * NAV / face``,
        since the coins themselves are one times long.
        """
        if self.inverse:
            raw = (leverage - 1.0) * nav / self._per_lot
            return floor(raw) if leverage > 0.0 else ceil(raw)
        return int(leverage * nav / (self._per_lot * mark))

    def exposure_lots(self, slope: float, mark: float) -> int:
        """Inverse lots whose face is the exposure ``slope * mark``, towards zero: selling them
        leaves none."""
        return int(slope * mark / self._per_lot)

    @property
    def settlement_atoms(self) -> int:
        """Atoms of one whole settlement asset."""
        return int(10 ** asset_decimals(self.settlement_asset))

    @property
    def quote_atoms(self) -> int:
        """Atoms of one whole quote asset."""
        return int(10 ** asset_decimals(self.quote_asset))

    @property
    def coins_a_quote(self) -> float:
        """Settlement atoms that one quote atom is at a price of 1; inverse contracts only."""
        return float(1 / self._quote_per_coin)

    def settlement_slope(self, lots: int) -> float:
        """``exposure_value`` per unit of its coordinate, settlement atoms: of the price where
        linear, of 1 / price where inverse."""
        return (-lots if self.inverse else lots) * self._over / self._under

    def price_of(self, lots: int, cash: int) -> float | None:
        """The price at which buying ``lots`` (selling where negative) moves so much cash, in
        settlement atoms; ``None`` where no positive price does."""
        size, paid = lots * self._over, -cash * self._under
        if self.inverse:
            return size / -paid if size * paid < 0 else None
        return paid / size if size * paid > 0 else None

    def notional(self, lots: int, price: float) -> int:
        """The venue's size of a position for fees and funding: settlement atoms, unsigned, rounded
        down."""
        return self.exposure_value(-abs(lots) if self.inverse else abs(lots), price)

    def quote_notional(self, lots: int, price: float) -> float:
        """Unsigned size in quote money, for the book."""
        size = abs(lots) * self._lot
        return size if self.inverse else size * price

    def taker_fee(self, cash: int) -> int:
        """Fee on an execution that moved ``cash`` settlement atoms, rounded up: the payer's
        side."""
        return -(-abs(cash) * self._fee_over // self._fee_under)

    def maker_fee(self, cash: int) -> int:
        """The same where our order rested, and somebody took it."""
        return -(-abs(cash) * self._maker_over // self._maker_under)

    def before_fee(self, lots: int, net: int) -> int:
        """Cash that buying ``lots`` (selling where negative) must move for ``net`` to be left after
        the taker fee, settlement atoms, rounded up; ``net`` itself where no positive price does.

        Selling for 999.25 after 0.075 %: 1,000. Buying for 1,000.75 with it: 1,000.
        """
        fee, whole = self._fee_over, self._fee_under
        if not self._receives(lots, net):
            return net
        return -(-net * whole // (whole - fee if net > 0 else whole + fee))

    def closing_fee(self, lots: int, cash: int) -> int:
        """Fee on an execution that moved ``cash``; none where no positive price moves it."""
        return self.taker_fee(cash) if self._receives(lots, cash) else 0

    def _receives(self, lots: int, cash: int) -> bool:
        """Whether a positive price moves cash this way: who sells linear lots is paid, who sells
        inverse ones pays coins. Nothing goes either way."""
        return (lots * cash > 0) == self.inverse

    def on_step(self, price: float, side: int) -> float:
        """The limit price nearest to ``price`` that buys (+1) at no more or sells (-1) at no less,
        and is the decimal of its price step: at least one step."""
        step = decimal(self.spec.price_step)
        steps = side * (side * decimal(price) // step)
        return float(max(steps, 1) * step)

    def lots_in(self, size: float) -> int:
        """Whole lots in a size as feeds tell it: in base where linear, in contracts where
        inverse."""
        return int(decimal(size) / self._lot_decimal)

    def to_quote(self, settlement: int, mark: float) -> int:
        """Settlement atoms as quote atoms at ``mark``, rounded down; the same number where
        linear."""
        if not self.inverse:
            return settlement
        over, under = mark.as_integer_ratio()
        ratio = self._quote_per_coin
        return settlement * over * ratio.numerator // (under * ratio.denominator)

    def to_settlement(self, quote: int, mark: float) -> int:
        """Quote atoms as settlement atoms at ``mark``, rounded down; the same number where
        linear."""
        if not self.inverse:
            return quote
        over, under = mark.as_integer_ratio()
        ratio = self._quote_per_coin
        return quote * under * ratio.denominator // (over * ratio.numerator)


def to_price_step(price: float, step: float, side: int) -> float:
    """The price as published: a long's rounded up to the step, a short's down, so that the venue
    acts early rather than late. 5,739.08 of a long becomes 5,739.5 at a step of 0.5."""
    steps = price / step
    nearest = floor(steps + 0.5)
    if abs(steps - nearest) <= _ON_STEP * (1.0 + abs(steps)):
        return nearest * step
    return side * ceil(side * steps) * step
