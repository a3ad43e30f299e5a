"""A prepared folder against its manifest and its source: what a second `prepare` does instead of preparing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.manifest import Manifest, load_manifest, skipped_name, verify_files
from data_prep.prepare.convert import Job
from data_prep.prepare.pairs import Origin, Pair, PairSearch, bad_files, shown
from data_prep.prepare.reading import Reading, make_job
from data_prep.processes import Progress, map_in_threads
from rssam.files import sha256_file


def verify(
    dataset: Dataset,
    choose_reading: Callable[[], Reading],
    found: PairSearch,
    out: Path,
    work: Path,
    origin: Origin,
    workers: int,
    progress: Progress,
    skip_bad: bool,
    faults_of: Callable[[Job], tuple[str, ...]],
) -> Manifest:
    """Return the manifest of a folder prepared earlier; write nothing. What was left out as bad is read by `faults_of`.

    Raises DataError if the folder was made from another source or by other rules, or if its files were changed.
    """
    manifest = load_manifest(out, dataset.name)
    made_by, wanted = f"{manifest.dataset} {manifest.version}", f"{dataset.name} {dataset.version}"
    if made_by != wanted:
        raise DataError(f"{out} was prepared as {made_by}, expected {wanted}. Delete it and run prepare again.")
    if manifest.skipped and not skip_bad:
        raise DataError(
            f"{out} was prepared with --skip-bad: {len(manifest.skipped)} bad files of its source were left out. Give "
            f"--skip-bad again to verify it; or mend the files, delete {out} and run prepare without the option.\n"
            f"{shown(manifest.skipped)}"
        )
    if found.faults and not skip_bad:
        raise bad_files(found.faults)
    usable: Sequence[Pair] = found.pairs
    bad: Sequence[str] = ()
    if skip_bad:
        reading = choose_reading()
        jobs = [make_job(dataset, reading, pair, work) for pair in found.pairs]
        usable, bad = _parted(manifest, found, jobs, faults_of)
    differences = [*_differences(manifest, usable, workers, progress), *_other_faults(manifest, bad)]
    if manifest.origin != origin:
        differences.insert(0, f"origin: {manifest.origin} there, {origin} here")
    if differences:
        there, here = len({entry.source for entry in manifest.entries}), len(set(map(_source, usable)))
        raise DataError(
            f"{out} was prepared from another source than this one ({there} pairs there, {here} here). "
            f"Delete it and run prepare again, or use another --home.\n{shown(differences)}"
        )
    faults = verify_files(out, manifest.entries, progress)
    if faults:
        raise DataError(
            f"{len(faults)} files of {out} are not as they were prepared. Delete the folder and run prepare again.\n"
            f"{shown(faults)}"
        )
    shutil.rmtree(work, ignore_errors=True)  # left if a run was killed between its last two steps
    return manifest


def _parted(
    manifest: Manifest, found: PairSearch, jobs: Sequence[Job], faults_of: Callable[[Job], tuple[str, ...]]
) -> tuple[list[Pair], list[str]]:
    """Pairs of the source that can be used, and the faults of all others; only what was left out is decoded again."""
    in_tiles = found.in_tiles
    prepared = {entry.stem if in_tiles else entry.source for entry in manifest.entries}
    usable, bad = [], list(found.faults)
    for job in jobs:
        faults = () if job.pair.stem in prepared else faults_of(job)
        bad += faults
        if not faults and job.pair.stem not in found.ambiguous:
            usable.append(job.pair)
    return usable, bad


def _other_faults(manifest: Manifest, bad: Sequence[str]) -> list[str]:
    """One line per file that is bad here and was not when the folder was prepared, or the other way round."""
    here, there = (Counter(map(skipped_name, lines)) for lines in (bad, manifest.skipped))
    lines = [f"{name}: bad here, not when it was prepared" for name in sorted(here - there)]
    return lines + [f"{name}: left out as bad, which it is not here" for name in sorted(there - here)]


def _differences(manifest: Manifest, pairs: Sequence[Pair], workers: int, progress: Progress) -> list[str]:
    """One line per stem whose source files are not those of the manifest."""
    digests = map_in_threads(_digests, pairs, workers, progress, "compare with the source")
    here = dict(zip(map(_source, pairs), digests, strict=True))
    there = {entry.source: (entry.source_image_sha256, entry.source_mask_sha256) for entry in manifest.entries}
    lines = []
    for stem in sorted(here.keys() | there.keys()):
        if stem not in there:
            lines.append(f"{stem}: only in the source")
        elif stem not in here:
            lines.append(f"{stem}: only in the prepared folder")
        elif here[stem] != there[stem]:
            lines.append(f"{stem}: its files have another content")
    return lines


def _source(pair: Pair) -> str:
    """Return the stem of the source pair, as `Entry.source` has it."""
    return pair.tile.sheet if pair.tile is not None else pair.stem


def _digests(pair: Pair) -> tuple[str, str]:
    if pair.tile is not None:
        return pair.tile.digests
    try:
        return sha256_file(pair.image), sha256_file(pair.mask)
    except OSError:
        return "unreadable", "unreadable"  # differs from every digest, and is listed as such
