"""One run from prepared data to a stored result: build, train, test once, record."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from benchmarks.engine import LAST, Listener, Training, make_fabric, train
from benchmarks.environment import peak_memory, provenance, seeded
from benchmarks.evaluate import Evaluation, evaluate
from benchmarks.ledger import record_use
from benchmarks.profile import measure, parameter_counts
from benchmarks.session import Outcome, Session
from benchmarks.spec import ResolvedRun, Run
from benchmarks.store import Result
from data_prep.base import DataError, Entry, Manifest, Split, load_manifest, write_atomic
from data_prep.loading import PreparedSet
from rssam.contract import UserError

Splits = Mapping[Split, tuple[Entry, ...]]


def train_and_test(resolved: ResolvedRun, session: Session) -> Outcome:
    """Train, or go on training, and test; the result is stored last, so that a stored result is a whole one.

    Raises UserError or DataError if it cannot be done; then nothing is stored, and checkpoints stay.
    """
    run, key = resolved.run, resolved.key
    manifest = load_manifest(session.data_folder(run.dataset.name), run.dataset.name)
    session.verify(run.dataset.name, manifest)
    splits = _chosen(manifest, run)
    work = session.store.work(key)
    resumed = any(work.rglob(LAST))
    session.tracker.start(key, run.declared())
    if session.device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    fabric = make_fabric(session.device, session.precision)
    try:
        net, training = _train_candidates(run, session, splits, fabric, work)
        started = time.perf_counter()
        record_use(session.home, resolved)
        test = _prepared(session, run, splits["test"], native=True)
        evaluation = evaluate(
            fabric.setup(net), test, run.task, run.recipe.crop, fabric.device, session.observer.testing
        )
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU has too little memory for {key}: {str(error).splitlines()[0]}") from error
    cost = measure(run.model, run.task)
    result = Result(
        identity=resolved.identity(),
        average=run.dataset.average,
        classes=run.dataset.classes,
        images=evaluation.images,
        counts=evaluation.counts,
        native_counts=evaluation.native_counts,
        history=tuple(training.history),
        best_epoch=training.best_epoch,
        parameters={**parameter_counts(net), "as_published": cost.as_published, "macs": round(cost.gmacs * 1e9)},
        seconds=training.seconds + time.perf_counter() - started,
        peak_memory=peak_memory(fabric.device),
        data=_data_record(manifest, splits),
        provenance=provenance(fabric.device),
    )
    save_predictions(work / "predictions.npz", evaluation, binary=run.task.binary)
    session.store.put(result)
    session.tracker.finish(result, session.store.path(key))
    return Outcome(key, "resumed" if resumed else "trained", result)


def _train_candidates(
    run: Run, session: Session, splits: Splits, fabric: Fabric, work: Path
) -> tuple[nn.Module, Training]:
    """Train once for every rate of the recipe; the lowest validation loss chooses. One rate is the ordinary case."""
    recipe = run.recipe.resolve(run.model)
    data = _prepared(session, run, splits["train"]), _prepared(session, run, splits["val"])

    def epoch_done(metrics: dict[str, float]) -> None:
        session.observer.epoch(metrics)
        session.tracker.epoch(metrics)

    listener = Listener(step=session.observer.step, epoch=epoch_done)
    candidates = []
    for rate in recipe.rates:
        folder = work if len(recipe.rates) == 1 else work / f"rate-{rate:g}"
        with seeded(run.seed, deterministic=session.device == "cpu"):  # every candidate starts from the same parameters
            net = run.model.build(run.task, session.weights)
            candidates.append(
                (net, train(net, recipe, rate, run.seed, data, fabric, folder, listener, session.workers))
            )
    return min(candidates, key=lambda candidate: candidate[1].best_loss)


def _chosen(manifest: Manifest, run: Run) -> Splits:
    """Entries of each split, at most `recipe.limit` of them. Raises DataError if they do not suit the recipe."""
    crop, (height, width) = run.recipe.crop, manifest.image_size
    if crop is not None and (height % crop or width % crop):
        raise DataError(
            f"the {run.recipe.name} profile cuts images into squares of {crop} pixels, which do not tile the "
            f"{height}x{width} of {run.dataset.name}: choose another --profile"
        )
    splits = {
        name: entries[: run.recipe.limit] for name, entries in manifest.splits(run.split_seed, run.split_rule).items()
    }
    empty = [name for name, entries in splits.items() if not entries]
    if empty:
        raise DataError(
            f"{run.dataset.name} has no {' and no '.join(empty)} images: {len(manifest.entries)} pairs are too few "
            f"to split; prepare more (rssam-bench prepare {run.dataset.name} --source DIR)"
        )
    return splits


def _prepared(session: Session, run: Run, entries: Sequence[Entry], *, native: bool = False) -> PreparedSet:
    return PreparedSet(session.data_folder(run.dataset.name), entries, native=native)


def _data_record(manifest: Manifest, splits: Splits) -> dict[str, object]:
    """What the report says about the data under a table."""
    return {
        "origin": manifest.origin,
        "complete": manifest.complete,
        "pairs": len(manifest.entries),
        "describe": manifest.describe(),
        **{name: len(entries) for name, entries in splits.items()},
        **scenes_of(splits["test"]),
        **({"train_neighbours": train_neighbours(splits)} if manifest.scenes_known else {}),
    }


def scenes_of(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The scene of each test image, where some scene has several: their errors are alike, and reports allow for it."""
    scenes = [entry.scene or entry.tile_of or entry.stem for entry in entries]
    return {"test_scenes": scenes} if len(set(scenes)) < len(scenes) else {}


def train_neighbours(splits: Splits) -> list[str]:
    """Stems of the test images that lie in a scene with images of the train split, official splits included."""
    trained = {entry.scene for entry in splits["train"]} - {None}
    return [entry.stem for entry in splits["test"] if entry.scene in trained]


def save_predictions(path: Path, evaluation: Evaluation, *, binary: bool) -> None:
    """Predicted labels of the test images, for figures: bits for a binary task, bytes otherwise. They stay at home."""
    stacked = np.stack(evaluation.predictions)  # [images, H, W]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=np.asarray(evaluation.images),
        shape=np.asarray(stacked.shape),
        labels=np.packbits(stacked.astype(bool), axis=-1) if binary else stacked,
    )
    write_atomic(path, buffer.getvalue())
