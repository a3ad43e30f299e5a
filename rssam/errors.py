"""Define the errors that a user can fix. Every boundary catches `UserError`, their base class."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can fix; says what was expected, what was found and, where there is one, the command for it.

    Examples:
        Every error of this suite that has a remedy is of a subclass, so one clause catches them all:

        >>> from rssam import Task, UserError
        >>> try:
        ...     Task(("road",), (500, 500))
        ... except UserError as error:
        ...     print(error)
        image size 500x500 does not fit: height and width must be multiples of 32 and at least 32
    """


class UnknownName(UserError):
    """Raised for a name that is on no list; the message lists the choices."""


def made_by_0_1(what: str, command: str) -> str:
    """Return the sentence on something that rssam-bench 0.1 left in a home: it is neither read nor changed."""
    return (
        f"{what} was made by rssam-bench 0.1 and is left as it is: use another --home and run: {command} (or "
        "rssam-bench 0.1.0, for its results)"
    )
