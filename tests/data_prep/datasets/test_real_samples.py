"""The same on real files, where they lie beside the repository."""

from __future__ import annotations

import pytest

from data_prep.datasets.whu import Whu
from tests.conftest import SHARED as SAMPLES
from tests.data_prep.samples import prepare

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no real samples beside the repository")


def test_genuine_deepglobe_files(out):
    manifest = prepare(SAMPLES / "deepglobe-sample", out)
    assert [entry.stem for entry in manifest.entries] == ["113", "343"]
    assert manifest.without_mask == 1
    assert all(0.008 < entry.foreground < 0.02 for entry in manifest.entries)


def test_vegas_in_the_layout_of_deepglobe(vegas):
    _, manifest = vegas
    assert [len(entries) for entries in manifest.splits(0).values()] == [25, 5, 6]
    assert manifest.describe() == "partial: 36 pairs of 6226 known"
    assert manifest.without_mask == 0
    assert {entry.source_size for entry in manifest.entries} == {(1024, 1024)}


def test_genuine_whu_files(out):
    manifest = Whu().prepare(SAMPLES / "whu-sample", out, origin="source", workers=1, progress=lambda *_: None)
    splits = {entry.stem: entry.split for entry in manifest.entries}
    assert splits == {"test_2_102": "test", "train_2_1133": "train", "val_2_1199": "val"}
    assert [round(entry.foreground, 3) for entry in manifest.entries] == [0.222, 0.227, 0.265]
