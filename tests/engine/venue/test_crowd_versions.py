"""Tests of ``engine.venue.crowd_versions``: what was is read later."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.venue.crowd_versions import Columns, Versions


def a_crowd() -> tuple[Columns, Versions]:
    """Four rows, that are changed where they stand."""
    columns: Columns = {"lots": np.array([1, 2, 3, 4]), "cash": np.array([10, 20, 30, 40])}
    return columns, Versions(lambda: columns)


def change(columns: Columns, versions: Versions, rows: list[int], lots: Any) -> None:
    columns["lots"][rows] = lots
    versions.note(np.array(rows))


def read(version: Any) -> list[int]:
    history, count = version
    found: list[int] = history.at(count)["lots"].tolist()
    return found


def test_each_version_is_read_as_it_was() -> None:
    """Noted before and after they are asked for: the rows of then, whatever came later. Catches a
    copy that moves along, and changes that count for versions before them."""
    columns, versions = a_crowd()
    change(columns, versions, [0], 9)
    first = versions.latest()
    assert versions.latest() == first
    change(columns, versions, [1, 3], 0)
    second = versions.latest()
    change(columns, versions, [1], 5)
    assert [read(each) for each in (first, second, versions.latest())] == [
        *([9, 2, 3, 4], [9, 0, 3, 0], [9, 5, 3, 0])
    ]
    assert (first[0].rows, first[1], second[1]) == (4, 0, 2 - 1)
    assert first[0] is second[0]


def test_a_history_ends_where_a_copy_is_less() -> None:
    """Of four rows four changes are kept, the fifth begins anew; so does what changes all rows."""
    columns, versions = a_crowd()
    first = versions.latest()
    change(columns, versions, [0, 1, 2], 7)
    change(columns, versions, [3], 7)
    assert versions.latest()[0] is first[0]
    assert read(versions.latest()) == [7, 7, 7, 7]
    change(columns, versions, [0], 8)
    second = versions.latest()
    assert second[0] is not first[0]
    assert (read(first), read(second)) == ([1, 2, 3, 4], [8, 7, 7, 7])
    versions.renew()
    assert versions.latest()[0] is not second[0]


def test_hashes_are_of_what_is() -> None:
    """Kept as long as nothing changes, and no longer."""
    columns, versions = a_crowd()
    before = versions.hashes()
    assert versions.hashes() is before
    change(columns, versions, [0], 9)
    after = versions.hashes()
    assert after[0] != before[0]
    assert after[1] == before[1]
    columns["cash"][:] = 0
    versions.renew()
    assert versions.hashes()[1] != after[1]
