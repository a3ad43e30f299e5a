"""Find results that are copies of one training under other names: other seeds, or another system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import canonical
from benchmarks.results.result import Result
from reports.bundle.checks.checked import Finding, WholeBundle

NEAR = 0.01
"""Share of its errors in which a training differs from another at least, image by image."""

FEW = 200
"""Wrong pixels below which nothing is said of how near two tests are."""

Traces = tuple[object, ...]


def copied_runs(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield results whose losses, times, counts or probabilities are those of another training.

    Runs on an official split that differ in nothing but the split seed are one training, and equal by right. So may be
    two systems of a user's own, of which nothing here says that they differ.
    """
    seen: dict[Traces, tuple[str, Result]] = {}
    for file, result in bundle.results:
        for what, traces in _traces(result):
            other, earlier = seen.setdefault(traces, (file, result))
            if training(earlier) != training(result) and not _both_own(earlier, result):
                yield file, f"its {what} are those of {other}, which is another training"
                break


def near_runs(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield results with nearly the errors, image by image, of another training of the same system on the same images.

    Of each system those are compared that have the next larger number of errors.
    """
    groups: dict[str, list[tuple[str, Result]]] = defaultdict(list)
    for file, result in bundle.results:
        if not _one_sided(result.counts):
            alike = {name: result.identity[name] for name in ("model", "dataset", "recipe", "data")}
            groups[canonical(alike)].append((file, result))
    for members in groups.values():
        ordered = sorted(members, key=lambda member: int(_errors(member[1]).sum()))
        for (other, first), (file, second) in pairwise(ordered):
            ours, theirs = _errors(second), _errors(first)
            if ours.shape != theirs.shape or training(first) == training(second) or ours.sum() < FEW:
                continue
            if 0 < (difference := np.abs(ours - theirs).sum()) < NEAR * ours.sum():
                yield file, f"{difference} of its {ours.sum()} wrong pixels are not those of {other}, another training"


def training(result: Result) -> str:
    """Return what makes a training another: all but the split seed, whose effect is in the digest of the data."""
    return canonical({name: value for name, value in result.identity.items() if name != "split_seed"})


def _traces(result: Result) -> Iterator[tuple[str, Traces]]:
    """Yield what no two trainings have in common, by its name.

    Of one system: losses, seconds, counts or probabilities. Of different systems: losses of several epochs, or counts
    together with losses, with probabilities or with counts at native resolution.
    """
    identity = result.identity
    system = canonical({name: identity[name] for name in ("model", "dataset", "recipe")})
    losses = tuple(
        (round(float(epoch["train_loss"]), 6), round(float(epoch["val_loss"]), 6)) for epoch in result.history
    )
    seconds = (float(result.seconds), *(float(epoch["seconds"]) for epoch in result.history))
    yield "losses", ("losses", system, losses)
    yield "seconds", ("seconds", system, seconds)
    if len(losses) > 1:
        yield "losses", ("losses", losses)
        yield "seconds", ("seconds", seconds)
    if not _constant(result.counts):  # many networks predict nothing at all, and alike
        counts = canonical([list(result.images), result.counts.to_json()])
        yield "counts", ("counts", system, counts)
        yield "losses and counts", ("both", losses, counts)
        if result.probabilities is not None:
            cells = canonical(result.probabilities.to_json())
            yield "probabilities", ("probabilities", system, cells)
            yield "counts and probabilities", ("any system", counts, cells)
        if result.native_counts is not None and not _one_sided(result.counts):
            yield "counts at both resolutions", ("any system", counts, canonical(result.native_counts.to_json()))


def _both_own(first: Result, second: Result) -> bool:
    """Return whether two results are of different systems, neither of this suite."""
    models = [result.identity["model"] for result in (first, second)]
    return models[0] != models[1] and not any(model["name"] in MODELS for model in models)


def _constant(counts: Counts) -> bool:
    """Return whether every image was given one class as a whole, or none."""
    positive, negative = counts.tp + counts.fp, counts.fn + counts.tn
    return bool(np.all((positive == 0) | (negative == 0)))


def _one_sided(counts: Counts) -> bool:
    """Return whether much less than the truth was predicted of a class or its background: then all tests are alike."""
    tp, fp, fn, tn = (getattr(counts, name).sum(axis=0) for name in ("tp", "fp", "fn", "tn"))
    return bool(np.any(2 * (tp + fp) < tp + fn) or np.any(2 * (tn + fn) < tn + fp))


def _errors(result: Result) -> np.ndarray:
    """Return the wrong pixels of each image and class, false positives and false negatives apart."""
    return np.stack([result.counts.fp, result.counts.fn])
