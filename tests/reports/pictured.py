"""Runs with pixels: a prepared folder of drawn pictures, and predictions made by damaging their masks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.results.predictions import save_predictions
from benchmarks.results.store import Store
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import save_manifest
from data_prep.rules import as_rules
from data_prep.splits import assign_splits
from rssam.files import sha256_file
from tests.reports.fabricate import fabricate


@dataclass(frozen=True)
class Roads:
    """In DeepGlobe's place: small pictures."""

    name: ClassVar[str] = "deepglobe"
    title: ClassVar[str] = "DeepGlobe"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("road",)
    image_size: ClassVar[tuple[int, int]] = (64, 64)
    average: ClassVar[str] = "foreground"
    expected_pairs: ClassVar[int] = 6226
    official_sizes: ClassVar[tuple[int, int, int] | None] = None
    palette: ClassVar[tuple[tuple[int, int, int], ...]] = ((255, 255, 255),)


@dataclass(frozen=True)
class Roofs(Roads):
    """In WHU's place."""

    name: ClassVar[str] = "whu"
    title: ClassVar[str] = "WHU"
    classes: ClassVar[tuple[str, ...]] = ("building",)


@dataclass(frozen=True)
class LandCover(Roads):
    """In WHDLD's place."""

    name: ClassVar[str] = "whdld"
    title: ClassVar[str] = "WHDLD"
    classes: ClassVar[tuple[str, ...]] = ("building", "road", "pavement", "vegetation", "bare_soil", "water")
    average: ClassVar[str] = "classes"
    palette: ClassVar[tuple[tuple[int, int, int], ...]] = (
        (255, 0, 0), (255, 255, 0), (192, 192, 0), (0, 255, 0), (128, 128, 128), (0, 0, 255),
    )  # fmt: skip


def draw_masks(dataset, count, seed=0):
    """`count` masks: bands for a binary data set, patches of every class for another."""
    rng = np.random.default_rng(seed)
    height, width = dataset.image_size
    for _ in range(count):
        if len(dataset.classes) == 1:
            mask = np.zeros((height, width), np.uint8)
            left = int(rng.integers(0, width - width // 4))
            mask[:, left : left + width // 6] = 1
            mask[height // 3 : height // 2] = 1
        else:
            fields = [ndimage.gaussian_filter(rng.normal(size=(height, width)), width / 12) for _ in dataset.classes]
            mask = np.argmax(fields, axis=0).astype(np.uint8)
        yield mask


def write_pictures(home, dataset, masks, images=None):
    """A prepared folder with these masks; without images, noise in which the classes shine through."""
    folder = home / "data" / dataset.name
    stems = [f"{dataset.name[:2]}{1000 + number}" for number in range(len(masks))]
    splits = assign_splits({stem: stem for stem in stems}, 0)
    rng = np.random.default_rng(1)
    entries = []
    for number, (stem, mask) in enumerate(zip(stems, masks, strict=True)):
        image = rng.integers(0, 90, (*mask.shape, 3)) + 25 * mask[..., None] if images is None else images[number]
        paths = {"image": f"images/{stem}.png", "mask": f"masks/{stem}.png"}
        for path in paths.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(folder / paths["image"])
        picture = Image.fromarray(mask)
        picture.putpalette([0, 0, 0, *(part for colour in dataset.palette for part in colour)])
        picture.save(folder / paths["mask"])
        digests = {f"{kind}_sha256": sha256_file(folder / path) for kind, path in paths.items()}
        entries.append(
            Entry(
                stem=stem, split=splits[stem], **paths, native_mask=None, **digests, native_mask_sha256=None,
                source_image_sha256=digests["image_sha256"], source_mask_sha256=digests["mask_sha256"],
                source_size=mask.shape, size=mask.shape, foreground=float((mask > 0).mean()), group=stem,
            )
        )  # fmt: skip
    manifest = Manifest(
        dataset=dataset.name, version=1, classes=dataset.classes, image_size=dataset.image_size, origin="source",
        expected_pairs=dataset.expected_pairs, without_mask=0, rules=as_rules({"image": "drawn"}), official_split=False,
        entries=tuple(entries),
    )  # fmt: skip
    save_manifest(folder, manifest)
    return manifest


def damaged(mask, classes, amount, rng):
    """A prediction that errs along edges and in patches, the more the larger `amount`."""
    scale = max(mask.shape[0] / 40, 1)
    layers = [mask == 1] if classes == 1 else [mask == label for label in range(classes)]
    fields = []
    for layer in layers:
        noise = ndimage.gaussian_filter(rng.normal(size=mask.shape), 2 * scale)
        fields.append(ndimage.gaussian_filter(layer.astype(float), scale / 3) + amount * noise / noise.std())
    return (fields[0] > 0.5 if classes == 1 else np.argmax(fields, axis=0)).astype(np.uint8)


def pretend(home, model, dataset, manifest, amount, setting=None, *, seed=0, split_seed=0):
    """Store a result of `model` with its predictions, damaged masks, and the counts they have; return it."""
    run = (setting or Setting("paper")).run(model, dataset.name, seed, split_seed)
    folder = home / "data" / dataset.name
    test = manifest.splits(split_seed)["test"]
    classes = len(dataset.classes)
    predictions, confusions = [], []
    for entry in test:
        with Image.open(folder / entry.mask) as picture:
            mask = np.asarray(picture)
        rng = np.random.default_rng([seed, sum(map(ord, entry.stem + model.name)), int(1000 * amount)])
        labels = damaged(mask, classes, amount, rng)
        size = max(2, classes)
        kept = mask != 255
        cells = np.bincount(mask[kept].astype(int) * size + labels[kept], minlength=size * size)
        predictions.append(labels)
        confusions.append(cells.reshape(size, size))
    counts = Counts.from_confusion(np.array(confusions), binary=classes == 1)
    names = tuple(entry.stem for entry in test)
    data = {**manifest.facts, "complete": False}
    result = fabricate(
        run, digest=manifest.digest(split_seed), data=data, average=dataset.average, classes=dataset.classes,
        images=names, counts=counts,
    )  # fmt: skip
    resolved = ResolvedRun(run, manifest.digest(split_seed), tuple(result.identity["weights"]), "bf16-mixed")
    assert resolved.key == result.key
    Store(home).put(result)
    save_predictions(Store(home).work(result.key) / "predictions.npz", names, predictions, binary=classes == 1)
    return result
