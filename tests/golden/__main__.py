"""Write the logs of all cases anew; with ``--inputs`` the tapes, too."""

from __future__ import annotations

import sys

from tests.golden import venues
from tests.golden.cases import CASES
from tests.golden.files import input_path, log_of, output_path, read_tape, written_tape


def main(arguments: list[str]) -> None:
    """Writes, and says where."""
    for name, case in CASES.items():
        if "--inputs" in arguments:
            input_path(name).write_text(written_tape(case.rows()), encoding="utf-8")
        log = log_of(case.spec, read_tape(name))
        output_path(name).write_text("".join(f"{line}\n" for line in log), encoding="utf-8")
        sys.stdout.write(f"{output_path(name)}: {len(log)} lines\n")
    venues.write()
    sys.stdout.write(f"{venues.DIGESTS}: {len(venues.NUMBERS)} venues\n")


if __name__ == "__main__":
    main(sys.argv[1:])
