"""Prepare data sets: from published archives to verified, split and resized folders. Importing it imports no torch.

These names are for whoever writes a data set; see docs/extend.md. Each is imported when it is first used, because
commands that only list what there is read no picture.
"""

from typing import TYPE_CHECKING

from rssam.deferred import deferred

if TYPE_CHECKING:
    from data_prep.dataset import Dataset
    from data_prep.errors import DataError
    from data_prep.images.masks import Mask, binary_mask, colour_labels
    from data_prep.manifest import Manifest
    from data_prep.prepare.layouts import Layout
    from data_prep.prepare.pairs import Origin
    from data_prep.prepare.pipeline import prepare_from
    from data_prep.prepare.reading import Reading
    from data_prep.processes import Progress
    from data_prep.synthetic.marker import mark as mark_synthetic
    from rssam.contract import Colour

__all__ = [
    "Colour",
    "DataError",
    "Dataset",
    "Layout",
    "Manifest",
    "Mask",
    "Origin",
    "Progress",
    "Reading",
    "binary_mask",
    "colour_labels",
    "mark_synthetic",
    "prepare_from",
]

__getattr__ = deferred(
    __name__,
    {
        "Colour": "rssam.contract:Colour",
        "DataError": "data_prep.errors:DataError",
        "Dataset": "data_prep.dataset:Dataset",
        "Layout": "data_prep.prepare.layouts:Layout",
        "Manifest": "data_prep.manifest:Manifest",
        "Mask": "data_prep.images.masks:Mask",
        "Origin": "data_prep.prepare.pairs:Origin",
        "Progress": "data_prep.processes:Progress",
        "Reading": "data_prep.prepare.reading:Reading",
        "binary_mask": "data_prep.images.masks:binary_mask",
        "colour_labels": "data_prep.images.masks:colour_labels",
        "mark_synthetic": "data_prep.synthetic.marker:mark",
        "prepare_from": "data_prep.prepare.pipeline:prepare_from",
    },
)
