"""Define the errors of data sets that a user can fix."""

from __future__ import annotations

from rssam.errors import UnknownName, UserError


class DataError(UserError):
    """Data that the user can fix: a source, a prepared folder, a declaration. It is a `rssam.UserError`.

    NotPrepared, for a folder without a manifest, and UnknownDataset, for a name, are DataErrors.

    Examples:
        >>> from data_prep import DataError, find_dataset
        >>> try:
        ...     find_dataset("moon")
        ... except DataError as error:
        ...     print(str(error).partition(":")[0])
        unknown data set 'moon'
    """


class UnknownDataset(DataError, UnknownName):
    """Raised for a name that no data set has; the message lists the choices."""


class NotPrepared(DataError):
    """Raised for a data set that `prepare` has not made yet."""
