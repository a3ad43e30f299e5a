"""How often tiles are taken for neighbours, or for near copies, falsely and rightly, among as many as DeepGlobe has.

From the root of the repository: python docs/measure/seams.py --samples DIR [--tiles 6226] [--workers 2]; DIR holds
`deepglobe-layout-vegas` (36 road scenes of 1024x1024, of which 8 pairs are known to abut) and, where they are there,
`deepglobe-sample` and `roads-gsi`. It takes about ten minutes of one core.

Tiles of 512x512 whose truth is known: every real image of 1024x1024 cut into 2x2, each tile stretched and compressed
by itself; crops of the same images that nowhere abut, turned and mirrored, at two scales; tiles of invented scenes
with a strip left out between them; and copies of some tiles, turned and compressed anew.

With --block DIR alone: real tiles that abut as they were published, by the places in their names, NAME_X_Y_i.jpg.
"""

from __future__ import annotations

import io
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from turns import options, say

from data_prep.checks.adjacent_tiles import find_seams
from data_prep.checks.duplicates import near_copies
from data_prep.checks.fingerprints import Fingerprint, fingerprint
from data_prep.synthetic.building_scenes import roof_scene
from data_prep.synthetic.land_cover_scenes import land_cover_scene
from data_prep.synthetic.road_scenes import road_scene

Picture = NDArray[np.uint8]
Tiles = dict[str, Fingerprint]
Pair = tuple[str, str]

SIDE = 512
STRIP = 40
"""Pixels left out between tiles of one invented scene."""

STEP = 24
"""Pixels by which the corners of two crops of one image differ in both directions, so that no two edges coincide."""

VEGAS = {
    ("10231", "10237"): "right", ("10234", "10239"): "right", ("10242", "10251"): "right",
    ("10241", "10240"): "below", ("10246", "10245"): "below", ("10248", "10247"): "below",
    ("10251", "10250"): "below", ("10252", "10251"): "below",
}  # fmt: skip
"""Images that abut as they were published, found by eye."""


@dataclass(frozen=True)
class Treatment:
    """What happens to each tile by itself: a stretch of its grey values, and JPEG."""

    name: str
    qualities: tuple[int, int]
    stretch: float  # gain within 1 +- stretch, offset within 60 grey levels times it, each channel a quarter of it more

    def __call__(self, tile: Picture, rng: np.random.Generator) -> Fingerprint:
        """Return the fingerprint of a treated tile."""
        gain = 1 + self.stretch * (rng.uniform(-1, 1) + rng.uniform(-0.25, 0.25, 3))
        offset = 60 * self.stretch * (rng.uniform(-1, 1) + rng.uniform(-0.25, 0.25, 3))
        stream = io.BytesIO()
        stretched = (tile * gain + offset).clip(0, 255).astype(np.uint8)
        Image.fromarray(stretched).save(stream, "JPEG", quality=int(rng.integers(*self.qualities, endpoint=True)))
        with Image.open(stream) as picture:
            return fingerprint(picture.convert("RGB"))


MILD, USUAL, HARD = (
    Treatment("mild", (92, 95), 0.1),
    Treatment("usual", (80, 92), 0.3),
    Treatment("hard", (50, 75), 0.5),
)


def cut(path: Path, treatment: Treatment) -> Tiles:
    """Return the four quarters of an image of 1024x1024, called "stem/row column"."""
    whole, rng = _pixels(path), np.random.default_rng([1, *path.name.encode()])
    return {
        f"{path.stem}/{row}{column}": treatment(
            whole[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE], rng
        )
        for row, column in np.ndindex(2, 2)
    }


def true_seams(tiles: Iterable[str]) -> set[Pair]:
    """Return pairs of quarters that abut: of one image, and of the images that abut themselves."""
    stems = {name.partition("/")[0] for name in tiles}
    pairs = {(f"{stem}/{a}", f"{stem}/{b}") for stem in stems for a, b in _QUARTERS}
    for (first, second), side in VEGAS.items():
        facing = (("01", "00"), ("11", "10")) if side == "right" else (("10", "00"), ("11", "01"))
        for a, b in facing:
            pairs.add((f"{first}_sat/{a}", f"{second}_sat/{b}"))
    return {pair for pair in pairs if pair[0].partition("/")[0] in stems and pair[1].partition("/")[0] in stems}


