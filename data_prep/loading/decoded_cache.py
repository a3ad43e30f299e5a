"""Decode a prepared folder once, into one file that every process of the machine maps into memory.

Decoding a PNG takes milliseconds, copying its pixels a fraction of one. The system keeps the pages of a mapped file in
memory once for data workers, concurrent runs and the next command. It may take them back when memory is short. The file
is made whole or not at all, and every image in it has a checksum.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import psutil
import torch
from filelock import FileLock, Timeout

from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest import Entry
from rssam.amounts import format_bytes
from rssam.files import replacement, sync_folder

SHARE_OF_MEMORY = 0.5
"""Of the memory that is available, at most so much is taken for decoded pixels."""
SECONDS_TO_ASK = 0.5
_PLANES = 4  # red, green, blue, labels


class Pixels:
    """Images and masks by stem, each uint8 [4, H, W]: red, green, blue, labels. Goes to another process as a path."""

    def __init__(self, path: Path, stems: Sequence[str], size: tuple[int, int]) -> None:
        self.path, self.size = path, size
        self.places = {stem: place for place, stem in enumerate(stems)}
        self._mapped: torch.Tensor | None = None

    def __getitem__(self, stem: str) -> torch.Tensor:
        if self._mapped is None:
            # Copy on write: who changes an item in place spoils his own copy of the page, never the file.
            shape = (len(self.places), _PLANES, *self.size)
            self._mapped = torch.from_numpy(np.memmap(self.path, np.uint8, mode="c", shape=shape))
        return self._mapped[self.places[stem]]

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_mapped": None}

    def damaged(self) -> list[str]:
        """Return the stems whose pixels do not have the checksum written with them; reads the whole file."""
        image_bytes = _PLANES * self.size[0] * self.size[1]
        written = np.fromfile(self.path, "<u4", offset=len(self.places) * image_bytes)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            computed = threads.map(lambda stem: zlib.crc32(self[stem].numpy().data), self.places)
            sums = zip(self.places, written, computed, strict=True)
            return [stem for stem, expected, found in sums if expected != found]


def decoded(
    folder: Path,
    entries: Sequence[Entry],
    cache: Path,
    say: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
) -> Pixels | None:
    """Return the decoded pixels of all entries of a prepared folder, from a file that is written if it is missing.

    None, after one sentence to `say`, if they would take more than SHARE_OF_MEMORY of what is available, or if the file
    cannot be written. Raises DataError for a prepared file that is missing or damaged.

    Args:
        folder: the prepared folder.
        entries: those whose images and masks are decoded.
        cache: the folder of the file.
        say: called with a sentence on what is done.
        check: called now and then; what it raises ends the decoding.
    """
    name, sizes = folder.name, {entry.size for entry in entries}
    if len(sizes) != 1:
        return None
    size = sizes.pop()
    needed = len(entries) * (_PLANES * size[0] * size[1] + 4)
    available = psutil.virtual_memory().available
    if needed > SHARE_OF_MEMORY * available:
        say(
            f"{name} takes {format_bytes(needed)} decoded, more than {SHARE_OF_MEMORY:.0%} of the "
            f"{format_bytes(available)} of memory available: its images are decoded anew in every epoch"
        )
        return None
    pixels = Pixels(cache / f"{name}-{_digest(entries)}.pixels", [entry.stem for entry in entries], size)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _acquired(FileLock(cache / f"{name}.lock"), check):
            if pixels.path.is_file() and pixels.path.stat().st_size == needed and not pixels.damaged():
                say(
                    f"{name} is read from memory, {format_bytes(needed)} decoded by an earlier command, "
                    f"in {pixels.path}"
                )
                return pixels
            free = shutil.disk_usage(cache).free
            if free < 1.05 * needed:
                say(
                    f"{name} takes {format_bytes(needed)} decoded, and {cache} has {format_bytes(free)} free: "
                    "its images are not kept"
                )
                return None
            for path in (*cache.glob(f"{name}-*.pixels"), *cache.glob(f".{name}-*.tmp")):
                path.unlink()  # of a set prepared otherwise, or of a command that was killed
            _write(pixels, PreparedDataset(folder, entries, cache=False), check)
    except OSError as error:
        say(f"{name} is not kept decoded ({error.strerror or error}: {error.filename or cache})")
        return None
    say(f"{name} is decoded once, {format_bytes(needed)} of memory for all processes, in {pixels.path}")
    return pixels


def _write(pixels: Pixels, items: PreparedDataset, check: Callable[[], None]) -> None:
    """Decode with all cores into a temporary file, then rename it; nothing is left behind if that fails."""
    image_bytes = _PLANES * pixels.size[0] * pixels.size[1]
    with replacement(pixels.path) as (descriptor, _):

        def put(index: int) -> int:
            check()
            item = items[index]
            content = torch.cat((item["image"], item["mask"][None])).numpy().tobytes()  # [4, H, W]
            _write_at(descriptor, content, index * image_bytes)
            return zlib.crc32(content)

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            try:
                sums = np.array(list(threads.map(put, range(len(items)))), "<u4")
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        _write_at(descriptor, sums.tobytes(), len(items) * image_bytes)
        os.fsync(descriptor)
    sync_folder(pixels.path.parent)


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of `content`: one call may write a part. A full disk raises OSError; mapped pages would kill."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _acquired(lock: FileLock, check: Callable[[], None]) -> AbstractContextManager[object]:
    while True:
        check()
        with suppress(Timeout):
            return lock.acquire(timeout=SECONDS_TO_ASK)


def _digest(entries: Sequence[Entry]) -> str:
    """Return a digest of what the file holds: names, order, and content of the prepared files."""
    lines = "\n".join(f"{entry.stem} {entry.image_sha256} {entry.mask_sha256} {entry.size}" for entry in entries)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
