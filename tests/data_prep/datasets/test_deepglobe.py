from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_prep.dataset import Dataset
from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest, verify_files
from data_prep.rules import sentences
from data_prep.synthetic.wide_roads import wide_road_scene
from tests.data_prep.samples import contents, picture, prepare, road, write_image, write_mask, write_pair


def test_is_a_dataset():
    assert isinstance(DeepGlobe(), Dataset)


def test_a_source_of_1024_pixels_is_halved(tmp_path, out):
    write_pair(tmp_path / "train", "7", seed=7, side=1024)
    manifest = prepare(tmp_path, out)
    (entry,) = manifest.entries
    assert entry.source_size == (1024, 1024)
    assert entry.size == (512, 512)

    full = np.asarray(Image.open(tmp_path / "train" / "7_sat.jpg")).astype(float)
    mean = (full[::2, ::2] + full[::2, 1::2] + full[1::2, ::2] + full[1::2, 1::2]) / 4
    assert np.abs(np.asarray(Image.open(out / entry.image)) - mean).max() <= 0.5
    native = road(7, 1024) >= 128
    labels = np.array(Image.open(out / entry.mask))
    assert (labels == native[::2, ::2]).all()
    assert (np.asarray(Image.open(out / entry.native_mask)) == native).all()
    assert entry.foreground == pytest.approx(labels.mean())
    assert set(manifest.rules) == {"image", "mask", "split"}


def test_a_source_of_512_pixels_stays_and_needs_no_native_mask(shared_source, out):
    manifest = prepare(shared_source, out)
    assert [entry.stem for entry in manifest.entries] == ["100", "101", "102", "103"]
    assert manifest.without_mask == 1
    assert manifest.describe() == "partial: 4 pairs of 6226 known"
    assert all(entry.native_mask is None for entry in manifest.entries)
    assert not (out / "native_masks").exists()
    image = np.asarray(Image.open(out / "images" / "100.png"))
    assert (image == np.asarray(Image.open(shared_source / "train" / "100_sat.jpg"))).all()
    assert verify_files(out, manifest.entries) == []
    assert load_manifest(out, "deepglobe") == manifest
    assert {path.name for path in out.parent.iterdir()} <= {"deepglobe", ".deepglobe.lock"}


def test_workers_places_and_zip_make_no_difference(shared_source, tmp_path, out):
    prepare(shared_source, out)
    wanted = contents(out)

    prepare(shared_source, tmp_path / "two" / "deepglobe", workers=2)
    assert contents(tmp_path / "two" / "deepglobe") == wanted

    moved = tmp_path / "moved"
    for path in sorted(shared_source.rglob("*.*"), reverse=True):  # other folders, other order of creation
        target = moved / "deep" / path.suffix[1:] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    prepare(moved, tmp_path / "three" / "deepglobe")
    assert contents(tmp_path / "three" / "deepglobe") == wanted

    with zipfile.ZipFile(tmp_path / "deepglobe.zip", "w") as archive:
        for path in shared_source.rglob("*.*"):
            archive.write(path, f"deepglobe/{path.relative_to(shared_source)}")
            archive.writestr(f"__MACOSX/deepglobe/._{path.name}", b"resource fork")
        archive.writestr("deepglobe/readme.txt", b"not wanted")
    prepare(tmp_path / "deepglobe.zip", tmp_path / "four" / "deepglobe")
    assert contents(tmp_path / "four" / "deepglobe") == wanted
    prepare(tmp_path / "deepglobe.zip", tmp_path / "four" / "deepglobe")  # verified against the ZIP
    assert {path.name for path in (tmp_path / "four").iterdir()} <= {"deepglobe", ".deepglobe.lock"}


