"""Say which side of tiles pads least, where those of a prepared folder are mostly padding."""

from __future__ import annotations

from data_prep.manifest import Manifest
from data_prep.prepare.tiles import padding

MOST_PADDING = 0.2
"""Share of padding from which the side that pads least is named."""

SIDES = range(256, 1025, 32)
"""Sides in pixels that it is chosen from."""


def padding_advice(manifest: Manifest) -> str:
    """Return a sentence with the side that pads least if tiles of this one are mostly padding; otherwise nothing."""
    sizes = {entry.tile_of: entry.source_size for entry in manifest.entries if entry.tile_of is not None}.values()
    height, width = manifest.image_size
    if height != width or manifest.expected_pairs is not None or (now := padding(sizes, height)) <= MOST_PADDING:
        return ""
    best = min(reversed(SIDES), key=lambda side: padding(sizes, side))
    return (
        f"padding: {now:.1%} with tiles of {height} pixels; least with --side {best}: {padding(sizes, best):.1%}. To "
        "change it, delete the folder and run prepare again"
    )
