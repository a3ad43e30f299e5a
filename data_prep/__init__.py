"""Prepare data sets: from published archives to verified, split and resized folders. Importing it imports no torch.

These names are for whoever writes a data set; see docs/extend.md.
"""

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
