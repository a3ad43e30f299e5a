"""The errors that a user can fix. Every boundary catches `UserError`, the base class of them all."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can fix; says what was expected, what was found, and the command that fixes it."""


class UnknownName(UserError):
    """A name that is on no list; the message lists the choices."""
