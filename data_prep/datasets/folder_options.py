"""Turn command-line options or a small YAML file into a declared `Folder` data set."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml

from data_prep.datasets.class_map_yaml import read_yaml
from data_prep.datasets.folder import CLASS_NAMES, MOST_CLASSES, NAMES, Folder
from data_prep.datasets.folder_layout import find_published, is_own, own_layout
from data_prep.datasets.folder_names import Globs
from data_prep.datasets.folder_scale import choose_scale
from data_prep.errors import DataError
from data_prep.images.bands import parse_bands
from data_prep.images.class_values import MaskValue
from data_prep.images.picture import stated_size
from data_prep.prepare.archive import opened_source
from data_prep.prepare.pairs import NoPairs, Pair, find_pairs
from data_prep.prepare.reading import FitMode
from rssam.files import scratch_folder
from rssam.kinds import LONGEST_CLASS, is_line, matches

SIDE = 512
"""Side in pixels of tiles and of resized images, unless another is asked for."""

STRIDE = 32
"""What the sides of prepared images are multiples of: the deepest features of every system are 1/32."""

LONGEST = 8192
"""Longest side of tiles and of resized images: a tile is padded to it in memory, however small its image."""

KEPT = 1024
"""Longest side in pixels of images that are taken as they are."""

EXAMPLE = '--classes "road=255,120,80"'
ONE_CLASS = r"\s*[^=,]+=\s*\d+\s*(?:,\s*\d+\s*,\s*\d+\s*)?"


class BadDeclaration(DataError):
    """Options or a class map that declare no data set; the message says how it is written."""


@dataclass(frozen=True)
class ClassMap:
    """Options that a user declares; None where an option was not given."""

    name: str | None = None
    classes: tuple[tuple[str, MaskValue], ...] = ()
    ignore: MaskValue | None = None
    fit: FitMode | None = None
    side: int | None = None
    ignore_split: bool = False
    globs: tuple[str | None, str | None] = (None, None)  # of images and masks
    threshold: int | None = None
    scale: str | None = None  # MIN,MAX or "auto"
    bands: str | None = None  # as in "4,3,2"

    def overruled(self, options: ClassMap) -> ClassMap:
        """Return this declaration with all that `options` say besides."""
        said = vars(options).items()
        return replace(self, **{name: value for name, value in said if value != getattr(ClassMap, name)})


def from_options(classes: Sequence[str], ignore: str | None) -> ClassMap:
    """Return the classes of `--classes NAME=VALUE`, several of them or separated by commas, and of `--ignore VALUE`.

    A value is a number, or a colour R,G,B. Raises BadDeclaration.
    """
    pairs: list[tuple[str, MaskValue]] = []
    for text in classes:
        if not re.fullmatch(rf"{ONE_CLASS}(?:,{ONE_CLASS})*", text):
            raise BadDeclaration(f'expected classes such as {EXAMPLE} or "background=0,road=1,roof=2", found {text!r}')
        for item in re.findall(rf"({ONE_CLASS})(?:,|$)", text):
            name, _, value = item.partition("=")
            pairs.append((name.strip(), _value(value, f"class {name.strip()}")))
    return ClassMap(classes=tuple(pairs), ignore=None if ignore is None else _value(ignore, "--ignore"))


def from_file(path: Path) -> ClassMap:
    """Return the declaration in a YAML file: classes as a list of name and value, and other fields of `ClassMap`.

    Raises BadDeclaration.
    """
    try:
        raw = read_yaml(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadDeclaration(f"{path} cannot be read as a class map ({' '.join(str(error).split())})") from error
    keys = ("name", "classes", "ignore", "fit", "side", "threshold", "scale", "bands")
    if not isinstance(raw, dict) or set(raw) - set(keys):
        found = _shown(", ".join(map(str, raw))).strip("'") if isinstance(raw, dict) else type(raw).__name__
        raise BadDeclaration(f"{path}: expected the keys {', '.join(keys)}, found {found}")
    classes = raw.get("classes")
    if not isinstance(classes, list) or not all(
        isinstance(item, dict) and set(item) == {"name", "value"} for item in classes
    ):
        raise BadDeclaration(f"{path}: expected classes as a list of name and value, found {_shown(classes)}")
    pairs = []
    for item in classes:
        name = item["name"]
        if not isinstance(name, str):  # YAML reads no, off and y as true or false
            raise BadDeclaration(f'{path}: expected the name of a class as text, found {_shown(name)}; quote it: "no"')
        pairs.append((name, _value(item["value"], f"{path}: class {_shown(name)[1:-1]}")))
    for key, kind, words in (
        ("side", int, "a number of pixels"),
        ("threshold", int, "a grey value"),
        ("scale", str, "a text such as 0,3000"),
        ("bands", str, "a text such as 4,3,2"),
    ):
        if type(raw.get(key)) not in (kind, type(None)):
            raise BadDeclaration(f"{path}: expected {key} as {words}, found {_shown(raw[key])}")
    if raw.get("fit") not in (None, "tile", "resize"):
        raise BadDeclaration(f"{path}: expected fit as one of tile, resize, found {_shown(raw['fit'])}")
    return ClassMap(
        name=None if raw.get("name") is None else str(raw["name"]),
        classes=tuple(pairs),
        ignore=None if raw.get("ignore") is None else _value(raw["ignore"], f"{path}: ignore"),
        **{key: raw[key] for key in ("fit", "side", "threshold", "scale", "bands") if key in raw},
    )


def _shown(value: object) -> str:
    """Return a value for a message, cut short."""
    text = ascii(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def declare(class_map: ClassMap, source: Path, taken: Sequence[str]) -> Folder:
    """Return the data set that a user declares; `taken` are names it cannot have.

    Where neither fit nor side is given and all images of `source` have one usable size, they are kept as they are.
    Raises BadDeclaration. Raises RangeUnknown if the values of images of more than 8 bits need --scale. Raises
    DataError if there are no pairs, or if the published split contradicts itself.
    """
    name = _name(class_map.name, taken)
    classes, background = _classes(class_map)
    side = SIDE if class_map.side is None else class_map.side
    if not STRIDE <= side <= LONGEST or side % STRIDE:
        raise BadDeclaration(f"expected --side as a multiple of {STRIDE}, at most {LONGEST}, found {_shown(side)}")
    declared = Folder(
        name=name,
        classes=tuple(title for title, _ in classes),
        values=tuple(value for _, value in classes),
        background=background,
        ignore=class_map.ignore,
        fit=class_map.fit or "tile",
        image_size=(side, side),
        globs=_globs(class_map.globs),
        threshold=_threshold(class_map, classes),
        bands=None if class_map.bands is None else parse_bands(class_map.bands),
    )
    measured = class_map.fit is None and class_map.side is None
    with (
        scratch_folder(Path(tempfile.gettempdir()), "rssam-bench-folder") as scratch,
        opened_source(source, scratch / "source", is_own) as folder,
    ):
        published = find_published(folder, declared.globs)
        if class_map.ignore_split and published is None:
            raise BadDeclaration(f"--ignore-split: expected a published split in {source}, found none; run without it")
        if published is not None:
            declared = replace(declared, split="ignored" if class_map.ignore_split else published.origin)
        try:
            pairs = find_pairs(folder, str(source), own_layout(folder, declared.globs, declared.split)).pairs
        except NoPairs:
            if measured:
                raise
            return declared  # preparing says what is there instead
        declared = replace(declared, scale=choose_scale(class_map.scale, pairs, declared.bands))
        if measured and (size := common_size(pairs)):
            return replace(declared, fit="keep", image_size=size)
    return declared


def common_size(pairs: Sequence[Pair]) -> tuple[int, int] | None:
    """Read (height, width) of all images from their headers; None if they differ or do not fit."""
    sizes = {stated_size(pair.image) for pair in pairs} - {None}  # None is a fault, which preparing lists
    size = sizes.pop() if len(sizes) == 1 else None
    return size if size and max(size) <= KEPT and not size[0] % STRIDE and not size[1] % STRIDE else None


def _globs(globs: tuple[str | None, str | None]) -> Globs | None:
    images, masks = globs
    if images is None and masks is None:
        return None
    if images is None or masks is None:
        raise BadDeclaration('give both, patterns of paths in the source: --images "rgb/*.png" --masks "gt/*.png"')
    for glob in (images, masks):
        if not {"*", "?"} & set(glob) or glob.startswith(("/", "..")) or not is_line(glob):
            raise BadDeclaration(f'expected a pattern in the source with *, as "rgb/*.png", found {_shown(glob)}')
    return images, masks


def _name(name: str | None, taken: Sequence[str]) -> str:
    if not name:
        raise BadDeclaration("give the new data set a name: rssam-bench prepare folder --name NAME --source DIR ...")
    if not matches(NAMES, name):
        raise BadDeclaration(f"expected a name of small letters, digits, - and _ (at most 40), found {_shown(name)}")
    if name in taken:
        raise BadDeclaration(f"the name {name} is taken by this suite: choose another --name")
    return name


def _threshold(class_map: ClassMap, classes: Sequence[tuple[str, MaskValue]]) -> int | None:
    threshold = class_map.threshold
    if threshold is None:
        return None
    if len(classes) != 1 or isinstance(classes[0][1], tuple):
        raise BadDeclaration('expected one class of a grey value with a threshold, such as --classes "road=255"')
    if not 1 <= threshold <= 255:
        raise BadDeclaration(f"expected a threshold of 1 to 255, found {_shown(threshold)}")
    return threshold


def _classes(class_map: ClassMap) -> tuple[tuple[tuple[str, MaskValue], ...], MaskValue | None]:
    """Return the classes, and the value of the background where there is one class besides it."""
    names = [name for name, _ in class_map.classes]
    values = [value for _, value in class_map.classes]
    if not names:
        raise BadDeclaration(f"say what the masks hold, such as {EXAMPLE}, or give --class-map FILE.yaml")
    for name in names:
        if not matches(CLASS_NAMES, name):
            raise BadDeclaration(
                f"expected class names of letters, digits, spaces, - and _, at most {LONGEST_CLASS}, found "
                f"{_shown(name)}"
            )
    if names == ["background"]:
        raise BadDeclaration(f"say what the masks hold besides background, such as {EXAMPLE}")
    binary = len([name for name in names if name != "background"]) == 1
    colours = isinstance(values[0], tuple)
    background: MaskValue | None = None
    if binary:
        background = dict(class_map.classes).get("background", (0, 0, 0) if colours else 0)
        foreground = tuple(pair for pair in class_map.classes if pair[0] != "background")
    else:
        foreground = class_map.classes
    declared = [value for _, value in foreground]
    declared += [value for value in (background, class_map.ignore) if value is not None]
    if any(isinstance(value, tuple) != colours for value in declared):
        raise BadDeclaration("expected numbers for all values (background and ignore too), or colours R,G,B for all")
    if len(set(names)) < len(names) or len(set(declared)) < len(declared):
        implied = f" (background is {background})" if binary and "background" not in names else ""
        raise BadDeclaration(f"expected every class once, with a value of its own{implied}; found {class_map.classes}")
    if len(foreground) > MOST_CLASSES:
        raise BadDeclaration(f"expected at most {MOST_CLASSES} classes, found {len(foreground)}")
    return foreground, background


def _value(given: Any, where: str) -> MaskValue:
    """Return a number, or a colour of three numbers 0..255, from text or as YAML has it. Raises BadDeclaration."""
    channels = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    numbers = []
    for channel in channels:
        text = ascii(channel).strip("' ")
        if isinstance(channel, bool) or not matches(r"\d{1,9}", text):
            raise BadDeclaration(f"{where}: expected a number or R,G,B, found {_shown(given)}")
        numbers.append(int(text))
    if len(numbers) == 3 and max(numbers) <= 255:
        return cast("MaskValue", tuple(numbers))
    if len(numbers) == 1 and numbers[0] <= 65535:
        return numbers[0]
    raise BadDeclaration(f"{where}: expected a number up to 65535, or R,G,B up to 255 each, found {_shown(given)}")
