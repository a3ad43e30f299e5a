"""Find copies among images: exact ones, and near ones after compression, brightness, a turn or a mirror.

Exact copies share `Entry.group`. Near copies are found by a perceptual hash: the signs of a thumbnail's low frequencies
against their median. They are confirmed by correlating the thumbnails, because a hash alone takes two plain fields for
one another. Nothing is moved here: copies are reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.checks.fingerprints import Fingerprint
from data_prep.manifest import Entry

DISTANCE = 8
"""Bits of 64 in which the hashes of near copies may differ."""

ALIKE = 0.97
"""Correlation that the thumbnails of near copies have at least."""

PLAIN = 2.0
"""Deviation in grey levels below which a thumbnail shows too little to be compared."""

SIDE = 8
"""Frequencies a side that make the hash."""

TURNS = ("as it is", "mirrored", "upside down", "turned by 180 degrees")
TRANSPOSED = ("transposed", "turned by 90 degrees", "turned by 270 degrees", "transposed across")
ORIENTATIONS = (*TURNS, *TRANSPOSED)
"""How the second image of a pair looks like the first, in the order of `turned`."""


@dataclass(frozen=True)
class NearCopies:
    """Two images that show the same once the second is turned or mirrored as `orientation` says."""

    first: str
    second: str
    distance: int  # of their hashes, in bits
    correlation: float  # of their thumbnails
    orientation: str


def exact_copies(entries: Sequence[Entry], *, whole: bool = True) -> tuple[tuple[Entry, ...], ...]:
    """Return groups of at least two images with identical pixels, by first stem.

    Tiles of a `whole` image count once; otherwise each is an image.
    """
    groups: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in sorted(entries, key=lambda entry: entry.stem):
        groups[entry.group].setdefault(entry.source if whole else entry.stem, entry)
    return tuple(tuple(group.values()) for _, group in sorted(groups.items()) if len(group) > 1)


def near_copies(fingerprints: Mapping[str, Fingerprint]) -> tuple[NearCopies, ...]:
    """Return the pairs of near copies among images, by name; of images with identical pixels give only one."""
    stems = [stem for stem in sorted(fingerprints) if fingerprints[stem].thumbnail.std() >= PLAIN]
    if len(stems) < 2:
        return ()
    thumbnails = np.stack([fingerprints[stem].thumbnail for stem in stems])  # [n, 32, 32]
    plain = hashes(thumbnails)  # [8, n]
    units = _units(thumbnails)
    pairs: dict[tuple[int, int], NearCopies] = {}
    for number, orientation in enumerate(ORIENTATIONS):
        for i, j, distance in _close(plain[0], plain[number]):
            correlation = float(units[i].ravel() @ turned(units[j], number).ravel())
            best = pairs.get((i, j))
            if correlation >= ALIKE and (best is None or correlation > best.correlation):
                pairs[i, j] = NearCopies(stems[i], stems[j], distance, correlation, orientation)
    return tuple(pairs[indices] for indices in sorted(pairs))


def hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Compute the perceptual hashes [8, n] of grey thumbnails [n, h, w], one for each of their orientations.

    Mirroring an image only changes the sign of its odd frequencies, so that all eight cost one transform.
    """
    from scipy.fft import dctn  # here, since reports know this module and need no SciPy of it

    low = dctn(thumbnails.astype(np.float64), axes=(1, 2), norm="ortho")[:, :SIDE, :SIDE]
    low[:, 0, 0] = 0  # the mean is brightness, not content
    return np.stack([_signs(frequencies) for frequencies in _orientations(low)])


def turned(image: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return a square image in the orientation ORIENTATIONS[number]."""
    image = image.T if number >= len(TURNS) else image
    return image[:: -1 if number & 2 else 1, :: -1 if number & 1 else 1]


def _orientations(low: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    sign = np.where(np.arange(SIDE) % 2, -1.0, 1.0)
    return [
        base * (sign if number & 1 else 1) * (sign[:, None] if number & 2 else 1)
        for base in (low, low.transpose(0, 2, 1))
        for number in range(len(TURNS))
    ]


def _signs(low: NDArray[np.float64]) -> NDArray[np.uint64]:
    flat = low.reshape(len(low), -1)
    bits = np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)
    return np.ascontiguousarray(bits).view(np.uint64)[:, 0]


def _close(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> list[tuple[int, int, int]]:
    """Return (i, j, distance) with i < j of all hashes that differ in at most DISTANCE bits."""
    close = []
    for i in range(len(first) - 1):
        distances = np.bitwise_count(first[i] ^ second[i + 1 :])
        close += [(i, i + 1 + int(k), int(distances[k])) for k in np.flatnonzero(distances <= DISTANCE)]
    return close


def _units(thumbnails: NDArray[Any]) -> NDArray[np.float64]:
    centred = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True)
    units: NDArray[np.float64] = centred / np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return units
