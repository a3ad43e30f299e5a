"""Words for what went wrong: an exception as one sentence, and long lists of names cut short."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from pathlib import Path

from rssam.errors import UserError

FAULTS_SHOWN = 20
"""Names or faults that a message lists."""


def explain(error: Exception, home: Path) -> tuple[str, str]:
    """Return what failed and what to do about it, and the traceback of an exception that was not foreseen, else ""."""
    if isinstance(error, UserError):
        return str(error), ""
    if isinstance(error, OSError):
        where = error.filename or home
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left for {where}: free some and run again; what is finished and saved is kept", ""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"{where} cannot be written ({error.strerror}): choose another folder with --home", ""
        return f"{where}: {error.strerror or error}", ""
    return (
        f"{type(error).__name__}: {first_line(error)}. "
        "This was not foreseen; the traceback is in the run's failure.json",
        "".join(traceback.format_exception(error)),
    )


def first_line(error: BaseException, without_text: str = "") -> str:
    """Return the first line of an exception's text, or `without_text` for an exception that has none."""
    return (str(error).strip().splitlines() or [without_text])[0]


def shortened(names: Sequence[str], most: int = FAULTS_SHOWN) -> str:
    """Return the names joined by commas, after the first `most` only how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
