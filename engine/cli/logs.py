"""Where log lines go: stderr, for people in a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Annotated, Any, Final, Literal

import msgspec
import structlog
from cyclopts import Parameter

__all__ = ["Level", "log_to_stderr"]

Level = Annotated[
    Literal["debug", "info", "warning", "error"],
    Parameter(name="--log-level", help="debug: a line a step; info: a line an event."),
]
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def log_to_stderr(level: Level = "info") -> None:
    """Our log on stderr; the client's own complaints come as our errors."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    shown: list[Any] = [_printable, structlog.dev.ConsoleRenderer()]
    if not sys.stderr.isatty():
        shown = [structlog.processors.JSONRenderer(_as_json)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            *shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # The stream is looked up at each line, not kept: whoever called us may replace it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _as_json(line: dict[str, Any], default: Any) -> str:
    """As the events' own records: JSON has no word for NaN and infinities."""
    return msgspec.json.encode(line, enc_hook=default).decode()


def _printable(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """Whoever sends requests and ticks names users and symbols; none of it may speak to the
    operator's terminal."""
    return {name: _shown(value) for name, value in line.items()}


def _shown(value: Any) -> Any:
    return value if not isinstance(value, str) or value.isprintable() else repr(value)
