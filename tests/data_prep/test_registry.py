from __future__ import annotations

import subprocess
import sys

import pytest

from data_prep.dataset import Dataset
from data_prep.errors import DataError
from data_prep.registry import DATASETS, PUBLICATIONS, find_dataset


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_a_data_sheet(name):
    entry = find_dataset(name)
    assert isinstance(entry, Dataset)
    assert entry.name == name
    assert "Source" in type(entry).__doc__
    facts = dict(PUBLICATIONS[name].facts())
    assert {"source", "licence", "citation", "files"} <= facts.keys()
    assert all(facts.values())
    assert len(entry.palette) == len(entry.classes) == len(set(entry.palette))


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(DataError, match="unknown data set 'x': choose from deepglobe, whu, whdld"):
        find_dataset("x")


@pytest.mark.parametrize("name", DATASETS)
def test_stand_ins_become_a_prepared_folder_that_a_second_call_verifies(tmp_path, stand_ins, name):
    entry, source, out = find_dataset(name), stand_ins(name), tmp_path / "out"
    with pytest.raises(DataError, match=f"holds synthetic scenes, not {entry.title}"):
        entry.prepare(source, out, origin="source", workers=1, progress=lambda *_: None)
    first, second = (
        entry.prepare(source, out, origin="synthetic", workers=1, progress=lambda *_: None) for _ in range(2)
    )
    assert first == second
    assert len(first.entries) == 4
    assert (first.dataset, first.classes, first.image_size) == (name, entry.classes, entry.image_size)
    assert not first.complete


def test_the_catalog_does_not_import_torch():
    code = "import sys, data_prep.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
