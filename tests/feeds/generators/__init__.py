"""Tests of ``feeds.generators``, a module each."""
