"""Explain an exception in one sentence."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

from rssam.errors import UserError


def explain(error: Exception, home: Path) -> tuple[str, str]:
    """What failed and what to do about it; and the traceback, where it is no fault that has a sentence of its own."""
    if isinstance(error, UserError):
        return str(error), ""
    if isinstance(error, OSError):
        where = error.filename or home
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left for {where}: free some and run again; what is finished and saved is kept", ""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"{where} cannot be written ({error.strerror}): choose another folder with --home", ""
        return f"{where}: {error.strerror or error}", ""
    first = (str(error).splitlines() or [""])[0]
    return (
        f"{type(error).__name__}: {first}. This was not foreseen; the traceback is in the run's failure.json",
        "".join(traceback.format_exception(error)),
    )
