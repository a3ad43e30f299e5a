"""Check the records of a bundle against each other, its splits and its tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from benchmarks.protocol.run import canonical
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from data_prep.registry import BUILT_IN
from reports.bundle.checks.checked import Finding, RebuiltSplit, WholeBundle, some
from reports.bundle.checks.copy_checks import training
from reports.bundle.checks.data_checks import SPLIT_CHECKS
from reports.bundle.checks.origin_checks import CLOCKS, moment
from reports.bundle.failures import failures_of_tables
from reports.bundle.splits import split_name
from reports.select.results import collect, declared_system
from reports.tables.assemble import results_of_tables
from rssam.foreign_json import read_json

Said = TypeVar("Said")


def _disagreements(said: Iterable[tuple[str, object, Said]]) -> Iterator[tuple[str, Said, str, Said]]:
    """Yield where a file says something else of a place than the first file that speaks of it: both with their words.

    Args:
        said: file, place and what the file says of it.
    """
    first: dict[object, tuple[str, Said]] = {}
    for file, place, words in said:
        other, known = first.setdefault(place, (file, words))
        if known != words:
            yield file, words, other, known


def splits(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield all problems of each split, and splits that nothing was counted on."""
    used = {identity["data"] for identity in bundle.identities}
    for digest, split in bundle.splits.items():
        file = split_name(split.manifest.dataset, digest)
        for check in SPLIT_CHECKS:
            for fault in check(split):
                yield file, fault
        if digest not in used:
            yield file, "no result and no score was counted on this split"