def test_identical_images_share_a_group_and_the_rule_says_so(source, out):
    shutil.copy(source / "train" / "100_sat.jpg", source / "train" / "555_sat.jpg")
    shutil.copy(source / "train" / "101_mask.png", source / "train" / "555_mask.png")
    manifest = prepare(source, out)
    groups = {entry.stem: entry.group for entry in manifest.entries}
    assert groups == {"100": "100", "101": "101", "102": "102", "555": "100"}
    for seed in range(5):
        chosen = {entry.stem: split for split, entries in manifest.splits(seed).items() for entry in entries}
        assert chosen["100"] == chosen["555"]
    sizes = "/".join(str(len(entries)) for entries in manifest.splits(0).values())
    wanted = f"seed 0 gives {sizes}; 2 images that have identical copies never part (groups: 1); exact would be 3/0/1"
    assert sentences(manifest.rules)["split"].endswith(wanted)


def test_the_split_of_an_entry_is_that_of_seed_0(shared_source, out):
    manifest = prepare(shared_source, out)
    assert {e.stem: e.split for e in manifest.entries} == {
        e.stem: split for split, entries in manifest.splits(0).items() for e in entries
    }


def test_a_file_given_twice_counts_once(source, out):
    for name in ("100_sat.jpg", "100_mask.png"):
        (source / "copy").mkdir(exist_ok=True)
        shutil.copy(source / "train" / name, source / "copy" / name)
    assert len(prepare(source, out).entries) == 3


def test_an_empty_mask_is_allowed(source, out):
    write_mask(source / "train" / "100_mask.png", np.zeros((512, 512), np.uint8))
    assert prepare(source, out).entries[0].foreground == 0


def test_synthesized_pairs_have_the_layout_and_are_marked(tmp_path, out):
    DeepGlobe().synthesize(tmp_path / "made", 2, seed=3)
    DeepGlobe().synthesize(tmp_path / "again", 2, seed=3)
    assert contents(tmp_path / "made") == contents(tmp_path / "again")
    image = Image.open(tmp_path / "made" / "train" / "100000_sat.jpg")
    mask = np.asarray(Image.open(tmp_path / "made" / "train" / "100000_mask.png"))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (1024, 1024))
    assert mask.shape == (1024, 1024, 3)
    assert set(np.unique(mask)) == {0, 255}

    with pytest.raises(DataError, match="holds synthetic scenes, not DeepGlobe"):
        prepare(tmp_path / "made", out)
    manifest = prepare(tmp_path / "made", out, origin="synthetic")
    assert (len(manifest.entries), manifest.without_mask) == (2, 1)
    assert manifest.describe() == "synthetic stand-in scenes (2 pairs), not deepglobe"
    assert not replace(manifest, expected_pairs=2).complete


def test_wide_roads_are_wider_and_lighter_than_the_fields():
    """The usual scenes hide their roads from colour alone, and no small network learns them within minutes."""
    scenes = [wide_road_scene(512, np.random.default_rng(seed)) for seed in range(4)]
    for scene in scenes:
        assert 0.03 < scene.roads.mean() < 0.5
        grey = scene.image.mean(axis=2)
        assert np.percentile(grey[scene.roads], 10) > np.percentile(grey[~scene.roads], 90)


def test_the_manifest_is_json_with_one_digest_per_file(shared_source, out):
    prepare(shared_source, out)
    raw = json.loads((out / "manifest.json").read_text())
    assert all(len(entry["image_sha256"]) == len(entry["mask_sha256"]) == 64 for entry in raw["entries"])


def test_a_prepared_folder_in_the_way_is_left_alone(shared_source, out):
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("precious")
    with pytest.raises(DataError, match="was not made by prepare"):
        prepare(shared_source, out)
    assert (out / "thesis.tex").read_text() == "precious"


def test_hidden_twins_and_other_files_are_no_images(source, out):
    write_image(source / ".trash" / "9_sat.jpg", picture(9))
    (source / "train" / "._100_sat.jpg").write_bytes(b"resource fork")
    (source / "train" / "labels.csv").write_text("x")
    assert len(prepare(source, out).entries) == 3
