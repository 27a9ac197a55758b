"""Large parts of a page, packed: gzip in base64, which the page itself unpacks before it draws.

Bokeh's script alone is 1.27 MB as text and 0.47 MB packed; what is saved goes to the pictures.
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from typing import Final

__all__ = ["KIND", "opened", "packed"]

KIND: Final = "application/gzip;base64"
"""What a script element that holds a packed part calls itself."""
_PARTS: Final = re.compile(rf'(<script type="{re.escape(KIND)}"[^>]*>)([^<]*)(</script>)')


def packed(text: str) -> str:
    """The same characters for the same text, as far as the machine's zlib is the same."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode("ascii")


def opened(page: str) -> str:
    """A page with its packed parts as the text that they hold: two that are equal so are the same
    page, whichever zlib packed them. A damaged part stays as it is.
    """

    def text(part: re.Match[str]) -> str:
        try:
            held = gzip.decompress(base64.b64decode(part[2])).decode()
        except (ValueError, OSError, EOFError, zlib.error):
            return part[0]
        return f"{part[1]}{held}{part[3]}"

    return _PARTS.sub(text, page)
