"""Parquet files as a run writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["TIME", "timestamps", "writer"]

TIME: Final = [("ts_ns", pa.int64()), ("ts", pa.timestamp("us", "UTC"))]
"""The two columns that say when."""


def timestamps(ts_ns: Any) -> pa.Array:
    """The column ``ts`` of a column ``ts_ns``, shape (n,)."""
    return pa.array(ts_ns // 1_000, pa.timestamp("us", "UTC"))


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A file whose pages bear checksums."""
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)
