"""How long an image takes to become a PNG and to be read again, and its size: `encode_image` beside Pillow.

From the root of the repository: python docs/measure/encode.py [--source FOLDER] [--images 8] [--rounds 5]. The images
of 512x512 are cut from the corners of those in the folder, or are stand-in scenes. Ways take turns on each image; times
are of the process alone.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np
from PIL import Image
from turns import in_turn, options, say, scratch

from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.images.encode import encode_image

SIDE = 512


def by_pillow(image: np.ndarray) -> bytes:
    """Encode an image as `prepare` wrote images before."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def write_and_read(encode: Callable[[np.ndarray], bytes], image: np.ndarray) -> tuple[float, float, int]:
    """Return the seconds that writing and reading take, and the bytes between them."""
    began = time.process_time()
    content = encode(image)
    written = time.process_time()
    read = np.asarray(Image.open(io.BytesIO(content)))
    took = written - began, time.process_time() - written
    if not np.array_equal(read, image):
        raise AssertionError("the pixels are not given back")
    return *took, len(content)


def images_of(folder: Path, count: int) -> Iterator[np.ndarray]:
    """Yield corners of the first images of a folder."""
    paths = [path for path in sorted(folder.rglob("*.jpg")) if "mask" not in path.name]
    for path in paths[:: max(1, len(paths) // count)][:count]:
        yield np.ascontiguousarray(np.asarray(Image.open(path).convert("RGB"))[:SIDE, :SIDE])


def measure(folder: Path, count: int, rounds: int) -> None:
    """Print the table as markdown."""
    ways = {"Pillow, level 3": by_pillow, "`encode_image`": encode_image}
    found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in ways}
    for image in images_of(folder, count):
        turns = in_turn({name: partial(write_and_read, encode, image) for name, encode in ways.items()}, rounds)
        for name, values in turns.items():
            found[name] += values
    say("| | write, ms | read, ms | kB |\n|---|--:|--:|--:|")
    for name, values in found.items():
        write, read, size = zip(*values, strict=True)
        say(f"| {name} | {1e3 * median(write):.1f} | {1e3 * median(read):.1f} | {mean(size) / 1e3:.0f} |")


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, {"--images": 8, "--rounds": 5})
    parser.add_argument("--source", type=Path)
    asked = parser.parse_args()
    with scratch() as folder:
        source = asked.source or folder / "source"
        if asked.source is None:
            DeepGlobe().synthesize(source, asked.images, seed=0)
        measure(source, asked.images, asked.rounds)


if __name__ == "__main__":
    main()
