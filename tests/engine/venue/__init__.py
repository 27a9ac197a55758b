"""Tests of ``engine.venue``."""
