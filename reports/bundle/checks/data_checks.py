"""Check what records and splits say of the data: the data set, its images, their digests and the split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.protocol.run import PROTOCOL, canonical, plain_fields
from benchmarks.results.data_record import run_data_record, shared_scenes
from benchmarks.results.result import Result
from data_prep.datasets.folder import Folder
from data_prep.datasets.folder_scale import VALUE_RULES, value_rules
from data_prep.prepare.finalize import drawn_rules, published_rules
from data_prep.registry import find_dataset
from data_prep.rules import sentences
from data_prep.splits import SPLITS
from reports.bundle.checks.checked import Checked, RebuiltSplit, is_text, some
from reports.formatting import gathered

SHA256 = re.compile(r"[0-9a-f]{64}")


def declared_data(checked: Checked) -> Iterator[str]:
    """Yield differences between a record's data set and the declaration of that name."""
    record, dataset = checked.record, checked.dataset
    if (record.classes, record.average) != (dataset.classes, dataset.average):
        yield f"classes {', '.join(record.classes)} under the average {record.average!r} are not its data set's"
    yield from declared_identity(checked.identity)


def declared_identity(identity: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences between the data set and protocol of an identity and those of this version."""
    dataset = find_dataset(identity["dataset"]["name"])
    declared = {"name": dataset.name, "version": dataset.version, **plain_fields(dataset)}
    if canonical(declared) != canonical(identity["dataset"]):
        yield f"its data set {dataset.name} is declared as {identity['dataset']}, expected {declared}"
    if identity["protocol"] != PROTOCOL:
        yield f"made under protocol {identity['protocol']}, this version has {PROTOCOL}"


def split_of_identity(identity: Mapping[str, Any], split: RebuiltSplit | None) -> Iterator[str]:
    """Yield what the split of an identity's digest says otherwise than the identity."""
    if split is None:
        yield f"no split in the bundle has its digest {str(identity['data'])[:12]}"
        return
    if split.manifest.dataset != identity["dataset"]["name"]:
        yield f"it was counted on {identity['dataset']['name']}, its split is of {split.manifest.dataset}"
        return
    seed, rule = identity["split_seed"], identity["split_rule"]
    if split.manifest.digest(seed, rule) != identity["data"]:
        yield f"it names split seed {seed} ({rule}), which gives another split of these images than the one it names"


def counted_images(checked: Checked) -> Iterator[str]:
    """Yield images that are counted twice, in another order, or not in the split."""
    record, split, identity = checked.record, checked.split, checked.identity
    if len(set(record.images)) != len(record.images):
        yield "an image is counted twice"
    if split is None:
        return
    if strangers := [stem for stem in record.images if stem not in split.entries]:
        yield f"{len(strangers)} images are not in its data set: {some(strangers)}"
    part = "test" if isinstance(record, Result) else identity["images"]
    if isinstance(record, Result):
        expected = split.used(identity)["test"]
    else:
        everything = tuple(sorted(split.manifest.entries, key=lambda entry: entry.stem))
        expected = split.splits["test"] if part == "test" else everything
    if list(record.images) != [entry.stem for entry in expected]:
        yield (
            f"its images are not the {part} images of its split, in their order ({len(record.images)} here, "
            f"{len(expected)} there)"
        )


def recorded_data(checked: Checked) -> Iterator[str]:
    """Yield what a record says of origin, completeness, sizes and scenes, and its split denies."""
    record, split = checked.record, checked.split
    if split is None:
        return
    found = dict(record.data)
    if isinstance(record, Result):
        expected = run_data_record(split.full, split.used(record.identity))
    else:
        expected = {**split.full.facts, **shared_scenes(checked.entries or ())}
    known = {*expected, *(("copies", "title") if checked.identity.get("system") is not None else ())}
    for part in SPLITS:
        size = expected.pop(part, None)
        if size is not None and found[part] != size:
            yield f"{found[part]} {part} images, its split has {size}"
    for name, value in expected.items():
        if found.get(name) != value or type(found.get(name)) is not type(value):
            yield f"it says of its data {name} = {_brief(found.get(name))}, its split gives {_brief(value)}"
    if unknown := found.keys() - known:
        yield f"it says of its data {some(sorted(unknown))}, which its split does not give"


def declared_split(split: RebuiltSplit) -> Iterator[str]:
    """Yield what a split says otherwise than the declaration of its data set."""
    manifest, dataset = split.manifest, split.dataset
    declared = (dataset.version, dataset.classes)
    if (manifest.version, manifest.classes) != declared:
        yield f"version and classes {(manifest.version, manifest.classes)}, its data set {dataset.name} has {declared}"
    if manifest.origin == "source" and manifest.image_size != dataset.image_size:
        yield f"its images have {manifest.image_size} pixels, those of {dataset.name} {dataset.image_size}"
    if manifest.origin == "synthetic" and isinstance(dataset, Folder):
        yield f"it calls itself synthetic, and there are no stand-ins for {dataset.name}, a user's own data"
    sizes = tuple(len(split.splits[name]) for name in SPLITS)
    if isinstance(dataset, Folder):
        scaled = tuple(rule for rule in manifest.rules.get("image", ()) if rule.code in VALUE_RULES)
        if scaled != (expected := value_rules(dataset.bands, dataset.scale)):
            said, declared_as = (sentences({"": rules})[""] or "8 bits" for rules in (scaled, expected))
            yield f"its values are said to be: {said}; those of {dataset.name} are declared as: {declared_as}"
        if manifest.official_split != dataset.published_split:
            said, declared_as = (
                "published" if known else "dealt" for known in (manifest.official_split, dataset.published_split)
            )
            yield f"its split is {said}, that of {dataset.name} is declared as {declared_as}"
    elif manifest.official_split and dataset.official_sizes is None:
        yield f"it calls itself official, and {dataset.name} has no official split"
    elif manifest.official_split and manifest.origin == "source":
        assert dataset.official_sizes is not None
        if any(size > most for size, most in zip(sizes, dataset.official_sizes, strict=True)):
            yield f"its official split has {sizes} images, that of {dataset.name} {dataset.official_sizes}"
    most = dataset.expected_pairs
    if manifest.origin == "source" and most is not None and not split.may_be_tiled and len(manifest.entries) > most:
        yield f"{len(manifest.entries)} images, {dataset.name} has {most}"


def split_rule(split: RebuiltSplit) -> Iterator[str]:
    """Yield the rules of the split, if the images give others."""
    said = split.manifest.rules.get("split")
    if said is None:
        return
    drawn = split.manifest.split_by_stem(0)
    entries = [replace(entry, split=drawn[entry.stem]) for entry in split.manifest.entries]
    if split.manifest.official_split:
        possible = [published_rules(entries)]
    else:
        possible = [drawn_rules(entries, whole) for whole in (True, False)]
    if said not in possible:
        found, expected = (sentences({"split": rules})["split"] for rules in (said, possible[0]))
        yield f"it says {found!r}, its images give {expected!r}"


def split_images(split: RebuiltSplit) -> Iterator[str]:
    """Yield images with sizes, digests or shares that cannot be."""
    manifest = split.manifest
    for entry in manifest.entries:
        if entry.size != manifest.image_size:
            yield f"image {entry.stem} has {entry.size} of {entry.source_size} pixels, expected {manifest.image_size}"
        if entry.labelled == 0 or (entry.labelled != 1 and not _may_be_ignored(split)):
            yield f"of image {entry.stem} the share {entry.labelled:g} is labelled, expected {_expected_share(split)}"
        if not (SHA256.fullmatch(entry.source_image_sha256) and SHA256.fullmatch(entry.source_mask_sha256)):
            yield f"image {entry.stem} has digests that are no SHA-256"
        if not is_text(entry.stem) or not (entry.scene is None or is_text(entry.scene)):
            yield f"the image or the scene {ascii(entry.stem)[:60]} is no line of text"


def identical_images(split: RebuiltSplit) -> Iterator[str]:
    """Yield images of one digest that are not of one group: they could lie in train and test."""
    if split.may_be_tiled and not isinstance(split.dataset, Folder):
        return  # cut from rasters here: a tile has the digest of its raster, and is split by itself
    of_stem = {entry.stem: name for name, entries in split.splits.items() for entry in entries}
    for same in gathered((entry.source_image_sha256, entry) for entry in split.manifest.entries).values():
        if len({entry.group for entry in same}) > 1:
            places = some(f"{entry.stem} ({of_stem[entry.stem]})" for entry in same)
            yield f"images of identical content are taken for different ones: {places} have one digest"


SPLIT_CHECKS = (declared_split, split_rule, split_images, identical_images)


def _may_be_ignored(split: RebuiltSplit) -> bool:
    """Return whether the data set may have pixels without a label: tiles beyond the edge of an image, a user's own."""
    return split.may_be_tiled or isinstance(split.dataset, Folder)


def _expected_share(split: RebuiltSplit) -> str:
    return "more than 0 and at most 1" if _may_be_ignored(split) else "1"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
