"""A split by scenes of data that was published with a split: kept where it came with the data, drawn where cut anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.execution.plan import plan, settle_split
from benchmarks.protocol.run import resolve_run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.protocol.targets import datasets_of
from benchmarks.scoring.test_images import select_test_images
from data_prep.checks.card import examine
from data_prep.checks.card_markdown import findings
from data_prep.errors import DataError
from data_prep.manifest_file import save_manifest
from data_prep.prepared import PreparedSet
from data_prep.registry import find_dataset
from rssam.config import RSSAM
from rssam.weights.folder import WeightsFolder
from tests.benchmarks.prepared import write_prepared

BLOCKED = Setting("smoke", "vit_t", "scratch", dataset="whu", split="blocked")
TABLE = next(table for table in TABLES.values() if table.dataset == "deepglobe")


def whu(home, scenes, *, official=False):
    """Prepared tiles of WHU, cut here from as many rasters, or the published ones."""
    folder = home / "data" / "whu"
    manifest = write_prepared(folder)
    entries = tuple(
        replace(entry, scene=f"r{number % scenes}", tile_of=None if official else f"r{number % scenes}")
        for number, entry in enumerate(manifest.entries)
    )
    manifest = replace(
        manifest, dataset="whu", classes=("building",), origin="source", expected_pairs=8188, official_split=official,
        entries=entries,
    )  # fmt: skip
    save_manifest(folder, manifest)
    return manifest


def resolved(home, manifest):
    setting, notes = settle_split(BLOCKED, datasets_of([TABLE], BLOCKED), home)
    run = plan([TABLE], setting, [0], 0, 1)[0]
    return resolve_run(
        replace(run, model=RSSAM("vit_t", init="scratch")), manifest, WeightsFolder(home), "32-true"
    ), notes


def test_reproduce_splits_by_scenes_as_score_does(tmp_path):
    """`reproduce` gave the key of the random split without a word, `score` the test images of the split by scenes."""
    manifest = whu(tmp_path, 7)
    of_run, notes = resolved(tmp_path, manifest)
    of_score = select_test_images(tmp_path, "whu", 0, "blocked")
    assert of_run.run.split_rule == "blocked"
    assert of_run.data_digest == of_score.digest == manifest.digest(0, "blocked") != manifest.digest(0)
    assert (notes, of_score.split_note) == ([], "")


def test_a_part_without_images_is_refused_by_all(tmp_path):
    """`score` said "14 pairs are too few to split; prepare more", a run of a folder of one scene the same."""
    manifest = whu(tmp_path, 1)
    words = "whu has no val and no test images if whole scenes are split: its 14 images lie in 1 scene. Leave out"
    with pytest.raises(DataError, match=words):
        resolved(tmp_path, manifest)
    with pytest.raises(DataError, match=words):
        select_test_images(tmp_path, "whu", 0, "blocked")
    with pytest.raises(DataError, match=words):
        PreparedSet(tmp_path / "data" / "whu", find_dataset("whu"), manifest).split("val", 0, "blocked")
    said = findings(examine(tmp_path / "data" / "whu", manifest, 1, lambda *_: None))
    assert "--split blocked is refused, because a part would be empty." in said


def test_a_published_split_is_kept_with_a_note(tmp_path):
    """It was kept without a word."""
    manifest = whu(tmp_path, 7, official=True)
    of_run, notes = resolved(tmp_path, manifest)
    of_score = select_test_images(tmp_path, "whu", 0, "blocked")
    assert of_run.run.split_rule == "random"
    assert of_run.data_digest == of_score.digest == manifest.digest(0)
    words = "whu has a published split, which is kept: --split blocked changes nothing"
    assert (notes, of_score.split_note) == ([words], words)
