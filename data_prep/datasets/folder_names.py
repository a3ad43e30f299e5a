"""Tell images from masks in a user's own folder: by names of folders, by endings of file names, or by two globs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from data_prep.file_names import nfc
from data_prep.prepare.layouts import FileRole
from data_prep.splits import SPLIT_NAMES, Split

PICTURE = re.compile(r"\.(?:png|jpe?g|tiff?)$", re.IGNORECASE)

IMAGE_FOLDERS = ("image", "images", "img")
MASK_FOLDERS = ("mask", "masks", "label", "labels", "gt")
"""Names of folders that are looked for first. A change would give stems of prepared data sets other pairs."""

IMAGE_WORDS = (*IMAGE_FOLDERS, "imgs", "input", "inputs", "jpegimages", "sat", "rgb")
MASK_WORDS = (
    *MASK_FOLDERS, "gts", "groundtruth", "truth", "annotation", "annotations", "ann", "annot", "target", "targets",
    "output", "outputs", "segmentationclass", "segmentationclasspng",
)  # fmt: skip
"""Words in names of folders, where the first find no pair: "img_dir", "val_labels", "Ground Truth"."""

IMAGE_ENDINGS = ("sat", "image", "img", "i", "rgb")
MASK_ENDINGS = ("mask", "masks", "label", "labels", "gt", "seg", "groundtruth", "annotation")
"""Words at the end or the beginning of file names: "104_mask.png", "label-104.png"."""

ACCEPTED = (
    "images and masks of equal names (.png, .tif; images also .jpg) in two folders at any depth: "
    f"{', '.join(IMAGE_WORDS[1:])} and {', '.join(MASK_WORDS[1:])}; or names that say it: NAME_mask.png "
    f"(_{', _'.join(MASK_ENDINGS[2:])}) beside NAME.jpg (or NAME_{', NAME_'.join(IMAGE_ENDINGS)}); or "
    '--images "GLOB" --masks "GLOB"'
)


@dataclass(frozen=True)
class OwnFile:
    """Picture of the source: its role, its name without ending and suffix, and the folders it lies in."""

    name: str  # whole path in the source, composed
    role: FileRole
    folders: tuple[str, ...]  # without the one that says the role
    stem: str
    split: Split | None  # that the innermost folder with such a name says

    @property
    def place(self) -> str:
        """Return folders and stem, which an image and its mask share."""
        return "/".join((*self.folders, self.stem))


Globs = tuple[str, str]
"""Patterns of the paths of images and masks, relative to the source."""


def find_files(names: Iterable[str], globs: Globs | None) -> list[OwnFile]:
    """Return the images and masks among the composed paths of a source, by the first reading that gives a pair.

    Names of folders that always counted come first, whatever else would give more pairs.
    """
    pictures = [name for name in names if PICTURE.search(name)]
    if globs is not None:
        return _without_common_folders(_by_globs(names, globs))
    readings: tuple[Callable[[], list[OwnFile]], ...] = (
        partial(_by_folders, pictures, IMAGE_FOLDERS, MASK_FOLDERS),
        lambda: _most_pairs(_by_folders(pictures, IMAGE_WORDS, MASK_WORDS)),
        lambda: _most_pairs(_by_endings(pictures)),
    )
    tried = []
    for reading in readings:
        tried.append(reading())
        if paired_names(tried[-1]):
            return _without_common_folders(tried[-1])
    return max(tried, key=lambda files: len({file.role for file in files}))  # for the message that there is no pair


def paired_names(files: Iterable[OwnFile], name: Callable[[OwnFile], str] = lambda file: file.stem) -> set[str]:
    """Return the names that an image and a mask share."""
    by_role: dict[FileRole, set[str]] = {"image": set(), "mask": set()}
    for file in files:
        by_role[file.role].add(name(file))
    return by_role["image"] & by_role["mask"]


def _by_folders(names: Sequence[str], image_words: tuple[str, ...], mask_words: tuple[str, ...]) -> list[OwnFile]:
    """Return the files whose innermost folder with a role says what they are.

    Files without such a folder are images only where no folder says so.
    """
    files, others = [], []
    for name in names:
        *folders, base = name.split("/")
        roles = [(at, role) for at, folder in enumerate(folders) if (role := _role(folder, image_words, mask_words))]
        if not roles:
            others.append(OwnFile(name, "image", tuple(folders), _stem(base), _split(folders)))
            continue
        place, role = roles[-1]
        part = _split_word(folders[place])
        kept = (*folders[:place], *([part] if part else []), *folders[place + 1 :])
        files.append(OwnFile(name, role, kept, _stem(base), _split(kept)))
    if image_words is IMAGE_FOLDERS or any(file.role == "image" for file in files):
        return files
    return [*files, *others]


def _by_endings(names: Sequence[str]) -> list[OwnFile]:
    """Return all files: masks are those whose names say so, the others are images."""
    files = []
    for name in names:
        *folders, base = name.split("/")
        role: FileRole = "image" if _without_word(_stem(base), MASK_ENDINGS) == _stem(base) else "mask"
        files.append(OwnFile(name, role, tuple(folders), _stem(base), _split(folders)))
    return files


def _most_pairs(files: Sequence[OwnFile]) -> list[OwnFile]:
    """Return the files with their stems as they are, or without a word for mask or image: what gives most pairs."""

    def read(image_words: Sequence[str], mask_words: Sequence[str]) -> list[OwnFile]:
        words = {"image": image_words, "mask": mask_words}
        return [replace(file, stem=_without_word(file.stem, words[file.role])) for file in files]

    readings = [read(images, masks) for masks in ((), MASK_ENDINGS) for images in ((), IMAGE_ENDINGS)]
    return max(readings, key=lambda files: len(paired_names(files)))  # of several the first


def _by_globs(names: Iterable[str], globs: Globs) -> list[OwnFile]:
    """Return the files that two globs name; an image and its mask share what the wildcards stand for."""
    files: list[OwnFile] = []
    roles: tuple[FileRole, FileRole] = ("image", "mask")
    patterns = [(role, _pattern(glob)) for role, glob in zip(roles, globs, strict=True)]
    for name in names:
        for role, pattern in patterns:
            if match := pattern.fullmatch(name):
                of_part: dict[str, list[str]] = defaultdict(list)
                for group, text in match.groupdict().items():
                    of_part[group.split("_")[0]] += [PICTURE.sub("", text)] if text else []
                parts = "/".join("_".join(texts) for texts in of_part.values() if texts).split("/")
                files.append(OwnFile(name, role, tuple(parts[:-1]), parts[-1], _split(name.split("/")[:-1])))
                break
    return files


def _pattern(glob: str) -> re.Pattern[str]:
    """Return a glob as a pattern with a group for each wildcard: * and ? within a folder, ** over folders.

    The groups are called "p0_0", by the part of the path and their place: texts of one part make one name.
    """
    wildcards = {"**/": "(?:(?P<{}>.+)/)?", "**": "(?P<{}>.*)", "*": "(?P<{}>[^/]*)", "?": "(?P<{}>[^/])"}
    written, part = "", 0
    for place, piece in enumerate(re.split(r"(\*\*/|\*\*|\*|\?)", re.sub(r"^(?:\./)+|\.\*$", "", nfc(glob)))):
        written += wildcards[piece].format(f"p{part}_{place}") if piece in wildcards else re.escape(piece)
        part += piece.count("/")
    return re.compile(written + (r"\.[^./]+" if glob.endswith(".*") else ""))


@cache
def _role(folder: str, image_words: tuple[str, ...], mask_words: tuple[str, ...]) -> FileRole | None:
    """Return what a folder says of its files: by its whole name, or for the wider lists by a word in it."""
    name = folder.lower()
    words = {name}
    if image_words is not IMAGE_FOLDERS:
        joined = re.sub(r"[\W_]+", "", name)
        words |= {joined, *re.split(r"[\W_]+", name), joined.removeprefix((_split_word(folder) or "").lower())}
    if words & set(mask_words):
        return "mask"
    return "image" if words & set(image_words) else None


@cache
def _split_word(folder: str) -> str | None:
    """Return the name of a split that a folder's name begins or ends with, as in "train_labels" or "valannot"."""
    words = re.split(r"[\W_]+", folder)
    if found := [word for word in words if word.lower() in SPLIT_NAMES]:
        return found[-1]
    roles = (*IMAGE_WORDS, *MASK_WORDS)
    begin = [word for word in SPLIT_NAMES if folder.lower() in {f"{word}{role}" for role in roles}]
    return folder[: len(max(begin, key=len))] if begin else None


