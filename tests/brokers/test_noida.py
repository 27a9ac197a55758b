"""Brokers that tests start leave nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.brokers import noida_db


@pytest.mark.kafka
def test_broker_is_gone_afterwards(tmp_path: Path) -> None:
    """The port is closed once the test is over: killing a wrapper would leave the broker running,
    one more after each session."""
    with noida_db(tmp_path) as brokers:
        host, port = brokers.split(":")
        with socket.create_connection((host, int(port)), 1):
            pass
    with (
        pytest.raises(OSError),  # noqa: PT011  # whichever way it is refused
        socket.create_connection((host, int(port)), 1),
    ):
        pass
