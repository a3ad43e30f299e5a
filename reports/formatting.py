"""Print numbers, ranges and lists of words alike in every table, note and page, and gather items by key."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")

DECIMALS = 3
"""Decimals that scores are printed and ranked with, as in the paper."""


def format_number(value: float | None, decimals: int = DECIMALS, *, missing: str = "-") -> str:
    """Return a number without a sign of its own; `missing` for None and NaN."""
    return missing if value is None or math.isnan(value) else f"{value:.{decimals}f}"


def format_difference(value: float | None, decimals: int = DECIMALS) -> str:
    """Return a number with its sign; without one where it rounds to zero, empty for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    text = f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]


def format_limits(low: float, high: float, decimals: int = DECIMALS, *, missing: str = "") -> str:
    """Return the limits of an interval as "[0.751, 0.778]"; `missing` where `low` is NaN."""
    return missing if math.isnan(low) else f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def format_range(first: str, last: str) -> str:
    """Return "first to last", or the one text where both are equal."""
    return first if first == last else f"{first} to {last}"


def join_words(words: Sequence[str], comma: str = ", ") -> str:
    """Return "a, b and c"; empty without a word."""
    return f"{comma.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def gathered(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    """Group items by their keys, both in the order of the pairs (key, item)."""
    items = defaultdict(list)
    for key, item in pairs:
        items[key].append(item)
    return dict(items)


def plural(count: int, noun: str) -> str:
    """Return the noun as it stands behind a count: with an s unless that is 1."""
    return noun if count == 1 else f"{noun}s"
