"""A pool of processes that survives the death of any of them.

The pool of the standard library is broken for good when one worker dies, and every future with it;
nobody learns which task it was. Here each worker has a pipe of its own. A worker that dies takes
one future with it, which fails with ``WorkerDiedError``, and another worker takes its place. What
cannot be sent through the pipe, or cannot be read from it, fails its own future alone.
"""

from __future__ import annotations

import multiprocessing as mp
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final

from engine.errors import LevsimError
from engine.sweep.work import first_line

__all__ = ["LocalPool", "UnsentError", "WorkerDiedError"]

_STILLBORN_MAX: Final = 3
"""Workers in a row that die before they are ready: then it is the machine, and no task."""
_READY: Final = b"ready"

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class WorkerDiedError(LevsimError):
    """The process that had a task ended; ``exitcode`` as of ``multiprocessing``, negative for a
    signal."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(_death(exitcode))
        self.exitcode = exitcode


class UnsentError(LevsimError):
    """A task or its answer did not come through the pipe; the message has it in words."""


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        with suppress(ValueError):
            return f"the worker was ended by {signal.Signals(-exitcode).name}"
    return f"the worker ended with exit code {exitcode}"


class _Worker:
    """A process, this end of its pipe, and what it is at."""

    def __init__(self, context: Any) -> None:
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.ready = False
        self.future: Future[Any] | None = None

    def end(self) -> int | None:
        """It is not wanted, or not there any more."""
        self.pipe.close()
        self.process.kill()
        self.process.join()
        code: int | None = self.process.exitcode
        return code


class LocalPool(Executor):
    """``workers`` processes. They are forked from a clean server that has imported what they need,
    so that they inherit nothing of the driver's, and one that died is replaced in no time.

    Attributes:
        workers: how many it was asked for.

    Raises:
        ValueError: if ``workers`` is not positive.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, was {workers}")
        self.workers = workers
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(["engine.sweep.work"])
        self._lock = threading.Lock()
        self._tasks: deque[tuple[Task, Future[Any]]] = deque()
        self._closing = self._abandoned = False
        self._stillborn = 0
        self._bell, self._ringer = self._context.Pipe(duplex=False)
        self._workers = [_Worker(self._context) for _ in range(workers)]
        self._thread = threading.Thread(target=self._run, name="sweep-pool", daemon=True)
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """The processes as they are now."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As every executor."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool is shut down")
            self._tasks.append(((fn, args, kwargs), future))
            self._ringer.send(None)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As every executor: with ``cancel_futures`` what no worker has yet is cancelled."""
        with self._lock:
            if cancel_futures:
                while self._tasks:
                    self._tasks.popleft()[1].cancel()
            if not self._closing:
                self._closing = True
                self._ringer.send(None)
        if wait:
            self._thread.join()

    def abandon(self) -> None:
        """End all workers at once, whatever they are at, and cancel what waits: an interrupt does
        not wait for a run that may never end."""
        self._abandoned = True
        self.shutdown(cancel_futures=True)

    # The thread that minds the workers ----------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                self._hand_out()
                with self._lock:
                    idle = not self._tasks and all(w.future is None for w in self._workers)
                    if self._closing and (idle or self._abandoned):
                        return
                self._listen()
        finally:
            for worker in self._workers:
                code = worker.end()
                if worker.future is not None:
                    worker.future.set_exception(WorkerDiedError(code))

    def _hand_out(self) -> None:
        for worker in self._workers:
            while worker.ready and worker.future is None:
                with self._lock:
                    if not self._tasks:
                        return
                    task, future = self._tasks.popleft()
                if future.set_running_or_notify_cancel():
                    self._send(worker, task, future)

    @staticmethod
    def _send(worker: _Worker, task: Task, future: Future[Any]) -> None:
        try:
            packed = ForkingPickler.dumps(task)
        except Exception as error:  # noqa: BLE001  # pickling calls anybody's code
            future.set_exception(UnsentError(f"the task cannot be sent: {first_line(error)}"))
            return
        worker.future = future
        with suppress(OSError):  # it died meanwhile: the pipe says so next
            worker.pipe.send_bytes(packed)

    def _listen(self) -> None:
        pipes: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers}
        for pipe in wait([self._bell, *pipes]):
            if pipe is self._bell:
                self._bell.recv()
                continue
            worker = pipes[pipe]
            try:
                packed = worker.pipe.recv_bytes()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            if packed == _READY:
                worker.ready, self._stillborn = True, 0
                continue
            future, worker.future = worker.future, None
            assert future is not None
            try:
                good, value = pickle.loads(packed)  # noqa: S301  # our own worker's
            except Exception as error:  # noqa: BLE001  # unpickling calls anybody's code
                good = False
                value = UnsentError(f"what the worker answered cannot be read: {first_line(error)}")
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)

    def _bury(self, worker: _Worker) -> None:
        code = worker.end()
        self._stillborn += not worker.ready
        if worker.future is not None:
            worker.future.set_exception(WorkerDiedError(code))
        if self._stillborn < _STILLBORN_MAX:
            self._workers[self._workers.index(worker)] = _Worker(self._context)
            return
        # No worker comes up: nobody shall wait for what will never be done.
        with self._lock:
            self._closing = True
            waiting, self._tasks = list(self._tasks), deque()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(WorkerDiedError(code))
        self._workers.remove(worker)


def _serve(pipe: Connection) -> None:
    """A worker: tasks come, results go, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt means
    sys.stdout = sys.stderr  # which is for its results: a user's policy may print
    try:
        pipe.send_bytes(_READY)
        while True:
            packed = pipe.recv_bytes()
            try:
                fn, args, kwargs = pickle.loads(packed)  # noqa: S301  # our own driver's
                answer: tuple[bool, Any] = (True, fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # it is raised where the future is asked
                answer = (False, error)
            pipe.send_bytes(_packed(answer))
    except (EOFError, OSError):
        return


def _packed(answer: tuple[bool, Any]) -> bytes:
    """An answer as bytes that can be read again; in words where it cannot itself."""
    good, value = answer
    try:
        packed = bytes(ForkingPickler.dumps(answer))
        if good:
            return packed
        _, again = pickle.loads(packed)  # noqa: S301  # what was packed just now
        if type(again) is type(value):
            return packed
        said = first_line(value)
    except Exception as error:  # noqa: BLE001  # pickling calls anybody's code
        said = f"the result cannot be sent: {first_line(error)}" if good else first_line(value)
    return bytes(ForkingPickler.dumps((False, UnsentError(said))))
