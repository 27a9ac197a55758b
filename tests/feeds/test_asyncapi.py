"""The AsyncAPI document says what travels in the topics: it keeps the specification, is as fresh as
the structs, and what the code sends is what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.events import CreationRequest
from engine.provenance import VERSION
from feeds import codec
from feeds.asyncapi import asyncapi_document, asyncapi_json
from feeds.memory_broker import MemoryBroker
from feeds.memory_log import MemoryLog
from feeds.topics import Topics
from tests.engine.serving import a_market, published, served
from tests.feeds.log_contract import read_all

COMMITTED = Path(__file__).parents[2] / "docker" / "asyncapi.json"
SPECIFICATION = "@asyncapi/specs@6.11.1"


def document() -> dict[str, Any]:
    return asyncapi_document(VERSION)


def references(node: Any) -> Iterator[str]:
    """Every ``$ref`` in it."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from references(one)


def schema_of(name: str) -> dict[str, Any]:
    """The payload of a message, with what it refers to."""
    whole = document()
    return {**whole["components"]["messages"][name]["payload"], "components": whole["components"]}


def test_the_committed_file_is_fresh() -> None:
    """Whoever changes a struct writes the file again, by levsim topics asyncapi."""
    assert COMMITTED.read_text() == asyncapi_json(VERSION)


def test_references_lead_somewhere() -> None:
    """Each reference resolves within the document, each schema is a JSON schema."""
    whole = document()
    for reference in set(references(whole)):
        node: Any = whole
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for message in whole["components"]["messages"]:
        jsonschema.Draft202012Validator.check_schema(schema_of(message))


def test_all_topics_are_there() -> None:
    """No topic that the engine creates is kept from its readers, but the two whose messages have no
    struct yet."""
    names = {spec.name for spec in Topics().specs()}
    assert names - set(document()["channels"]) <= {"admin", "nav.totals"}
    assert set(document()["channels"]) <= names


def test_it_keeps_the_specification(tmp_path: Path) -> None:
    """The document is valid by the JSON schema of AsyncAPI 3.0.0, and a fault in it is not."""
    if shutil.which("npm") is None:
        pytest.skip("no npm, by which the specification's schema comes")
    packing = ["npm", "pack", "--silent", SPECIFICATION, "--pack-destination", str(tmp_path)]
    done = subprocess.run(packing, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        member = package.extractfile("package/schemas/3.0.0-without-$id.json")
        assert member is not None
        validator = jsonschema.Draft7Validator(json.load(member))
    assert [error.message for error in validator.iter_errors(document())] == []
    broken = document()
    broken["operations"]["send.events"]["action"] = "shout"
    assert not validator.is_valid(broken)


async def test_what_is_sent_is_what_it_says() -> None:
    """Each JSON record of a served market is valid by the schema of its header, and is not with a
    field of another type."""
    log, topics = MemoryLog(MemoryBroker()), Topics()
    await published(log, topics, a_market(600), "json")
    await served(log, topics)
    seen: set[str] = set()
    for topic in (topics.ticks, topics.events, topics.nav, topics.nav_users):
        for record in (await read_all(log, topic))[:200]:
            name = codec.schema_of(record.headers).decode().replace("/", "-")
            value = json.loads(record.value or b"")
            validator = jsonschema.Draft202012Validator(schema_of(name))
            validator.validate(value)
            if value.get("ts_ns"):
                assert not validator.is_valid({**value, "ts_ns": "then"})
            seen.add(name)
    assert {"tick-json-1", "event-1", "product-nav-1", "user-nav-1"} <= seen


def test_requests_are_told() -> None:
    """A request is valid by its schema, one without an id is not."""
    request = CreationRequest(ts_ns=5, id="a", user="alice", product="BTC3L", quote=5.0)
    value = json.loads(codec.encode_json(request))
    validator = jsonschema.Draft202012Validator(schema_of("request-1"))
    validator.validate(value)
    del value["id"]
    assert not validator.is_valid(value)
