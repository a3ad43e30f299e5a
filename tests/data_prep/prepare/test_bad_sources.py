"""Every wrong source gets an error that names it, and nothing appears under the final name."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import DataError
from tests.data_prep.samples import picture, prepare, road, squares, write_image, write_mask, write_pair


def refusal(source, out) -> str:
    with pytest.raises(DataError) as caught:
        prepare(source, out)
    assert not out.exists()
    return str(caught.value)


def test_no_source(tmp_path, out):
    assert "found nothing at" in refusal(tmp_path / "nowhere", out)


def test_neither_folder_nor_zip(tmp_path, out):
    (tmp_path / "deepglobe.rar").write_bytes(b"Rar!")
    assert "expected a folder or an archive (zip, tar, tar.gz), found another file" in refusal(
        tmp_path / "deepglobe.rar", out
    )


def test_empty_folder(tmp_path, out):
    (tmp_path / "empty").mkdir()
    assert "found no such pair (0 images, 0 masks, 0 other files)" in refusal(tmp_path / "empty", out)


def test_images_only(tmp_path, out):
    write_image(tmp_path / "valid" / "1_sat.jpg", picture(1))
    assert "found no such pair (1 images, 0 masks, 0 other files)" in refusal(tmp_path, out)


def test_all_bad_files_are_listed_at_once(source, out):
    train = source / "train"
    for stem in ("200", "201", "202", "203", "204", "205", "206"):
        write_pair(train, stem, int(stem), drawn=squares)
    (train / "200_sat.jpg").write_bytes((train / "200_sat.jpg").read_bytes()[:-500])
    (train / "201_mask.png").write_bytes((train / "201_mask.png").read_bytes()[:-30])
    write_mask(train / "202_mask.png", road(202, 256))
    write_image(train / "203_sat.jpg", picture(203, 500))
    write_image(train / "204_sat.jpg", picture(204)[..., 0])
    write_mask(train / "205_mask.png", picture(205))
    (train / "206_mask.png").unlink()
    os.symlink("gone.png", train / "206_mask.png")
    write_mask(train / "300_mask.png", road(300))
    message = refusal(source, out)
    assert message.startswith("8 files of the source cannot be used; nothing was prepared.")
    for line in (
        "train/200_sat.jpg: cannot be decoded (",
        "train/201_mask.png: cannot be decoded (",
        "train/202_mask.png: expected the size of its image, 512x512, found 256x256 (width x height)",
        "train/203_sat.jpg: expected 512x512 pixels or a whole multiple, found 500x500 (width x height)",
        "train/204_sat.jpg: expected an RGB image, found mode L",
        "train/205_mask.png: expected a black-and-white mask, found colours",
        "train/206_mask.png: cannot be read (No such file or directory)",
        "train/300_mask.png: there is no image of this ID",
    ):
        assert line in message


def test_a_pair_bad_on_both_sides_is_listed_twice(source, out):
    for name in ("100_sat.jpg", "100_mask.png"):
        (source / "train" / name).write_bytes(b"")
    message = refusal(source, out)
    assert "train/100_sat.jpg: cannot be decoded (not a picture)" in message
    assert "train/100_mask.png: cannot be decoded (not a picture)" in message


def test_a_long_list_is_cut(source, out):
    for index in range(30):
        write_mask(source / "train" / f"{500 + index}_mask.png", road(index))
    message = refusal(source, out)
    assert message.startswith("30 files")
    assert message.endswith("... and 10 more")


def test_a_long_list_is_cut_where_no_pair_is_left(tmp_path, out):
    """It ended after 20 of 300 files, as if there were no more."""
    for index in range(300):
        path = tmp_path / "s" / "train" / f"{index}_sat.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink("nowhere", path)
    message = refusal(tmp_path / "s", out)
    assert message.startswith("expected ")
    assert message.endswith("... and 280 more")


def test_copies_that_differ_name_both(source, out):
    write_image(source / "test" / "100_sat.jpg", picture(77))
    assert "test/100_sat.jpg and train/100_sat.jpg: same ID, different content" in refusal(source, out)


def test_masks_of_0_and_1(tmp_path, out):
    for stem in ("1", "2"):
        write_image(tmp_path / f"{stem}_sat.jpg", picture(int(stem)))
        Image.fromarray((road(int(stem)) > 0).astype(np.uint8)).save(tmp_path / f"{stem}_mask.png")
    message = refusal(tmp_path, out)
    assert "none of the 2 masks has any road: expected values of 128 and more, found only 0, 1." in message


def test_the_mended_source_is_prepared(source, out):
    good = source / "train" / "100_sat.jpg"
    kept = good.read_bytes()
    good.write_bytes(kept[:1000])
    refusal(source, out)
    good.write_bytes(kept)
    assert len(prepare(source, out).entries) == 3


def test_bad_files_are_found_by_other_processes_too(source, out):
    shutil.copy(source / "train" / "100_mask.png", source / "train" / "101_sat.jpg")
    with pytest.raises(DataError, match=r"train/101_sat\.jpg: expected JPEG, found PNG"):
        prepare(source, out, workers=2)


def test_linked_folders_are_entered_and_circles_are_not(source, tmp_path, out):
    wanted = prepare(source, out)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "train").symlink_to(source / "train")
    (tmp_path / "linked" / "valid").symlink_to(source / "valid")
    (tmp_path / "linked" / "up").symlink_to(tmp_path / "linked")
    assert prepare(tmp_path / "linked", tmp_path / "second") == wanted
