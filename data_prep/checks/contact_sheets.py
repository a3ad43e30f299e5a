"""Draw the pictures of a data card: a contact sheet, abutting tiles and copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from data_prep.checks.card import Card
from data_prep.checks.duplicates import ORIENTATIONS
from data_prep.manifest import Entry, Manifest
from data_prep.splits import Split
from rssam.contract import IGNORE, Colour
from rssam.overlay import drawn_over, legend, outlined, told_apart

THUMB = 176
"""Side in pixels of an image on a contact sheet."""

PER_SPLIT = 6
"""Images of a split on a contact sheet, at most."""

PAIRS = 12
"""Pairs that a picture shows, those across splits first."""

UNREADABLE = (OSError, SyntaxError, ValueError)
"""What Pillow raises for damaged files."""

GAP, LINE, WIDE = 8, 16, 1120
FONT = ImageFont.load_default(11)
INK, PAPER, PARTED = (20, 20, 20), (255, 255, 255), (200, 30, 30)

Transpose = Image.Transpose
TURN: dict[str, Transpose | None] = dict(zip(ORIENTATIONS, (
    None, Transpose.FLIP_LEFT_RIGHT, Transpose.FLIP_TOP_BOTTOM, Transpose.ROTATE_180,
    Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.ROTATE_90, Transpose.TRANSVERSE,
), strict=True))  # fmt: skip
"""Pillow's names for the orientations of near copies; Pillow turns counter-clockwise."""


def contact_sheet(folder: Path, manifest: Manifest) -> Image.Image:
    """Draw images above their masks in the palette: of each split at most PER_SPLIT, evenly over its stems.

    Below stands a part of each at full resolution with the mask drawn over it, so that a shift of pixels is seen. A
    line of pictures for each split, or one for all where they fit into it.
    """
    chosen = [
        [(split, entry) for entry in _spread(entries)] for split, entries in manifest.splits(0).items() if entries
    ]
    rows = chosen if sum(map(len, chosen)) > PER_SPLIT else [[item for row in chosen for item in row]]
    across = max(map(len, rows))
    colours = _colours(folder, manifest)
    strip = legend([(manifest.classes[label - _first(manifest)], colour) for label, colour in colours.items()], WIDE)
    width, height = GAP + across * (THUMB + GAP), len(rows) * (3 * THUMB + LINE + 2 * GAP) + GAP
    if colours:
        width, height = max(width, strip.width), height + strip.height
    sheet = Image.new("RGB", (width, height), PAPER)
    top = GAP
    for row in rows:
        for column, (split, entry) in enumerate(row):
            left = GAP + column * (THUMB + GAP)
            _write(sheet, (left, top), label(split, entry.stem), INK)
            sheet.paste(_image(folder / entry.image), (left, top + LINE))
            sheet.paste(_image(folder / entry.mask, smooth=False), (left, top + LINE + THUMB + 2))
            sheet.paste(_overlay(folder, entry, colours), (left, top + LINE + 2 * THUMB + 4))
        top += 3 * THUMB + LINE + 2 * GAP
    if colours:
        sheet.paste(strip, (0, top))
    return sheet


def _first(manifest: Manifest) -> int:
    """Return the label of the first class: a single class has the background before it."""
    return int(len(manifest.classes) == 1)


def _colours(folder: Path, manifest: Manifest) -> dict[int, Colour]:
    """Return the colour of each class over an image, from the palette of a mask; nothing where none can be read."""
    labels = range(_first(manifest), _first(manifest) + len(manifest.classes))
    for entry in manifest.entries:
        try:
            with Image.open(folder / entry.mask) as mask:
                palette = mask.getpalette("RGB") or []
        except UNREADABLE:
            continue
        shown = [tuple(palette[3 * label : 3 * label + 3]) for label in labels]
        if all(len(colour) == 3 for colour in shown):
            return dict(zip(labels, told_apart(cast("list[Colour]", shown)), strict=True))
    return {}


def _overlay(folder: Path, entry: Entry, colours: Mapping[int, Colour]) -> Image.Image:
    """Return the square of an image in which most borders of classes lie, at full resolution under its mask."""
    try:
        with Image.open(folder / entry.image) as picture, Image.open(folder / entry.mask) as mask:
            pixels, labels = np.asarray(picture.convert("RGB")), np.asarray(mask).astype(np.uint8)
    except UNREADABLE:
        return _crossed()
    top, left = _liveliest(labels)
    window = slice(top, top + THUMB), slice(left, left + THUMB)
    return Image.fromarray(drawn_over(pixels[window], labels[window], colours))


