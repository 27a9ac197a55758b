"""The venue's known answers by our rules: funding and marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.venue.known import agrees
from tests.engine.venue.known_prices import DRIVERS, terms

VENUE = json.loads((Path(__file__).parents[2] / "vectors" / "venue.json").read_text())
DERIVED = {"rel": 1e-6, "abs": 1e-9}
VECTORS = [
    (group["id"], vector)
    for group in VENUE["groups"]
    if group["id"] in DRIVERS
    for vector in group["vectors"]
]


@pytest.mark.parametrize(("group", "vector"), VECTORS, ids=[vector["id"] for _, vector in VECTORS])
def test_a_known_answer_is_met(group: str, vector: dict[str, Any]) -> None:
    """Each published or derived number follows from its group's rule."""
    found = DRIVERS[group](vector["inputs"])
    assert agrees(found, vector["expected"], vector.get("tolerance", DERIVED)), found


def test_every_group_is_driven() -> None:
    """A group that lost its vectors, or its driver, is seen."""
    assert {group for group, _ in VECTORS} == DRIVERS.keys()
    assert len(VECTORS) >= 15


def test_a_text_stands_for_numbers() -> None:
    """Sums, products and quotients of the place; anything else is refused."""
    assert terms("p_i=i*1e-6 for i=1..3") == [1e-6, 2e-6, 3e-6]
    assert terms("p_i=-1e-3+i/4 for i=2..3") == [-1e-3 + 0.5, -1e-3 + 0.75]
    with pytest.raises(AssertionError):
        terms("something else")
