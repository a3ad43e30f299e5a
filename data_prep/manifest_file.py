"""Write, read and verify the file of a manifest, and the files of the prepared folder that it lists."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from data_prep.errors import DataError, NotPrepared
from data_prep.manifest import MANIFEST_SCHEMA, Entry, Manifest
from data_prep.processes import Progress
from data_prep.rules import RULES, rules_from_json, with_tuples
from data_prep.splits import SPLITS
from rssam.errors import made_by_0_1
from rssam.files import sha256_file, write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import BOOLEAN, COUNT, LINE, NUMBER, STEM, TEXT, Leaf, fault, one_of, row, whole

MANIFEST_NAME = "manifest.json"
MOST_BYTES = 128 << 20
"""A hundred thousand tiles."""


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; it comes last, so that a folder with a manifest is whole."""
    write_atomic(folder / MANIFEST_NAME, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode())


def load_manifest(folder: Path, dataset: str) -> Manifest:
    """Read the manifest of a prepared folder; no image is read, so none is compared with its digest.

    Args:
        folder: the prepared folder.
        dataset: the name of the data set that is expected there.

    Raises:
        NotPrepared: The folder has no manifest. A DataError.
        DataError: The manifest is damaged, of another format, or of another data set.

    Examples:
        The folder of docs/python.md:

        >>> from pathlib import Path
        >>> from data_prep import load_manifest
        >>> load_manifest(Path("example/data/roads"), "roads").describe()
        "the user's own data: 6 pairs"
    """
    path = folder / MANIFEST_NAME
    remedy = f"rssam-bench prepare {dataset} --source DIR"
    if not os.path.lexists(path):
        raise NotPrepared(f"{dataset} is not prepared: no {MANIFEST_NAME} in {folder}. Run: {remedy}")
    try:
        raw = read_json(path, most_bytes=MOST_BYTES)
        if isinstance(raw, dict) and raw.get("schema") == 1:
            raise DataError(made_by_0_1(str(folder), remedy))
        if isinstance(raw, dict) and raw.get("schema") != MANIFEST_SCHEMA:
            raise DataError(
                f"{path} has manifest format {ascii(raw.get('schema'))[:60]}, this version reads {MANIFEST_SCHEMA}. "
                f"Delete {folder} and run: {remedy}"
            )
        if words := fault(raw, KINDS):
            raise Unreadable(words)
        if raw["dataset"] != dataset:
            raise DataError(
                f"expected the data set {dataset} in {folder}, found {raw['dataset']}: name that one, or delete the "
                f"folder and run: {remedy}"
            )
        entries = tuple(Entry(**with_tuples(entry)) for entry in raw.pop("entries"))
        rules = rules_from_json(raw.pop("rules"))
        return Manifest(**with_tuples(raw), rules=rules, entries=entries)
    except (OSError, ValueError, TypeError) as error:  # TypeError: of fields that only a later version has
        raise DataError(f"{path} is damaged ({error}). Delete {folder} and run: {remedy}") from error


def _is_inside(relative: object) -> bool:
    """Return whether it is a path that does not lead out of the prepared folder."""
    if not (isinstance(relative, str) and 0 < len(relative) <= 1000) or "\0" in relative:
        return False
    return not relative.startswith("/") and ".." not in relative.split("/")


def _is_stem(stem: object) -> bool:
    """Return whether it is the name of a file, perhaps after folders that lead nowhere else: "cityA/0"."""
    if not (isinstance(stem, str) and STEM.fits(stem)) or "\0" in stem:
        return False
    return not {"", ".", ".."} & set(stem.split("/"))


_FILE = Leaf("a path inside of the folder", _is_inside)
_SIZE = row("height and width", 2, whole(1, 1 << 20))
_SHARE = Leaf("a share from 0 to 1", lambda value: NUMBER.fits(value) and 0 <= value <= 1)
_DIGESTS = ("image_sha256", "mask_sha256", "source_image_sha256", "source_mask_sha256")
_ENTRY = {
    "stem": Leaf("a file name", _is_stem),
    "split": one_of(*SPLITS),
    "image": _FILE,
    "mask": _FILE,
    "native_mask": (None, _FILE),
    **dict.fromkeys(_DIGESTS, LINE),
    "native_mask_sha256": (None, LINE),
    "source_size": _SIZE,
    "size": _SIZE,
    "foreground": _SHARE,
    "group": STEM,
    "scene?": (None, STEM),
    "crs?": (None, TEXT),
    "transform?": (None, row("six numbers", 6, NUMBER)),
    "tile_of?": (None, STEM),
    "labelled?": _SHARE,
}
KINDS = {
    "dataset": LINE,
    "version": COUNT,
    "classes": [LINE],
    "image_size": _SIZE,
    "origin": one_of("source", "synthetic"),
    "expected_pairs": (COUNT, None),
    "without_mask": COUNT,
    "rules": RULES,
    "official_split": BOOLEAN,
    "entries": [_ENTRY],
    "skipped?": [TEXT],
    "absent?": [LINE],
}
"""Kinds of the fields of a manifest and of its entries."""


def verify_files(folder: Path, entries: Sequence[Entry], progress: Progress | None = None) -> list[str]:
    """Compare every file with its digest; return one line per missing or changed file, none if all are unchanged."""
    faults = []
    for done, entry in enumerate(entries, start=1):
        for relative, digest in entry.files:
            path = folder / relative
            if not path.is_file():
                faults.append(f"{relative}: missing")
            elif sha256_file(path) != digest:
                faults.append(f"{relative}: changed since it was prepared")
        if progress is not None:
            progress(done, len(entries), "verify")
    return faults
