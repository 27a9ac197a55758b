"""``venue limits``: where a venue would liquidate an account."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from engine.cli.running import Json

if TYPE_CHECKING:
    from engine.venue.limits import Limit, Limits
    from engine.venue.standing import Listing

__all__ = ["limits"]

Positions = Annotated[
    str, Parameter(help="SYMBOL:SIZE:ENTRY, as in BTCUSDT:-0.5:100000, or with :MARK after it.")
]
Wallet = Annotated[
    float,
    Parameter(help="What was paid in, in the asset that the contracts are settled in."),
]


def limits(name: str, *positions: Positions, wallet: Wallet, json: Json = False) -> int:
    """The marks at which a venue liquidates an account, and the crash that it survives.

    SIZE is in base, in contracts where the contract is inverse; negative where short.
    """
    from engine.cli import showing
    from engine.config import PRESETS, SettingError, nearest, preset
    from engine.errors import ConfigError

    if name not in PRESETS:
        raise SettingError((), f'there is no venue "{name}"{nearest(name, PRESETS)}')
    if not positions:
        raise ConfigError("which position? SYMBOL:SIZE:ENTRY, as in BTCUSDT:-0.5:100000")
    held = [_read(position) for position in positions]
    listings = [_listing(name, symbol) for symbol, *_ in held]
    fault, found = _found(listings, held, wallet)
    marks = [mark for *_, mark in held]
    if json:
        showing.emit_json(_plain(name, listings, held, found, fault))
        return 0
    asset = listings[0].contract.settlement_asset
    showing.emit(f"{name}, as of {preset(name).as_of}: {wallet:,.12g} {asset} paid in")
    if fault:
        showing.emit(f"  the venue would not let it be opened: {fault}")
    for line in _lines(listings, held, marks, found):
        showing.emit(f"  {line}")
    return 0


_TIMES: Final = 10.0
"""A larger rise is told in times."""

Held = tuple[str, float, float, float]
"""Symbol, signed size, entry, mark."""


def _read(text: str) -> Held:
    from engine.errors import ConfigError

    symbol, *numbers = text.split(":")
    try:
        size, entry, *rest = map(float, numbers)
        (mark,) = rest or (entry,)
    except ValueError:
        raise ConfigError(
            f'"{text}" is no position: SYMBOL:SIZE:ENTRY or SYMBOL:SIZE:ENTRY:MARK'
        ) from None
    if not (symbol and math.isfinite(size) and size and 0 < entry < math.inf and 0 < mark < 1e15):
        raise ConfigError(f'"{text}": SIZE is not 0, ENTRY and MARK are prices above 0')
    return symbol.upper(), size, entry, mark


def _listing(name: str, symbol: str) -> Listing:
    """A contract as the venue lists it; what nobody published of it is as in a run."""
    from engine.config import facts_of, venue_rules
    from engine.config.settings import ContractConfig, VenueConfig
    from engine.venue.contract import Contract
    from engine.venue.contract_spec import ContractSpec
    from engine.venue.standing import Listing
    from feeds.formats.names import market

    at = market("", symbol, None)
    inverse = at.contract == "inverse"
    venue = VenueConfig(preset=name)  # type: ignore[arg-type]  # one of the names
    facts = facts_of(venue, at.base, "inverse" if inverse else "linear")
    contract = ContractSpec(
        symbol=at.symbol,
        kind="inverse" if inverse else "linear",
        base=at.base,
        quote=at.quote,
        price_step=facts.price_step or 0.0,
        lot_size=1.0 if inverse else 1e-8,
        contract_size=at.contract_size if inverse else 1.0,
        taker_fee=facts.taker_fee or 0.0,
    )
    own = ContractConfig(kind=contract.kind, base=at.base, quote=at.quote)
    rules = venue_rules(venue, own)
    return Listing(Contract(contract), rules)


def _lots(symbol: str, size: float, lot: float) -> int:
    from engine.errors import ConfigError
    from engine.units import whole_lots

    lots = whole_lots(size, lot)
    if lots is None:
        raise ConfigError(f"{symbol} is held in whole lots of {lot:g}, not {size!r}")
    return lots


def _found(listings: Sequence[Listing], held: Sequence[Held], wallet: float) -> tuple[str, Limits]:
    """Why it could not have been opened, where it could not; and its limits."""
    from engine.errors import ConfigError
    from engine.ledger import Ledger
    from engine.venue.accounts import PositionSpec, TraderAccount, Traders, TraderSpec
    from engine.venue.limits import limits_of
    from engine.venue.standing import opening_fault

    if len({symbol for symbol, *_ in held}) < len(held):
        raise ConfigError("one position a symbol")
    if not 0.0 < wallet < 1e15:
        raise ConfigError(f"--wallet must be above 0, was {wallet:g}")
    contracts = [listing.contract for listing in listings]
    lots = [_lots(*held[n][:2], contract.spec.lot_size) for n, contract in enumerate(contracts)]
    if len(assets := {contract.settlement_asset for contract in contracts}) > 1:
        settled = " and ".join(sorted(assets))
        raise ConfigError(f"one account keeps one asset; these are settled in {settled}")
    spec = TraderSpec(
        id="you",
        wallet_atoms=round(wallet * contracts[0].settlement_atoms),
        positions=tuple(
            PositionSpec(market=n, lots=lots[n], entry=entry)
            for n, (_, _, entry, _) in enumerate(held)
        ),
    )
    traders = Traders([spec], contracts, Ledger())
    account = TraderAccount(traders, traders.accounts[0])
    fault = opening_fault(spec, listings)
    return fault[1] if fault else "", limits_of(account, listings, [mark for *_, mark in held])


def _lines(
    listings: Sequence[Listing], held: Sequence[Held], marks: Sequence[float], found: Limits
) -> Iterator[str]:
    for limit in found.positions:
        listing, (symbol, size, entry, mark) = listings[limit.market], held[limit.market]
        contract = listing.contract
        needed = limit.maintenance / contract.settlement_atoms
        yield (
            f"{symbol}: {'long' if size > 0 else 'short'} {abs(size):,.12g} from {entry:,.12g}, "
            f"now {mark:,.12g}, needs {needed:,.10g} {contract.settlement_asset}"
        )
        if not found.is_short:
            yield f"    {_ends(listing, limit, mark)}"
    if found.is_short:
        yield "short of margin as it is: liquidated at once"
    elif len(marks) > 1:
        said = [] if found.down is None else [f"a fall of {-found.down:.2%}"]
        if found.up is not None:
            rise = f"of {found.up:.2%}" if found.up < _TIMES else f"to {1 + found.up:,.0f} times"
            said.append(f"a rise {rise}")
        yield f"all marks together: {' or '.join(said) if said else 'no move'} ends it"


def _ends(listing: Listing, limit: Limit, mark: float) -> str:
    """Where a position's own mark ends the account, in words."""
    if limit.liquidated is None:
        return "no price liquidates it"
    falls = limit.liquidated <= mark
    said = f"liquidated at {_published(listing, limit.liquidated, falls=falls)}"
    said += " and below" if falls else " and above"
    if limit.bankrupt is None:
        return f"{said}, never bankrupt"
    return f"{said}, bankrupt at {_published(listing, limit.bankrupt, falls=falls)}"


def _published(listing: Listing, price: float, *, falls: bool) -> str:
    """A price as a venue states it: on its step, early rather than late."""
    from engine.venue.contract import to_price_step

    step = listing.contract.spec.price_step
    if not step:
        return f"{price:,.8g}"
    return f"{to_price_step(price, step, 1 if falls else -1):,.12g}"


def _plain(
    name: str, listings: Sequence[Listing], held: Sequence[Held], found: Limits, fault: str
) -> dict[str, Any]:
    """Everything, as plain data; amounts in the settlement asset."""
    atoms = listings[0].contract.settlement_atoms
    return {
        "venue": name,
        "asset": listings[0].contract.settlement_asset,
        "equity": found.stand.equity / atoms,
        "maintenance": found.stand.maintenance / atoms,
        "is_short": found.is_short,
        "opening_fault": fault or None,
        "positions": [
            {
                "symbol": held[limit.market][0],
                "size": held[limit.market][1],
                "entry": held[limit.market][2],
                "mark": held[limit.market][3],
                "maintenance": limit.maintenance / atoms,
                "liquidated": limit.liquidated,
                "bankrupt": limit.bankrupt,
            }
            for limit in found.positions
        ],
        "down": found.down,
        "up": found.up,
    }
