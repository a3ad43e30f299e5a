"""Write counts and amounts of memory in words, alike in every message."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which has an s unless the count is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_bytes(count: float) -> str:
    """Return bytes as GiB with one decimal, below one GiB as whole MiB, and as "below 1 MiB" where that is none."""
    if count >= 1 << 30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 1 << 20 else "below 1 MiB"
