"""Tests of ``engine.users``."""

from __future__ import annotations

import pytest

from engine.users import Users


def test_a_population_is_named_by_number() -> None:
    """u1 is the first of three, u3 the last; names after them count on. Catches a name that is one
    off."""
    users = Users(3, ("alice", "bob"))
    assert len(users) == 5
    assert [users.name(n) for n in range(5)] == ["u1", "u2", "u3", "alice", "bob"]
    assert [users.index(users.name(n)) for n in range(5)] == list(range(5))
    assert users.named() == ["alice", "bob"]


@pytest.mark.parametrize(
    "name",
    [
        "u0",
        "u4",
        "u10",
        "u01",
        "u",
        "u-1",
        "u1.0",
        "u¹",
        "U1",
        "carol",
        "",
        "u 1",
        f"u{'1' * 5000}",
    ],
)
def test_who_is_not_known_has_no_index(name: str) -> None:
    """Catches u01 being taken for u1, digits that int() reads and nobody writes, and a number
    beyond the population, or beyond what int() reads."""
    assert Users(3).index(name) is None


def test_a_new_user_is_admitted_once() -> None:
    """Catches a second index for one name, and a member of the population who is entered again."""
    users = Users(2)
    assert users.admit("u2") == 1
    assert users.admit("carol") == 2
    assert users.admit("u9") == 3
    assert users.admit("carol") == 2
    assert users.index("u9") == 3
    assert users.named() == ["carol", "u9"]
    assert len(users) == 4


def test_admitting_the_named_again_restores_the_indices() -> None:
    """As a snapshot does: names in order give the same indices. Catches an index that depends on
    more than the order."""
    users = Users(2, ("alice",))
    users.admit("zoe")
    users.admit("bob")
    restored = Users(2, ("alice",))
    for name in users.named():
        restored.admit(name)
    assert [restored.index(n) for n in ("alice", "zoe", "bob")] == [2, 3, 4]


def test_what_is_given_out_is_a_copy() -> None:
    """Catches a caller that changes the table."""
    users = Users(0, ("alice",))
    users.named().append("mallory")
    assert users.named() == ["alice"]
