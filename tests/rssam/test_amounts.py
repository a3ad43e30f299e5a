"""Counts and amounts in words."""

import pytest

from rssam.amounts import counted, format_bytes


@pytest.mark.parametrize(("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_one_is_singular(count, text):
    """A source with one bad file had "1 files"."""
    assert counted(count, "file") == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1023, "below 1 MiB"),
        (9 << 20, "9 MiB"),
        ((1 << 30) - 1, "1024 MiB"),
        (1 << 30, "1.0 GiB"),
        (3 << 29, "1.5 GiB"),
    ],
)
def test_small_amounts_are_not_zero(count, text):
    """24 scenes took "0.0 GiB decoded"."""
    assert format_bytes(count) == text
