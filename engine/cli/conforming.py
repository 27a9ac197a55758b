"""``conform``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.running import Json, Quiet

__all__ = ["conform"]


def conform(
    vectors: Annotated[Path, Parameter(help="JSON file of vectors.")],
    /,
    *,
    values: Annotated[
        bool, Parameter(negative=(), help="Print what was worked out, by vector.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Work out the known answers of a file of vectors, by the engine itself.

    Exit code 1 where a supported vector fails; unknown groups are unsupported, not failed.
    """
    import msgspec

    from engine.cli import showing
    from engine.conform import conform as worked_out

    answers = worked_out(vectors)
    failed = [answer for answer in answers if answer.status == "failed"]
    if values:
        known = [answer for answer in answers if answer.status != "unsupported"]
        showing.emit_json({answer.id: answer.values for answer in known})
        for answer in failed:
            showing.note(f"{answer.id} failed: {answer.detail}")
        return int(bool(failed))
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    if json:
        showing.emit_json({**counts, "vectors": msgspec.to_builtins(answers)})
        return int(bool(failed))
    for answer in answers:
        if answer.status != "unsupported" and not (quiet and answer.status == "passed"):
            showing.emit(
                f"{answer.status:8} {answer.id}{f': {answer.detail}' if answer.detail else ''}"
            )
    groups = dict.fromkeys(answer.group for answer in answers if answer.status == "unsupported")
    if groups:
        showing.emit(f"unsupported groups: {', '.join(groups)}")
    showing.emit(", ".join(f"{count} {status}" for status, count in counts.items()) or "no vectors")
    return int(bool(failed))
