"""Keep facts on a prepared data set in a record of results, and make a sentence of them when it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rssam.amounts import counted
from rssam.kinds import BOOLEAN, COUNT, NUMBER, one_of

FACTS: dict[str, Any] = {
    "origin": one_of("source", "synthetic"),
    "complete": BOOLEAN,
    "pairs": COUNT,
    "sources": COUNT,
    "expected": (COUNT, None),
    "cut_anew": BOOLEAN,
    "skipped": COUNT,
    "bands?": {"red": COUNT, "green": COUNT, "blue": COUNT},  # declared: numbers from 1
    "scale?": {"min": NUMBER, "max": NUMBER},  # declared: the values that became 0 and 255
}
"""Kinds of the facts of `Manifest.facts` in a file."""


def describe_data(dataset: str, facts: Mapping[str, Any]) -> str:
    """Return `Manifest.facts` as one sentence on completeness."""
    pairs, sources, skipped, expected = (facts[name] for name in ("pairs", "sources", "skipped", "expected"))
    if facts["origin"] == "synthetic":
        text = f"synthetic stand-in scenes ({pairs} pairs), not {dataset}"
    elif expected is None:
        tiles = f" in {pairs} tiles" if pairs > sources else ""
        text = f"the user's own data: {sources} pairs{tiles}"
    elif facts["cut_anew"]:
        text = f"{pairs} tiles cut from {counted(sources, 'raw raster')}, not the {expected} published ones"
    elif facts["complete"]:
        text = f"complete: all {expected} pairs"
    else:
        text = f"partial: {pairs} pairs of {expected} known"
    return f"{text}, {counted(skipped, 'bad file')} left out" if skipped else text
