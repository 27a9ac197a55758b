"""The work of a worker: the runs of a chunk, as a function of the job and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import structs

from engine.config import RunConfig, spec_of
from engine.config.scenarios import staged_config
from engine.engine import Engine, EngineSpec
from engine.errors import LevsimError, OverTimeError
from engine.sweep.expected import violated
from engine.sweep.limiting import within
from engine.sweep.market import market_of, steps_of
from engine.sweep.measures import ROWS, VIOLATED, Measures, faulty_row
from engine.sweep.plan import Job, Setup
from engine.ticks import Step

__all__ = ["WorkFailedError", "carried_out", "first_line", "rows_of_run", "streamed", "table_of"]
__all__ += ["work"]

_SPECS: int = 64
"""Configurations that a worker keeps resolved: those of a chunk, and of the chunks beside it."""
_KEPT_BYTES: int = 31 << 20
"""Just below the largest block (32 MiB) from which glibc learns."""


class WorkFailedError(LevsimError):
    """A task raised; the message says what. Unlike what it raised it comes through every pipe."""


def carried_out(task: Callable[[bytes], bytes], packed: bytes) -> bytes:
    """A task's answer, wherever it is worked.

    Raises:
        WorkFailedError: what it raised, in words.
        MemoryError, OSError: the machine is at fault, not the task.
    """
    try:
        return task(packed)
    except MemoryError as error:
        raise MemoryError(first_line(error)) from None
    except OSError as error:
        raise OSError(first_line(error)) from None
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told with the run's command
        raise WorkFailedError(first_line(error)) from None


def first_line(error: BaseException) -> str:
    """What an exception is and the first line of what it says, where it can say it."""
    try:
        said = str(error).splitlines()[:1]
    except Exception:  # noqa: BLE001  # its own words fail it
        said = []
    return ": ".join([type(error).__name__, *filter(None, said)])


def work(packed: bytes) -> bytes:
    """Carry out a job (msgpack); its rows as an Arrow stream.

    A run that cannot be carried out becomes a row that says why: the others go on. What the machine
    lacks (memory) is no fault of the run, and is raised.
    """
    _keep_memory()
    job = msgspec.msgpack.decode(packed, type=Job)
    chunk, found = job.chunk, {}
    # Points within paths: the rows of a path are made once.
    for path in range(chunk.path, chunk.path_end):
        for point in range(chunk.point, chunk.point_end):
            config = job.configs[point - chunk.point]
            found[point, path] = rows_of_run(config, job.setup, point, path)
    return streamed([row for key in sorted(found) for row in found[key]])


def streamed(rows: list[dict[str, Any]]) -> bytes:
    """Rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ROWS) as stream:
        stream.write_table(table_of(rows))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a table; what a row lacks is null."""
    columns = {field.name: [row.get(field.name) for row in rows] for field in ROWS}
    return pa.table(
        {
            field.name: pa.array(columns[field.name], field.type.value_type).dictionary_encode()
            if pa.types.is_dictionary(field.type)
            else pa.array(columns[field.name], field.type)
            for field in ROWS
        },
        schema=ROWS,
    )


def rows_of_run(packed: bytes, setup: Setup, point: int, path: int) -> list[dict[str, Any]]:
    """The rows of one run; one row with its fault where it cannot be carried out."""
    try:
        with within(setup.seconds):
            return _rows(*_resolved(packed, setup), setup, point, path)
    except MemoryError:
        raise
    except OverTimeError:
        return [faulty_row(point, path, f"it took longer than {setup.seconds:g} s")]
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told with the run's command
        return [faulty_row(point, path, first_line(error))]


@cache
def _keep_memory() -> None:
    """Let the C library keep what one path frees for the next.

    glibc gives large blocks back to the system, which clears them when they are asked for again: of
    drawing a path that was nearly half. A larger block that is freed once raises the threshold (see
    ``M_MMAP_THRESHOLD`` in mallopt(3)); other libraries take no notice.
    """
    np.empty(_KEPT_BYTES, np.int8)


def _rows(
    config: RunConfig, spec: EngineSpec, setup: Setup, point: int, path: int
) -> list[dict[str, Any]]:
    engine, measures = _measured(spec, steps_of(config, setup, path))
    rows, events = measures.rows(point, path), dict(measures.events)
    rows[0][VIOLATED] = violated(config, rows, events, engine.state.rejected)
    return rows


def _measured(spec: EngineSpec, steps: Iterable[Step]) -> tuple[Engine, Measures]:
    engine = Engine(spec)
    measures = Measures(engine)
    for step in steps:
        measures.collect(engine.process(step))
    measures.collect(engine.finish())
    return engine, measures


@lru_cache(_SPECS)
def _resolved(packed: bytes, setup: Setup) -> tuple[RunConfig, EngineSpec]:
    """A configuration and what the heart makes of it. Policies keep nothing of their own between
    two runs: what they remember is the engine's."""
    config = msgspec.msgpack.decode(packed, type=RunConfig)
    market = market_of(config, setup, 0)
    under = staged_config(config, market)
    return config, structs.replace(spec_of(under, market.symbols), config_hash="")
