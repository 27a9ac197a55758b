"""Which number of the compiled loop's arrays means what."""

from __future__ import annotations

from typing import Final

CASH, LOTS, ORDERS, LAUNCHED, BALANCES = 0, 1, 2, 3, 4
"""Of a product, in whole numbers."""
LOW, HIGH, TARGET, BAND_LOW, BAND_HIGH, EDGES = 0, 1, 2, 3, 4, 5
"""Of a product, in floats."""
NEXT_NS, LAST_NS, LAST_ID, REJECTED, REBALANCES, TRANSFERS = 0, 1, 2, 3, 4, 5
BOOK_CASH, BOOK_LOTS, FEES, ISSUER, MINT, NUMBERS = 6, 7, 8, 9, 10, 11
"""Of the whole."""
MARK, BID, ASK = 0, 1, 2
"""Prices as of now; 0 before the first."""
SENT, FILLED, REBALANCED, LAUNCH = 0, 1, 2, 3
"""Kinds of events."""
WHOLE: Final = 13
"""Whole numbers of an event: kind, product, sequence, ordinal, time, order, lots, and six more."""
REAL: Final = 6
"""Its other numbers: mark, mid, price, target, leverage before and after."""
