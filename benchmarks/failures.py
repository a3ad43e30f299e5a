"""Words for what went wrong: an exception as one sentence."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from rssam.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def explain(error: Exception, home: Path) -> tuple[str, str]:
    """Return what failed and what to do about it, and the traceback of an unforeseen exception, otherwise ""."""
    if isinstance(error, UserError):
        return str(error), ""
    if isinstance(error, OSError):
        where = error.filename or home if error.errno in (*_FULL, *_FORBIDDEN) else error.filename
        if error.errno in _FULL:
            return f"no space left for {where}: free some and run again; what is finished and saved is kept", ""
        if error.errno in _FORBIDDEN:
            verb = "written" if error.errno == errno.EROFS else "read or written"
            below_home = Path(os.fsdecode(where)).is_relative_to(home)
            remedy = "choose another folder with --home" if below_home else "choose another place, or mend its rights"
            return f"{where} cannot be {verb} ({error.strerror}): {remedy}", ""
        words = error.strerror or first_line(error, type(error).__name__)
        return (f"{where}: {words}" if where else f"{type(error).__name__}: {words}"), ""
    return (
        f"{type(error).__name__}: {first_line(error)}. "
        "This was not foreseen; the traceback is in the run's failure.json",
        "".join(traceback.format_exception(error)),
    )


def first_line(error: BaseException, without_text: str = "") -> str:
    """Return the first line of an exception's text, or `without_text` for an exception that has none."""
    return (str(error).strip().splitlines() or [without_text])[0]
