"""Tests of ``docker``."""
