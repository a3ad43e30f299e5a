"""Write a split for others to check, and make it again: stems, digests of source files, and the rule; no pixels."""

from __future__ import annotations

from typing import Any

from data_prep.manifest import Entry, Manifest, skipped_name
from data_prep.rules import RULES, rules_from_json, rules_to_json
from data_prep.splits import SPLITS, Split, SplitRule
from rssam.kinds import BOOLEAN, COUNT, LINE, NUMBER, STEM, TEXT, WORD, Leaf, one_of, whole

SPLIT_SCHEMA = 2
_SIZE = Leaf(
    "height and width", lambda value: isinstance(value, list) and [*map(whole(1, 1 << 20).fits, value)] == [True, True]
)
SPLIT_KINDS: dict[str, Any] = {
    "schema": COUNT,
    "dataset": WORD,
    "version": COUNT,
    "classes": [LINE],
    "image_size": _SIZE,
    "origin": one_of("source", "synthetic"),
    "rules": RULES,
    "official_split": BOOLEAN,
    "skipped": [TEXT],
    "split_seed": COUNT,
    "split_rule": one_of("random", "blocked"),
    "digest": WORD,
    **{name: [STEM] for name in SPLITS},
    "images": [
        {
            **dict.fromkeys(("stem", "group", "source_image_sha256", "source_mask_sha256"), STEM),
            **dict.fromkeys(("scene", "tile_of"), (None, STEM)),
            "size": _SIZE,
            "source_size": _SIZE,
            "labelled": Leaf("a share from 0 to 1", lambda value: NUMBER.fits(value) and 0 <= value <= 1),
        }
    ],
}
"""Kinds of the parts of a split in a file."""


def split_name(dataset: str, digest: str) -> str:
    """Return the name of a split's file in a bundle."""
    return f"splits/{dataset}-{digest[:12]}.json"


def split_record(manifest: Manifest, split_seed: int, rule: SplitRule) -> dict[str, Any]:
    """Return a split with all that `split_manifest` needs to make it again."""
    splits = manifest.splits(split_seed, rule)
    return {
        "schema": SPLIT_SCHEMA,
        "dataset": manifest.dataset,
        "version": manifest.version,
        "classes": list(manifest.classes),
        "image_size": list(manifest.image_size),
        "origin": manifest.origin,
        "rules": rules_to_json(manifest.rules),
        "official_split": manifest.official_split,
        "skipped": [skipped_name(line) for line in manifest.skipped],
        "split_seed": split_seed,
        "split_rule": rule,
        "digest": manifest.digest(split_seed, rule),
        **{name: [entry.stem for entry in entries] for name, entries in splits.items()},
        "images": [
            {
                "stem": entry.stem,
                "group": entry.group,
                "scene": entry.scene,
                "source_image_sha256": entry.source_image_sha256,
                "source_mask_sha256": entry.source_mask_sha256,
                "size": list(entry.size),
                "source_size": list(entry.source_size),
                "labelled": entry.labelled,
                "tile_of": entry.tile_of,
            }
            for entry in sorted(manifest.entries, key=lambda entry: entry.stem)
        ],
    }


def split_manifest(raw: dict[str, Any]) -> Manifest:
    """Return the manifest of a record, without files: enough to make its split and compute its digest again.

    Raises KeyError, TypeError or ValueError for a malformed record.
    """
    given: dict[str, Split] = {stem: name for name in SPLITS for stem in raw[name]}
    entries = tuple(
        Entry(
            stem=image["stem"],
            split=given.get(image["stem"], "train"),
            image="",
            mask="",
            native_mask=None,
            image_sha256="",
            mask_sha256="",
            native_mask_sha256=None,
            source_image_sha256=image["source_image_sha256"],
            source_mask_sha256=image["source_mask_sha256"],
            source_size=_size(image["source_size"]),
            size=_size(image["size"]),
            foreground=0.0,
            group=image["group"],
            scene=image["scene"],
            tile_of=image["tile_of"],
            labelled=float(image["labelled"]),
        )
        for image in raw["images"]
    )
    return Manifest(
        dataset=raw["dataset"],
        version=raw["version"],
        classes=tuple(raw["classes"]),
        image_size=_size(raw["image_size"]),
        origin=raw["origin"],
        expected_pairs=None,
        without_mask=0,
        rules=rules_from_json(raw["rules"]),
        official_split=raw["official_split"],
        entries=entries,
        skipped=tuple(raw["skipped"]),
    )


def split_faults(raw: dict[str, Any], manifest: Manifest) -> list[str]:
    """Return the differences between a record and the split that its own rule gives."""
    seed, rule = raw["split_seed"], raw["split_rule"]
    faults = []
    stems = [entry.stem for entry in manifest.entries]
    listed = [stem for name in SPLITS for stem in raw[name]]
    if len(set(stems)) != len(stems):
        faults.append("an image is listed twice")
    if sorted(listed) != sorted(stems):
        faults.append(f"train, val and test hold {len(listed)} stems, and not each of the {len(stems)} images once")
        return faults
    for name, entries in manifest.splits(seed, rule).items():
        expected = [entry.stem for entry in entries]
        if expected != raw[name]:
            differing = len(set(expected) ^ set(raw[name]))
            difference = f"{differing} stems differ" if differing else "in another order"
            faults.append(f"{name} is not what the rule gives for split seed {seed} ({difference})")
    if manifest.digest(seed, rule) != raw["digest"]:
        faults.append(f"its digest is not that of its files and lists ({manifest.digest(seed, rule)[:12]}...)")
    return faults


def _size(pair: list[int]) -> tuple[int, int]:
    height, width = pair
    return int(height), int(width)
