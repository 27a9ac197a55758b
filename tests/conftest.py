"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded markets beside the project; without it the test is skipped."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no recorded markets: the folder ../shared/data is absent")
    return SHARED_DATA