_QUARTERS = (("00", "01"), ("10", "11"), ("00", "10"), ("01", "11"))


def crops(path: Path) -> Tiles:
    """Return crops of an image, each turned in its own way, that abut no other tile: "stem at scale number"."""
    rng, tiles = np.random.default_rng([2, *path.name.encode()]), {}
    whole = Image.fromarray(_pixels(path))
    scales = (1.0, 0.75) if whole.width >= 2 * SIDE else (1.5,)
    for scale in scales:
        side = round(scale * whole.width)
        pixels = np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS))
        corners = np.arange(STEP, side - SIDE - STEP, STEP)
        for number, (top, left) in enumerate(zip(corners, rng.permutation(corners), strict=True)):
            crop = pixels[top : top + SIDE, left : left + SIDE]
            turned = np.rot90(crop, int(rng.integers(4)))
            tiles[f"{path.stem} at {scale} {number}"] = USUAL(turned[:, :: rng.choice([-1, 1])], rng)
    return tiles


def invented(number: int) -> Tiles:
    """Return tiles of one invented scene that do not touch; "invented number row column"."""
    rng = np.random.default_rng([3, number])
    if number % 12 == 0:  # dear, and so few
        return {f"invented {number}": USUAL(land_cover_scene(SIDE, rng).image, rng)}
    whole = (roof_scene if number % 3 == 0 else road_scene)(2 * SIDE + STRIP, rng).image
    return {
        f"invented {number} {top} {left}": USUAL(whole[top : top + SIDE, left : left + SIDE], rng)
        for top in (0, SIDE + STRIP)
        for left in (0, SIDE + STRIP)
    }


def copies(path: Path) -> Tiles:
    """Return a crop of an image and its copy, turned and treated anew; "copied stem" and "copied stem again"."""
    rng = np.random.default_rng([4, *path.name.encode()])
    pixels = _pixels(path)
    crop = pixels[7 : 7 + SIDE, 13 : 13 + SIDE]
    turned = np.rot90(crop, int(rng.integers(4)))[:, :: rng.choice([-1, 1])]
    return {f"copied {path.stem}": USUAL(crop, rng), f"copied {path.stem} again": USUAL(turned, rng)}


def _pixels(path: Path) -> Picture:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def others(large: list[Path], small: list[Path], count: int, workers: int) -> Tiles:
    """Return `count` tiles of which none abuts another, real ones first."""
    tiles: Tiles = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for part in (*pool.map(copies, [*large, *small]), *pool.map(crops, [*large, *small])):
            tiles.update(part)
        start, batch = 0, 16 * workers
        while len(tiles) < count:
            for part in pool.map(invented, range(start, start + batch)):
                tiles.update(part)
            start += batch
    return dict(list(tiles.items())[:count])


def _source(name: str) -> str:
    """Return the image or scene that a tile is of."""
    words = name.removeprefix("copied ").split("/")[0].split(" ")
    return " ".join(words[:2]) if words[0] == "invented" else words[0]


def show_rows(large: list[Path], fillers: Tiles, count: int) -> None:
    """Print a line of the table for each treatment of the tiles that truly abut."""
    for treatment in (MILD, USUAL, HARD):
        tiles: Tiles = {}
        for path in large:
            tiles |= cut(path, treatment)
        truth = true_seams(tiles)
        between = {pair for pair in truth if _source(pair[0]) != _source(pair[1])}
        single = [name for name in fillers if not name.endswith(" again")]  # a turned copy truly continues its twin
        tiles |= {name: fillers[name] for name in single[: count - len(tiles)]}
        began = time.perf_counter()
        seams = find_seams(tiles)
        took = time.perf_counter() - began
        found = {(seam.first, seam.second) for seam in seams.abutting}
        false = [seam for seam in seams.abutting if (seam.first, seam.second) not in truth]
        within = [seam for seam in false if _source(seam.first) == _source(seam.second)]
        best = max(
            (s.correlation for s in seams.refused if _source(s.first) != _source(s.second)), default=float("nan")
        )
        say(
            f"| {treatment.name} | {len(tiles)} | {len(found & truth - between)} of {len(truth - between)} "
            f"| {len(found & between)} of {len(between)} | {len(false) - len(within)} | {len(within)} "
            f"| {best:.2f} | {took:.0f} |"
        )
        for seam in false:
            sys.stderr.write(f"false: {seam}\n")


