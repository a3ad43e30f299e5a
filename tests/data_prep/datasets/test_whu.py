from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from data_prep.datasets.whu import Whu, published_split
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.rules import rule, sentences
from tests.data_prep.samples import contents, picture, road

TILES = {"train/1": 11, "train/2": 12, "val/1": 21, "test/1": 31, "test/3": 33}
"""Names that occur in several splits, each with a seed of its own."""


def prepare(source, out, origin="source"):
    return Whu().prepare(source, out, origin=origin, workers=1, progress=lambda *_: None)


def write_tile(folder, name: str, seed: int) -> None:
    split, stem = name.split("/")
    for kind, pixels in (("image", picture(seed)), ("label", road(seed))):
        path = folder / split / kind / f"{stem}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def source(tmp_path):
    for name, seed in TILES.items():
        write_tile(tmp_path / "source", name, seed)
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "home" / "whu"


def refusal(source, out) -> str:
    with pytest.raises(DataError) as caught:
        prepare(source, out)
    return str(caught.value)


def test_the_published_split_is_kept_whatever_the_split_seed(source, out):
    """Drawn anew, test tiles would be trained on, and the scores would be of another split than the paper's."""
    manifest = prepare(source, out)
    wanted = {"train": ["train_1", "train_2"], "val": ["val_1"], "test": ["test_1", "test_3"]}
    for seed in range(4):
        assert {split: [e.stem for e in entries] for split, entries in manifest.splits(seed).items()} == wanted
    assert manifest.official_split
    assert manifest.digest(0) == manifest.digest(1)
    assert {entry.stem: entry.split for entry in manifest.entries} == {
        stem: split for split, stems in wanted.items() for stem in stems
    }
    assert sentences(manifest.rules)["split"] == "train/val/test as published: 2/1/2"
    assert manifest.describe() == "partial: 5 pairs of 8188 known"
    assert load_manifest(out, "whu") == manifest


def test_equal_names_in_two_splits_do_not_clash(source, out):
    """The second would overwrite the first, and a test tile would be trained on under a name of train."""
    for entry in prepare(source, out).entries:
        seed = TILES[entry.stem.replace("_", "/")]
        assert (np.asarray(Image.open(out / entry.image)) == picture(seed)).all()
        assert (np.asarray(Image.open(out / entry.mask)) == (road(seed) == 255)).all()
        assert entry.native_mask is None


def test_identical_images_in_two_splits_are_reported_and_stay(source, out):
    shutil.copy(source / "train" / "image" / "2.tif", source / "test" / "image" / "3.tif")
    manifest = prepare(source, out)
    splits = {entry.stem: entry.split for entry in manifest.entries}
    assert (splits["train_2"], splits["test_3"]) == ("train", "test")
    assert sentences(manifest.rules)["split"] == (
        "train/val/test as published: 2/1/2; 2 images have identical copies (groups: 1, of which 1 lie in more than "
        "one split), none was moved"
    )
    assert manifest.copies_across_splits == (("test_3", "train_2"),)
    assert load_manifest(out, "whu").copies_across_splits == (("test_3", "train_2"),)


def test_pixels_decide_what_is_identical_and_copies_within_a_split_cross_nothing(source, out):
    Image.open(source / "train" / "image" / "2.tif").save(source / "val" / "image" / "1.tif", compression="tiff_lzw")
    shutil.copy(source / "test" / "image" / "1.tif", source / "test" / "image" / "3.tif")
    manifest = prepare(source, out)
    assert manifest.copies_across_splits == (("train_2", "val_1"),)
    assert manifest.rules["split"][1] == rule("copies-parted", images=4, groups=2, parted=1)


@pytest.mark.parametrize("names", [("images", "labels"), ("Images", "Label")])
def test_folders_in_the_plural(source, tmp_path, out, names):
    wanted = [entry.mask_sha256 for entry in prepare(source, tmp_path / "one").entries]
    for split in ("train", "val", "test"):
        for kind, name in zip(("image", "label"), names, strict=True):
            (source / split / kind).rename(source / split / name)
    assert [entry.mask_sha256 for entry in prepare(source, out).entries] == wanted


def test_two_folders_that_fit_are_named(source, out):
    shutil.copytree(source / "val" / "label", source / "val" / "labels")
    assert "found 2 folders of masks that fit: val/label and val/labels. Give" in refusal(source, out)


