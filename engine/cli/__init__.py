"""The command ``levsim``: results on stdout, progress on stderr, no traceback for a user.

Exit codes: 0 ok, 1 the run failed, 2 usage, 3 configuration or policy, 4 data, 5 verify mismatch.
Commands are imported when they are called, and import what they need then, so that ``levsim
--help`` stays quick.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.cli.stdout import kept_for_results, results
from engine.errors import LevsimError

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["main"]

USAGE: Final = 2
INTERRUPTED: Final = 130
VERSION: Final = "levsim 0.1.0"
_DEBUG: Final = "--debug"
_HELP: Final = (
    "Replays recorded markets through leveraged tokens and Smart Leverage products, and says\n"
    "where the result came from. Without a command it replays the synthetic sample."
)
_COMMANDS: Final = {
    "run": ("running:run", "Replay market data through the products of a configuration."),
    "verify": ("running:verify", "Run again from what a run directory holds; compare every byte."),
    "compare": ("comparing:compare", "Products of runs side by side, and what users would hold."),
    "explain": ("running:explain", "Where the result of a run came from, in words."),
    "paths": ("pathing:paths", "The same returns in another order, and with more volatility."),
    "reconcile": ("reconciling:reconcile", "A desk's own NAV and fills against a run, by cause."),
    "report": ("running:report", "Write report.html of a run again."),
    "sweep": ("sweeping:sweep", "A grid of settings on many paths, on all cores or a cluster."),
    "breakpoint": ("breaking:breakpoint_of", "The smallest gap that breaks each product."),
    "capacity": ("breaking:capacity", "The largest assets with which a crash costs little."),
    "policy list": ("policies:list_policies", "Built-in policies and installed plug-ins."),
    "policy new": ("policies:new", "Write a policy that works, to be changed."),
    "policy check": ("policies:check", "Hold a policy to what every policy must keep."),
    "scenario list": ("scenarios:list_scenarios", "Black swans that come with levsim."),
    "scenario show": ("scenarios:show", "What happens in a scenario, with sources."),
    "scenario check": ("scenarios:check", "Read a scenario, put it on data; say what is wrong."),
    "scenario new": ("scenarios:new", "Write a scenario that works, to be changed."),
    "scenario schema": ("scenarios:schema", "The JSON schema of a scenario, for editors."),
    "pack list": ("packs:list_packs", "Rule packs: real products by name."),
    "pack show": ("packs:show_pack", "A pack's rules, since when each held, its sources."),
    "venue list": ("venues:list_venues", "Presets of venues, and how old their facts are."),
    "venue show": ("venues:show_venue", "All rules of a preset, its sources and assumptions."),
    "venue limits": ("limiting:limits", "The marks at which a venue liquidates an account."),
    "venue adl-waves": ("waves:adl_waves", "The ADL waves of 10 October 2025, by our rules."),
    "venue adl-scores": ("waves:adl_scores", "Every ADL rule on one drawn population, scored."),
    "venue crash-facts": ("crashing:crash_facts", "The calibrated crash beside measurements."),
    "scenario calibrate": ("calibrating:calibrate", "Fit a generated market to a recording."),
    "data inspect": ("data:inspect", "What files hold and where they are poor."),
    "data import": ("data:import_data", "Write files as one Parquet recording."),
    "data download": ("downloading:download", "Fetch recorded days from a public archive."),
    "data sample": ("data:sample", "Write the synthetic sample as Parquet."),
    "publish": ("kafka:publish", "Write market data to Kafka."),
    "serve": ("serving:serve", "The engine on Kafka: ticks and requests in, events and NAVs out."),
    "fanout": ("stages:fanout", "Keep each user's newest NAVs in the topic nav.latest."),
    "nav": ("stages:nav", "Keep each user's total over all shards in the topic nav.totals."),
    "admin halt": ("admin:halt", "Take a market for stale until it is resumed."),
    "admin freeze": ("admin:freeze", "Let no top-up reach a market's margin accounts."),
    "admin mask": ("admin:mask", "Take sources of a market's index for out of order."),
    "admin degrade": ("admin:degrade", "Let a market's venue be slow or refuse orders."),
    "admin resume": ("admin:resume", "Let the next fresh price resume a halted market."),
    "admin pause": ("admin:pause", "Ask a product's policies no more, and deal no requests."),
    "admin unpause": ("admin:unpause", "Ask a paused product's policies again, at once."),
    "admin target": ("admin:target", "Trade a product to a leverage now."),
    "admin split": ("admin:split", "Count a product's units anew: so many new ones for old ones."),
    "admin thin": ("mishaps:thin", "Let a share of a book's depth be there for a time."),
    "admin collateral": ("mishaps:collateral", "Price the asset that margin is paid in."),
    "admin deleverage": ("mishaps:deleverage", "Let the venue close a share of funds' hedges."),
    "admin default": ("mishaps:default", "Let a market's venue fail, for good."),
    "admin populate": ("mishaps:populate", "Let a population that waits open its positions."),
    "admin gate": ("admin:gate", "Refuse creations of a product, or take them again."),
    "topics create": ("topics:create", "Create the topics that are missing."),
    "topics check": ("topics:check", "Compare the topics with what they must be."),
    "record": ("taping:record", "What an engine took from Kafka, as one Parquet recording."),
    "topics asyncapi": ("topics:asyncapi", "What travels in the topics, as AsyncAPI 3.0."),
    "doctor": ("doctor:doctor", "Check what an engine needs, each with what to do."),
    "conform": ("conforming:conform", "Work out the known answers of a file of vectors."),
}
_GROUPS: Final = {
    "policy": "Leverage policies.",
    "pack": "Rules of real products.",
    "venue": "Rules of venues.",
    "scenario": "Black swans, and markets that never were.",
    "data": "Market data.",
    "admin": "What the operator says to a running engine.",
    "topics": "Topics of Kafka.",
}


def _overview() -> str:
    """The help of the whole, made here: the library that parses takes long to import."""
    width = max(map(len, _COMMANDS)) + 2
    commands = "\n".join(f"  {name:{width}}{does}" for name, (_, does) in _COMMANDS.items())
    return (
        f"Usage: levsim COMMAND [ARGUMENTS]\n\n{_HELP}\n\nCommands:\n{commands}\n\n"
        "levsim COMMAND --help shows a command's arguments, levsim --version the version.\n"
        f"{_DEBUG} with any command shows the traceback of an internal error.\n"
    )


def _version() -> str:
    """The version, and whether the heart is compiled here."""
    found = find_spec("engine.walk")
    compiled = found is not None and isinstance(found.loader, ExtensionFileLoader)
    return f"{VERSION} ({'compiled' if compiled else 'interpreted'} heart)"


def _application() -> App:
    from cyclopts import App
    from rich.console import Console

    app = App(
        name="levsim",
        help=_HELP,
        version=_version,
        help_flags=["--help", "-h"],
        help_format="plaintext",
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        console=Console(file=results()),
    )
    groups = {name: App(name=name, help=said) for name, said in _GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for name, (place, said) in _COMMANDS.items():
        above, _, own = name.rpartition(" ")
        (groups[above] if above else app).command(f"engine.cli.{place}", name=own, help=said)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. ``None`` takes the arguments of the process, and ends it."""
    if arguments is None:
        _settle_streams()
        try:
            code = main(sys.argv[1:])
        except KeyboardInterrupt:
            code = _refused("interrupted", INTERRUPTED)
        sys.exit(code)
    given = [argument for argument in arguments if argument != _DEBUG]
    debug = len(given) < len(arguments)
    if given in (["--help"], ["-h"]):
        sys.stdout.write(_overview())
        return 0
    from cyclopts import CycloptsError

    try:
        with kept_for_results():
            result = _application()(given or ["run"], exit_on_error=False, print_error=False)
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
    except OSError as error:
        if debug:
            raise
        named = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return _refused(f"{named}{error.strerror or error}", 1)
    except MemoryError:
        if debug:
            raise
        return _refused("not enough memory; fewer users, or samples further apart, take less", 1)
    except Exception as error:  # the last line of defence: a user never sees a traceback
        if debug:
            raise
        said = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
        return _refused(f"{said}; please report it, with --debug for the traceback", 1, prefix="")
    return result if isinstance(result, int) else 0


def _settle_streams() -> None:
    """A closed stream leads nowhere; what an encoding lacks (a minus sign) is escaped, not lost."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the end
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _refused(said: str, code: int, hint: str = "", prefix: str = "error: ") -> int:
    sys.stderr.write(f"{prefix}{said}{hint}\n")
    return code
