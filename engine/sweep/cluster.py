"""Many machines: dask.distributed as an executor, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from engine.errors import ConfigError, FeedError

__all__ = ["cluster_executor", "cluster_workers"]


@contextmanager
def cluster_executor(address: str) -> Iterator[Executor]:
    """The workers of the scheduler at ``address`` (``tcp://host:8786``).

    Each needs the same version of this program, and the files that the configuration names.

    Raises:
        ConfigError: if dask.distributed is not installed, or ``address`` is none.
        FeedError: if nobody answers there.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import parse_address, parse_host_port
    except ImportError:
        raise ConfigError(
            "--cluster needs dask.distributed, which is not installed: "
            "pip install 'levsim[cluster]'"
        ) from None
    # A client that is given no address tries again behind our back, and ends in a traceback.
    try:
        parse_host_port(parse_address(address)[1])
    except ValueError as error:
        raise ConfigError(f"--cluster {address}: {error}; expected tcp://host:8786") from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        said = f"no dask scheduler answers at {address}: {error}"
        raise FeedError(said, retriable=False) from None
    try:
        # A chunk's bytes are a function of the job: a lost one is simply worked again.
        yield client.get_executor(pure=False)
    finally:
        client.close()


def cluster_workers(executor: Executor) -> int | None:
    """How many tasks the cluster behind an executor works at once, now; ``None`` of any other.

    Raises:
        FeedError: if its scheduler is gone.
    """
    # dask.distributed offers it nowhere else.
    client = getattr(executor, "_client", None)
    if client is None or not hasattr(client, "nthreads"):
        return None
    try:
        return int(sum(client.nthreads().values()))
    except (OSError, RuntimeError, TimeoutError) as error:
        said = f"the dask scheduler does not answer any more: {error}"
        raise FeedError(
            f"{said}; what is finished is kept, the same command goes on from there",
            retriable=False,
        ) from None
