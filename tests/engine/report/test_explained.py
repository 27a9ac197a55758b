"""Texts of ``explain`` that were read as a holder reads them, kept in ``tests/golden``. A changed
text is read again, and explained in the commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api import RunResult, run
from engine.report import explain

GOLDEN = Path(__file__).parents[2] / "golden"
CRASH = (1_768_478_400_000_000_000, 1_768_489_200_000_000_000)
"""The sample's fall: 15 January 2026, 12:00 to 15:00."""
MARCH = (1_583_971_200_000_000_000, 1_584_144_000_000_000_000)
"""12 and 13 March 2020."""


def text_of(
    result: RunResult,
    product: str | None = None,
    user: str | None = None,
    ends: tuple[int | None, int | None] = (None, None),
) -> str:
    """Without the assumptions, which have tests of their own."""
    assert result.path is not None
    text = explain(result.path, product, user, *ends)
    return text.split("\n\nIt leans on")[0] + "\n"


@pytest.mark.parametrize("product", ["BTC3L", "BTC-SMART-L"])
def test_the_crash_of_the_sample(product: str, sample_run: RunResult) -> None:
    """Three hours around the fall."""
    golden = GOLDEN / f"explain-crash-{product.lower()}.txt"
    assert text_of(sample_run, product, ends=CRASH) == golden.read_text(encoding="utf-8")


def test_a_holder_of_the_sample(sample_run: RunResult) -> None:
    """Who bought in the morning and sold half in the evening."""
    golden = GOLDEN / "explain-holder.txt"
    assert text_of(sample_run, user="alice") == golden.read_text(encoding="utf-8")


def test_march_2020(shared_data: Path, tmp_path: Path) -> None:
    """BitMEX on the 12th and 13th: nine rebalances, and a gap."""
    data = shared_data / "bitmex-xbtusd-1m" / "2020-03.jsonl.gz"
    result = run(data, out=tmp_path / "march", report=False)
    golden = GOLDEN / "explain-march-2020.txt"
    assert text_of(result, "BTC3L", ends=MARCH) == golden.read_text(encoding="utf-8")


def test_one_product_leans_on_its_own_assumptions(sample_run: RunResult) -> None:
    """Of one product the text leaves out what is assumed of another alone, and nothing else.
    Catches a holder of a token who reads of somebody's loan."""
    assert sample_run.path is not None
    whole = sample_run.summary["assumed"]
    loan = [name for name in whole if name.startswith("loan_terms: BTC-LOAN3L ")]
    assert len(loan) == 1
    told = explain(sample_run.path, "BTC3L").split("It leans on these assumptions:")[1]
    assert "BTC-LOAN3L" not in told
    kept = [name for name in whole if f"  {name}" in told]
    assert set(whole) - set(kept) == {
        name for name in whole if name.partition(": ")[2].startswith(("BTC-", "BTC3S"))
    }
    assert "depth: BTCUSDT: " in told
    assert loan[0] in explain(sample_run.path)