def test_a_second_run_verifies_and_writes_nothing(source, out):
    first = prepare(source, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert prepare(source, out) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_tile_moved_to_another_split_is_named(source, out):
    prepare(source, out)
    for kind in ("image", "label"):
        (source / "train" / kind / "2.tif").rename(source / "val" / kind / "2.tif")
    message = refusal(source, out)
    assert "train_2: only in the prepared folder" in message
    assert "val_2: only in the source" in message


@pytest.mark.parametrize("form", ["1", "L", "P", "RGB", "png"])
def test_a_label_means_the_same_in_every_form(source, out, form):
    path = source / "val" / "label" / "1.tif"
    label = Image.open(path)
    label.load()
    path.unlink()
    label.convert("L" if form == "png" else form).save(path.with_suffix(".png" if form == "png" else ".tif"))
    (entry,) = prepare(source, out).splits(0)["val"]
    assert (np.asarray(Image.open(out / entry.mask)) == (road(21) == 255)).all()


def test_folders_in_capitals_and_below_others(source, tmp_path, out):
    wanted = [entry.mask_sha256 for entry in prepare(source, tmp_path / "plain").entries]
    for path in list(source.rglob("*.tif")):
        split, kind, name = path.relative_to(source).parts
        target = tmp_path / "deep" / "3. The cropped tiles" / split.capitalize() / kind.upper() / name.upper()
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    manifest = prepare(tmp_path / "deep", out)
    assert [entry.mask_sha256 for entry in manifest.entries] == wanted
    assert [entry.stem for entry in manifest.entries] == ["test_1", "test_3", "train_1", "train_2", "val_1"]


def test_a_label_of_0_and_1_is_refused_though_others_are_good(source, out):
    """Under the threshold of the others it would be an empty tile."""
    Image.fromarray((road(11) > 0).astype(np.uint8)).save(source / "train" / "label" / "1.tif")
    message = refusal(source, out)
    assert message.startswith("1 file of the source cannot be used")
    assert "train/label/1.tif: expected 0 and values of 128 and more, found only 0, 1; multiply" in message


@pytest.mark.parametrize("bits", [None, "val"])
def test_labels_of_0_and_1_in_the_whole_source_are_read_so(source, tmp_path, out, bits):
    """Under the threshold of 128 every building would silently become background."""
    wanted = [entry.mask_sha256 for entry in prepare(source, tmp_path / "of 255").entries]
    for path in source.rglob("label/*.tif"):
        ones = Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8))
        (ones.point([0, *[255] * 255], "1") if bits and bits in str(path) else ones).save(path)
    manifest = prepare(source, out)
    assert [entry.mask_sha256 for entry in manifest.entries] == wanted
    assert manifest.rules["mask"] == (rule("value", of="building", value=1),)
    assert prepare(source, out) == manifest


def test_finished_work_under_another_rule_is_not_used(source, out):
    """Tiles of 0 and 1, read so by an interrupted run, are faults once the source proves to be of 0 and 255."""
    for path in source.rglob("label/*.tif"):
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    kept = (source / "val" / "image" / "1.tif").read_bytes()
    (source / "val" / "image" / "1.tif").write_bytes(b"")
    assert "val/image/1.tif: cannot be decoded" in refusal(source, out)
    (source / "val" / "image" / "1.tif").write_bytes(kept)
    write_tile(source, "train/9", 19)
    assert refusal(source, out).startswith("5 files of the source cannot be used")


def test_a_tile_without_buildings_is_allowed(source, out):
    Image.fromarray(np.zeros((512, 512), np.uint8)).save(source / "train" / "label" / "1.tif")
    assert {entry.stem: entry.foreground for entry in prepare(source, out).entries}["train_1"] == 0


def test_a_missing_split_is_told(source, out):
    shutil.rmtree(source / "val")
    assert "SPLIT/image/NAME.tif" in refusal(source, out)
    assert refusal(source, out).endswith("found no pair in val")


def test_the_same_tile_as_tiff_and_png_is_named(source, out):
    Image.open(source / "val" / "image" / "1.tif").save(source / "val" / "image" / "1.png")
    assert "val/image/1.png and val/image/1.tif: same ID, different content" in refusal(source, out)


def test_other_sizes_and_formats_are_refused(source, out):
    Image.fromarray(picture(1, 1024)).save(source / "train" / "image" / "1.tif")
    Image.fromarray(picture(2)).save(source / "train" / "image" / "2.tif", "JPEG")
    message = refusal(source, out)
    assert "train/image/1.tif: expected 512x512 pixels, found 1024x1024 (width x height)" in message
    assert "train/image/2.tif: expected TIFF or PNG, found JPEG" in message


@pytest.mark.parametrize("count", [*range(4, 40), 8188])
def test_stand_ins_are_split_in_the_published_proportions(count):
    sizes = Counter(published_split(index, count) for index in range(count))
    for split, tiles in (("train", 4736), ("val", 1036), ("test", 2416)):
        assert sizes[split] >= 1
        assert abs(sizes[split] - count * tiles / 8188) < 1


def test_synthesized_tiles_have_the_layout(tmp_path, out):
    for folder in ("made", "again"):
        Whu().synthesize(tmp_path / folder, 4, seed=3)
    assert contents(tmp_path / "made") == contents(tmp_path / "again")
    image, label = (Image.open(tmp_path / "made" / "train" / kind / "2_0.tif") for kind in ("image", "label"))
    assert (image.format, image.mode, image.size) == ("TIFF", "RGB", (512, 512))
    assert (label.format, label.mode, label.size) == ("TIFF", "1", (512, 512))
    manifest = prepare(tmp_path / "made", out, origin="synthetic")
    assert [entry.stem for entry in manifest.entries] == ["test_2_3", "train_2_0", "train_2_1", "val_2_2"]
    assert manifest.describe() == "synthetic stand-in scenes (4 pairs), not whu"
