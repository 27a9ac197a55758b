"""A sweep on a dask.distributed cluster of two workers on this machine; a script of its own, for
it fills a process with threads and handlers.

``python -m tests.engine.sweep.on_cluster BASE AXIS PATHS OUT``
"""

from __future__ import annotations

import sys

from distributed import LocalCluster

from engine.api import sweep
from engine.sweep.cluster import cluster_executor
from engine.sweep.sweeping import ahead_of


def main(base: str, axis: str, paths: str, out: str) -> None:
    """Print how many parts it is handed at once, and run it; it listens to nobody else."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        with cluster_executor(cluster.scheduler_address) as executor:
            print(ahead_of(executor))
        sweep(base, [axis], paths=int(paths), cluster=cluster.scheduler_address, out=out)


if __name__ == "__main__":
    main(*sys.argv[1:])
