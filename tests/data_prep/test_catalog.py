from __future__ import annotations

import subprocess
import sys

import pytest

from data_prep.base import DataError, Dataset
from data_prep.catalog import DATASETS, dataset


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_a_data_sheet(name):
    entry = dataset(name)
    assert isinstance(entry, Dataset)
    assert entry.name == name
    assert "Citation" in type(entry).__doc__
    assert "Licence" in type(entry).__doc__


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(DataError, match="unknown data set 'x': choose from deepglobe"):
        dataset("x")


def test_the_catalog_does_not_import_torch():
    code = "import sys, data_prep.catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
