"""Tests of ``engine/sweep``."""
