"""Where a product's money lies: at the venue, or in the issuer's treasury.

What lies at the venue is the margin of its hedge and all that the venue looks at. Fills, fees of
trading and funding are paid from there. What comes in is shared between both as the hedge terms say
(``margin_share`` of it, rounded up, goes to the venue); what goes out is taken from both as the
equity lies; the issuer's fee comes out of the treasury, as far as that goes. NAV does not mind.
"""

from __future__ import annotations

from engine.ledger import Cause, Ledger
from engine.product import ProductSpec
from engine.units import Rounding, decimal, mul_div
from engine.venue.contract import Contract

__all__ = ["Wallet"]


class Wallet:
    """One product's balances in the ledger; money in settlement atoms unless it says quote."""

    __slots__ = (
        "_cash",
        "_counts_whole",
        "_haircut",
        "_lots",
        "_mint",
        "_parted",
        "_quote",
        "_share",
        "_treasury",
        "backed",
        "balances",
        "contract",
        "formula",
        "ledger",
        "spec",
    )

    def __init__(self, spec: ProductSpec, contract: Contract, ledger: Ledger) -> None:
        self.spec = spec
        self.contract = contract
        self.ledger = ledger
        self.balances = ledger.balances
        owner, symbol = f"product:{spec.id}", contract.spec.symbol
        settlement = contract.settlement_asset
        self._cash = ledger.open(owner, settlement)
        self._quote = ledger.open(owner, contract.quote_asset)
        self._lots = ledger.open(owner, f"{symbol}:lots")
        self._mint = ledger.open(owner, f"{spec.id}:units")
        self._share = decimal(spec.hedge.margin_share)
        self._parted = spec.hedge.margin_share < 1.0
        self._haircut = decimal(spec.hedge.haircut)
        self._counts_whole = not self._haircut
        self.formula = spec.terms.promised
        """Whether holders have a promise, and the hedge is the issuer's."""
        self.backed = self._parted and spec.kind == "fund"
        """Whether its margin may be topped up; what futures have elsewhere stays there."""
        self._treasury = self._cash
        if self._parted:
            self._treasury = ledger.open(f"treasury:{spec.id}", settlement)

    @property
    def cash(self) -> int:
        """Cash, wherever it lies."""
        cash = self.balances[self._cash]
        return cash + self.balances[self._treasury] if self._parted else cash

    @property
    def at_venue(self) -> int:
        """Cash at the venue, after what the position cost."""
        return self.balances[self._cash]

    @property
    def backing(self) -> int:
        """What a top-up may be at most."""
        return self.treasury

    @property
    def treasury(self) -> int:
        """Cash that is not at the venue."""
        return self.balances[self._treasury] if self._parted else 0

    @property
    def lots(self) -> int:
        """Position, long positive."""
        return self.balances[self._lots]

    @property
    def units(self) -> int:
        """Units outstanding, steps of 1e-8."""
        return -self.balances[self._mint]

    def held(self) -> tuple[int, int, int]:
        """``cash, lots, units`` at once."""
        balances = self.balances
        cash = balances[self._cash]
        if self._parted:
            cash += balances[self._treasury]
        return cash, balances[self._lots], -balances[self._mint]

    def nav(self, mark: float) -> int:
        """Equity in quote atoms at ``mark``, rounded down."""
        balances = self.balances
        cash = balances[self._cash]
        if self._parted:
            cash += balances[self._treasury]
        equity = self.contract.nav(cash, balances[self._lots], mark)
        if self._quote != self._cash:
            equity += balances[self._quote]
        return equity

    def margin(self, mark: float) -> int:
        """Equity at the venue, rounded down."""
        balances = self.balances
        return balances[self._cash] + self.contract.exposure_value(balances[self._lots], mark)

    def withheld_of(self, cost: int) -> int:
        """What of the collateral at the venue does not count as margin, where the position cost so
        much: the haircut's share of what was paid in and won or lost for good, rounded up."""
        if self._counts_whole:
            return 0
        collateral = max(self.balances[self._cash] + cost, 0)
        return mul_div(collateral, self._haircut.numerator, self._haircut.denominator, Rounding.UP)

    def share_of(self, cash: int) -> int:
        """How much of some money belongs at the venue, rounded up."""
        return mul_div(cash, self._share.numerator, self._share.denominator, Rounding.UP)

    def deposit(self, cash: int) -> None:
        """Money goes from the treasury to the venue; back where negative."""
        self.ledger.post(Cause.MARGIN, self._treasury, self._cash, cash)

    def top_up(self, cash: int, _mark: float) -> None:
        """Money arrives at the venue, from where ``backing`` is."""
        self.deposit(cash)

    def _put_aside(self, cash: int) -> None:
        """Money came in at the venue: what does not belong there goes to the treasury."""
        if self._parted:
            self.deposit(self.share_of(cash) - cash)

    def _draw(self, cash: int) -> None:
        """Money is to be paid from the treasury, as far as it goes."""
        if self._parted:
            self.deposit(min(cash, self.treasury))

    def _draw_share(self, cash: int, mark: float) -> None:
        """Money is to be paid from both, as the equity lies; rounded up for the treasury."""
        treasury, margin = self.treasury, self.margin(mark)
        if treasury and margin > 0:
            self._draw(mul_div(cash, treasury, treasury + margin, Rounding.UP))
        else:
            self._draw(cash)
