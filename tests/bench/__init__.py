"""Benchmarks: every figure beside its target, and beside two yardsticks that do the same work."""
