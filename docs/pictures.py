"""Draw the pictures of docs/gallery.md: invented scenes beside their masks. Run: python docs/pictures.py"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.datasets.whdld import Whdld
from data_prep.synthetic.building_scenes import roof_scene
from data_prep.synthetic.land_cover_scenes import land_cover_scene
from data_prep.synthetic.road_scenes import road_scene
from rssam.overlay import drawn_over, legend, told_apart

FOLDER = Path(__file__).parent / "pictures"
SIDE = 512
GAP = 8


def scenes() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]]:
    """Return images [H, W, 3] with labels [H, W] and the names of their classes, by the name of the picture."""
    roads, roofs = road_scene(SIDE, np.random.default_rng(7)), roof_scene(SIDE, np.random.default_rng(7))
    land = land_cover_scene(SIDE, np.random.default_rng(7))
    return {
        "roads": (roads.image, roads.roads.astype(np.uint8), ("road",)),
        "buildings": (roofs.image, roofs.buildings.astype(np.uint8), ("building",)),
        "land-cover": (land.image, land.labels, Whdld.classes),
    }


def picture(image: NDArray[np.uint8], labels: NDArray[np.uint8], classes: tuple[str, ...]) -> bytes:
    """Return a JPEG with an image at the left, its mask over it at the right, and a legend below."""
    first = 1 if len(classes) == 1 else 0
    colours = told_apart([(255, 255, 255)] if first else list(Whdld.palette))
    shown = drawn_over(image, labels, dict(enumerate(colours, start=first)))
    strip = legend(list(zip(classes, colours, strict=True)), 2 * SIDE + GAP)
    sheet = Image.new("RGB", (2 * SIDE + GAP, SIDE + strip.height), "white")
    sheet.paste(Image.fromarray(image), (0, 0))
    sheet.paste(Image.fromarray(shown), (SIDE + GAP, 0))
    sheet.paste(strip, (0, SIDE))
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue()


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name, scene in scenes().items():
        (FOLDER / f"{name}.jpg").write_bytes(picture(*scene))
        sys.stdout.write(f"{FOLDER.name}/{name}.jpg\n")


if __name__ == "__main__":
    main()
