"""The bands of a raster that are read as red, green and blue, as a user names them."""

from __future__ import annotations

from rssam.errors import UserError

Bands = tuple[int, int, int]
"""Numbers from 1."""


def parse_bands(text: str) -> Bands:
    """Return three band numbers. Raises UserError for another count, or what is no whole number from 1."""
    try:
        red, green, blue = (int(part) for part in text.split(","))
        if min(red, green, blue) < 1:
            raise ValueError
    except ValueError:
        raise UserError(f"--bands {text}: expected 3 whole numbers with commas between, such as 4,3,2") from None
    return red, green, blue
