"""What small venues do in a crash is what is kept, and what the reference says."""

from __future__ import annotations

import json
from collections import Counter
from itertools import zip_longest

import pytest

from tests.golden.venues import (
    DIGESTS,
    LOGS,
    NUMBERS,
    TEXTS,
    digest_of,
    lines_of,
    venue_spec,
    venue_tape,
)
from tests.properties.agreement import agree


def test_all_venues_do_what_they_did() -> None:
    """By the digest of each. Where a change is meant: ``python -m tests.golden``."""
    kept = DIGESTS.read_text(encoding="utf-8").splitlines()
    for number, line in zip_longest(NUMBERS, kept):
        assert digest_of(number, lines_of(number)) == line


def test_the_first_venues_say_what_they_said() -> None:
    """Line for line, so that a change can be read."""
    kept = LOGS.read_text(encoding="utf-8").splitlines()
    said = [line for number in TEXTS for line in lines_of(number)]
    for place, (ours, golden) in enumerate(zip_longest(said, kept), 1):
        assert ours == golden, f"{LOGS.name}:{place}"


@pytest.mark.parametrize("number", [*(n for n in NUMBERS[::9] if not venue_spec(n).crowds), 70])
def test_the_reference_says_the_same(number: int) -> None:
    """Everybody looked at at every price comes to the same, where there is no population."""
    agree(venue_spec(number), venue_tape(number))


def test_every_way_was_gone() -> None:
    """Each event of the desk, each step, outcome and cause was met a few times."""
    met: Counter[str] = Counter()
    for number in NUMBERS:
        for line in lines_of(number):
            tag, *values = json.loads(line)
            met[tag] += 1
            met.update(f"{tag} {value}" for value in values if isinstance(value, str))
    for wanted in (
        *("margin_called", "backstop_takeover", "insurance_fund_changed", "loss_socialised"),
        *("position_auto_deleveraged", "hedge_auto_deleveraged", "hedge_liquidated"),
        *(f"account_charged {why}" for why in ("closing_fee", "socialised", "cover")),
        *(f"liquidation_ended {way}" for way in ("restored", "closed", "unfilled")),
        *(f"liquidation_filled {step}" for step in ("partial", "full", "insured")),
        *(f"omnibus_shared {why}" for why in ("liquidation", "adl", "insurance", "socialised")),
    ):
        assert met[wanted] >= 3, wanted