def block(folder: Path) -> str:
    """Return what is found among tiles whose names hold their places, in pixels of one scene."""
    tiles: Tiles = {}
    places: dict[str, tuple[int, int]] = {}
    for path in sorted(folder.glob("*_i.jpg")):
        with Image.open(path) as picture:
            tiles[path.stem] = fingerprint(picture.convert("RGB"))
        first, second = path.stem.split("_")[-3:-1]
        places[path.stem] = int(first), int(second)
    step = min(abs(a[0] - b[0]) for a in places.values() for b in places.values() if a[0] != b[0])
    offsets = {(0, step), (step, 0)}  # which of the two numbers runs to the right is not said
    truth = {
        frozenset((a, b))
        for a, (x, y) in places.items()
        for b, (right, below) in places.items()
        if (right - x, below - y) in offsets
    }
    seams = find_seams(tiles)
    found = {frozenset((seam.first, seam.second)) for seam in seams.abutting}
    sides = Counter(
        (seam.side, tuple(np.sign(np.subtract(places[seam.second], places[seam.first])).tolist()))
        for seam in seams.abutting
    )
    for pair in sorted(map(sorted, truth - found)):
        sys.stderr.write(f"missed: {' '.join(pair)}\n")
    for pair in sorted(map(sorted, found - truth)):
        sys.stderr.write(f"false: {' '.join(pair)}\n")
    for seam in seams.refused:
        known = "abut" if frozenset((seam.first, seam.second)) in truth else "do not abut"
        sys.stderr.write(f"refused: {seam.correlation:.2f} {seam.side} {seam.first} {seam.second} {known}\n")
    right = len(found & truth)
    return (
        f"{len(tiles)} tiles, {len(truth)} true seams: {right} found (recall {right / len(truth):.3f}), "
        f"{len(found - truth)} false; {', '.join(f'{side} {way}: {number}' for (side, way), number in sides.items())}."
    )


def near(tiles: Tiles) -> str:
    """Return which near copies are found among tiles that do not abut."""
    began = time.perf_counter()
    pairs = [(one.first, one.second) for one in near_copies(tiles)]
    took = time.perf_counter() - began
    known = {name for name in tiles if f"{name} again" in tiles}
    false = [pair for pair in pairs if _source(pair[0]) != _source(pair[1])]
    for pair in false:
        sys.stderr.write(f"false near copy: {pair}\n")
    hits = sum((name, f"{name} again") in pairs for name in known)
    return (
        f"Near copies among {len(tiles)} tiles that do not abut: {hits} of {len(known)} turned and compressed copies "
        f"found; {len(false)} false among {len(tiles) * (len(tiles) - 1) // 2} pairs, {took:.0f} s."
    )


def main() -> None:
    """Make the tiles, look for seams and copies, print the table."""
    parser = options(__doc__, {"--tiles": 6226, "--workers": 2})
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--samples", type=Path)
    chosen.add_argument("--block", type=Path)
    asked = parser.parse_args()
    if asked.block is not None:
        say(block(asked.block))
        return
    folders = ("deepglobe-layout-vegas/train", "deepglobe-sample/train", "deepglobe-sample/valid")
    large = [path for folder in folders for path in sorted((asked.samples / folder).glob("*_sat.jpg"))]
    small = sorted((asked.samples / "roads-gsi" / "images").glob("*.png"))
    began = time.perf_counter()
    fillers = others(large, small, asked.tiles, asked.workers)
    took, before = time.perf_counter() - began, _peak()
    real = sum(not name.startswith("invented") for name in fillers)
    say(f"{len(fillers)} tiles of which none abuts another ({real} real), made in {took:.0f} s.\n")
    say(
        "| stretch and JPEG of each cut tile | tiles | seams within an image | seams between images "
        "| false, of two scenes | false, of one scene | best refused pair of two scenes | seconds |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    show_rows(large, fillers, asked.tiles)
    say(f"\n{near(fillers)}")
    say(f"Peak memory {_peak():.0f} MiB, of which {before:.0f} MiB with the tiles' edges and thumbnails alone.")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
