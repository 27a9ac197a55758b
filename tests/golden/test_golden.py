"""The kept logs are what the heart says, however the tape is cut, and what the reference says."""

from __future__ import annotations

from itertools import zip_longest

import pytest

from tests.builders import a_tape, run
from tests.golden.cases import CASES
from tests.golden.files import input_path, log_of, output_path, read_tape
from tests.properties.agreement import agree
from tests.properties.rich import happened

BYTES_MAX = 60_000
"""Of a file: small enough to be read."""


@pytest.mark.parametrize("name", CASES)
def test_the_log_is_the_kept_one(name: str) -> None:
    """Line for line, whole and row by row. Where a change is meant: ``python -m tests.golden``."""
    kept = output_path(name).read_text(encoding="utf-8").splitlines()
    rows = read_tape(name)
    for places in ((), range(len(rows))):
        log = log_of(CASES[name].spec, rows, places)
        for number, (ours, golden) in enumerate(zip_longest(log, kept), 1):
            assert ours == golden, f"{output_path(name).name}:{number}"


@pytest.mark.parametrize("name", CASES)
def test_the_case_is_what_it_is_for(name: str) -> None:
    """Each case holds what it was made for, the reference agrees with it, and it is small.

    Catches a golden that a changed rule made empty and that was written anew unread.
    """
    case = CASES[name]
    tape = a_tape(read_tape(name))
    said = agree(case.spec, tape)
    counts = happened(said)
    for event in said.named("rebalanced", "deleveraged"):
        counts[f"traded again {event.product}"] += not getattr(event, "opening", False)
    assert {what for what in case.happens if not counts[what]} == set()
    assert input_path(name).stat().st_size < BYTES_MAX
    assert output_path(name).stat().st_size < BYTES_MAX


@pytest.mark.parametrize("name", CASES)
def test_all_products_have_samples(name: str) -> None:
    """The kept samples show every product."""
    case = CASES[name]
    said = run(case.spec, a_tape(read_tape(name)))
    assert set(said.nav["product"].tolist()) == set(range(len(case.spec.products)))
