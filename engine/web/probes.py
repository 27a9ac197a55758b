"""``/metrics``, ``/healthz`` and ``/readyz`` on loopback, answered by threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engine.web.metrics import Metrics

__all__ = ["LOOPBACK", "probes"]

LOOPBACK: Final = "127.0.0.1"
_HOSTS: Final = (LOOPBACK, "localhost")
_OK: Final = "200 OK"
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[str, str, bytes]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Requests are no lines of the log, and a client that hangs is let go."""

    timeout = 5.0

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def probes(metrics: Metrics, port: int = 0) -> Iterator[int]:
    """While inside, the three pages are served.

    Args:
        metrics: what is told; it is alive as long as the process answers, and ready when live.
        port: 0 takes a free one.

    Yields:
        The port.

    Raises:
        OSError: if the port is taken.
    """
    server = make_server(LOOPBACK, port, _application(metrics), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(metrics: Metrics) -> Callable[..., Iterable[bytes]]:
    def answered(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        status, kind, body = _answer(metrics, environ)
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return answered


def _answer(metrics: Metrics, environ: dict[str, Any]) -> Answer:
    host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
    if host not in _HOSTS:
        # A page of somebody else, whose name was made to mean this machine.
        return "403 Forbidden", _TEXT, b"ask for 127.0.0.1\n"
    path = environ.get("PATH_INFO")
    if path == "/metrics":
        return _OK, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
    if path == "/healthz":
        return _OK, _TEXT, b"ok\n"
    if path == "/readyz":
        ready: Answer = (_OK, _TEXT, b"live\n")
        return ready if metrics.live else ("503 Service Unavailable", _TEXT, b"recovering\n")
    return "404 Not Found", _TEXT, b"/metrics /healthz /readyz\n"
