"""Tiny sources in DeepGlobe's layout for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.manifest import Manifest


def picture(seed: int, side: int = 512) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR))


def squares(seed: int, side: int = 512) -> np.ndarray:
    """Return squares of one colour each, where any picture will do: PNG encodes them in a tenth of the time."""
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST))


def road(seed: int, side: int = 512) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    start = int(np.random.default_rng(seed).integers(0, side - 40))
    mask[start : start + 11] = 255
    mask[:, start : start + 3] = 255
    return mask


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=92)


def write_mask(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).convert("RGB").save(path, "PNG")


def write_pair(folder: Path, stem: str, seed: int, side: int = 512, drawn=picture) -> None:
    write_image(folder / f"{stem}_sat.jpg", drawn(seed, side))
    write_mask(folder / f"{stem}_mask.png", road(seed, side))


def write_source(folder: Path, count: int, side: int = 512, drawn=picture) -> Path:
    for index in range(count):
        write_pair(folder / "train", str(100 + index), index, side, drawn)
    write_image(folder / "valid" / "900_sat.jpg", drawn(900, side))
    return folder


def prepare(source: Path, out: Path, workers: int = 1, origin: str = "source", skip_bad: bool = False) -> Manifest:
    return DeepGlobe().prepare(
        source, out, origin=origin, workers=workers, progress=lambda done, total, what: None, skip_bad=skip_bad
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
