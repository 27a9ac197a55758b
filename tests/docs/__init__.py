"""Tests of what lies in ``docs/``."""
