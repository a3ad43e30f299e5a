"""Layouts in which people keep their own images and masks: each is found, and no two files share a name."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_prep.datasets.folder_names import find_files
from data_prep.datasets.folder_options import BadDeclaration, declare, from_options
from data_prep.errors import DataError
from data_prep.manifest_file import KINDS, load_manifest
from rssam.kinds import fault
from tests.data_prep.samples import picture

LAYOUTS = {
    "masks with a suffix": ("images/{}.png", "masks/{}_mask.png"),
    "images and masks with a suffix": ("images/{}_sat.png", "labels/{}_gt.png"),
    "prefixes": ("all/img_{}.png", "all/label_{}.png"),
    "one folder": ("{}.png", "{}-mask.png"),
    "tiles of one folder": ("d_1024_{}_i.jpg", "d_1024_{}_mask.png"),
    "masks among images": ("images/{}.jpg", "images/{}_mask.png"),
    "VOC": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    "mmsegmentation": ("img_dir/{}.jpg", "ann_dir/{}.png"),
    "LoveDA": ("Rural/images_png/{}.png", "Rural/masks_png/{}.png"),
    "CamVid": ("part/{}.png", "partannot/annot/{}.png"),
    "input and output": ("input/img-{}.png", "output/img-{}.png"),
    "ground truth": ("RGB/{}.tif", "Ground Truth/{}.tif"),
    "groundtruth": ("images/{}.png", "groundtruth/{}.png"),
    "annotations": ("images/{}.png", "annotations/{}.png"),
    "targets": ("inputs/{}.png", "targets/{}.png"),
    "capitals": ("Images/{}.png", "Annotations/{}_Label.png"),
    "images beside a folder of labels": ("train/{}.png", "train_labels/{}.png"),
}


def write(path, seed, road=None):
    """A picture, or with `road` a mask whose upper rows are road."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture(seed, 32)
    if road is not None:
        pixels = np.zeros((32, 32), np.uint8)
        pixels[:road] = 255
    Image.fromarray(pixels).save(path)


def write_all(source, layout, numbers=range(4)):
    for number in numbers:
        write(source / layout[0].format(number), number)
        write(source / layout[1].format(number), number, road=number + 1)


def own(source, **options):
    return declare(replace(from_options(["road=255"], None), name="mine", **options), source, ())


def prepare(dataset, source, out, **options):
    return dataset.prepare(source, out, origin="source", workers=1, progress=lambda *_: None, **options)


def heights(out, manifest):
    """The rows of road of each mask by its stem: which mask an image was given."""
    return {entry.stem: int((np.asarray(Image.open(out / entry.mask)) == 1)[:, 0].sum()) for entry in manifest.entries}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_is_found(tmp_path, layout):
    """All but the first were "found no such pair", without a word on what is accepted."""
    write_all(tmp_path / "s", layout)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    rows = heights(tmp_path / "out", manifest)
    assert [rows[stem] for stem in sorted(rows, key=lambda stem: stem[-1])] == [1, 2, 3, 4]


def test_folders_that_always_counted_come_first(tmp_path):
    """With the wider words masks_old would be masks too: a folder accepted before would be one of faults."""
    write_all(tmp_path / "s", ("images/{}.png", "masks/{}.png"))
    write_all(tmp_path / "s", ("img_dir/{}.jpg", "masks_old/{}.png"), range(9))
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert [entry.stem for entry in manifest.entries] == ["0", "1", "2", "3"]


def test_the_message_says_what_is_accepted_and_what_was_found(tmp_path):
    """It said "images/NAME.png with masks masks/NAME.png" alone, and nothing of the files that are there."""
    for number in range(3):
        write(tmp_path / "s" / "photos" / f"{number}.png", number)
        write(tmp_path / "s" / "classes" / f"{number}.png", number, road=3)
    with pytest.raises(DataError) as caught:
        own(tmp_path / "s")
    for words in ("groundtruth", "NAME_mask.png", '--images "GLOB" --masks "GLOB"', "3 in photos such as 0.png"):
        assert words in str(caught.value)


def test_several_wildcards_of_a_name_are_one_name(tmp_path):
    for number, (row, column) in enumerate(((0, 0), (0, 1), (1, 0))):
        write(tmp_path / "s" / "rgb" / f"x{row}y{column}.png", number)
        write(tmp_path / "s" / "gt" / f"gt-{row}-{column}.png", number, road=number + 1)
    manifest = prepare(own(tmp_path / "s", globs=("rgb/x*y*.png", "gt/gt-*-*.png")), tmp_path / "s", tmp_path / "out")
    assert heights(tmp_path / "out", manifest) == {"0_0": 1, "0_1": 2, "1_0": 3}


@pytest.mark.parametrize(
    ("globs", "stems"),
    [
        (("photos/*.png", "classes/*_id.tif"), ["0", "1", "2"]),
        (("./photos/*", "classes/*_id.*"), ["0", "1", "2"]),
        (("**/photos/*.png", "**/classes/*_id.tif"), ["0", "1", "2"]),
        (("photos/?.png", "classes/?_id.tif"), ["0", "1", "2"]),
    ],
)
def test_globs_pair_what_their_wildcards_stand_for(tmp_path, globs, stems):
    write_all(tmp_path / "s", ("photos/{}.png", "classes/{}_id.tif"), range(3))
    write_all(tmp_path / "s", ("other/{}.png", "other/{}_colour.png"), range(3))
    dataset = own(tmp_path / "s", globs=globs)
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    assert heights(tmp_path / "out", manifest) == {stem: int(stem) + 1 for stem in stems}
    assert prepare(dataset, tmp_path / "s", tmp_path / "out") == manifest


