"""A home as runs leave it, made without training: every number follows the rules that `verify` holds it against."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from baselines.unet import UNet
from benchmarks.metrics.counts import Counts
from benchmarks.metrics.probability_histogram import EDGES, Histogram
from benchmarks.protocol.cost import measure
from benchmarks.protocol.custom import is_own
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.data_record import run_data_record, shared_scenes
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from benchmarks.results.submission import Submission, identify, put_submission
from benchmarks.results.test_set_log import append_use, record_use
from benchmarks.training.optimizer import learning_rate
from data_prep.datasets.folder import Folder
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import load_manifest, save_manifest
from data_prep.registry import find_dataset, register_home
from data_prep.rules import rule
from rssam.contract import IGNORE, Optimisation
from tests.benchmarks.prepared import write_prepared
from tests.reports.fabricate import PROVENANCE

MACHINE = {"platform": "Linux", "device": "AMD EPYC", "device_type": "cpu", "cores": 4, "threads": 2}
WHDLD = find_dataset("whdld")
SIDE, OWN_SIDE = 64, 128


@dataclasses.dataclass(frozen=True)
class MyNet:
    """A user's own system, of which a bundle's reader has no code."""

    name: ClassVar[str] = "mynet"
    title: ClassVar[str] = "MyNet"
    version: ClassVar[int] = 2
    published: ClassVar[Optimisation | None] = Optimisation("sgd", 0.01)
    small: ClassVar[Mapping[str, Any]] = {"width": 8}

    width: int = 64

    def architecture(self, task):
        from torch import nn

        return nn.Conv2d(3, task.channels, 1)

    def weights_needed(self):
        return ()


def confusion_counts(truth, guess, classes):
    """Counts of one image by plain comparison, [1, classes]."""
    labels = [1] if classes == 1 else range(classes)
    parts = [
        [int(((truth == label) == hit_truth)[(guess == label) == hit_guess].sum()) for label in labels]
        for hit_truth, hit_guess in ((True, True), (False, True), (True, False), (False, False))
    ]
    return Counts(*(np.array([part], np.int64) for part in parts))


def predicted(truth, classes, rng):
    """Probabilities [channels, pixels] that are right more often than not, and their labels."""
    if classes == 1:
        probabilities = np.clip(0.6 * truth + 0.2 + rng.normal(0, 0.2, truth.shape), 0, 1)[None]
        return probabilities, (probabilities[0] > 0.5).astype(int)
    logits = rng.normal(0, 1, (classes, *truth.shape)) + 2 * (truth == np.arange(classes)[:, None])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    return probabilities, probabilities.argmax(axis=0)


def histogram(truth, probabilities):
    """Pixels [channels, bins, 2] by probability and truth."""
    labels = [1] if len(probabilities) == 1 else range(len(probabilities))
    return np.stack([
        np.stack([np.histogram(-layer[(truth == label) == state], [-edge for edge in EDGES[::-1]])[0][::-1]
                  for state in (False, True)], axis=1)
        for label, layer in zip(labels, probabilities, strict=True)
    ])  # fmt: skip


def masks_of(folder, entries, native=False):
    found = []
    for entry in entries:
        with Image.open(folder / (entry.native_mask if native else entry.mask)) as picture:
            found.append(np.asarray(picture).astype(int))
    return found


def test_of(folder, entries, classes, rng):
    """Counts, native counts and the histogram of a made-up test."""
    counts, native, cells = [], [], 0
    for truth in masks_of(folder, entries):
        truth = truth[truth != IGNORE]  # [pixels]
        probabilities, guess = predicted(truth, classes, rng)
        counts.append(confusion_counts(truth, guess, classes))
        cells = cells + histogram(truth, probabilities)
    if all(entry.native_mask for entry in entries):
        for truth in masks_of(folder, entries, native=True):
            native.append(confusion_counts(truth, predicted(truth, classes, rng)[1], classes))
    return Counts.concatenate(counts), Counts.concatenate(native) if native else None, Histogram(cells)


def history_of(recipe, train, rng):
    steps = -(-max(train * recipe.crops // recipe.group, 1) // (recipe.batch // recipe.group))
    rate = recipe.rates[-1]
    return tuple(
        {
            "epoch": float(epoch), "train_loss": rng.random(), "val_loss": rng.random(), "seconds": 1 + rng.random(),
            "rate": learning_rate(recipe, rate, epoch * steps - 1, recipe.epochs * steps),
        }
        for epoch in range(1, recipe.epochs + 1)
    )  # fmt: skip


def now():
    return datetime.now(UTC).isoformat(timespec="seconds")


def put_run(home, run, rng):
    """Store a result of the run, with its use of the test split."""
    folder = home / "data" / run.dataset.name
    manifest = load_manifest(folder, run.dataset.name)
    resolved = ResolvedRun(run, manifest.digest(run.split_seed, run.split_rule), (), "32-true")
    recipe = run.recipe.for_model(run.model)
    splits = {name: part[: recipe.limit] for name, part in manifest.splits(run.split_seed, run.split_rule).items()}
    counts, native, cells = test_of(folder, splits["test"], len(run.dataset.classes), rng)
    history = history_of(recipe, len(splits["train"]), rng)
    cost = measure(run.model, run.task)
    result = Result(
        identity=resolved.identity(), average=run.dataset.average, classes=run.dataset.classes,
        images=tuple(entry.stem for entry in splits["test"]), counts=counts, native_counts=native, history=history,
        best_epoch=1 + int(np.argmin([epoch["val_loss"] for epoch in history])),
        parameters={
            "total": cost.total, "trainable": cost.trainable, "as_published": cost.as_published,
            "macs": round(cost.gmacs * 1e9),
        },
        seconds=sum(epoch["seconds"] for epoch in history) + 1, peak_memory=1 << 28,
        data=run_data_record(manifest, splits),
        provenance={
            **PROVENANCE, **MACHINE, "finished": now(), "activation_checkpointing": False, "host": "someone's",
            "home": str(home), **({SYSTEM: record(run.model)} if is_own(run.model) else {}),
        },
        probabilities=cells,
    )  # fmt: skip
    record_use(home, resolved)
    Store(home).put(result)
    return result


def put_score(home, name, manifest, rng, *, of_run=None):
    """Store a submission on the test split; with a result, an evaluation of its network there."""
    data, entries = find_dataset(manifest.dataset), manifest.splits(0)["test"]
    counts, native, _ = test_of(home / "data" / data.name, entries, len(data.classes), rng)
    system = of_run and {
        "key": of_run.key, "parameters": f"{int(of_run.key[-10:], 16):064x}", "crop": None,
        "dataset": of_run.identity["dataset"]["name"], "precision": "32-true",
        "classes": [list(pair) for pair in zip(of_run.classes, data.classes, strict=True)],
    }  # fmt: skip
    kind = "evaluated" if of_run else "scored"
    submission = Submission(
        identity=identify(
            kind, of_run.identity["model"]["name"] if of_run else name, data, data=manifest.digest(0), split_seed=0,
            split_rule="random", images="test", predictions=None if of_run else "ab" * 32, system=system,
        ),
        average=data.average, classes=data.classes, images=tuple(entry.stem for entry in entries), counts=counts,
        native_counts=native,
        data={**manifest.facts, **shared_scenes(entries), **({"copies": 0, "title": name} if of_run else {})},
        provenance={**PROVENANCE, **MACHINE, "finished": now()}, reading=("As it was.",),
    )  # fmt: skip
    use = "evaluate" if of_run else "score"
    append_use(home, submission.key, name, data.name, manifest.digest(0), use)
    put_submission(home, submission)


def write_land_cover(folder, rng):
    """A prepared folder of WHDLD's six classes."""
    (folder / "masks").mkdir(parents=True)
    entries = []
    for number in range(14):
        stem = f"{number:04d}"
        labels = rng.integers(0, len(WHDLD.classes), (SIDE // 8, SIDE // 8)).repeat(8, 0).repeat(8, 1)
        Image.fromarray(labels.astype(np.uint8)).save(folder / "masks" / f"{stem}.png")
        digest = f"{number:064x}"
        entries.append(
            Entry(
                stem=stem, split="train", image=f"images/{stem}.png", mask=f"masks/{stem}.png", native_mask=None,
                image_sha256=digest, mask_sha256=digest, native_mask_sha256=None, source_image_sha256=digest,
                source_mask_sha256=digest,
                source_size=(SIDE, SIDE), size=(SIDE, SIDE), foreground=1.0, group=stem,
                scene=f"scene {number // 2}",
            )
        )  # fmt: skip
    manifest = Manifest(
        dataset="whdld", version=WHDLD.version, classes=WHDLD.classes, image_size=(SIDE, SIDE), origin="synthetic",
        expected_pairs=WHDLD.expected_pairs, without_mask=0, official_split=False, entries=tuple(entries),
        rules={"split": (rule("stem-hash", percent=(70, 15, 15), counts=(10, 2, 2)),)},
    )  # fmt: skip
    save_manifest(folder, manifest)
    return manifest


def write_own_data(home, rng):
    """A user's own folder of images, cut into tiles by `prepare`."""
    for kind, values in (("images", 256), ("masks", 2)):
        (home / "source" / kind).mkdir(parents=True)
        for number in range(8):
            picture = rng.integers(0, values, (OWN_SIDE + 32, OWN_SIDE)).astype(np.uint8)
            shown = np.stack([picture] * 3, axis=2) if kind == "images" else 255 * picture
            Image.fromarray(shown).save(home / "source" / kind / f"{number}.png")
    fields = Folder("fields", ("field",), (255,), 0, None, "tile", (OWN_SIDE, OWN_SIDE))
    out = home / "data" / "fields"
    fields.prepare(home / "source", out, origin="source", workers=0, progress=lambda *_: None)
    register_home(home / "data")
    return fields


def make_home(home):
    """Two systems with three seeds, one of several classes, one under FAIR, own system and data, and two scores."""
    rng = np.random.default_rng(0)
    roads = write_prepared(home / "data" / "deepglobe")
    write_land_cover(home / "data" / "whdld", rng)
    write_own_data(home, rng)
    smoke = Setting("smoke")
    runs = [smoke.run(model, "deepglobe", seed, seed) for model in (UNet(), MyNet()) for seed in range(3)]
    runs += [smoke.run(UNet(), "whdld"), Setting("fair").run(UNet(), "deepglobe")]
    runs += [Setting("smoke", dataset="fields").run(MyNet(), "deepglobe")]
    results = [put_run(home, run, rng) for run in runs]
    put_score(home, "Somebody's", roads, rng)
    put_score(home, "UNet", load_manifest(home / "data" / "fields", "fields"), rng, of_run=results[0])
    return home
