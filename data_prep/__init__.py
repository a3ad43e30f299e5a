"""Prepare data sets: from published archives to verified, split and resized folders. Importing it imports no torch.

For whoever writes a data set, see docs/extend.md; for whoever prepares or opens one, docs/python.md.
"""

from typing import TYPE_CHECKING

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.images.masks import Mask, binary_mask, colour_labels
from data_prep.manifest import Entry, Manifest, load_manifest
from data_prep.prepare.layouts import Layout
from data_prep.prepare.pairs import Origin
from data_prep.prepare.pipeline import prepare_from
from data_prep.prepare.reading import Reading
from data_prep.processes import Progress
from data_prep.synthetic.marker import mark as mark_synthetic
from rssam.contract import Colour
from rssam.on_demand import on_demand

if TYPE_CHECKING:
    from data_prep.loading.torch_dataset import PreparedDataset
    from data_prep.prepared import PreparedSet, open_prepared, prepare_folders
    from data_prep.registry import find_dataset
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "data_prep.loading.torch_dataset": ("PreparedDataset",),
            "data_prep.prepared": ("PreparedSet", "open_prepared", "prepare_folders"),
            "data_prep.registry": ("find_dataset",),
        },
    )

__all__ = [
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