def _liveliest(labels: NDArray[np.uint8]) -> tuple[int, int]:
    """Return (top, left) of the square with the most borders of labels, padding not counted, on a coarse grid."""
    borders = outlined(labels) & (labels != IGNORE)
    furthest = [max(side - THUMB, 0) for side in labels.shape]
    tops, lefts = ([*range(0, last, THUMB // 2), last] for last in furthest)
    counts = {(top, left): int(borders[top : top + THUMB, left : left + THUMB].sum()) for top in tops for left in lefts}
    return max(counts, key=counts.__getitem__)


def label(split: Split, stem: str) -> str:
    """Return split and stem as they are written above an image; where that is too wide the end of the stem."""
    words, rest = stem if stem.startswith(split) else f"{split}: {stem}", stem
    while rest and FONT.getlength(words) > THUMB:
        rest = rest[1:]
        words = f"{split}: ...{rest}"
    return words


def seam_sheet(folder: Path, manifest: Manifest, card: Card) -> Image.Image | None:
    """Draw abutting pairs put together as they lie, their splits above; None without a pair."""
    split_of = manifest.split_by_stem(0)
    paths = {entry.stem: folder / entry.image for entry in manifest.entries}
    parted = set(card.divisions[0].parted)
    ordered = sorted(card.seams, key=lambda seam: ((seam.first, seam.second) not in parted, seam.side))[:PAIRS]
    tiles = []
    for seam in ordered:
        first, second = f"{seam.first} ({split_of[seam.first]})", f"{seam.second} ({split_of[seam.second]})"
        words = f"{first}, {second}, r = {seam.correlation:.2f}"
        place = (THUMB, 0) if seam.side == "right" else (0, THUMB)
        picture = _together(_image(paths[seam.first]), _image(paths[seam.second]), place)
        tiles.append((picture, words, (seam.first, seam.second) in parted))
    return _gallery(tiles)


def copy_sheet(folder: Path, manifest: Manifest, card: Card) -> Image.Image | None:
    """Draw exact and near copies side by side, the second turned like the first; None without any."""
    paths = {entry.stem: folder / entry.image for entry in manifest.entries}
    pairs: list[tuple[str, str, Split, Split, str, Transpose | None]] = []
    for group in card.exact:
        place = next((n for n, split in enumerate(group.splits) if split != group.splits[0]), 1)
        pairs.append((group.stems[0], group.stems[place], group.splits[0], group.splits[place], "identical", None))
    for near in card.near:
        pair, words = near.pair, f"{near.pair.orientation}, {near.pair.distance} bits"
        pairs.append((pair.first, pair.second, *near.splits, words, TURN[pair.orientation]))
    tiles = []
    for first, second, split, other_split, words, turn in sorted(pairs, key=lambda pair: pair[2] == pair[3])[:PAIRS]:
        copy = _image(paths[second])
        copy = copy if turn is None else copy.transpose(turn)
        picture = _together(_image(paths[first]), copy, (THUMB + 2, 0))
        tiles.append((picture, f"{first} ({split}), {second} ({other_split}): {words}", split != other_split))
    return _gallery(tiles)


def _together(first: Image.Image, second: Image.Image, place: tuple[int, int]) -> Image.Image:
    """Return two thumbnails in one picture, the second at (left, top)."""
    picture = Image.new("RGB", (place[0] + THUMB, place[1] + THUMB), PAPER)
    picture.paste(first, (0, 0))
    picture.paste(second, place)
    return picture


def _gallery(tiles: Sequence[tuple[Image.Image, str, bool]]) -> Image.Image | None:
    """Return pictures in rows, as they fit, a line of words above each: red where they lie in different splits."""
    if not tiles:
        return None
    placed, left, top, bottom = [], GAP, GAP, GAP
    for picture, words, across in tiles:
        width = max(picture.width, round(FONT.getlength(words))) + 2 * GAP
        if left + width > WIDE and left > GAP:
            left, top = GAP, bottom + GAP
        placed.append((left, top, picture, words, across))
        left, bottom = left + width, max(bottom, top + LINE + picture.height)
    sheet = Image.new("RGB", (WIDE, bottom + GAP), PAPER)
    for left, top, picture, words, across in placed:
        _write(sheet, (left, top), words, PARTED if across else INK)
        sheet.paste(picture, (left, top + LINE))
    return sheet


def _spread(entries: Sequence[Entry]) -> list[Entry]:
    """Return at most PER_SPLIT entries, evenly over all."""
    count = min(PER_SPLIT, len(entries))
    return [entries[number * len(entries) // count] for number in range(count)]


def _image(path: Path, *, smooth: bool = True) -> Image.Image:
    """Return a square thumbnail; for a file that cannot be read a grey square with a cross."""
    try:
        with Image.open(path) as picture:
            picture.load()
            rule = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
            return picture.convert("RGB").resize((THUMB, THUMB), rule)
    except UNREADABLE:
        return _crossed()


def _crossed() -> Image.Image:
    placeholder = Image.new("RGB", (THUMB, THUMB), (190, 190, 190))
    ImageDraw.Draw(placeholder).line([(0, 0), (THUMB, THUMB), (THUMB, 0), (0, THUMB)], fill=PARTED, width=3)
    return placeholder


def _write(sheet: Image.Image, place: tuple[int, int], words: str, ink: tuple[int, int, int]) -> None:
    ImageDraw.Draw(sheet).text(place, words, fill=ink, font=FONT)
