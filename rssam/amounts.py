"""Write counts, long lists of names and amounts of memory in words, alike in every message."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 20
"""Names or faults that a message lists."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which has an s unless the count is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_bytes(count: float) -> str:
    """Return bytes as GiB with one decimal, below one GiB as whole MiB, and as "below 1 MiB" where that is none."""
    if count >= 1 << 30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 1 << 20 else "below 1 MiB"


def shortened(names: Sequence[str], most: int = SHOWN) -> str:
    """Return the names joined by commas, after the first `most` only how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
