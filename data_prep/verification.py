"""A prepared folder against its manifest and its source: what a second `prepare` does instead of preparing."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data_prep.base import DataError, Dataset, Manifest, Progress, load_manifest, sha256_file, verify_files
from data_prep.findings import Found, Origin, Pair, bad_files, shown


def verify(
    dataset: Dataset, found: Found, out: Path, work: Path, origin: Origin, workers: int, progress: Progress
) -> Manifest:
    """The manifest of a folder prepared earlier; writes nothing.

    Raises DataError if the folder was made from another source or by other rules, or if its files were changed.
    """
    manifest = load_manifest(out, dataset.name)
    made_by, wanted = f"{manifest.dataset} {manifest.version}", f"{dataset.name} {dataset.version}"
    if made_by != wanted:
        raise DataError(f"{out} was prepared as {made_by}, expected {wanted}. Delete it and run prepare again.")
    if found.faults:
        raise bad_files(found.faults)
    differences = _differences(manifest, found, workers, progress)
    if manifest.origin != origin:
        differences.insert(0, f"origin: {manifest.origin} there, {origin} here")
    if differences:
        raise DataError(
            f"{out} was prepared from another source than this one ({_sources(manifest)} pairs there, "
            f"{len(found.pairs)} here). Delete it and run prepare again, or use another --home.\n{shown(differences)}"
        )
    faults = verify_files(out, manifest.entries, progress)
    if faults:
        raise DataError(
            f"{len(faults)} files of {out} are not as they were prepared. Delete the folder and run prepare again.\n"
            f"{shown(faults)}"
        )
    shutil.rmtree(work, ignore_errors=True)  # left if a run was killed between its last two steps
    return manifest


def _differences(manifest: Manifest, found: Found, workers: int, progress: Progress) -> list[str]:
    """One line per stem whose source files are not those of the manifest."""
    here: dict[str, tuple[str, str]] = {}
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for done, (pair, digests) in enumerate(zip(found.pairs, pool.map(_digests, found.pairs), strict=True), start=1):
            here[pair.stem] = digests
            progress(done, len(found.pairs), "compare with the source")
    there = {
        entry.tile_of or entry.stem: (entry.source_image_sha256, entry.source_mask_sha256) for entry in manifest.entries
    }
    lines = []
    for stem in sorted(here.keys() | there.keys()):
        if stem not in there:
            lines.append(f"{stem}: only in the source")
        elif stem not in here:
            lines.append(f"{stem}: only in the prepared folder")
        elif here[stem] != there[stem]:
            lines.append(f"{stem}: its files have another content")
    return lines


def _sources(manifest: Manifest) -> int:
    """Number of source pairs, of which each may have become several tiles."""
    return len({entry.tile_of or entry.stem for entry in manifest.entries})


def _digests(pair: Pair) -> tuple[str, str]:
    try:
        return sha256_file(pair.image), sha256_file(pair.mask)
    except OSError:
        return "unreadable", "unreadable"  # differs from every digest, and is listed as such
