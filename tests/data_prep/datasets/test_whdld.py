from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol.paper_numbers import PAPER_TABLES
from data_prep.datasets.whdld import Whdld
from data_prep.errors import DataError
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from tests.data_prep.samples import contents, picture, write_image

COLOURS = {
    "building": (255, 0, 0),
    "road": (255, 255, 0),
    "pavement": (192, 192, 0),
    "vegetation": (0, 255, 0),
    "bare_soil": (128, 128, 128),
    "water": (0, 0, 255),
}


def prepare(source, out, origin="source"):
    return Whdld().prepare(source, out, origin=origin, workers=1, progress=lambda *_: None)


def patches(seed: int) -> np.ndarray:
    """Labels as colours [256, 256, 3]: squares of 16 pixels, one class each."""
    classes = np.random.default_rng(seed).integers(0, 6, (16, 16))
    return np.array(list(COLOURS.values()), np.uint8)[classes].repeat(16, axis=0).repeat(16, axis=1)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "ImagesPNG").mkdir(parents=True)
    for index in range(4):
        write_image(folder / "Images" / f"wh000{index}.jpg", picture(index, 256))
        Image.fromarray(patches(index)).save(folder / "ImagesPNG" / f"wh000{index}.png")
    return folder


def refusal(source, out) -> str:
    with pytest.raises(DataError) as caught:
        prepare(source, out)
    assert not out.exists()
    return str(caught.value)


def test_classes_stand_in_the_order_of_the_papers_table():
    """Shifted by one, every Dice of Table 4 would be that of its neighbour."""
    assert Whdld.classes == tuple(COLOURS) == tuple(PAPER_TABLES["table4"]["RS-SAM",])
    assert Whdld.palette == tuple(COLOURS.values())


def test_colours_become_labels(source, tmp_path):
    manifest = prepare(source, tmp_path / "out")
    names = list(COLOURS.values())
    for entry, item in zip(
        manifest.entries, PreparedDataset(tmp_path / "out", manifest.entries, native=True), strict=True
    ):
        drawn = np.asarray(Image.open(source / "ImagesPNG" / f"{entry.stem}.png"))
        for row in range(0, 256, 5):
            for column in range(0, 256, 5):
                assert item["mask"][row, column] == names.index(tuple(drawn[row, column].tolist()))
        stored = Image.open(tmp_path / "out" / entry.mask)
        assert stored.mode == "P"
        assert (np.asarray(stored.convert("RGB")) == drawn).all()
        assert (item["native_mask"] == item["mask"]).all()
        image = np.asarray(Image.open(source / "Images" / f"{entry.stem}.jpg"))
        assert (item["image"].permute(1, 2, 0).numpy() == image).all()


def test_what_the_manifest_says(source, tmp_path):
    manifest = prepare(source, tmp_path / "out")
    assert [len(entries) for entries in manifest.splits(0).values()] == [3, 0, 1]
    assert not manifest.official_split
    assert {entry.foreground for entry in manifest.entries} == {1.0}
    assert {entry.native_mask for entry in manifest.entries} == {None}
    assert manifest.describe() == "partial: 4 pairs of 4940 known"
    assert load_manifest(tmp_path / "out", "whdld") == manifest == prepare(source, tmp_path / "out")


def test_a_palette_is_read_by_its_colours_not_by_its_numbers(source, tmp_path):
    """Class numbers differ between copies of the set; read as labels they would permute the classes."""
    wanted = [entry.mask_sha256 for entry in prepare(source, tmp_path / "one").entries]
    for path in (source / "ImagesPNG").iterdir():
        drawn = np.asarray(Image.open(path))
        numbers = np.zeros((256, 256), np.uint8)
        for number, colour in enumerate(reversed(COLOURS.values())):
            numbers[(drawn == colour).all(axis=2)] = number
        picture = Image.fromarray(numbers)
        picture.putpalette([channel for colour in reversed(COLOURS.values()) for channel in colour])
        picture.save(path)
    assert [entry.mask_sha256 for entry in prepare(source, tmp_path / "two").entries] == wanted


def test_labels_that_once_were_jpeg_are_refused(source, tmp_path):
    """Rounded to the nearest class, the ringing around every border would become thin strips of other classes."""
    path = source / "ImagesPNG" / "wh0001.png"
    Image.open(path).save(tmp_path / "lossy.jpg", quality=95)
    Image.open(tmp_path / "lossy.jpg").save(path)
    message = refusal(source, tmp_path / "out")
    assert message.startswith("1 file of the source cannot be used")
    assert "ImagesPNG/wh0001.png: expected the colours of the 6 classes, found also (" in message
    assert " more" in message


