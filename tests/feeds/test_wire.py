"""aiokafka does what we tell it where it has no option for it."""

from __future__ import annotations

from types import SimpleNamespace

from feeds.wire import MARKERS_RETRY_SECONDS, aiokafka


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
