"""Write a bundle of results for others to read and check: counts, provenance and splits, no pixels.

`SHA256SUMS` lists every other file, as `sha256sum -c` reads it. README.md and tables/ are made from the bundle's own
files, so that anybody with the bundle can make them again.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.protocol.studies.study import Study
from benchmarks.protocol.tables import Table
from benchmarks.protocol.targets import WITH_TABLES, find_items, tables_of
from benchmarks.results.custom_system import SYSTEM
from benchmarks.results.home import Home
from data_prep.datasets.declared import declared_json
from data_prep.datasets.folder import DECLARATION, Folder
from data_prep.errors import DataError
from data_prep.manifest import Manifest
from data_prep.manifest_file import load_manifest
from data_prep.registry import BUILT_IN, find_dataset
from reports.bundle.documents import documents
from reports.bundle.failures import failure_files, failures_of_tables
from reports.bundle.files import ABOUT, SCHEMA, SUMS
from reports.bundle.ledger import LEDGER, UNLOGGED, published_ledger
from reports.bundle.splits import split_name, split_record
from reports.select.results import Collection, collect
from reports.tables.assemble import groups_of_tables, results_of_tables
from rssam.errors import UserError
from rssam.files import require_no_folder, scratch_folder, write_durable

PUBLISHED_PROVENANCE = (
    "versions", "commit", "platform", "device", "device_type", "cores", "threads", "finished",
    "activation_checkpointing", "devices", "compiled", "class_distances", SYSTEM,
)  # fmt: skip
"""Parts of a provenance that a bundle holds; what else a later version records is left out.

Of a user's own system they hold the declaration, as data: without it no reader could show its rows.
"""

PRIVATE = re.compile(r"(/home/|/Users/|/root/|[A-Za-z]:\\\\+Users\\)[^\"\s]*")
"""Paths that name a person."""


@dataclass(frozen=True)
class PublishedBundle:
    """Numbers of files in a bundle, and notes on results that were left out."""

    path: Path
    results: int
    submissions: int
    splits: int
    notes: tuple[str, ...]


def publish(items: Sequence[str], out: Path, home: Path) -> PublishedBundle:
    """Write the bundle of the results behind some items, or of all; the file appears when it is whole.

    Raises UserError if there is nothing to publish, or if a file would hold a path of this machine. The same if the
    split of a result cannot be written because its data is not prepared here.
    """
    if out.suffix.lower() != ".zip":
        raise UserError(f"expected a name that ends in .zip, found {out}: --out FILE.zip")
    Home(home).require_outside(out)
    require_no_folder(out)
    chosen = _tables(items)
    everything = collect(home, published=None)
    failed = failures_of_tables(tables_of(chosen), everything)
    collection = _chosen(everything, chosen)
    results, submissions = [stored.result for stored in collection.stored], collection.submissions
    if not (results or submissions or failed):
        asked = f" of {', '.join(items)}" if items else ""
        why = "".join(f"\n  left out: {line}" for line in (*collection.damaged, *collection.left_out))
        raise UserError(f"nothing{asked} to publish in {home}: no usable result and no score (rssam-bench status){why}")
    files = {f"results/{result.key}.json": _plain(result.to_json()) for result in results}
    files |= {f"scores/{submission.key}.json": _plain(submission.to_json()) for submission in submissions}
    counted = [record.identity for record in (*results, *submissions)]
    identities = [*counted, *(stored.result.identity for stored in failed)]
    files |= _splits(identities, home)
    files |= _own_data(identities)
    files |= failure_files(failed)
    files[LEDGER], unlogged = published_ledger(home, (*results, *submissions))
    files[ABOUT] = _plain({
        "schema": SCHEMA, "made_with": version("rssam-bench"), "tables": [item.id for item in chosen],
        UNLOGGED: unlogged,
    })  # fmt: skip
    with scratch_folder(Path(tempfile.gettempdir()), "rssam-bench-publish") as scratch:
        _write(files, scratch)
        files |= documents(scratch, [item.id for item in chosen])
    _refuse_private(files, home)
    files[SUMS] = sums(files)
    write_durable(out, _zip(files))
    splits = sum(name.startswith("splits/") for name in files)
    left_out = [*collection.damaged, *collection.left_out]
    if len(chosen) == len(WITH_TABLES):
        left = [stored.result.key for stored in everything.stored if stored not in collection.stored]
        left_out += [f"{key}: it stands in no table" for key in left]  # such as a second run of one training
    notes = tuple(f"left out: {line}" for line in left_out)
    return PublishedBundle(out, len(results), len(submissions), splits, notes)


def sums(files: Mapping[str, bytes]) -> bytes:
    """Return the text of SHA256SUMS."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(files.items())]
    return ("\n".join(lines) + "\n").encode()


