"""Check the records of a bundle against each other, its splits and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.run import canonical
from benchmarks.protocol.tables import TABLES
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from data_prep.datasets.folder import Folder
from reports.bundle.checked import Checked, RebuiltSplit, some
from reports.bundle.data_checks import SPLIT_CHECKS
from reports.bundle.run_checks import CLOCKS, moment
from reports.bundle.splits import split_name
from reports.select.results import collect
from reports.tables.assemble import results_of_tables

Finding = tuple[str, str]
"""A file of the bundle, and a sentence on it."""


@dataclass(frozen=True, eq=False)
class WholeBundle:
    """An unpacked bundle with its records and splits that could be read, and the tables that it names."""

    folder: Path
    tables: Sequence[str]
    records: Sequence[Checked]
    splits: Mapping[str, RebuiltSplit]

    @property
    def results(self) -> list[tuple[str, Result]]:
        """Its results with their files."""
        return [(checked.file, checked.record) for checked in self.records if isinstance(checked.record, Result)]

    @property
    def submissions(self) -> list[tuple[str, Submission]]:
        """Its submissions with their files."""
        return [(checked.file, checked.record) for checked in self.records if isinstance(checked.record, Submission)]


def splits(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield all problems of each split, and splits that nothing was counted on."""
    used = {checked.identity["data"] for checked in bundle.records}
    for digest, split in bundle.splits.items():
        file = split_name(split.manifest.dataset, digest)
        for check in SPLIT_CHECKS:
            for fault in check(split):
                yield file, fault
        if digest not in used:
            yield file, "no result and no score was counted on this split"


def same_data(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield splits of one data set that are not of the same images."""
    first: dict[str, tuple[str, object]] = {}
    for digest, split in bundle.splits.items():
        manifest, file = split.manifest, split_name(split.manifest.dataset, digest)
        entries = tuple(
            replace(entry, split="train") for entry in sorted(manifest.entries, key=lambda entry: entry.stem)
        )
        content = replace(manifest, entries=entries)
        known, other = first.setdefault(manifest.dataset, (file, content))
        if other != content:
            yield file, f"it says other things of the images of {manifest.dataset} than {known}"


def own_data(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield declarations of data sets that nothing was counted on."""
    used = {checked.dataset.name for checked in bundle.records if isinstance(checked.dataset, Folder)}
    for path in sorted(Home(bundle.folder).data.glob("*/*")):
        if path.parent.name not in used:
            yield path.relative_to(bundle.folder).as_posix(), "no result and no score was counted on this data set"


def same_truth(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield images of which two records count different truths."""
    truths: dict[tuple[str, str, bool], tuple[list[int], str]] = {}
    for checked in bundle.records:
        record = checked.record
        for native, counts in ((False, record.counts), (True, record.native_counts)):
            if counts is None or counts.images != len(record.images):
                continue
            for stem, truth in zip(record.images, (counts.tp + counts.fn).tolist(), strict=True):
                place = (record.identity["dataset"]["name"], stem, native)
                known, other = truths.setdefault(place, (truth, checked.file))
                if known != truth:
                    word = " at native resolution" if native else ""
                    yield checked.file, f"image {stem} has {truth} pixels of the truth{word}, and {known} in {other}"


def copied_runs(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield results that are copies of another: equal losses, times or counts of trainings with different seeds.

    Runs on an official split that differ in nothing but the split seed are one training, and equal by right.
    """
    seen: dict[tuple[object, ...], tuple[str, Result]] = {}
    for file, result in bundle.results:
        for what, traces in _traces(result):
            other, earlier = seen.setdefault(traces, (file, result))
            if _training(earlier) != _training(result):
                yield file, f"its {what} are those of {other}, which is another training"
                break


def same_network(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield evaluations of one network under two runs, and those that contradict the result of their run."""
    runs = {result.key: (file, result) for file, result in bundle.results}
    networks: dict[str, tuple[str, str]] = {}
    for file, submission in bundle.submissions:
        system = submission.identity["system"]
        if system is None:
            continue
        key, other = networks.setdefault(system["parameters"], (system["key"], file))
        if key != system["key"] and not (
            key in runs and system["key"] in runs and _training(runs[key][1]) == _training(runs[system["key"]][1])
        ):
            yield file, f"its network is that of {other}, which is said to be another run, {key}"
        if system["key"] not in runs:
            continue
        of_run, result = runs[system["key"]]
        if system["dataset"] != result.identity["dataset"]["name"]:
            yield (
                file,
                f"its system was trained on {system['dataset']}, {of_run} on {result.identity['dataset']['name']}",
            )
        if foreign := sorted({str(trained) for trained, _ in system["classes"]} - set(result.classes)):
            yield file, f"its system has the classes {some(foreign)}, {of_run} has {some(result.classes)}"
        began, ended = moment(result.provenance.get("finished")), moment(submission.provenance.get("finished"))
        if began is not None and ended is not None and ended + CLOCKS < began:
            yield file, f"it was finished at {ended}, before its run was ({began}, {of_run})"


def same_parameters(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield results of one system for one task with different numbers of parameters."""
    counted: dict[tuple[str, object, int], tuple[str, Mapping[str, int]]] = {}
    for file, result in bundle.results:
        network = canonical(result.identity["model"]), result.task.image_size, len(result.classes)
        other, known = counted.setdefault(network, (file, result.parameters))
        for name in known.keys() & result.parameters.keys():
            if known[name] != result.parameters[name]:
                yield file, f"{result.parameters[name]} for {name}, and {known[name]} in {other}: one network has one"


def shown(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield results that stand in no table of the bundle."""
    collection = collect(bundle.folder, None)
    tables = [TABLES[name] for name in bundle.tables]
    in_tables = {result.key for result in results_of_tables(tables, collection)}
    for file, result in bundle.results:
        if result.key not in in_tables:
            yield file, f"it stands in no table of the bundle ({', '.join(bundle.tables) or 'which names none'})"


def _training(result: Result) -> str:
    """What makes a training another: everything but the split seed, whose effect is in the digest of the data."""
    return canonical({name: value for name, value in result.identity.items() if name != "split_seed"})


def _traces(result: Result) -> Iterator[tuple[str, tuple[object, ...]]]:
    """What no two trainings have in common, by its name.

    Of one system: losses, seconds or counts. Of different systems: losses together with counts.
    """
    identity = result.identity
    system = canonical({name: identity[name] for name in ("model", "dataset", "recipe")})
    losses = tuple(
        (round(float(epoch["train_loss"]), 6), round(float(epoch["val_loss"]), 6)) for epoch in result.history
    )
    seconds = (float(result.seconds), *(float(epoch["seconds"]) for epoch in result.history))
    yield "losses", ("losses", system, losses)
    yield "seconds", ("seconds", system, seconds)
    if not _constant(result.counts):  # many networks predict nothing at all, and alike
        counts = canonical([list(result.images), result.counts.to_json()])
        yield "counts", ("counts", system, counts)
        yield "losses and counts", ("both", losses, counts)


def _constant(counts: Counts) -> bool:
    """Whether every image was given one class as a whole, or none."""
    positive, negative = counts.tp + counts.fp, counts.fn + counts.tn
    return bool(np.all((positive == 0) | (negative == 0)))
