"""``python -m engine`` is ``levsim``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from engine.cli import main

        main()
    except KeyboardInterrupt:  # while modules were imported
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
