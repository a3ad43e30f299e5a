"""How long an image takes to become a PNG and to be read again, and its size: `encode_image` beside Pillow.

From the root of the repository: python docs/measure/encode.py [--source FOLDER] [--images 8] [--rounds 5]. The images
of 512x512 are cut from the corners of those in the folder, or are stand-in scenes. Ways take turns on each image; times
are of the process alone.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from turns import say

SIDE = 512


def by_pillow(image: np.ndarray) -> bytes:
    """Encode an image as `prepare` wrote images before."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def images_of(folder: Path, count: int) -> Iterator[np.ndarray]:
    """Yield corners of the first images of a folder."""
    paths = [path for path in sorted(folder.rglob("*.jpg")) if "mask" not in path.name]
    for path in paths[:: max(1, len(paths) // count)][:count]:
        yield np.ascontiguousarray(np.asarray(Image.open(path).convert("RGB"))[:SIDE, :SIDE])


def measure(folder: Path, count: int, rounds: int) -> str:
    """Return the table as markdown."""
    from data_prep.images.encode import encode_image

    ways = {"Pillow, level 3": by_pillow, "`encode_image`": encode_image}
    images = list(images_of(folder, count))
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    sizes = dict.fromkeys(ways, 0)
    for number in range(rounds):
        for image in images:
            for name, encode in ways.items():
                began = time.process_time()
                content = encode(image)
                written = time.process_time()
                read = np.asarray(Image.open(io.BytesIO(content)))
                took[name].append((written - began, time.process_time() - written))
                if number == 0:
                    sizes[name] += len(content)
                if not np.array_equal(read, image):
                    raise AssertionError(f"{name} does not give back the pixels")
    lines = ["| | write, ms | read, ms | kB |", "|---|--:|--:|--:|"]
    for name, times in took.items():
        write, read = (1e3 * median(column) for column in zip(*times, strict=True))
        lines.append(f"| {name} | {write:.1f} | {read:.1f} | {sizes[name] / len(images) / 1e3:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    from data_prep.datasets.deepglobe import DeepGlobe

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rssam-measure-") as scratch:
        source = options.source or Path(scratch) / "source"
        if options.source is None:
            DeepGlobe().synthesize(source, options.images, seed=0)
        say(measure(source, options.images, options.rounds))


if __name__ == "__main__":
    main()
