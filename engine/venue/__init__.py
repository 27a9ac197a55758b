"""The simulated perpetual venue: contracts, funding, book."""
