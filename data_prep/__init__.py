"""Prepare data sets: from published archives to verified, split and resized folders. Importing it imports no torch.

For whoever writes a data set, see docs/extend.md; for whoever prepares or opens one, docs/python.md. Three names are
types: `Colour` is (red, green, blue) in 0..255. `Origin` is "source" for real data, "synthetic" for stand-ins. A
`Progress` is called as progress(done, total, what) while long work runs, with what is done in words.

Each name is imported when it is first used, because commands that only list what there is read no picture.
"""

from typing import TYPE_CHECKING

from rssam.on_demand import on_demand

if TYPE_CHECKING:
    from data_prep.dataset import Dataset
    from data_prep.errors import DataError
    from data_prep.images.decode import BadPicture
    from data_prep.images.masks import Mask, binary_mask, colour_labels
    from data_prep.loading.torch_dataset import PreparedDataset
    from data_prep.manifest import Entry, Manifest
    from data_prep.manifest_file import load_manifest
    from data_prep.prepare.layouts import Layout
    from data_prep.prepare.pairs import Origin
    from data_prep.prepare.pipeline import prepare_from
    from data_prep.prepare.reading import Reading
    from data_prep.prepared import PreparedSet, open_prepared, prepare_folders
    from data_prep.processes import Progress
    from data_prep.registry import find_dataset
    from data_prep.synthetic.marker import mark_synthetic
    from rssam.contract import Colour
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "data_prep.dataset": ("Dataset",),
            "data_prep.errors": ("DataError",),
            "data_prep.images.decode": ("BadPicture",),
            "data_prep.images.masks": ("Mask", "binary_mask", "colour_labels"),
            "data_prep.loading.torch_dataset": ("PreparedDataset",),
            "data_prep.manifest": ("Entry", "Manifest"),
            "data_prep.manifest_file": ("load_manifest",),
            "data_prep.prepare.layouts": ("Layout",),
            "data_prep.prepare.pairs": ("Origin",),
            "data_prep.prepare.pipeline": ("prepare_from",),
            "data_prep.prepare.reading": ("Reading",),
            "data_prep.prepared": ("PreparedSet", "open_prepared", "prepare_folders"),
            "data_prep.processes": ("Progress",),
            "data_prep.registry": ("find_dataset",),
            "data_prep.synthetic.marker": ("mark_synthetic",),
            "rssam.contract": ("Colour",),
        },
    )

__all__ = [
    "BadPicture",
    "Colour",
    "DataError",
    "Dataset",
    "Entry",
    "Layout",
    "Manifest",
    "Mask",
    "Origin",
    "PreparedDataset",
    "PreparedSet",
    "Progress",
    "Reading",
    "binary_mask",
    "colour_labels",
    "find_dataset",
    "load_manifest",
    "mark_synthetic",
    "open_prepared",
    "prepare_folders",
    "prepare_from",
]