def test_a_colour_off_by_one_is_named(source, tmp_path):
    path = source / "ImagesPNG" / "wh0002.png"
    drawn = patches(2)
    drawn[7, 9] = (0, 254, 0)
    Image.fromarray(drawn).save(path)
    assert "ImagesPNG/wh0002.png: expected the colours of the 6 classes, found also (0, 254, 0)\n" in (
        refusal(source, tmp_path / "out") + "\n"
    )


def test_class_numbers_without_colours_are_refused(source, tmp_path):
    Image.fromarray(np.full((256, 256), 3, np.uint8)).save(source / "ImagesPNG" / "wh0000.png")
    assert "wh0000.png: expected labels as colours (RGB or palette), found mode L" in refusal(source, tmp_path / "out")


def test_larger_images_are_not_shrunk(source, tmp_path):
    write_image(source / "Images" / "wh0003.jpg", picture(3, 512))
    assert "wh0003.jpg: expected 256x256 pixels, found 512x512" in refusal(source, tmp_path / "out")


def test_labels_of_one_class_everywhere_are_refused(source, tmp_path):
    """One file may show nothing but water; all of them were saved wrongly."""
    for path in list((source / "ImagesPNG").iterdir()):
        Image.new("RGB", (256, 256), COLOURS["water"]).save(path)
    message = refusal(source, tmp_path / "out")
    assert "all 4 masks show nothing but water: expected the colours of several classes, found only (0, 0, 255)." in (
        message
    )
    Image.fromarray(patches(0)).save(path)
    assert len(prepare(source, tmp_path / "out").entries) == 4


def test_files_elsewhere_are_no_pairs(source, tmp_path):
    (source / "Images").rename(source / "Pictures")
    assert "found no such pair (0 images, 4 masks, 4 other files)" in refusal(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("Image", "Label"),
        ("IMG", "GT"),
        ("a/b c/Images", "a/b c/imagesPNG"),
        ("x/img", "y/labels"),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".tif"])
def test_folders_and_formats_go_by_several_names(source, tmp_path, images, labels, suffix):
    wanted = [entry.mask_sha256 for entry in prepare(source, tmp_path / "one").entries]
    for folder, name, kind in (("Images", images, suffix), ("ImagesPNG", labels, ".png")):
        for path in (source / folder).iterdir():
            target = (tmp_path / "other" / name / path.name).with_suffix(kind)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(target)
    assert [entry.mask_sha256 for entry in prepare(tmp_path / "other", tmp_path / "two").entries] == wanted


@pytest.mark.parametrize(("folder", "other"), [("ImagesPNG", "labels"), ("Images", "img"), ("Images", "more/Images")])
def test_two_folders_that_fit_are_named(source, tmp_path, folder, other):
    """Taken together, labels of another edition would stand beside those of this one."""
    shutil.copytree(source / folder, source / other)
    message = refusal(source, tmp_path / "out")
    assert (
        f"found 2 folders of {'masks' if folder == 'ImagesPNG' else 'images'} that fit: {folder} and {other}" in message
    )
    shutil.rmtree(source / other)
    write_image(source / "docs" / "images" / "logo.jpg", picture(9, 64))  # fits by name only: it has no label
    assert len(prepare(source, tmp_path / "out").entries) == 4


def test_a_set_sorted_into_splits_of_somebody_is_one_set(source, tmp_path):
    wanted = prepare(source, tmp_path / "one")
    for folder, name in (("Images", "images"), ("ImagesPNG", "labels")):
        for place, path in enumerate(sorted((source / folder).iterdir())):
            target = tmp_path / "sorted" / ("train" if place < 3 else "test") / name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    assert prepare(tmp_path / "sorted", tmp_path / "two") == wanted


def test_labels_in_jpeg_are_refused_with_their_colours(source, tmp_path):
    path = source / "ImagesPNG" / "wh0001.png"
    Image.open(path).save(path.with_suffix(".jpg"), quality=95)
    path.unlink()
    message = refusal(source, tmp_path / "out")
    assert "ImagesPNG/wh0001.jpg: expected labels without loss (PNG), found JPEG, whose colours are (" in message
    assert " more" in message


def test_synthesized_pairs_have_the_layout(tmp_path):
    for folder in ("made", "again"):
        Whdld().synthesize(tmp_path / folder, 4, seed=3)
    assert contents(tmp_path / "made") == contents(tmp_path / "again")
    image, labels = (Image.open(tmp_path / "made" / name) for name in ("Images/wh0001.jpg", "ImagesPNG/wh0001.png"))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))
    assert (labels.format, labels.mode, labels.size) == ("PNG", "RGB", (256, 256))
    assert {colour for _, colour in labels.getcolors()} <= set(COLOURS.values())
    manifest = prepare(tmp_path / "made", tmp_path / "out", origin="synthetic")
    assert manifest.describe() == "synthetic stand-in scenes (4 pairs), not whdld"
