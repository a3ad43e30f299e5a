"""Prepare two folders of images and masks from Python, and open a prepared set with its splits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.dataset import Dataset
from data_prep.datasets.folder import DECLARATION, Folder, load_folder
from data_prep.datasets.folder_options import ClassMap, declare
from data_prep.errors import DataError
from data_prep.images.class_values import MaskValue
from data_prep.manifest import Manifest
from data_prep.manifest_file import load_manifest
from data_prep.prepare.reading import FitMode
from data_prep.processes import Progress
from data_prep.registry import BUILT_IN, find_dataset
from data_prep.splits import Split, SplitRule
from rssam.files import scratch_folder

if TYPE_CHECKING:
    from data_prep.loading.torch_dataset import PreparedDataset

TAKEN = (*BUILT_IN, "folder", "weights")
"""Names that a data set of the user's own cannot have."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared folder with its declaration and its manifest.

    Attributes:
        folder: the prepared folder.
        dataset: the declaration: classes, image size, palette.
        manifest: the prepared images with their digests and splits.

    Examples:
        The set of docs/python.md:

        >>> from data_prep import open_prepared
        >>> roads = open_prepared("example/data/roads")
        >>> roads.dataset.classes, roads.manifest.image_size
        (('road',), (64, 64))
        >>> item = roads.split("train")[0]
        >>> item["image"].shape, item["mask"].shape
        (torch.Size([3, 64, 64]), torch.Size([64, 64]))
    """

    folder: Path
    dataset: Dataset
    manifest: Manifest

    def split(self, name: Split, split_seed: int = 0, rule: SplitRule = "random") -> PreparedDataset:
        """Return "train", "val" or "test" as a PyTorch data set, in the order of stems. Imports torch.

        An item has `name`, `image` uint8 [3, H, W], and `mask` uint8 [H, W], 255 where pixels are ignored. With one
        class the mask has 0 for the background and 1; with more, 0, 1, ... in the order of `dataset.classes`.

        Args:
            name: "train", "val" or "test"; anything else raises KeyError.
            split_seed: each seed gives another split.
            rule: "random" splits image by image; "blocked" keeps tiles that abut in one part; anything else raises
                UserError. A published split is the same for every seed and rule.

        Raises:
            DataError: The rule is "blocked", and whole scenes cannot be split so that no part is empty.
        """
        from data_prep.loading.torch_dataset import PreparedDataset

        self.manifest.require_split(split_seed, rule)
        return PreparedDataset(self.folder, self.manifest.splits(split_seed, rule)[name])


def open_prepared(folder: Path | str) -> PreparedSet:
    """Read a prepared folder, such as `home.dataset("roads")`; no image is read yet.

    The folder of a published data set must have its name, such as "whu". The folder of your own data may have any.

    Raises:
        NotPrepared: The folder has no manifest. A DataError.
        DataError: Its manifest or its declaration is damaged, or holds another published data set than its name says:
            rename the folder.

    Examples:
        The set of docs/python.md, with the sizes of its splits:

        >>> from data_prep import open_prepared
        >>> roads = open_prepared("example/data/roads")
        >>> {name: len(roads.split(name)) for name in ("train", "val", "test")}
        {'train': 4, 'val': 1, 'test': 1}
    """
    folder = Path(folder).resolve()
    declared = load_folder(folder) if (folder / DECLARATION).exists() else None
    manifest = load_manifest(folder, folder.name if declared is None else declared.name)
    return PreparedSet(folder, declared or find_dataset(manifest.dataset), manifest)


def declare_own(declared: ClassMap, source: Path) -> Folder:
    """Return the data set that a user declares of a source; see `declare`, which names the errors."""
    return declare(declared, source, TAKEN)


def prepare_folders(
    images: Path | str,
    masks: Path | str,
    out: Path | str,
    classes: Mapping[str, MaskValue],
    *,
    ignore: MaskValue | None = None,
    threshold: int | None = None,
    fit: FitMode | None = None,
    side: int | None = None,
    scale: str | None = None,
    ignore_split: bool = False,
    skip_bad: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> PreparedSet:
    """Prepare images and masks of equal file names for training; a second call verifies and changes nothing.

    A source with both folders gives the same run keys under `rssam-bench prepare folder`, whose --bands and patterns
    are missing here. Pairs are split 70/15/15 by a hash of their names. A published split is kept instead: sub-folders
    train, val and test, or lists train.txt, val.txt and test.txt in one of the folders.

    Args:
        images: folder of PNG, JPEG or TIFF files, of 8 bits or more.
        masks: folder of PNG or TIFF files; with `threshold` of JPEG files too.
        out: the folder to write. Its name is that of the data set: small letters, digits, - and _, at most 40. Runs
            find `open_home(...).dataset(name)` alone; from another folder `open_prepared` reads it.
        classes: value of each class in the masks, a number or a colour (R, G, B). With a single class the background is
            0 or black; name it "background" to give another value.
        ignore: value of pixels that are in neither loss nor counts.
        threshold: of one class, the grey value 1..255 from which a pixel belongs to it.
        fit: "tile" or "resize". If neither it nor `side` is given, images that share a size up to 1024, a multiple of
            32, are kept. Others are cut in tiles.
        side: side in pixels of the prepared images, a multiple of 32; 512 if None. The profile "mini" of `fine_tune`
            needs a multiple of 256.
        scale: "MIN,MAX" or "auto", the values of images of more than 8 bits that become 0 and 255.
        ignore_split: split 70/15/15 in place of a published split.
        skip_bad: leave out pairs with a bad file; every report says how many.
        workers: processes. A script that asks for more than one needs `if __name__ == "__main__":`.
        progress: called as progress(done, total, what), such as (3, 40, "prepare"); nothing is shown if None.

    Raises:
        DataError: The declaration, or a file; the message lists every bad file. Nothing half-written is left. So is a
            second call with other files or options than `out` was prepared with.

    Examples:
        Four pairs of 64 pixels, with a road of the value 255:

        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> from data_prep import prepare_folders
        >>> for number in range(4):
        ...     mask = np.zeros((64, 64), np.uint8)
        ...     mask[8 * number : 8 * number + 20] = 255
        ...     for folder, pixels in (("photos", np.stack([mask // 2 + 60] * 3, -1)), ("roads", mask)):
        ...         Path("scenes", folder).mkdir(parents=True, exist_ok=True)
        ...         Image.fromarray(pixels).save(Path("scenes", folder, f"scene{number}.png"))
        >>> prepared = prepare_folders("scenes/photos", "scenes/roads", "prepared/lanes", {"road": 255})
        >>> prepared.manifest.describe()
        "the user's own data: 4 pairs"
        >>> prepared.split("train")[0]["mask"].unique().tolist()
        [0, 1]
    """
    out = Path(out)
    folders = {"images": Path(images), "masks": Path(masks)}
    for what, folder in folders.items():
        if not folder.is_dir():
            raise DataError(f"expected a folder of {what} at {folder}, found {'a file' if folder.exists() else 'none'}")
    class_map = ClassMap(
        name=out.name, classes=tuple(classes.items()), ignore=ignore, fit=fit, side=side, ignore_split=ignore_split,
        threshold=threshold, scale=scale,
    )  # fmt: skip
    with scratch_folder(Path(tempfile.gettempdir()), "rssam-bench-folders") as source:
        for name, folder in folders.items():  # as a source with both, wherever they lie
            (source / name).symlink_to(folder.resolve(), target_is_directory=True)
        own = declare_own(class_map, source)
        progress = progress or (lambda done, total, what: None)
        manifest = own.prepare(source, out, origin="source", workers=workers, progress=progress, skip_bad=skip_bad)
    return PreparedSet(out.resolve(), own, manifest)
