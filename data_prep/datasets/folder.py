"""Declare a user's own folder of images and masks as a data set: its options, layout and preparation rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from data_prep.dataset import Dataset
from data_prep.datasets.declared import DECLARED, declared_dataset
from data_prep.datasets.folder_layout import OwnSplit, is_own, own_layout
from data_prep.datasets.folder_names import Globs
from data_prep.datasets.folder_scale import Scale, range_of, value_rules
from data_prep.errors import DataError
from data_prep.images.bands import Bands
from data_prep.images.class_values import MaskValue, ValueReader, read_soft_borders
from data_prep.images.masks import Mask
from data_prep.manifest import Manifest
from data_prep.prepare.pairs import Origin, PairSearch
from data_prep.prepare.reading import FitMode, Reading
from data_prep.processes import Progress
from data_prep.rules import rule, with_tuples
from rssam.contract import IGNORE, Colour
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import COUNT, LINE, LONGEST_CLASS, NUMBER, Leaf, fault, matches, one_of, row, whole

if TYPE_CHECKING:
    from PIL import Image

DECLARATION = "dataset.json"
"""The file beside the manifest that a data set of the user's own is known by."""

NAMES = r"[a-z0-9][a-z0-9_-]{0,39}"
CLASS_NAMES = rf"[A-Za-z][A-Za-z0-9_ -]{{0,{LONGEST_CLASS - 1}}}"

COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
    (51, 34, 136), (17, 119, 51), (68, 170, 153), (136, 204, 238), (221, 204, 119), (204, 102, 119), (170, 68, 153),
    (136, 34, 85), (221, 221, 221),
)  # fmt: skip
"""Okabe and Ito's colours, then Tol's muted ones: distinct for every kind of colour vision."""

SHADES = (1.0, 0.65, 0.4, 0.2)
"""How dark the colours are when they come round again."""


_VALUE = (whole(0, 65535), row("a colour", 3, whole(0, 255)))
KINDS = {
    "name": Leaf("a name of small letters, digits, - and _", lambda value: matches(NAMES, value)),
    "classes": [Leaf("the name of a class", lambda value: matches(CLASS_NAMES, value))],
    "values": [_VALUE],
    "background": (None, *_VALUE),
    "ignore": (None, *_VALUE),
    "fit": one_of("keep", "tile", "resize"),
    "image_size": row("height and width", 2, whole(1, 1 << 16)),
    "version?": COUNT,
    "split?": one_of("folders", "lists", "ignored"),
    "globs?": row("two patterns of paths", 2, LINE),
    "threshold?": whole(1, 255),
    "bands?": row("three numbers of bands", 3, whole(1, 65535)),  # a TIFF has no more
    "scale?": (one_of("0..1", "0..255"), Leaf("two numbers, the lower one first", lambda value: _is_scale(value))),
}
"""Kinds of the fields of `dataset.json`."""

MOST_CLASSES = len(COLOURS) * len(SHADES)


