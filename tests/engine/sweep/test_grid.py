"""Tests of ``engine/sweep/grid.py``: what ``--set`` of a sweep may say."""

from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.sweep.grid import axes_of, points_of


def values(text: str) -> tuple[str, ...]:
    """The values of one axis."""
    _, axes = axes_of([f"key={text}"])
    return axes[0].values


def test_a_range_holds_both_ends_and_decimals_between() -> None:
    """1.5:2.5:11 are eleven values in steps of exactly 0.1, as they would be typed."""
    assert values("1.5:2.5:11") == (
        *("1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5"),
    )
    assert values("-3:3:3") == ("-3", "0", "3")
    assert values("0:1:3") == ("0.0", "0.5", "1.0")
    assert values("3:1:3") == ("3", "2", "1")
    assert values("1e-3:2e-3:2") == ("0.001", "0.002")


def test_a_list_is_parted_outside_of_brackets_and_quotes() -> None:
    """Commas within a TOML list, a table or a text belong to the value."""
    assert values("a,b, c") == ("a", "b", "c")
    assert values("[1, 2],[3]") == ("[1, 2]", "[3]")
    assert values('{ a = 1, b = [2, 3] },"x,y"') == ("{ a = 1, b = [2, 3] }", '"x,y"')


def test_one_value_is_no_axis() -> None:
    """What holds at every point stays a plain setting, in its place among the others."""
    plain, axes = axes_of(["seed=9", "a.b=1,2", "c=[1, 2]", "name=FILE.py:Class"])
    assert plain == ["seed=9", "c=[1, 2]", "name=FILE.py:Class"]
    assert [(axis.key, axis.values) for axis in axes] == [("a.b", ("1", "2"))]


def test_points_are_the_product_of_the_axes() -> None:
    """The last axis runs fastest; several policies are the first; no axes are one point."""
    _, axes = axes_of(["a=1,2", "b=x,y,z"], ["one", "two"])
    points = list(points_of(axes))
    assert len(points) == 12
    assert points[:4] == [
        ("one", "1", "x"),
        ("one", "1", "y"),
        ("one", "1", "z"),
        ("one", "2", "x"),
    ]
    assert list(points_of([])) == [()]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["a"], "expected KEY=VALUE"),
        (["=1,2"], "expected KEY=VALUE"),
        (["a=1:2:1"], "a count of 2 or more, was 1:2:1"),
        (["a=1:1:3"], "two different ends"),
        (["a=1:2:-5"], "a count of 2 or more"),
        (["a=1,,2"], "a value of the list is empty"),
        (["a=1,2,1"], "1 is given twice"),
        (["a=1,2", "a=3,4"], "a is an axis already, --set a=1,2"),
        (["a=1", "a=3,4"], "--set a=3,4: a is given already, --set a=1"),
        (["a=3,4", "a=1"], "a is an axis already, --set a=3,4"),
        (["a=1", "a=2"], "a is given already, --set a=1"),
        (["a=0:1:10000000"], "a grid of 10,000,000 points (10,000,000), 10,000 at most"),
        (["a=0:1:500", "b=0:1:500"], "a grid of 250,000 points (500 x 500)"),
    ],
)
def test_what_is_no_grid_is_refused(sets: list[str], said: str) -> None:
    """With what is wrong, and for a grid that is too large its number, before it is spread out."""
    with pytest.raises(ConfigError) as refused:
        axes_of(sets)
    assert said in str(refused.value)
