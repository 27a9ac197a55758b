"""The user NAVs of a record, whichever form it has."""

from __future__ import annotations

from typing import Any

import msgspec

from feeds import codec
from feeds.user_blocks import USER_NAV_BLOCK, decode_user_block
from feeds.user_navs import USER_NAV, UserNav

__all__ = ["unpacked"]


def unpacked(sent: Any) -> list[UserNav]:
    """The NAVs that a record holds."""
    schema = codec.schema_of(sent.headers)
    assert schema in (USER_NAV, USER_NAV_BLOCK)
    if schema == USER_NAV:
        return [msgspec.json.decode(sent.value or b"", type=UserNav)]
    block = decode_user_block(sent.value or b"")
    rows = zip(
        block.user_names(),
        block.users.tolist(),
        block.units.tolist(),
        block.nav_atoms.tolist(),
        strict=True,
    )
    return [
        UserNav(
            user=name,
            product=block.product,
            ts_ns=block.ts_ns,
            units=units,
            nav_atoms=nav,
            sequence=block.sequence,
            ordinal=block.ordinal + index,
            shard=block.shard,
        )
        for name, index, units, nav in rows
    ]
