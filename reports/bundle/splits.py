"""Write a split for others to check, and make it again: stems, digests of source files, and the rule; no pixels."""

from __future__ import annotations

from typing import Any

from data_prep.manifest import Entry, Manifest, skipped_name
from data_prep.rules import RULES, rules_from_json, rules_to_json, with_tuples
from data_prep.splits import SPLITS, Split, SplitRule
from rssam.kinds import BOOLEAN, COUNT, LINE, NUMBER, STEM, TEXT, WORD, Leaf, one_of, row, whole

SPLIT_SCHEMA = 2
_SIZE = row("height and width", 2, whole(1, 1 << 20))
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

MANIFEST_PARTS = ("dataset", "version", "classes", "image_size", "origin", "official_split")
IMAGE_PARTS = (
    "stem", "group", "scene", "source_image_sha256", "source_mask_sha256", "size", "source_size", "labelled", "tile_of",
)  # fmt: skip
"""What a split says of its manifest and of each image, by the names of their fields."""


def split_name(dataset: str, digest: str) -> str:
    """Return the name of a split's file in a bundle."""
    return f"splits/{dataset}-{digest[:12]}.json"


def split_record(manifest: Manifest, split_seed: int, rule: SplitRule) -> dict[str, Any]:
    """Return a split with all that `split_manifest` needs to make it again."""
    return {
        "schema": SPLIT_SCHEMA,
        **{part: getattr(manifest, part) for part in MANIFEST_PARTS},
        "rules": rules_to_json(manifest.rules),
        "skipped": [skipped_name(line) for line in manifest.skipped],
        "split_seed": split_seed,
        "split_rule": rule,
        "digest": manifest.digest(split_seed, rule),
        **{name: [entry.stem for entry in entries] for name, entries in manifest.splits(split_seed, rule).items()},
        "images": [
            {part: getattr(entry, part) for part in IMAGE_PARTS}
            for entry in sorted(manifest.entries, key=lambda entry: entry.stem)
        ],
    }


def split_manifest(raw: dict[str, Any]) -> Manifest:
    """Return the manifest of a record, without files: enough to make its split and compute its digest again.

    Raises KeyError, TypeError or ValueError for a malformed record.
    """
    given: dict[str, Split] = {stem: name for name in SPLITS for stem in raw[name]}
    no_files: dict[str, Any] = dict.fromkeys(("image", "mask", "image_sha256", "mask_sha256"), "")
    no_files |= dict.fromkeys(("native_mask", "native_mask_sha256"))
    entries = tuple(
        Entry(
            split=given.get(image["stem"], "train"), foreground=0.0, **no_files,
            **with_tuples({part: image[part] for part in IMAGE_PARTS}),
        )
        for image in raw["images"]
    )  # fmt: skip
    return Manifest(
        **with_tuples({part: raw[part] for part in (*MANIFEST_PARTS, "skipped")}),
        expected_pairs=None,
        without_mask=0,
        rules=rules_from_json(raw["rules"]),
        entries=entries,
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
