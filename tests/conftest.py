"""What all tests share: recorded markets, and brokers, each started once when first asked for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.brokers import apache_brokers, apache_kafka, apache_quick, kafka_brokers, secured_kafka
from tests.imported import COMPILED

__all__ = ["apache_brokers", "apache_kafka", "apache_quick", "kafka_brokers", "secured_kafka"]

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
SHARED_REFERENCE = SHARED_DATA.parent / "reference"

# What a machine is busy with fails no test.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What replaces functions of the heart is run where it is interpreted, and only there."""
    if COMPILED:
        out = [item for item in items if item.get_closest_marker("interpreted")]
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts the tests in the background has them, and every command that they start,
    ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded markets beside the project; without it the test is skipped."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no recorded markets: the folder ../shared/data is absent")
    return SHARED_DATA


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """The folder of published facts beside the project; without it the test is skipped."""
    if not SHARED_REFERENCE.is_dir():
        pytest.skip("no published facts: the folder ../shared/reference is absent")
    return SHARED_REFERENCE
