"""aiokafka does what we tell it where it has no option for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.errors import ConfigError
from feeds.kafka import KafkaLog
from feeds.wire import MARKERS_RETRY_SECONDS, aiokafka, checked_brokers


@pytest.mark.parametrize(
    "text", ["", ":", "host:", ":9092", "host:port", "host:0", "host:99999", "a b:9092", "a:1,,b:2"]
)
def test_an_address_that_is_none(text: str) -> None:
    """It is a sentence with the address. Catches an internal error of the client, much later."""
    with pytest.raises(ConfigError, match="a broker is host:port, such as localhost:9092"):
        KafkaLog(text)


@pytest.mark.parametrize("text", ["localhost", "h:9092", "a:1,b:65535", "[::1]:9092", "[::1]"])
def test_an_address(text: str) -> None:
    """As it is."""
    assert checked_brokers(text) == text


def test_markers_are_asked_for_soon() -> None:
    """A producer that is turned away while its last markers are written asks again after our
    pause, not after the client's own."""
    package = aiokafka()
    transactions = SimpleNamespace(txn_partitions=set())
    sender = SimpleNamespace(_retry_backoff=0.1, _txn_manager=transactions)
    handler = package.producer.sender.AddPartitionsToTxnHandler(sender, set())
    code = package.errors.ConcurrentTransactions.errno
    turned_away = SimpleNamespace(errors=[("events", [(0, code)])])
    assert handler.handle_response(turned_away) == MARKERS_RETRY_SECONDS
