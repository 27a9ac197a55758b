"""The simulated perpetual venue: contracts, prices and funding, books and orders, margin accounts,
liquidation, insurance, auto-deleveraging, and the crowd of other customers."""