@pytest.mark.parametrize("globs", [("a/*", None), ("a/1.png", "b/*"), ("/a/*", "b/*"), ("../a/*", "b/*")])
def test_globs_that_make_no_sense(tmp_path, globs):
    with pytest.raises(BadDeclaration, match=r"--images|a pattern in the source"):
        own(tmp_path, globs=globs, side=32)


def test_equal_names_get_their_folders(tmp_path):
    """ "same ID, different content" refused a source of one folder a city."""
    for number, city in enumerate(("cityA", "cityB")):
        write(tmp_path / "s" / "images" / city / "0.png", number)
        write(tmp_path / "s" / "masks" / city / "0.png", number, road=number + 1)
    write(tmp_path / "s" / "images" / "cityB" / "7.png", 7)
    write(tmp_path / "s" / "masks" / "cityB" / "7.png", 7, road=7)
    for count, fit in enumerate(("keep", "tile")):
        out = tmp_path / f"out{count}"
        dataset = own(tmp_path / "s", **({} if fit == "keep" else {"side": 32}))
        manifest = prepare(dataset, tmp_path / "s", out)
        assert dataset.fit == fit
        rows = {stem.removesuffix("_y00000_x00000"): height for stem, height in heights(out, manifest).items()}
        assert rows == {"cityA/0": 1, "cityB/0": 2, "cityB/7": 7}
        assert load_manifest(out, "mine") == manifest == prepare(dataset, tmp_path / "s", out)


def test_folder_and_name_stay_two_parts(tmp_path):
    """Joined by "_", a/b_c and a_b/c would be one file: the second mask would be that of both images."""
    for number, place in enumerate(("a/{}/b_c", "a_b/{}/c", "a/{}/c")):
        write(tmp_path / "s" / f"{place.format('images')}.png", number)
        write(tmp_path / "s" / f"{place.format('masks')}.png", number, road=number + 1)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert heights(tmp_path / "out", manifest) == {"a/b_c": 1, "a_b/c": 2, "a/c": 3}
    assert len({entry.image for entry in manifest.entries}) == 3


def test_the_folder_that_all_share_is_in_no_name(tmp_path):
    """An archive has its own folder on top: the same files would fall into another split than unpacked ones."""
    for number, city in enumerate(("cityA", "cityB")):
        write(tmp_path / "s" / "images" / city / "0.png", number)
        write(tmp_path / "s" / "masks" / city / "0.png", number, road=number + 1)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in (tmp_path / "s").rglob("*.png"):
            archive.write(path, f"release/v1/{path.relative_to(tmp_path / 's').as_posix()}")
    dataset = own(tmp_path / "s.zip")
    zipped = prepare(dataset, tmp_path / "s.zip", tmp_path / "zipped")
    assert [entry.stem for entry in zipped.entries] == ["cityA/0", "cityB/0"]
    assert zipped.digest(0) == prepare(dataset, tmp_path / "s", tmp_path / "out").digest(0)


def test_images_and_masks_below_folders_of_their_own(tmp_path):
    for number, city in enumerate(("cityA", "cityB")):
        write(tmp_path / "s" / "pictures" / "images" / city / "0.png", number)
        write(tmp_path / "s" / "truth" / "masks" / city / "0.png", number, road=number + 1)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert heights(tmp_path / "out", manifest) == {"cityA/0": 1, "cityB/0": 2}


def test_copies_of_one_content_are_one_pair_as_they_always_were(tmp_path):
    for place in ("a", "b"):
        write_all(tmp_path / "s" / place, ("images/{}.png", "masks/{}.png"))
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert [entry.stem for entry in manifest.entries] == ["0", "1", "2", "3"]


def test_two_masks_of_one_image_stay_a_fault(tmp_path):
    write_all(tmp_path / "s", ("images/{}.png", "masks/a/{}.png"))
    write(tmp_path / "s" / "masks" / "b" / "0.png", 0, road=20)
    with pytest.raises(DataError, match=r"masks/a/0.png and masks/b/0.png: same ID, different content"):
        prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


def test_a_folder_called_like_a_picture_is_no_place_for_another(tmp_path):
    """images/a.png of the one pair would be a file, and of the other a folder."""
    for number, place in enumerate(("{}/a", "{}/a.png/b", "{}/c/b")):
        write(tmp_path / "s" / f"{place.format('images')}.jpg", number)
        write(tmp_path / "s" / f"{place.format('masks')}.tif", number, road=number + 1)
    with pytest.raises(DataError, match="same ID, different content"):
        prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


@pytest.mark.parametrize("stem", ["..", "../x", "a/../b", "a//b", "/a", "a/", "."])
def test_stems_of_foreign_manifests_lead_nowhere_else(tmp_path, stem):
    assert fault({"stem": stem}, {"stem": KINDS["entries"][0]["stem"]})
    assert not fault({"stem": "cityA/0"}, {"stem": KINDS["entries"][0]["stem"]})


def test_names_without_words_are_images():
    assert [file.role for file in find_files(["a/1.png", "a/2.jpg", "a/readme.txt"], None)] == ["image", "image"]
