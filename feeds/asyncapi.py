"""The topics as an AsyncAPI 3.0 document, made from the structs that travel in them.

So the document cannot say what the code does not do. Packed blocks have no JSON form: their layout
is told in the words of the module that writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.commands import Command
from engine.events import Event, Malformed
from feeds import (
    blocks,
    codec,
    fanout,
    journal,
    latest,
    records,
    snapshots,
    totals,
    user_blocks,
    user_navs,
)
from feeds.topics import Topics

__all__ = ["asyncapi_document", "asyncapi_json"]

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
BINARY: Final = "application/octet-stream"
_SCHEMAS: Final = "#/components/schemas/{name}"
_NAMED: Final = {
    "shard": "number of the engine",
    "sequence": "of the input that caused it",
    "ordinal": "its place among the outputs of that input",
}


class _Message(Struct, frozen=True):
    """What the header ``schema`` says, and what the value then is: of a type, or in words."""

    schema: bytes
    kind: Any = None
    words: str = ""
    content: str = JSON


def _union(types: tuple[type[Any], ...]) -> Any:
    union: Any = types[0]
    for one in types[1:]:
        union |= one
    return union


def _channels(topics: Topics) -> Iterator[tuple[str, str, str, tuple[_Message, ...]]]:
    """Topic, what the engine does with it, its summary, its messages."""
    layout = "Layout, every part padded"
    ticks = (
        _Message(codec.TICK_JSON, _union(codec.tick_records(packed=False))),
        _Message(codec.TICK_MSGPACK, _union(codec.tick_records(packed=True)), content=MSGPACK),
        _Message(codec.TICK_BLOCK, words=_from(blocks, layout), content=BINARY),
        _Message(codec.MALFORMED, Malformed),
        _Message(codec.END, codec.End),
    )
    yield topics.ticks, "receive", "Market rows; a symbol's partition is crc32(symbol) % n.", ticks
    asked = (_Message(codec.REQUEST, codec.Asked),)
    yield (
        topics.requests,
        "receive",
        "Creations, redemptions, and what takes them back, by the product's shard.",
        asked,
    )
    told = (_Message(codec.COMMAND, Command),)
    yield topics.admin, "receive", "What the operator says, by shard; heartbeats too.", told
    yield topics.events, "send", "Every event, keyed by shard.", (_Message(records.EVENT, Event),)
    navs = (_Message(records.PRODUCT_NAV, records.ProductNav),)
    yield topics.nav, "send", "Product NAVs, keyed by product.", navs
    users = (
        _Message(user_navs.USER_NAV, user_navs.UserNav),
        _Message(user_blocks.USER_NAV_BLOCK, words=_from(user_blocks, layout), content=BINARY),
    )
    yield topics.nav_users, "send", "Users' NAVs, keyed by user, or packed by user shard.", users
    newest = (
        _Message(latest.USER_LATEST, latest.UserLatest),
        _Message(fanout.FANOUT_POSITION, fanout.Position),
    )
    yield topics.nav_latest, "send", "Each user's newest NAVs, keyed by user, compacted.", newest
    total = (_Message(totals.USER_TOTAL, totals.UserTotal),)
    yield topics.nav_totals, "send", "Each user's total over all shards, keyed by user.", total
    said = "What was refused, as it came; its own schema is in the header, and the reason."
    letter = _Message(b"dead-letter", words=said, content=BINARY)
    yield topics.dead_letters, "send", "Inputs that were refused, keyed by shard.", (letter,)
    entry = _Message(journal.JOURNAL, journal.Entry, content=MSGPACK)
    yield topics.journal, "send", "The order of the inputs, a partition a shard.", (entry,)
    part = "Parts of a msgpack object {mark, positions, ended, state, sha256}, in order."
    chunk = _Message(snapshots.SNAPSHOT_CHUNK, words=part, content=BINARY)
    yield topics.snapshots, "send", "The state of each shard, compacted.", (chunk,)


def _from(module: Any, words: str) -> str:
    """The end of a module's docstring, from these words on."""
    text: str = module.__doc__
    return text[text.index(words) :].strip()


def asyncapi_document(version: str, topics: Topics | None = None) -> dict[str, Any]:
    """The document as plain objects, its keys in a fixed order."""
    channels = list(_channels(topics or Topics()))
    kinds = [m.kind for *_, messages in channels for m in messages if m.kind is not None]
    made, components = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS)
    schemas = iter(made)
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "levsim",
            "version": version,
            "description": "The topics of an engine. The header `schema` says how to read a value.",
        },
        "defaultContentType": JSON,
        "channels": {},
        "operations": {},
        "components": {"messages": {}, "schemas": _plain(components)},
    }
    for topic, action, said, messages in channels:
        names = {}
        for message in messages:
            payload = _payload(message) if message.kind is None else _plain(next(schemas))
            name = message.schema.decode().replace("/", "-")
            document["components"]["messages"][name] = _described(message, payload)
            names[name] = {"$ref": f"#/components/messages/{name}"}
        document["channels"][topic] = {"address": topic, "summary": said, "messages": names}
        document["operations"][f"{action}.{topic}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
        }
    return document


def _payload(message: _Message) -> dict[str, Any]:
    return {"type": "string", "format": "binary", "description": message.words}


def _described(message: _Message, payload: Any) -> dict[str, Any]:
    header = {"schema": {"type": "string", "const": message.schema.decode()}}
    if message.schema == b"dead-letter":
        text = {"type": "string"}
        header = {"schema": text, "reason": text, "input": text, "offset": text}
        header |= {name: {"type": "string", "description": said} for name, said in _NAMED.items()}
    return {
        "name": message.schema.decode(),
        "contentType": message.content,
        "headers": {"type": "object", "properties": header},
        "payload": payload,
    }


def _plain(schema: Any) -> Any:
    """As AsyncAPI wants it: a discriminator is the name of a property, and no more."""
    if isinstance(schema, dict):
        return {
            key: value["propertyName"] if key == "discriminator" else _plain(value)
            for key, value in schema.items()
        }
    return [_plain(one) for one in schema] if isinstance(schema, list | tuple) else schema


def asyncapi_json(version: str, topics: Topics | None = None) -> str:
    """The document as indented JSON with a line end."""
    return (
        msgspec.json.format(
            msgspec.json.encode(asyncapi_document(version, topics)), indent=2
        ).decode()
        + "\n"
    )
