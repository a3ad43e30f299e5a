"""Find tiles that abut: two tiles cut from one scene show the same things on both sides of the cut.

The right edge of every tile is compared with the left edge of every other, and the bottom with the top. An edge is
taken relative to its surroundings: three colour channels less their local mean, divided by their local deviation. So
neither brightness (tiles are often stretched one by one) nor one strong road decides, and a plain edge says nothing.
Two tiles abut if their correlation is beyond what chance gives among so many pairs, and clearly the best of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_prep.checks.fingerprints import Edges
from data_prep.manifest import Entry
from data_prep.processes import Progress
from data_prep.splits import joined

EdgesT = TypeVar("EdgesT", bound=Edges)
Side = Literal["right", "below"]
FACES: Mapping[Side, tuple[str, str]] = {"right": ("right", "left"), "below": ("bottom", "top")}
"""The edge of a tile that looks to a side, and the edge that faces it in the neighbour."""

SCALES = ((1, 31), (4, 127))
"""Fine and coarse detail: pixels by which an edge is smoothed (deviation of a Gaussian), and those over which its local
mean is taken; its local deviation is taken over twice as many. Noise spoils the fine one, in fields above all."""

FLOOR = 2.0
"""Grey levels added to the local deviation, so that the noise of plain stretches is not blown up."""

LIVELY = 0.25
"""Share of an edge that must vary by FLOOR grey levels or more; else the edge is too plain to be compared."""

LEAST = 0.45
"""Correlation below which no two tiles abut, however few there are."""

CHANCE = 0.01
"""Number of false pairs that chance may bring among all pairs of a data set."""

MARGIN = 0.1
"""Correlation by which a pair must exceed every other pair of its two edges."""

NULL_TILES = 512
"""Tiles whose edges, one of them reversed, show what chance gives."""

BLOCK = 512
"""Edges compared at a time with all others: bounds memory."""

OPPONENT = np.array([[1 / 3, 1, 0.5], [1 / 3, -1, 0.5], [1 / 3, 0, -1]], np.float32)
"""Red, green and blue to brightness and two colour differences, which vary more independently."""


@dataclass(frozen=True)
class Seam:
    """Tile `second` lies to the right of tile `first`, or below it."""

    first: str
    second: str
    side: Side
    correlation: float


@dataclass(frozen=True)
class Seams:
    """Pairs of tiles that abut, and the best pairs that were refused; both by falling correlation."""

    abutting: tuple[Seam, ...]
    refused: tuple[Seam, ...]


def find_seams(fingerprints: Mapping[str, Edges]) -> Seams:
    """Find the abutting pairs among tiles, by their names; the result does not depend on their order.

    Of tiles with identical content give only one: copies would be each other's rivals.
    """
    stems = sorted(fingerprints)
    accepted: list[Seam] = []
    refused: list[Seam] = []
    for side, faces in FACES.items():
        for group in _by_length(stems, fingerprints, faces[0]):
            first, second = (np.stack([getattr(fingerprints[stem], face) for stem in group]) for face in faces)
            mutual, others = _match(group, profiles(first), profiles(second), side)
            accepted += mutual
            refused += others
    placements = {(seam.first, seam.second, seam.side) for seam in accepted}
    for seam in list(accepted):
        # On both sides of one another: a tile and its mirror image.
        if (seam.second, seam.first, seam.side) in placements:
            accepted.remove(seam)
            refused.append(seam)
    return Seams(_by_correlation(accepted), _by_correlation(refused)[:20])


def with_scenes(entries: Sequence[Entry], edges: Mapping[str, Edges], progress: Progress) -> tuple[Entry, ...]:
    """Return entries with their scenes, from the edges of each stem: the first stem of all that are joined by seams.

    Tiles of one picture or raster are joined whatever their edges show.
    """
    progress(0, 1, "look for tiles that abut")
    seams = find_seams(representatives(entries, [edges[entry.stem] for entry in entries]))
    progress(1, 1, "look for tiles that abut")
    first: dict[str, str] = {}  # the stem of the first tile of each source
    scenes = joined(
        [entry.stem for entry in entries],
        [
            *((seam.first, seam.second) for seam in seams.abutting),
            *((entry.stem, entry.group) for entry in entries),
            *((entry.stem, first.setdefault(entry.source, entry.stem)) for entry in entries),
        ],
    )
    return tuple(replace(entry, scene=scenes[entry.stem]) for entry in entries)


def representatives(entries: Sequence[Entry], fingerprints: Sequence[EdgesT | None]) -> dict[str, EdgesT]:
    """Return fingerprints by stem without copies: of identical images the first counts, with all its tiles."""
    sources = {entry.stem: entry.source for entry in entries}
    return {
        entry.stem: fingerprint
        for entry, fingerprint in zip(entries, fingerprints, strict=True)
        if fingerprint is not None and entry.source == sources[entry.group]
    }


def profiles(edges: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn edges [n, length, 3] into unit vectors [n, 6 * length] whose products are correlations; zero if plain."""
    # Imported here, because it costs more than a whole verification, in every process that prepares.
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    colours = edges.astype(np.float32) @ OPPONENT
    parts = []
    plain = np.zeros(len(edges), bool)
    for sigma, window in SCALES:
        smooth = gaussian_filter1d(colours, sigma, axis=1, mode="nearest")
        rest = smooth - uniform_filter1d(smooth, window, axis=1, mode="nearest")
        deviation = np.sqrt(uniform_filter1d(rest**2, 2 * window + 1, axis=1, mode="nearest").clip(min=0))
        plain |= (deviation[..., 0] >= FLOOR).mean(axis=1) < LIVELY
        flat = (rest / (deviation + FLOOR)).reshape(len(edges), -1)
        parts.append(flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(min=1e-6))
    vectors = np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(SCALES)))
    vectors[plain] = 0
    return np.asarray(vectors, np.float32)


