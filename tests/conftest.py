"""What all tests share: recorded markets, and brokers, each started once when first asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers import apache_brokers, apache_kafka, apache_quick, kafka_brokers, secured_kafka

__all__ = ["apache_brokers", "apache_kafka", "apache_quick", "kafka_brokers", "secured_kafka"]

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
SHARED_REFERENCE = SHARED_DATA.parent / "reference"


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
