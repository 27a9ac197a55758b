"""Tests of ``engine/web``."""
