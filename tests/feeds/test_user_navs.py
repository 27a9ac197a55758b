"""Users' NAVs as records and as blocks say the same, and lie where one looks for them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.errors import OutOfRangeError
from engine.outputs import UserNavBlock
from engine.shares import value_users
from engine.users import Users
from feeds.log import partition_of
from feeds.user_navs import UserNavs, UserShards
from tests.feeds.user_records import unpacked

TOPIC = "nav.users"
NAV = 987_654_321_012


def a_sample(users: Users, changed: tuple[int, ...] | None = None) -> UserNavBlock:
    """All holders of a product, or some."""
    units = np.random.default_rng(len(users)).integers(0, 10**12, len(users))
    listed = None if changed is None else np.array(changed, np.int64)
    held = units if listed is None else units[listed]
    total = int(units.sum()) + 5
    reason = "cadence" if changed is None else "holders"
    return UserNavBlock(9, 4, 1_000, 1, reason, listed, held, NAV, total)


def recorder(users: Users, *, above: int, partitions: int = 4) -> UserNavs:
    """Of two products."""
    shards = UserShards(partitions, users.population, users_max=40)
    return UserNavs(TOPIC, ("ETH3L", "BTC3L"), value_users, shards, shard=2, blocks_above=above)


@pytest.mark.parametrize("partitions", [1, 4, 7])
@pytest.mark.parametrize("population", [0, 1, 300])
def test_blocks_say_what_records_say(partitions: int, population: int) -> None:
    """Each user once, with the same units, NAV and name for ever, in the partition of his name,
    whichever form the sample has; NAVs are exact."""
    users = Users(population, [f"named {number}" for number in range(60)])
    sample = a_sample(users)
    single = list(recorder(users, above=1_000, partitions=partitions).records(sample, users.name))
    packed = list(recorder(users, above=10, partitions=partitions).records(sample, users.name))
    assert len(single) == len(users) > len(packed)
    of_singles = [nav for sent in single for nav in unpacked(sent)]
    of_blocks = [nav for sent in packed for nav in unpacked(sent)]
    assert [nav.user for nav in of_singles] == [users.name(number) for number in range(len(users))]
    assert sorted(of_blocks, key=lambda nav: nav.ordinal) == of_singles
    assert [nav.nav_atoms for nav in of_singles] == [
        units * NAV // sample.units_total for units in sample.units.tolist()
    ]
    for sent in packed:
        homes = {partition_of(nav.user.encode(), partitions) for nav in unpacked(sent)}
        assert homes == {sent.partition}
    for sent in single:
        assert (sent.key, sent.partition) == (unpacked(sent)[0].user.encode(), None)


def test_the_form_follows_the_number_of_users() -> None:
    """Up to the limit a record each, beyond it blocks; the few whose units changed always get
    records."""
    users = Users(100)
    whole, some = a_sample(users), a_sample(users, changed=(3, 99))
    for above, records in ((100, 100), (99, 4)):
        assert len(list(recorder(users, above=above).records(whole, users.name))) == records
        listed = list(recorder(users, above=above).records(some, users.name))
        assert [nav.user for sent in listed for nav in unpacked(sent)] == ["u4", "u100"]
        assert [unpacked(sent)[0].ordinal for sent in listed] == [4, 5]


def test_newcomers_join_blocks() -> None:
    """Who arrives between two samples is in the second; a product that they did not buy leaves them
    out."""
    users = Users(50, ["alice"])
    made = recorder(users, above=10)
    before = a_sample(users)
    names = [nav.user for sent in made.records(before, users.name) for nav in unpacked(sent)]
    users.admit("bob")
    users.admit("u51")
    after = a_sample(users)
    grown = [nav.user for sent in made.records(after, users.name) for nav in unpacked(sent)]
    assert sorted(grown) == sorted([*names, "bob", "u51"])
    again = [nav.user for sent in made.records(before, users.name) for nav in unpacked(sent)]
    assert again == names


def test_long_names_are_spread() -> None:
    """Blocks stay below the limit of every broker however long names are."""
    users = Users(0, [f"{number:05}" + "x" * 60_000 for number in range(40)])
    sent = list(recorder(users, above=10, partitions=2).records(a_sample(users), users.name))
    assert len(sent) > 4
    assert max(len(record.value or b"") for record in sent) < 700_000
    assert sum(len(unpacked(record)) for record in sent) == 40


@pytest.mark.parametrize("nav", [2**63, -(2**63) - 1, 10**30])
def test_beyond_64_bits_is_a_sentence(nav: int) -> None:
    """A product whose NAV no longer fits ends the engine with its name, not with a traceback."""
    users = Users(20)
    sample = msgspec.structs.replace(a_sample(users), product_nav_atoms=nav)
    for above in (10, 100):
        with pytest.raises(OutOfRangeError, match="BTC3L tick 9"):
            list(recorder(users, above=above).records(sample, users.name))
