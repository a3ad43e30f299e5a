"""A prepared folder of small pictures, made in milliseconds, and recipes that train on it in seconds."""

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.execution.observer import Observer, Outcome
from benchmarks.execution.session import Session
from benchmarks.protocol.recipe import Recipe
from benchmarks.protocol.run import Run
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import save_manifest
from data_prep.registry import find_dataset
from data_prep.rules import as_rules
from data_prep.splits import assign_splits
from rssam.contract import Model

SIDE = 64
TINY = Recipe(name="tiny", rates=(1e-3,), warmup=0.1, epochs=2, batch=4, group=2, crop=SIDE)
LORA = SamLora("vit_t", "scratch")
"""A transformer, partly frozen. Its run takes five times as long as that of the U-Net, and leaves 125 MB."""


def write_prepared(folder: Path, count: int = 14, seed: int = 0) -> Manifest:
    """`count` pairs of SIDE pixels with a bright vertical band each; native masks have twice the side."""
    files, manifest = drawn(count, seed)
    for kind in ("images", "masks", "native_masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    save_manifest(folder, manifest)
    return manifest


@cache  # two hundred tests begin with the same pictures
def drawn(count: int, seed: int) -> tuple[dict[str, bytes], Manifest]:
    rng = np.random.default_rng(seed)
    stems = [str(1000 + number) for number in range(count)]
    splits = assign_splits({stem: stem for stem in stems}, 0)
    files, entries = {}, []
    for stem in stems:
        left = int(rng.integers(0, SIDE - 24))
        fine = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
        fine[:, 2 * left : 2 * left + 48] = 1
        mask = fine[::2, ::2]
        image = rng.integers(0, 90, (SIDE, SIDE, 3)) + 150 * mask[..., None]
        labels = Image.fromarray(mask, mode="P")
        labels.putpalette([0, 0, 0, 255, 255, 255])
        pictures = {
            "image": Image.fromarray(image.astype(np.uint8)), "mask": labels,
            "native_mask": Image.fromarray(fine.astype(bool)),
        }  # fmt: skip
        paths = {kind: f"{kind}s/{stem}.png" for kind in pictures}
        contents = {kind: png(picture) for kind, picture in pictures.items()}
        files |= {paths[kind]: contents[kind] for kind in pictures}
        digests = {f"{kind}_sha256": hashlib.sha256(content).hexdigest() for kind, content in contents.items()}
        entries.append(
            Entry(
                stem=stem, split=splits[stem], **paths, **digests, source_image_sha256=digests["image_sha256"],
                source_mask_sha256=digests["mask_sha256"], source_size=(2 * SIDE, 2 * SIDE), size=(SIDE, SIDE),
                foreground=float(mask.mean()), group=stem,
            )
        )  # fmt: skip
    return files, Manifest(
        dataset="deepglobe", version=1, classes=("road",), image_size=(SIDE, SIDE), origin="synthetic",
        expected_pairs=6226, without_mask=0, rules=as_rules({"image": "drawn"}), official_split=False,
        entries=tuple(entries),
    )  # fmt: skip


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


class Watcher(Observer):
    """An observer that writes everything down, and calls `on_epoch` after each epoch."""

    def __init__(self, on_epoch=None) -> None:
        self.outcomes: list[Outcome] = []
        self.epochs: list[dict[str, float]] = []
        self.notes: list[str] = []
        self.on_epoch = on_epoch

    def epoch(self, metrics: dict[str, float]) -> None:
        self.epochs.append(metrics)
        if self.on_epoch:
            self.on_epoch(metrics)

    def note(self, text: str) -> None:
        if ".pixels" not in text:  # where images are read from is said by every run
            self.notes.append(text)

    def end(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def make_session(home: Path, **options) -> Session:
    """A CPU session on `home`, whose data set is written if it is not there."""
    folder = home / "data" / "deepglobe"
    if not folder.exists():
        write_prepared(folder)
    return Session(home, "cpu", options.pop("observer", Watcher()), **options)


def tiny_run(model: Model | None = None, recipe: Recipe = TINY, seed: int = 0) -> Run:
    """Return a run of 0.3 seconds: a U-Net of four channels, with batch norm, unless `model` names another network."""
    return Run(model or UNet(4), find_dataset("deepglobe"), recipe, seed)
