"""Verify a prepared folder against its manifest and its source, when `prepare` is called again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence

from data_prep.errors import DataError
from data_prep.images.source_file import digest_of
from data_prep.manifest import Manifest, skipped_name
from data_prep.manifest_file import load_manifest, verify_files
from data_prep.prepare.build import Preparation
from data_prep.prepare.convert import Job, make_job
from data_prep.prepare.pairs import Pair, PairSearch, bad_files, shown
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress, map_in_threads
from data_prep.splits import SPLITS, Split
from rssam.amounts import counted


def verify(
    asked: Preparation,
    choose_reading: Callable[[], Reading],
    search: PairSearch,
    faults_of: Callable[[Job], tuple[str, ...]],
) -> Manifest:
    """Return the manifest of a folder prepared earlier; write nothing.

    Raises DataError if the folder was made from another source or by other rules, or if its files were changed.

    Args:
        asked: what was prepared; its folder of unfinished work is removed.
        choose_reading: returns how its pictures are decoded; called where bad files may have been left out.
        search: the pairs of the source, and its faults.
        faults_of: returns what is wrong with the files of a pair that was left out.
    """
    dataset, out, work, progress, skip_bad = asked.dataset, asked.out, asked.work, asked.progress, asked.skip_bad
    manifest = load_manifest(out, dataset.name)
    found, expected = f"{manifest.dataset} {manifest.version}", f"{dataset.name} {dataset.version}"
    if found != expected:
        raise DataError(f"{out} was prepared as {found}, expected {expected}. Delete it and run prepare again.")
    if manifest.skipped and not skip_bad:
        raise DataError(
            f"{out} was prepared with --skip-bad: {len(manifest.skipped)} bad files of its source were left out. Give "
            f"--skip-bad again to verify it; or mend the files, delete {out} and run prepare without the option.\n"
            f"{shown(manifest.skipped)}"
        )
    if search.faults and not skip_bad:
        raise bad_files(search.faults)
    usable: Sequence[Pair] = search.pairs
    source_faults: Sequence[str] = ()
    if skip_bad:
        reading = choose_reading()
        jobs = [make_job(dataset, reading, pair, work) for pair in search.pairs]
        usable, source_faults = _usable_pairs(manifest, search, jobs, faults_of)
    differences = [*_differences(manifest, usable, asked.workers, progress), *_other_faults(manifest, source_faults)]
    differences += _other_split(manifest, search)
    if manifest.origin != asked.origin:
        differences.insert(0, f"origin: {manifest.origin} there, {asked.origin} here")
    if differences:
        prepared, in_source = len({entry.source for entry in manifest.entries}), len(set(map(_source, usable)))
        raise DataError(
            f"{out} was prepared from another source than this one ({prepared} pairs there, {in_source} here). "
            f"Delete it and run prepare again, or use another --home.\n{shown(differences)}"
        )
    faults = verify_files(out, manifest.entries, progress)
    if faults:
        raise DataError(
            f"{counted(len(faults), 'file')} of {out}: not as prepared. Delete the folder and run prepare again.\n"
            f"{shown(faults)}"
        )
    shutil.rmtree(work, ignore_errors=True)  # left if a run was killed between its last two steps
    return manifest


def _usable_pairs(
    manifest: Manifest, search: PairSearch, jobs: Sequence[Job], faults_of: Callable[[Job], tuple[str, ...]]
) -> tuple[list[Pair], list[str]]:
    """Return the pairs of the source that can be used, and all faults; only what was left out is decoded again."""
    in_tiles = search.in_tiles
    prepared = {entry.stem if in_tiles else entry.source for entry in manifest.entries}
    usable, source_faults = [], list(search.faults)
    for job in jobs:
        faults = () if job.pair.stem in prepared else faults_of(job)
        source_faults += faults
        if not faults and job.pair.stem not in search.ambiguous:
            usable.append(job.pair)
    return usable, source_faults


def _other_faults(manifest: Manifest, source_faults: Sequence[str]) -> list[str]:
    """Return one line per file that is bad now and was not when the folder was prepared, or the reverse."""
    now, then = (Counter(map(skipped_name, lines)) for lines in (source_faults, manifest.skipped))
    lines = [f"{name}: bad here, not when it was prepared" for name in sorted(now - then)]
    return lines + [f"{name}: left out as bad, which it is not here" for name in sorted(then - now)]


def _differences(manifest: Manifest, pairs: Sequence[Pair], workers: int, progress: Progress) -> list[str]:
    """Return one line per stem whose source files are not those of the manifest."""
    digests = map_in_threads(_digests, pairs, workers, progress, "compare with the source")
    in_source = dict(zip(map(_source, pairs), digests, strict=True))
    prepared = {entry.source: (entry.source_image_sha256, entry.source_mask_sha256) for entry in manifest.entries}
    lines = []
    for stem in sorted(in_source.keys() | prepared.keys()):
        if stem not in prepared:
            lines.append(f"{stem}: only in the source")
        elif stem not in in_source:
            lines.append(f"{stem}: only in the prepared folder")
        elif in_source[stem] != prepared[stem]:
            lines.append(f"{stem}: its files have another content")
    return lines


def _other_split(manifest: Manifest, search: PairSearch) -> list[str]:
    """Return a line for each pair whose published split is not that of the manifest."""
    published = search.published_splits
    if manifest.official_split != bool(published):
        there, here = ("published" if known else "dealt" for known in (manifest.official_split, bool(published)))
        return [f"split: {there} there, {here} here"]
    if not published:
        return []
    allowed: dict[Split, set[Split]] = {split: {split} for split in SPLITS}
    if "val" not in published.values():
        allowed["train"] = {"train", "val"}  # dealt from train
    splits = {entry.source: entry.split for entry in manifest.entries}
    return [
        f"{stem}: in {splits[stem]} there, in {split} here"
        for stem, split in published.items()
        if stem in splits and splits[stem] not in allowed[split]
    ]


def _source(pair: Pair) -> str:
    """Return the stem of the source pair, as `Entry.source` has it."""
    return pair.tile.raster if pair.tile is not None else pair.stem


def _digests(pair: Pair) -> tuple[str, str]:
    if pair.tile is not None:
        return pair.tile.digests
    try:
        return digest_of(pair.image), digest_of(pair.mask)
    except OSError:
        return "unreadable", "unreadable"  # differs from every digest, and is listed as such
