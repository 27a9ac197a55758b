"""The command ``levsim``: results on stdout, progress on stderr, no traceback for a user.

Exit codes: 0 ok, 1 the run failed, 2 usage, 3 configuration or policy, 4 data, 5 verify mismatch.
Commands are imported when they are called, and import what they need then, so that ``levsim
--help`` stays quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from engine.errors import LevsimError

__all__ = ["app", "main"]

USAGE: Final = 2
INTERRUPTED: Final = 130
_DEBUG: Final = "--debug"

app = App(
    name="levsim",
    help=(
        "Replays recorded markets through leveraged tokens and Smart "
        "Leverage products, and says where the "
        "result came from. Without a command it replays the synthetic sample."
    ),
    help_epilogue="--debug with any command shows the traceback of an internal error.",
    version="levsim 0.1.0",
    help_flags=["--help", "-h"],
    help_format="plaintext",  # markdown would take longer to import than everything else
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
_COMMANDS: Final = {
    "run": ("running:run", "Replay market data through the products of a configuration."),
    "verify": (
        "running:verify",
        "Run again from what a run directory holds, and compare every byte.",
    ),
    "explain": ("running:explain", "Where the result of a run came from, in words."),
    "report": ("running:report", "Write report.html of a run again."),
    "publish": ("kafka:publish", "Write market data to Kafka."),
    "serve": ("kafka:serve", "The engine on Kafka: ticks and requests in, events and NAVs out."),
    "conform": ("conforming:conform", "Work out the known answers of a file of vectors."),
}
for _name, (_place, _help) in _COMMANDS.items():
    app.command(f"engine.cli.{_place}", name=_name, help=_help)
_policy = App(name="policy", help="Leverage policies.")
_policy.command(
    "engine.cli.policies:list_policies",
    name="list",
    help="Built-in policies and installed plug-ins.",
)
_data = App(name="data", help="Market data.")
_data.command(
    "engine.cli.data:inspect", name="inspect", help="What files hold and where they are poor."
)
_data.command(
    "engine.cli.data:import_data", name="import", help="Write files as one Parquet recording."
)
_data.command(
    "engine.cli.data:sample", name="sample", help="Write the synthetic sample as Parquet."
)
app.command(_policy)
app.command(_data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. ``None`` takes the arguments of the process, and ends it."""
    if arguments is None:
        sys.exit(main(sys.argv[1:]))
    given = [argument for argument in arguments if argument != _DEBUG]
    debug = len(given) < len(arguments)
    try:
        result = app(given or ["run"], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _refused(str(error), USAGE, " (levsim --help shows the commands)")
    except LevsimError as error:
        if debug:
            raise
        return _refused(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _refused("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not find out while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the last line of defence: a user never sees a traceback
        if debug:
            raise
        said = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
        return _refused(f"{said}; please report it, with --debug for the traceback", 1, prefix="")
    return result if isinstance(result, int) else 0


def _refused(said: str, code: int, hint: str = "", prefix: str = "error: ") -> int:
    sys.stderr.write(f"{prefix}{said}{hint}\n")
    return code