def same_data(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield splits of one data set that are not of the same images."""
    said = []
    for digest, split in bundle.splits.items():
        manifest = split.manifest
        ordered = sorted(manifest.entries, key=lambda entry: entry.stem)
        content = replace(manifest, entries=tuple(replace(entry, split="train") for entry in ordered))
        said.append((split_name(manifest.dataset, digest), manifest.dataset, content))
    for file, content, other, _ in _disagreements(said):
        yield file, f"it says other things of the images of {content.dataset} than {other}"


def own_data(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield declarations of data sets that nothing was counted on."""
    used = {identity["dataset"]["name"] for identity in bundle.identities} - set(BUILT_IN)
    for path in sorted(Home(bundle.folder).data.glob("*/*")):
        if path.parent.name not in used:
            yield path.relative_to(bundle.folder).as_posix(), "no result and no score was counted on this data set"


def same_truth(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield images of which two records count different truths."""
    for file, (stem, native, truth), other, (_, _, known) in _disagreements(_truths(bundle)):
        word = " at native resolution" if native else ""
        yield file, f"image {stem} has {truth} pixels of the truth{word}, and {known} in {other}"


def _truths(bundle: WholeBundle) -> Iterator[tuple[str, object, tuple[str, bool, list[int]]]]:
    """Yield the pixels of the truth of every image at each resolution, by file."""
    for checked in bundle.records:
        record = checked.record
        for native, counts in ((False, record.counts), (True, record.native_counts)):
            if counts is None or counts.images != len(record.images):
                continue
            for stem, truth in zip(record.images, (counts.tp + counts.fn).tolist(), strict=True):
                yield checked.file, (record.identity["dataset"]["name"], stem, native), (stem, native, truth)


def same_network(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield evaluations of one network under two runs, and those that contradict the result of their run."""
    runs = {result.key: (file, result) for file, result in bundle.results}
    networks: dict[str, tuple[str, str]] = {}
    of_key: dict[str, tuple[str, str]] = {}
    for file, submission in bundle.submissions:
        system = submission.identity["system"]
        if system is None:
            continue
        key, other = networks.setdefault(system["parameters"], (system["key"], file))
        if key != system["key"] and not (
            key in runs and system["key"] in runs and training(runs[key][1]) == training(runs[system["key"]][1])
        ):
            yield file, f"its network is that of {other}, which is said to be another run, {key}"
        network, other = of_key.setdefault(system["key"], (system["parameters"], file))
        if network != system["parameters"]:
            yield file, f"its network is another than that of {other}, which is said to be of the same run"
        if system["key"] not in runs:
            continue
        of_run, result = runs[system["key"]]
        yield from ((file, fault) for fault in _crop(submission, result, bundle.splits))
        if system["dataset"] != result.identity["dataset"]["name"]:
            yield (
                file,
                f"its system was trained on {system['dataset']}, {of_run} on {result.identity['dataset']['name']}",
            )
        model = declared_system(result)
        title = submission.data.get("title")
        if model is not None and title is not None and title != model.title:
            yield file, f"its system is called {title!r}, that of {of_run} {model.title!r}"
        if foreign := sorted({str(trained) for trained, _ in system["classes"]} - set(result.classes)):
            yield file, f"its system has the classes {some(foreign)}, {of_run} has {some(result.classes)}"
        began, ended = moment(result.provenance.get("finished")), moment(submission.provenance.get("finished"))
        if began is not None and ended is not None and ended + CLOCKS < began:
            yield file, f"it was finished at {ended}, before its run was ({began}, {of_run})"


def _crop(submission: Submission, result: Result, splits: Mapping[str, RebuiltSplit]) -> Iterator[str]:
    """Yield squares of another size than the network of the run takes."""
    split = splits.get(submission.identity["data"])
    if split is None:
        return
    size, found = result.task.image_size, submission.identity["system"]["crop"]
    expected = None if split.manifest.image_size == size else size[0]
    if found != expected:
        said, taken = ("whole images" if side is None else f"squares of {side} pixels" for side in (found, expected))
        yield f"it predicts {said}, the network of its run takes {taken}"


def copied_images(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield evaluations with more images of their training data than they say, by digests of the source files."""
    for checked in bundle.records:
        system, said = checked.identity.get("system"), checked.record.data.get("copies")
        if system is None or said is None or checked.entries is None:
            continue
        for split in bundle.splits.values():
            if split.manifest.dataset == system["dataset"]:
                trained_on = {entry.source_image_sha256 for entry in split.manifest.entries}
                copies = sum(entry.source_image_sha256 in trained_on for entry in checked.entries)
                if copies > said:
                    yield checked.file, f"{said} of its images are said to be in the training data, {copies} are"
                break


def versions(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield records that were made with a later version than the bundle."""
    about = bundle.folder / "bundle.json"
    if not about.is_file():  # which is a problem of its own
        return
    made_with = str(read_json(about, follow_links=False)["made_with"])
    for checked in bundle.records:
        own = (checked.record.provenance.get("versions") or {}).get("rssam-bench")
        if own is not None and _numbers(str(own)) > _numbers(made_with):
            yield checked.file, f"it was made with rssam-bench {own}, the bundle with the earlier {made_with}"


def same_predictions(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield scores of the same predictions on the same images with other counts."""
    said = [
        (
            file,
            tuple(submission.identity[part] for part in ("predictions", "data", "images")),
            submission.counts.to_json(),
        )
        for file, submission in bundle.submissions
        if submission.identity["predictions"] is not None
    ]
    for file, _, other, _ in _disagreements(said):
        yield file, f"its predictions are those of {other}, and its counts are others"


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
    if len(set(bundle.tables)) != len(bundle.tables):
        yield "bundle.json", f"it names a table twice: {some(bundle.tables)}"
    collection = collect(bundle.folder, None)
    tables = tables_of(WITH_TABLES[name] for name in bundle.tables)
    in_tables = {result.key for result in results_of_tables(tables, collection)}
    failures = {stored.result.key for stored in failures_of_tables(tables, collection)}
    keys = [*((file, result.key) for file, result in bundle.results), *((file, run.key) for file, run in bundle.failed)]
    for file, key in keys:
        if key not in in_tables | failures:
            yield file, f"it stands in no table of the bundle ({', '.join(bundle.tables) or 'which names none'})"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version))
