"""Rules of preparation: codes with values, which are stored and hashed, and their sentences, which are printed.

A code and its values are part of every run key. The templates of sentences are part of none: they may be reworded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rssam.kinds import LINE, OPTION, PLAIN, TEXT, Each

EdgeTiles = Literal["drop", "pad"]
"""What becomes of tiles that reach beyond the raster: left out, or padded as `resize_or_tile.padded` does."""

SENTENCES: Mapping[str, str] = {
    # images
    "as-published": "RGB, {size:x} as published, stored without loss",
    "as-it-is": "RGB, {size:x} as it is, stored without loss",
    "block-mean": "RGB, shrunk to {size:x} by averaging whole blocks of pixels, stored without loss",
    "area-mean": "RGB rasters, each prepared pixel of {metres} m the mean over its area of {pixels:, } pixels, stored "
    "without loss",
    "cut-in-tiles": "RGB, cut into tiles of {size:x} row by row from the upper left, edge tiles padded by repeating "
    "the last row and column, stored without loss",
    "resized": "RGB, resized to {size:x} whatever its shape: means of whole blocks where it is a whole multiple, "
    "otherwise bilinear; stored without loss",
    "bands": "bands {red}, {green} and {blue} are read as red, green and blue",
    "scaled": "values of {min} to {max} become 0 to 255",
    "values-within": "values of more than 8 bits, taken as lying within {range}",
    "clipped": "{values} values of {images} images lay outside and were clipped",
    "alpha-no-mask": "{images} images have a band that is tagged alpha and has values that are no mask (near "
    "infrared?): it masks nothing",
    # masks
    "threshold": "{of} where the value is at least {at}",
    "one-bit-set": "or where it is set in a one-bit file",
    "value": "{of} where the value is {value}, because no label of the source has a higher one",
    "first-of-block": "then the first pixel of each block (mask[::2, ::2] for 1024x1024)",
    "native-kept": "the mask at native resolution is kept beside it",
    "by-colour": "{classes:, } as 0, 1, ..., read by colour",
    "by-number": "{classes:, } as 0, 1, ..., read from class numbers {first}, {first} + 1, ... in the order {order}, "
    "which was given and agrees with the mean colours of the images",
    "class": "{name} {value}",
    "background": "background {value}",
    "ignored": "ignored {value}",
    "mask-as-it-is": "as it is",
    "mask-cut-in-tiles": "cut like the image; padding is ignored (label {ignored}), so every pixel of the source "
    "counts once",
    "no-data": "{pixels} pixels of {pairs} pairs have no data, by a no-data value, a mask or alpha: black in images, "
    "ignored ({ignored}) in masks",
    "nearest": "resized to {size:x} by the nearest pixel; scores are those of the resized mask",
    "label-at-centre": "the label at the centre of each prepared pixel: unbiased in area, no new values; {ignored} "
    "(ignored) where image or labels have no data",
    # large rasters
    "raster-tiles": "{size:x} from the upper left corner of each raster",
    "edges-left-out": "tiles that reach beyond it are left out",
    "edges-padded": "tiles that reach beyond it are padded by repeating the last row and column, with ignored labels "
    "({ignored})",
    "empty-left-out": "tiles without data or labels are left out",
    "rasters": "{images} images with {labels} of labels, {tiles} tiles in their grids, SHA-256 {sha256}",
    "new-tiles": "not the published one, which names ready tiles: these tiles are new, and neighbours may lie in "
    "different splits",
    "overlap": "{pairs} pairs of image rasters overlap: the same ground may lie in several tiles",
    "pixel-on-pixel": "rasters without one: labels of equal size were laid on images pixel by pixel, and pixels of "
    "images without one were believed to have {metres} m",
    # splits
    "stem-hash": "train/val/test {percent:/} by the SHA-256 of seed and stem; seed 0 gives {counts:/}",
    "published-split": "train/val/test as published: {counts:/}",
    "by-folders": "by the folders of the source for {names:, }",
    "by-lists": "by the lists {names:, } of the source",
    "val-as-test": "no test pairs were published: the published validation pairs are the test split",
    "val-dealt": "no other validation pairs were published: val is {percent[0]} in {percent[1]} of the published "
    "training pairs, by the SHA-256 of their stems, copies together",
    "not-in-split": "{pairs} pairs that are in no published split are left out",
    "split-ignored": "the published one ({names:, }) was ignored on demand, and the pairs were dealt anew",
    "tiles-together": "tiles of one image never part",
    "copies-together": "{images} images that have identical copies never part (groups: {groups})",
    "copies-parted": "{images} images have identical copies (groups: {groups}, of which {parted} lie in more than one "
    "split), none was moved",
    "exact-counts": "exact would be {counts:/}",
}
"""A template for each code of this suite; the only place where a rule becomes prose."""


@dataclass(frozen=True)
class Rule:
    """Rule of preparation: a code, and its values as JSON has them, with tuples in place of lists.

    A plain string in a user's own data set is its own code, without values.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Return a text that is equal for equal rules; it is hashed."""
        return json.dumps([self.code, dict(self.values)], sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def sentence(self) -> str:
        """Return the rule in words; an unknown code is shown as it is, with its values."""
        shown = {name: _List(value) if isinstance(value, tuple) else value for name, value in self.values.items()}
        try:
            return SENTENCES[self.code].format(**shown)
        except (KeyError, ValueError, TypeError):
            return " ".join([self.code, *(f"{name}={value}" for name, value in shown.items())])


class _List(tuple[Any, ...]):
    """List of values that joins itself by the format specification: "{size:x}" gives 512x512."""

    def __format__(self, separator: str) -> str:
        return (separator or ",").join(map(str, self))

    def __str__(self) -> str:
        return format(self)


DeclaredRules = Mapping[str, str | Rule | Sequence[Rule]]
"""Rules by subject, as a data set declares them; a string is its own code."""

Rules = Mapping[str, tuple[Rule, ...]]
"""Rules by subject, such as image, mask and split."""

RULES = Each(LINE, [{"code": TEXT, "values": Each(OPTION, PLAIN)}])
"""The kind of rules in a file: codes with values by subject."""


def rule(code: str, **values: Any) -> Rule:
    """Return a rule of this suite. Raises KeyError for a code without a sentence."""
    SENTENCES[code]  # misspelt, it would be stored in every prepared folder
    return Rule(code, values)


def as_rules(declared: DeclaredRules) -> dict[str, tuple[Rule, ...]]:
    """Return what a data set declares as rules."""
    return {
        subject: (Rule(given),) if isinstance(given, str) else (given,) if isinstance(given, Rule) else tuple(given)
        for subject, given in declared.items()
    }


def sentences(rules: Rules) -> dict[str, str]:
    """Return each subject's rules in words."""
    return {subject: "; ".join(rule.sentence for rule in given) for subject, given in rules.items()}


def rules_to_json(rules: Rules) -> dict[str, list[dict[str, Any]]]:
    """Return plain values; `rules_from_json` gives the same rules back."""
    return {
        subject: [{"code": rule.code, "values": dict(rule.values)} for rule in given]
        for subject, given in rules.items()
    }


def rules_from_json(raw: Mapping[str, Any]) -> dict[str, tuple[Rule, ...]]:
    """Return rules from JSON that is of the kind `RULES`."""
    return {
        subject: tuple(Rule(rule["code"], with_tuples(rule["values"])) for rule in given)
        for subject, given in raw.items()
    }


def with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields read from JSON with tuples in place of lists at every depth, as the declarations have them."""
    return {name: _tuples(value) for name, value in fields.items()}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
