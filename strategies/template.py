"""The file that ``levsim policy new`` writes: a policy of the small interface that passes its
check."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Final

from engine.errors import PolicyError

__all__ = ["write_template"]

_TEXT: Final = '''\
class {name}:
    """Hold `base` leverage, less when the market shakes or after a bad drawdown."""

    review = "1m"  # how often it is asked, in event time

    def __init__(self, base: float = 3.0, target_vol: float = 0.60):
        # Its arguments are its settings: --set policy.target_vol=0.4
        self.base, self.target_vol = base, target_vol

    def target(self, market, position) -> float:
        """The leverage to hold now, negative for short; what both offer: engine/policy.py."""
        want = self.base
        if market.ewma_vol > 0:  # 0 until there is a volatility
            want *= min(1.0, self.target_vol / market.ewma_vol)
        return want * 0.5 if position.drawdown < -0.25 else want
'''


def write_template(file: Path) -> str:
    """Write a policy to a new file; the name of its class.

    Raises:
        PolicyError: if the file is there already, or its name is none of a Python file.
    """
    name = "".join(part.capitalize() for part in file.stem.replace("-", "_").split("_"))
    if file.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise PolicyError(f"{file}: give the name of a Python file, for instance vol_cap.py")
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(_TEXT.format(name=name))
    except FileExistsError:
        raise PolicyError(f"{file} is there already; give another name") from None
    except OSError as error:
        raise PolicyError(f"could not write {file}: {error.strerror}") from None
    return name
