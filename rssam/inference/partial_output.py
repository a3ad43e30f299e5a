"""Keep the finished rows of a prediction on the disk, from which an interrupted prediction resumes.

Rows are appended to plain files of bytes, band by band within a row, and a note says how many are whole. The note is
written after the rows have reached the disk; whatever lies behind them is cut off. A note of other settings belongs to
another prediction: its rows are not used. Plain files, because a full disk is an error of the write that met it; a
GeoTIFF reports it when it is closed. GDAL reads them by a virtual raster. Imports no torch.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from rssam.errors import UserError
from rssam.files import write_durable
from rssam.foreign_json import read_json

NOTE = "note.json"


class PartialOutput(AbstractContextManager["PartialOutput"]):
    """Layers of bytes [bands, height, width] in a folder, filled from the top, for one process at a time."""

    def __init__(self, folder: Path, size: tuple[int, int], layers: Mapping[str, int], digest: str) -> None:
        self.folder = folder
        self.height, self.width = size
        self.layers = dict(layers)  # bands of each layer
        self.digest = digest
        self.written = 0  # rows that are on the disk
        self.discarded = False  # whether rows of other settings were thrown away
        self._appended = 0
        self._files: dict[str, BinaryIO] = {}
        self._lock = FileLock(folder.with_name(f"{folder.name}.lock"))

    def __enter__(self) -> PartialOutput:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise UserError(
                f"another process is writing {self.folder}: wait for it, or choose another --out"
            ) from error
        self.folder.mkdir(exist_ok=True)
        self.written = self._appended = self._whole_rows()
        for name in self.layers:
            path = self.path(name)
            path.touch()
            os.truncate(path, self.written * self._row_bytes(name))
            self._files[name] = path.open("ab")
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()
        self._lock.release()
        if not self.folder.exists():  # done: nothing is left that another process could resume
            Path(self._lock.lock_file).unlink(missing_ok=True)

    @property
    def bytes_left(self) -> int:
        """Return the bytes of disk that the rows not yet written need."""
        return (self.height - self.written) * sum(map(self._row_bytes, self.layers))

    def path(self, name: str) -> Path:
        """Return the file of a layer."""
        return self.folder / f"{name}.raw"

    def append(self, rows: Mapping[str, NDArray[np.uint8]]) -> None:
        """Add rows [bands, n, width] to every layer. Raises UserError if the disk is full."""
        with self._full_disk_named():
            for name, values in rows.items():
                self._files[name].write(np.ascontiguousarray(values.transpose(1, 0, 2)).data)  # [n, bands, width]
        self._appended += next(iter(rows.values())).shape[1]

    def commit(self) -> None:
        """Bring all rows appended so far to the disk, and note their number. Raises UserError if it is full."""
        with self._full_disk_named():
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
        note = {"digest": self.digest, "rows": self._appended}
        write_durable(self.folder / NOTE, json.dumps(note).encode())
        self.written = self._appended

    def read(self, name: str, top: int, bottom: int) -> NDArray[np.uint8]:
        """Read rows top..bottom - 1 of a layer, [bands, rows, width]."""
        row_bytes = self._row_bytes(name)
        values = np.fromfile(self.path(name), np.uint8, (bottom - top) * row_bytes, offset=top * row_bytes)
        return values.reshape(bottom - top, self.layers[name], self.width).transpose(1, 0, 2)

    def remove(self) -> None:
        """Delete the folder, once everything is under its final name."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self.folder)

    def _row_bytes(self, name: str) -> int:
        return self.layers[name] * self.width

    def _whole_rows(self) -> int:
        """Return the number of rows that an earlier process of the same settings finished; discard all others."""
        try:
            note = read_json(self.folder / NOTE, most_bytes=1 << 16)
            same, rows = note["digest"] == self.digest, int(note["rows"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            same, rows = False, 0
        sizes = {name: self.path(name).stat().st_size if self.path(name).exists() else 0 for name in self.layers}
        usable = same and all(size >= rows * self._row_bytes(name) for name, size in sizes.items())
        self.discarded = not usable
        if not usable:
            for path in self.folder.iterdir():
                path.unlink()
        return rows if usable else 0

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(
                f"no space left on the disk while writing {self.folder}: {self.written} of {self.height} rows are "
                "kept; free some and run the same command again"
            ) from error
