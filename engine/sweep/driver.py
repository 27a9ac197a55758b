"""The driver of a sweep: hands out chunks, takes results in any order, bisects what kills workers.

A worker may die for reasons of its own (somebody killed it, its machine went down): its chunk is
tried again. A chunk that took three workers with it is halved, and the halves again, until one run
is left that did: a poison path. It becomes a row that says so, and the sweep goes on. A chunk whose
work raised would raise again: it is halved at once, and the row has what was raised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, Final

import msgspec
import pyarrow as pa
from msgspec import Struct

from engine.errors import LevsimError
from engine.sweep.measures import ROWS, faulty_row
from engine.sweep.plan import Chunk, Plan
from engine.sweep.pool import UnsentError, WorkerDiedError
from engine.sweep.store import Store
from engine.sweep.work import WorkFailedError, carried_out, table_of, work

__all__ = ["DEATHS", "Progress", "chunk_bytes", "drive", "read_chunk"]

DEATHS: Final = 3
"""Workers that a part may take with it before it is halved, or named where it is one run."""
POISON_MAX: Final = 50
"""Runs that kill their worker, or raise, after which it is no path that is at fault."""
DIED: Final = f"its worker died, {DEATHS} times of {DEATHS}"
_DEATHS_OF_POOLS: Final = (WorkerDiedError, BrokenExecutor, MemoryError, OSError)
_DEATHS_OF_CLUSTERS: Final = ("KilledWorker", "CommClosedError")
"""By their names in dask.distributed, which need not be installed."""


class Progress(Struct, frozen=True):
    """How far a sweep is: runs done (of them found finished), of how many, workers lost, finished
    chunks that were found damaged and are worked again."""

    done: int
    found: int
    runs: int
    deaths: int
    damaged: int


class _Part(Struct):
    """A chunk or a part of it that one worker is asked for."""

    chunk: Chunk
    deaths: int = 0


class _Pieces(Struct):
    """What is there of a chunk, and how many runs are missing."""

    missing: int
    tables: list[pa.Table]


def drive(
    plan: Plan,
    store: Store,
    executor: Executor,
    ahead: int | Callable[[], int],
    told: Callable[[Progress], None] | None = None,
    task: Callable[[bytes], bytes] = work,
) -> None:
    """Work all chunks that are not finished.

    Args:
        executor: any; ``LocalPool`` and dask.distributed's outlive their workers.
        ahead: parts handed out at once, so that no worker waits; asked again and again where
            workers come and go.
        told: how far it is, after each chunk.
        task: what a worker does; ``work``.

    Raises:
        LevsimError: if the executor broke, or everything kills its worker.
    """
    _Drive(plan, store, executor, task, told).run(ahead if callable(ahead) else lambda: ahead)


class _Drive:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        task: Callable[[bytes], bytes],
        told: Callable[[Progress], None] | None,
    ) -> None:
        self._plan, self._store, self._executor = plan, store, executor
        self._task, self._told = task, told
        missing = [chunk for chunk in plan.chunks if chunk.number not in store.finished]
        self._todo = deque(_Part(chunk) for chunk in missing)
        self._pieces = {chunk.number: _Pieces(chunk.runs, []) for chunk in missing}
        self._found = self._done = plan.runs - sum(chunk.runs for chunk in missing)
        self._deaths = self._poison = 0

    def run(self, ahead: Callable[[], int]) -> None:
        under_way: dict[Future[bytes], _Part] = {}
        self._tell()
        try:
            while self._todo or under_way:
                room = ahead()
                while self._todo and len(under_way) < room:
                    part = self._todo.popleft()
                    under_way[self._submit(part)] = part
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    self._take(under_way.pop(future), future)
        finally:
            for future in under_way:
                future.cancel()

    def _submit(self, part: _Part) -> Future[bytes]:
        job = msgspec.msgpack.encode(self._plan.job(part.chunk))
        try:
            return self._executor.submit(carried_out, self._task, job)
        except (BrokenExecutor, RuntimeError) as error:
            raise _broken(str(error)) from None

    def _take(self, part: _Part, future: Future[bytes]) -> None:
        if future.cancelled():
            raise _broken("it let go of work that it had")
        error = future.exception()
        if error is None:
            with pa.ipc.open_stream(future.result()) as stream:
                self._add(part.chunk, stream.read_all())
        elif isinstance(error, _DEATHS_OF_POOLS) or type(error).__name__ in _DEATHS_OF_CLUSTERS:
            self._died(part, error)
        elif isinstance(error, WorkFailedError | UnsentError):
            self._halve(part, str(error))
            self._tell()
        else:
            raise LevsimError(
                f"a worker cannot do its work: {type(error).__name__}: {error}"
            ) from error

    def _died(self, part: _Part, error: BaseException) -> None:
        self._deaths += 1
        part.deaths += 1
        if part.deaths < DEATHS:
            self._todo.append(part)
        else:
            self._halve(part, DIED, f"{error}; see that workers can be started and have memory")
        self._tell()

    def _halve(self, part: _Part, fault: str, hint: str = "") -> None:
        """A part that no worker can do: its halves instead, or a row of its one run with why."""
        if part.chunk.runs > 1:
            self._todo.extendleft(_Part(half) for half in reversed(part.chunk.halves()))
            return
        self._poison += 1
        if self._poison > POISON_MAX:
            said = f"{self._poison} runs came to nothing, the last one: {fault}"
            raise LevsimError(f"{said} ({hint})" if hint else said)
        self._add(part.chunk, table_of([faulty_row(part.chunk.point, part.chunk.path, fault)]))

    def _add(self, part: Chunk, table: pa.Table) -> None:
        pieces = self._pieces[part.number]
        pieces.tables.append(table)
        pieces.missing -= part.runs
        self._done += part.runs
        if not pieces.missing:
            chunk = self._plan.chunks[part.number]
            self._store.put(chunk, chunk_bytes(self._pieces.pop(part.number).tables))
        self._tell()

    def _tell(self) -> None:
        if self._told is not None:
            damaged = len(self._store.damaged)
            self._told(Progress(self._done, self._found, self._plan.runs, self._deaths, damaged))


def _broken(why: str) -> LevsimError:
    said = f"the pool of workers broke ({why})"
    return LevsimError(f"{said}; what is finished is kept, the same command goes on from there")


def chunk_bytes(tables: list[pa.Table]) -> bytes:
    """A chunk's rows by point and path, whatever parts they came in: the same bytes always."""
    rows: list[dict[str, Any]] = [row for table in tables for row in table.to_pylist()]
    # Products of a run came together and stay in their order.
    rows.sort(key=lambda row: (row["point"], row["path"]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, ROWS) as file:
        file.write_table(table_of(rows))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_chunk(content: bytes) -> pa.Table:
    """The rows of a chunk."""
    with pa.ipc.open_file(pa.BufferReader(content)) as file:
        return file.read_all()