def threshold(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the correlation beyond which all pairs together are expected to hold CHANCE false ones, at least LEAST.

    What chance gives is measured: edges against reversed edges are like in all respects, and never abut.
    """
    step = max(1, -(-len(first) // NULL_TILES))
    sample = second[::step]
    backwards = sample.reshape(len(sample), len(SCALES), -1, 3)[:, :, ::-1].reshape(sample.shape)
    chance = float(np.sqrt(np.square(first[::step] @ backwards.T).mean()))
    pairs = 2 * len(first) * (len(first) - 1)  # of both sides
    return max(LEAST, chance * -NormalDist().inv_cdf(CHANCE / pairs))


def _match(
    stems: Sequence[str], first: NDArray[np.float32], second: NDArray[np.float32], side: Side
) -> tuple[list[Seam], list[Seam]]:
    limit = threshold(first, second)
    count = len(stems)
    best = np.full((2, count), -1, np.int64)  # the best partner of each first and of each second edge
    top = np.full((2, 2, count), -1.0, np.float32)  # of each first, each second edge: best and next correlation
    for start in range(0, count, BLOCK):
        block = first[start : start + BLOCK] @ second.T  # [block, n]
        places = np.arange(len(block))
        block[places, start + places] = -1  # a tile does not abut itself
        best[0, start : start + BLOCK] = block.argmax(axis=1)
        top[0, :, start : start + BLOCK] = _two_largest(block.T)
        rows = block.argmax(axis=0)
        better = block[rows, np.arange(count)] > top[1, 0]
        best[1, better] = start + rows[better]
        top[1] = _two_largest(np.concatenate([top[1], block]))
    accepted, refused = [], []
    for index in range(count):
        partner = int(best[0, index])
        seam = Seam(stems[index], stems[partner], side, float(top[0, 0, index]))
        mutual = int(best[1, partner]) == index
        rival = max(float(top[0, 1, index]), float(top[1, 1, partner]))
        if mutual and seam.correlation >= limit and seam.correlation - rival >= MARGIN:
            accepted.append(seam)
        else:
            refused.append(seam)
    return accepted, refused


def _two_largest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest and second largest of each column [2, n]; -1 where there is none."""
    padded = np.concatenate([values, np.full((2, values.shape[1]), -1, np.float32)])
    return np.sort(np.partition(padded, -2, axis=0)[-2:], axis=0)[::-1]


def _by_length(stems: Sequence[str], fingerprints: Mapping[str, Edges], face: str) -> Iterator[list[str]]:
    """Yield groups of at least two stems whose edges are of one length, so that they can be compared."""
    groups: dict[int, list[str]] = defaultdict(list)
    for stem in stems:
        groups[len(getattr(fingerprints[stem], face))].append(stem)
    yield from (group for _, group in sorted(groups.items()) if len(group) > 1)


def _by_correlation(seams: Sequence[Seam]) -> tuple[Seam, ...]:
    return tuple(sorted(seams, key=lambda seam: (-seam.correlation, seam.first, seam.second)))