@dataclass(frozen=True)
class Folder:
    """Data set of the user's own. Every field is in the identity of its runs, because it changes the number."""

    name: str
    classes: tuple[str, ...]  # one: a binary task
    values: tuple[MaskValue, ...]  # of each class in the masks; all numbers, or all colours
    background: MaskValue | None  # of what is no road, for a binary task
    ignore: MaskValue | None  # of pixels outside of loss and counts
    fit: FitMode
    image_size: tuple[int, int]  # (height, width) as prepared
    version: int = 1
    split: OwnSplit | None = field(default=None, metadata={"added": True})  # None: dealt here
    globs: Globs | None = field(default=None, metadata={"added": True})  # where images and masks are, if it was said
    # Added later: at its default it is in no key and not in dataset.json, see `benchmarks.protocol.recipe.added`.
    threshold: int | None = field(default=None, metadata={"added": True})  # grey value from which a pixel is the class

    scale: Scale | None = field(default=None, metadata={"added": True})  # of images of more than 8 bits
    bands: Bands | None = field(default=None, metadata={"added": True})  # of images, if they were named

    expected_pairs: ClassVar[int | None] = None
    official_sizes: ClassVar[tuple[int, int, int] | None] = None

    @property
    def title(self) -> str:
        """Return the name: nobody gave it another title."""
        return self.name

    @property
    def published_split(self) -> bool:
        """Return whether the split came with the data and is kept."""
        return self.split in ("folders", "lists")

    @property
    def average(self) -> Literal["foreground", "classes"]:
        """Return which scores are printed: those of the only class, or of all classes."""
        return "foreground" if len(self.classes) == 1 else "classes"

    @property
    def palette(self) -> tuple[Colour, ...]:
        """Return the colours of the masks where they have colours, otherwise colours that anybody can tell apart."""
        colours = tuple(value for value in self.values if not isinstance(value, int))
        if len(colours) == len(self.values) and colours != ((0, 0, 0),):  # black is the background of a binary label
            return colours
        return tuple(_shaded(number) for number in range(len(self.classes)))

    def prepare(
        self, source: Path, out: Path, *, origin: Origin, workers: int, progress: Progress, skip_bad: bool = False
    ) -> Manifest:
        """Prepare the folder or archive `source`; see `Dataset.prepare` and `own_layout`.

        Raises DataError also if `out` was prepared with other options.
        """
        if (out / DECLARATION).exists() and (earlier := load_folder(out)) != self:
            if not isinstance(earlier, Folder):
                raise DataError(f"{out} holds the declaration of another package's data set: use another --name")
            raise DataError(
                f"{out} was prepared with {_difference(earlier, self)}. Delete it and run prepare again, or use "
                f"another --name."
            )
        from data_prep.prepare.pipeline import prepare_from

        layout = partial(own_layout, globs=self.globs, split=self.split)
        return prepare_from(
            source, out, self, layout, self._reading, origin, workers, progress, skip_bad, is_wanted=is_own
        )

    def synthesize(self, out: Path, count: int, seed: int) -> None:
        """Raise DataError: there are no stand-ins for a user's own data."""
        raise DataError(f"{self.name} is your own data and has no stand-ins: give --source DIR")

    def to_json(self) -> str:
        """Return the text of `dataset.json`."""
        added = {option.name: option.default for option in fields(self) if option.metadata.get("added")}
        stored = {name: value for name, value in asdict(self).items() if name not in added or value != added[name]}
        return json.dumps(stored, indent=1) + "\n"

    def _reading(self, search: PairSearch, progress: Progress) -> Reading:
        labels: dict[MaskValue, int] = {value: label for label, value in enumerate(self.values)}
        # hashed: part of every run key, from here to `image, mask`
        meanings = [
            rule("class", name=name, value=value) for name, value in zip(self.classes, self.values, strict=True)
        ]
        if self.background is not None:
            labels = {self.background: 0, self.values[0]: 1}
            meanings.append(rule("background", value=self.background))
        if self.threshold is not None:
            meanings = [rule("threshold", of=self.classes[0], at=self.threshold)]
        if self.ignore is not None:
            labels[self.ignore] = IGNORE
            meanings.append(rule("ignored", value=self.ignore))
        read_mask: Callable[[Image.Image], Mask] = ValueReader(labels)
        if self.threshold is not None:
            read_mask = partial(read_soft_borders, threshold=self.threshold, ignore=cast("int | None", self.ignore))
        size = self.image_size[::-1]  # (width, height), as people write it
        image, mask = {
            "keep": (rule("as-it-is", size=size), rule("mask-as-it-is")),
            "tile": (rule("cut-in-tiles", size=size), rule("mask-cut-in-tiles", ignored=IGNORE)),
            "resize": (rule("resized", size=size), rule("nearest", size=size)),
        }[self.fit]
        return Reading(
            image_kinds=("PNG", "JPEG", "TIFF"),
            mask_kinds=("PNG", "TIFF", "JPEG"),  # JPEG without a threshold only to be refused with what to do
            read_mask=read_mask,
            rules={
                "image": (*value_rules(self.bands, self.scale), image),
                "mask": (*meanings, mask),
                **({"official split": search.split_rules} if search.split_rules else {}),
            },
            expected=", ".join(meaning.sentence for meaning in meanings),
            remedy="Give the values of the masks with --classes.",
            fit=self.fit,
            value_range=range_of(self.scale),
            bands=self.bands,
            extra_files={DECLARATION: self.to_json()},
        )


def load_folder(folder: Path) -> Dataset:
    """Load the data set that was prepared in `folder`, or that a bundle declares there for another package.

    Raises DataError if its declaration is damaged.
    """
    path = folder / DECLARATION
    try:
        raw = read_json(path, most_bytes=1 << 20)
        if isinstance(raw, dict) and DECLARED in raw:
            return declared_dataset(raw)
        if words := fault(raw, KINDS):
            raise Unreadable(words)
        if not raw["classes"] or len(raw["classes"]) != len(raw["values"]):
            raise Unreadable(f"{len(raw['classes'])} classes of {len(raw['values'])} values")
        return Folder(**with_tuples(raw))
    except (OSError, ValueError, TypeError) as error:  # TypeError: of fields that only a later version has
        raise DataError(
            f"{path} is damaged ({error}). Delete {folder} and run: rssam-bench prepare folder --name {folder.name} "
            f"--source DIR --classes ..."
        ) from error


def _is_scale(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(NUMBER.fits, value)) and value[0] < value[1]


def own_folders(data: Path) -> Iterable[Path]:
    """Return the prepared folders below `data` that hold a data set of the user's own, by name."""
    return sorted(path.parent for path in data.glob(f"*/{DECLARATION}") if not path.parent.name.startswith("."))


def _difference(earlier: Folder, declared: Folder) -> str:
    """Return the fields that differ in words: what they were, and what they are to be."""
    before, after = asdict(earlier), asdict(declared)
    return ", ".join(f"{name} {before[name]} (now {after[name]})" for name in before if before[name] != after[name])


def _shaded(number: int) -> Colour:
    turn, place = divmod(number, len(COLOURS))
    red, green, blue = (int(channel * SHADES[turn]) for channel in COLOURS[place])
    return red, green, blue