def _tables(items: Sequence[str]) -> list[Table | Study]:
    chosen = list(WITH_TABLES.values()) if list(items) in ([], ["all"]) else find_items(items)
    if others := [item.id for item in chosen if not isinstance(item, Table | Study)]:
        raise UserError(f"a bundle holds tables: {', '.join(others)} cannot be published, because figures show pixels")
    return [item for item in chosen if isinstance(item, Table | Study)]


def _chosen(collection: Collection, items: Sequence[Table | Study]) -> Collection:
    """Return the results in some tables with their evaluations on other data; of all tables every submission."""
    tables = tables_of(items)
    keys = {result.key for result in results_of_tables(tables, collection)}
    submissions = collection.submissions
    if len(items) < len(WITH_TABLES):
        scored = {submission.key for group in groups_of_tables(tables, collection) for submission in group.scored}
        submissions = tuple(
            submission
            for submission in submissions
            if submission.key in scored or (submission.identity["system"] or {}).get("key") in keys
        )
    stored = tuple(stored for stored in collection.stored if stored.result.key in keys)
    return Collection(stored, collection.damaged, collection.left_out, submissions)


def _splits(identities: Iterable[Mapping[str, Any]], home: Path) -> dict[str, bytes]:
    """Return a file for every split that something was counted on, or would have been."""
    files: dict[str, bytes] = {}
    absent: dict[str, str] = {}
    manifests: dict[str, Manifest] = {}
    for identity in identities:
        name, digest = identity["dataset"]["name"], identity["data"]
        seed, rule = identity["split_seed"], identity["split_rule"]
        if split_name(name, digest) in files:
            continue
        try:
            manifest = manifests.setdefault(name, load_manifest(Home(home).dataset(name), name))
            same = manifest.digest(seed, rule) == digest
        except DataError as error:
            absent[name] = str(error)
            continue
        if same:
            files[split_name(name, digest)] = _plain(split_record(manifest, seed, rule))
        else:
            absent[f"{name}, split {digest[:12]}"] = f"what is prepared in {Home(home).dataset(name)} is other data"
    if absent:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in absent.items())
        raise UserError(
            f"a bundle lists the images of every split, and the data of these results is missing:{listed}\n"
            "Prepare it again, or publish the tables of other data: rssam-bench publish ITEM... --out FILE.zip"
        )
    return files


def _own_data(identities: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the declarations of data sets that are not of this suite, which no other machine has."""
    datasets = (find_dataset(name) for name in sorted({identity["dataset"]["name"] for identity in identities}))
    return {
        f"data/{dataset.name}/{DECLARATION}": (
            dataset.to_json() if isinstance(dataset, Folder) else declared_json(dataset)
        ).encode()
        for dataset in datasets
        if dataset.name not in BUILT_IN
    }


def _plain(raw: dict[str, Any]) -> bytes:
    """Return JSON text, with the public parts of a provenance alone."""
    if "provenance" in raw:
        said = raw["provenance"]
        raw = {**raw, "provenance": {name: said[name] for name in PUBLISHED_PROVENANCE if name in said}}
    return (json.dumps(raw, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _refuse_private(files: Mapping[str, bytes], home: Path) -> None:
    for name, content in files.items():
        text = content.decode()
        private = PRIVATE.search(text)
        if private or any(path in text for path in (str(home), json.dumps(str(home))[1:-1])):  # as JSON escapes it
            path = private.group() if private else home
            raise UserError(
                f"{name} contains the path {path}: nothing was written. Rename the thing that holds it (a score's "
                "--name, a file of your own data)"
            )


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of the files, without times, so that the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o100644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return buffer.getvalue()