def _split(folders: Sequence[str]) -> Split | None:
    named = [SPLIT_NAMES[folder.lower()] for folder in folders if folder.lower() in SPLIT_NAMES]
    return named[-1] if named else None


def _stem(base: str) -> str:
    return PICTURE.sub("", base)


def _without_word(stem: str, words: Sequence[str]) -> str:
    """Return a stem without one of the words at its end or beginning, set off by a sign or a space."""
    if not words:
        return stem
    choice = "|".join(words)
    found = re.fullmatch(rf"(?P<stem>.*[^\W_])[-_. ]+(?:{choice})", stem, re.IGNORECASE) or re.fullmatch(
        rf"(?:{choice})[-_. ]+(?P<stem>.+)", stem, re.IGNORECASE
    )
    return found["stem"] if found else stem


def _without_common_folders(files: Sequence[OwnFile]) -> list[OwnFile]:
    """Return the files without the folders that all share: of all, or where that gives more pairs, of each role."""

    def pairs(shortened: Sequence[OwnFile]) -> int:
        return len(paired_names(shortened, lambda file: file.place))

    joint = _shortened(files)
    if pairs(joint) >= len(paired_names(files)):
        return joint
    single = [short for role in ("image", "mask") for short in _shortened([f for f in files if f.role == role])]
    return single if pairs(single) > pairs(joint) else joint


def _shortened(files: Sequence[OwnFile]) -> list[OwnFile]:
    folders = [file.folders for file in files]
    first, last = min(folders, default=()), max(folders, default=())  # what these two share, all between them do
    shared = next((at for at, parts in enumerate(zip(first, last, strict=False)) if len(set(parts)) > 1), len(first))
    return [replace(file, folders=file.folders[shared:]) for file in files] if shared else list(files)
