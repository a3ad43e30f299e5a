"""Build a prepared folder from pairs of source files: in parallel, resumable, and whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from data_prep.checks.adjacent_tiles import with_scenes
from data_prep.checks.fingerprints import unpacked
from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.images.masks import LISTED
from data_prep.manifest import Entry, Manifest
from data_prep.manifest_file import MANIFEST_NAME, save_manifest
from data_prep.prepare.convert import Faults, Job, Record, make_job
from data_prep.prepare.finalize import finalize_entries, rules_of_sources
from data_prep.prepare.pairs import Origin, PairSearch, bad_files, kinds, shown
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress, map_in_processes
from data_prep.rules import as_rules
from rssam.files import write_atomic

DIED = "a worker process ended abruptly (out of memory?). Run again with --workers 1; finished images are kept."


@dataclass(frozen=True)
class Preparation:
    """Call of `Dataset.prepare` whose source is known: what becomes of it, and by how many processes."""

    dataset: Dataset
    out: Path  # the prepared folder
    origin: Origin  # whether the source is real or synthetic
    workers: int
    progress: Progress  # called while long work runs
    skip_bad: bool  # leave out pairs with a bad file, unless no other is left

    @property
    def work(self) -> Path:
        """Return the hidden folder beside `out` for unfinished work."""
        return self.out.with_name(f".{self.out.name}.partial")


@contextmanager
def workplace(asked: Preparation) -> Iterator[None]:
    """Lock the folder of unfinished work for one process at a time.

    It survives errors and kills, so that the next call resumes the work. Raises DataError if the disk is full.
    """
    out = asked.out
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, asked.progress)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"no space left on the disk to prepare {out}: free some and run again") from error
        raise
    finally:
        with suppress(OSError):
            asked.work.rmdir()  # only if empty
        lock.release()


def _acquire(lock: FileLock, progress: Progress) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(0, 1, "wait for another process that prepares the same folder")
        lock.acquire()


def build(
    asked: Preparation, reading: Reading, search: PairSearch, prepare_pair: Callable[[Job], tuple[Record, ...] | Faults]
) -> Manifest:
    """Prepare all pairs below `asked.work`, then rename the whole to `asked.out`; return its manifest.

    Raises DataError listing every bad file, or if all masks show the same single label; finished pairs stay then.

    Args:
        asked: what is prepared; its folder is not there yet.
        reading: how its pictures are decoded.
        search: the pairs of the source, and its faults.
        prepare_pair: called in a worker with each job. Returns one prepared picture, several tiles or none, or the
            reasons why the pair cannot be used.
    """
    dataset, out, work, progress = asked.dataset, asked.out, asked.work, asked.progress
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} was not made by prepare: it has no {MANIFEST_NAME}. Move it away and run again.")
    prepared = work / "prepared"
    jobs = [make_job(dataset, reading, pair, work) for pair in search.pairs]
    records: list[Record] = []
    faults = list(search.faults)
    with closing(map_in_processes(prepare_pair, jobs, min(asked.workers, len(jobs)), DIED)) as outcomes:
        for done, (pair, outcome) in enumerate(zip(search.pairs, outcomes, strict=True), start=1):
            if isinstance(outcome, Faults):
                faults += outcome.args
            elif pair.stem not in search.ambiguous:
                records += outcome
            progress(done, len(jobs), "prepare")
    if faults and not asked.skip_bad:
        raise bad_files(faults)
    _refuse_emptied(search, records, faults)
    _refuse_uniform(dataset, reading, records)

    entries, split_rules = finalize_entries(records, search.published_splits, whole=not search.in_tiles)
    edges = {record.entry.stem: unpacked(record.edges, record.entry.size) for record in records}
    entries = with_scenes(entries, edges, progress)
    rules = {**as_rules(reading.rules), "split": split_rules}
    for subject, found in rules_of_sources(records):
        rules[subject] = (*rules.get(subject, ()), found)
    manifest = Manifest(
        dataset=dataset.name,
        version=dataset.version,
        classes=dataset.classes,
        image_size=dataset.image_size,
        origin=asked.origin,
        expected_pairs=dataset.expected_pairs,
        without_mask=search.without_mask,
        rules=rules,
        official_split=bool(search.published_splits),
        entries=entries,
        skipped=tuple(sorted(faults)),
        absent=_absent(dataset, records),
    )
    _sweep(prepared, entries)
    for name, text in reading.extra_files.items():
        write_atomic(prepared / name, text.encode())
    save_manifest(prepared, manifest)
    os.replace(prepared, out)
    shutil.rmtree(work, ignore_errors=True)
    return manifest


def _refuse_emptied(search: PairSearch, records: Sequence[Record], faults: Sequence[str]) -> None:
    """Raise DataError if leaving out bad files leaves no pair, or none of a published split."""
    published, kept = search.published_splits, {record.entry.source for record in records}
    lost = sorted(set(published.values()) - {split for stem, split in published.items() if stem in kept})
    if not records and not faults:
        raise DataError(
            f"none of the {len(search.pairs)} tiles of the source has data and labels. Nothing was prepared."
        )
    if lost or not records:
        which = f"every pair of {' and of '.join(lost)}" if lost else "every pair of the source"
        raise DataError(
            f"{which} has a bad file: nothing is left to prepare. Kinds: {kinds(faults)}. Get damaged files again; "
            f"mend others as they say.\n{shown(faults)}"
        )


def _refuse_uniform(dataset: Dataset, reading: Reading, records: Sequence[Record]) -> None:
    """Raise DataError if all masks show the same single label: they were saved with other values."""
    labels = {label for record in records for label in record.labels}
    if len(labels) > 1:
        return
    count = len({record.entry.source for record in records})
    if not labels:
        finding = f"all {count} masks are ignored everywhere"
    elif len(dataset.classes) > 1:
        finding = f"all {count} masks show nothing but {dataset.classes[labels.pop()]}"
    elif labels == {0}:
        finding = f"none of the {count} masks has any {dataset.classes[0]}"
    else:
        finding = f"none of the {count} masks has anything but {dataset.classes[0]}"
    values = list(dict.fromkeys(value for record in records for value in record.values))[:LISTED]
    raise DataError(f"{finding}: expected {reading.expected}, found only {', '.join(values)}. {reading.remedy}")


def _absent(dataset: Dataset, records: Sequence[Record]) -> tuple[str, ...]:
    """Return the classes that no mask shows; one class has the background as label 0 beside it."""
    labels = {label for record in records for label in record.labels}
    return tuple(
        name for label, name in enumerate(dataset.classes, start=len(dataset.classes) == 1) if label not in labels
    )


def _sweep(prepared: Path, entries: Sequence[Entry]) -> None:
    """Remove what an interrupted run on another source, or a killed one, has left."""
    kept = {prepared / relative for entry in entries for relative, _ in entry.files}
    for path in prepared.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
