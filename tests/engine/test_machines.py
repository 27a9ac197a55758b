"""The same digest under other hash seeds, CPU features, libm variants, zones and locales."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.imported import IMPORTED_FROM

PROBE = """
import sys
from itertools import islice
from engine.config import load_config, spec_of
from engine.engine import Engine
from feeds.synthetic import Synthetic

data = Synthetic()
sets = ["products.0.policies.0.low=2.9", "products.1.policies.0.high=3.1"]
config = load_config(None, sets, symbols=data.symbols)
engine = Engine(spec_of(config, data.symbols))
events = 0
for step in islice(data.steps(), 0, 7):
    events += len(engine.process(step).events)
print(engine.digest(), events)
"""
VARIANTS = {
    "plain": {},
    "hash seed 0": {"PYTHONHASHSEED": "0"},
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "no AVX512, no AVX2": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"},
    "no FMA in libm": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2"},
    "another zone and locale": {"TZ": "Asia/Kathmandu", "LC_ALL": "C"},
}


def _probe(extra: dict[str, str]) -> str:
    environment = {**os.environ, "PYTHONPATH": IMPORTED_FROM, **extra}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def plain() -> str:
    return _probe({"PYTHONHASHSEED": "random"})


def test_the_probe_is_no_calm_tape(plain: str) -> None:
    """Catches a probe on which nothing happens: any machine would agree on that."""
    assert int(plain.split()[1]) > 100


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_does_not_know_the_machine(name: str, plain: str) -> None:
    """Catches exp, log or pow in the heart, a set's order, and anything read from the
    environment."""
    assert _probe(VARIANTS[name]) == plain
