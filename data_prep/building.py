"""From pairs of source files to a prepared folder: in parallel, and restartable."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from data_prep.base import (
    MANIFEST_NAME,
    SPLITS,
    DataError,
    Dataset,
    Entry,
    Manifest,
    Progress,
    assign_splits,
    exact_counts,
    save_manifest,
)
from data_prep.conversion import Faults, Job, Record, convert
from data_prep.findings import Found, Origin, bad_files
from data_prep.pixels import THRESHOLD, Mask


@dataclass(frozen=True)
class Reading:
    """How the pictures of a data set are read. `read_mask` is a function at module level, for other processes."""

    image_kind: str  # Pillow's name of the image format
    read_mask: Callable[[Image.Image], Mask]
    rules: Mapping[str, str]  # the manifest's sentences on image and mask


@contextmanager
def workplace(out: Path, progress: Progress) -> Iterator[Path]:
    """A hidden folder beside `out` for unfinished work, held by one process at a time.

    It outlives errors and kills, so that the next call goes on where this one stopped. A full disk becomes a DataError.
    """
    work = out.with_name(f".{out.name}.partial")
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, progress)
        yield work
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"no space left on the disk to prepare {out}: free some and run again") from error
        raise
    finally:
        with suppress(OSError):
            work.rmdir()  # only if empty
        lock.release()


def _acquire(lock: FileLock, progress: Progress) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(0, 1, "wait for another process that prepares the same folder")
        lock.acquire()


def build(
    dataset: Dataset,
    reading: Reading,
    found: Found,
    out: Path,
    work: Path,
    origin: Origin,
    workers: int,
    progress: Progress,
) -> Manifest:
    """Prepare all pairs below `work`, then move the whole into place as `out`.

    Raises DataError listing every bad file, or if no mask has any foreground; finished pairs stay below `work` then.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} was not made by prepare: it has no {MANIFEST_NAME}. Move it away and run again.")
    prepared = work / "prepared"
    jobs = [
        Job(
            pair=pair,
            out=prepared,
            record=work / "records" / f"{pair.stem}.json",
            rule=f"{dataset.name} {dataset.version}",
            image_size=dataset.image_size,
            image_kind=reading.image_kind,
            read_mask=reading.read_mask,
        )
        for pair in found.pairs
    ]
    records: list[Record] = []
    faults = list(found.faults)
    with closing(_in_parallel(jobs, workers)) as outcomes:
        for done, outcome in enumerate(outcomes, start=1):
            if isinstance(outcome, Faults):
                faults += outcome.lines
            else:
                records.append(outcome)
            progress(done, len(jobs), "prepare")
    if faults:
        raise bad_files(faults)
    _refuse_empty(dataset, records)

    entries, split_rule = _settle(records)
    manifest = Manifest(
        dataset=dataset.name,
        version=dataset.version,
        classes=dataset.classes,
        image_size=dataset.image_size,
        origin=origin,
        expected_pairs=dataset.expected_pairs,
        without_mask=found.without_mask,
        rules={**reading.rules, "split": split_rule},
        official_split=False,
        entries=entries,
    )
    _sweep(prepared, entries)
    save_manifest(prepared, manifest)
    os.replace(prepared, out)
    shutil.rmtree(work, ignore_errors=True)
    return manifest


def _in_parallel(jobs: Sequence[Job], workers: int) -> Generator[Record | Faults, None, None]:
    """Outcomes in the order of the jobs; other processes are started afresh, so that no lock or thread is inherited."""
    if min(workers, len(jobs)) <= 1:
        yield from map(convert, jobs)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,  # on Ctrl-C this process stops the others; they print no tracebacks of their own
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield from pool.map(convert, jobs, chunksize=4)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process ended abruptly (out of memory?). Run again with --workers 1; finished images are kept."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _refuse_empty(dataset: Dataset, records: Sequence[Record]) -> None:
    """One mask may be empty; if all are, they were saved with other values."""
    if all(record.empty_values for record in records):
        values = sorted({value for record in records for value in record.empty_values})[:8]
        raise DataError(
            f"none of the {len(records)} masks has any {dataset.classes[0]}: expected values of {THRESHOLD} and more, "
            f"found only {', '.join(map(str, values))}. Give the original masks, or multiply 0/1 masks by 255."
        )


def _settle(records: Sequence[Record]) -> tuple[tuple[Entry, ...], str]:
    """Final entries ordered by stem, with groups of identical images and the split of seed 0; and the split's rule."""
    ordered = sorted(records, key=lambda record: record.entry.stem)
    first: dict[str, str] = {}
    groups = {record.entry.stem: first.setdefault(record.pixel_digest, record.entry.stem) for record in ordered}
    splits = assign_splits(groups, 0)
    entries = tuple(
        replace(record.entry, split=splits[record.entry.stem], group=groups[record.entry.stem]) for record in ordered
    )
    sizes = Counter(splits.values())
    counts = tuple(sizes[split] for split in SPLITS)
    rule = f"train/val/test 70/15/15 by the SHA-256 of seed and stem; seed 0 gives {'/'.join(map(str, counts))}"
    shared = [size for size in Counter(groups.values()).values() if size > 1]
    if shared:
        exact = exact_counts(len(groups))
        rule += f"; {sum(shared)} images that have identical copies never part (groups: {len(shared)})"
        rule += ", sizes stay exact" if counts == exact else f", exact would be {'/'.join(map(str, exact))}"
    return entries, rule


def _sweep(prepared: Path, entries: Sequence[Entry]) -> None:
    """Remove what an interrupted run on another source, or a killed one, has left."""
    kept = {prepared / relative for entry in entries for relative, _ in entry.files}
    for path in prepared.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
