"""`--skip-bad`: pairs with a bad file are left out, the manifest says which, and a second call holds it to that."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from data_prep.datasets import deepglobe
from data_prep.errors import DataError
from data_prep.images.masks import Mask, binary_mask
from data_prep.manifest_file import load_manifest
from data_prep.registry import DATASETS, find_dataset
from tests.data_prep.samples import contents, prepare, road, squares, write_image, write_mask, write_pair


@pytest.fixture
def spoiled(source):
    """Three sound pairs and five with six faults of every kind."""
    train = source / "train"
    for stem in ("200", "201", "202", "203"):
        write_pair(train, stem, int(stem), drawn=squares)
    (train / "200_sat.jpg").write_bytes((train / "200_sat.jpg").read_bytes()[:-500])
    (train / "200_mask.png").write_bytes(b"")
    write_mask(train / "201_mask.png", road(201, 256))
    (train / "202_mask.png").unlink()
    (train / "202_mask.png").symlink_to("gone.png")
    write_image(source / "test" / "203_sat.jpg", squares(77))
    write_mask(train / "300_mask.png", road(300))
    return source


BAD = {
    "200_sat.jpg": "cannot be decoded (",
    "200_mask.png": "cannot be decoded (not a picture)",
    "201_mask.png": "expected the size of its image, 512x512, found 256x256 (width x height)",
    "202_mask.png": "cannot be read (No such file or directory)",
    "203_sat.jpg": "same ID, different content",
    "300_mask.png": "there is no image of this ID",
}


def sound_only(spoiled, folder):
    for stem in ("100", "101", "102"):
        for path in (spoiled / "train").glob(f"{stem}_*"):
            (folder / "train").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "train")
    return folder


def test_without_the_option_all_faults_are_listed_with_their_kind_and_the_option(spoiled, out):
    with pytest.raises(DataError) as caught:
        prepare(spoiled, out)
    message = str(caught.value)
    assert "6 files of the source cannot be used" in message
    assert "leave them out with --skip-bad" in message
    assert "Kinds: 2 damaged, 1 in several versions, 1 not as expected, 1 unreadable, 1 without its image." in message
    assert all(f"{name}: {reason}" in message for name, reason in BAD.items())


def picky(picture) -> Mask:
    """Read masks as a data set of the user's might: errors for what it does not know, and a mistake."""
    if (width := picture.size[0]) == 128:
        return picture.labels
    return {512: binary_mask}[width](picture) if width < 1024 else int("1,024")


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_a_reader_are_faults_of_its_files(source, out, workers, monkeypatch):
    """The first of them ended `prepare_from` with a traceback, and neither it nor the others were listed."""
    monkeypatch.setattr(deepglobe, "READING", replace(deepglobe.READING, read_mask=picky))
    write_mask(source / "train" / "100_mask.png", road(100, 1024))
    write_mask(source / "train" / "101_mask.png", road(101, 256))
    with pytest.raises(DataError, match="2 files of the source cannot be used") as caught:
        prepare(source, out, workers=workers)
    assert "100_mask.png: read_mask raised ValueError: invalid literal for int() with base 10: '1,024'" in str(
        caught.value
    )
    assert "101_mask.png: read_mask raised KeyError: 256" in str(caught.value)
    assert [entry.stem for entry in prepare(source, out, workers=workers, skip_bad=True).entries] == ["102"]


def test_a_mistake_in_a_reader_is_no_fault_of_a_file(source, out, monkeypatch):
    monkeypatch.setattr(deepglobe, "READING", replace(deepglobe.READING, read_mask=picky))
    write_mask(source / "train" / "100_mask.png", road(100, 128))
    with pytest.raises(AttributeError, match="labels"):
        prepare(source, out, skip_bad=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_pairs_with_a_bad_file_are_left_out_and_listed(spoiled, tmp_path, out, workers):
    manifest = prepare(spoiled, out, workers=workers, skip_bad=True)
    assert [entry.stem for entry in manifest.entries] == ["100", "101", "102"]
    assert len(manifest.skipped) == len(BAD)
    assert all(any(f"{name}: {why}" in line for line in manifest.skipped) for name, why in BAD.items())
    assert manifest.describe() == "partial: 3 pairs of 6226 known, 6 bad files left out"
    assert load_manifest(out, "deepglobe") == manifest

    sound = prepare(sound_only(spoiled, tmp_path / "sound"), tmp_path / "straight")
    mine, straight = contents(out), contents(tmp_path / "straight")
    assert mine.keys() == straight.keys()
    assert [name for name in mine if mine[name] != straight[name]] == ["manifest.json"]
    assert manifest.entries == sound.entries


def test_the_digest_knows_what_was_left_out_but_not_where_it_lay_or_how_a_library_words_it(spoiled, tmp_path, out):
    manifest = prepare(spoiled, out, skip_bad=True)
    assert manifest.digest(0) != replace(manifest, skipped=()).digest(0)
    moved = tuple(f"elsewhere/{line.partition(': ')[0]}: broken" for line in manifest.skipped)
    assert manifest.digest(0) == replace(manifest, skipped=moved[::-1]).digest(0)
    assert manifest.digest(0) != replace(manifest, skipped=moved[1:]).digest(0)


def test_nothing_bad_changes_nothing(shared_source, tmp_path, out):
    prepare(shared_source, out, skip_bad=True)
    prepare(shared_source, tmp_path / "straight")
    assert contents(out) == contents(tmp_path / "straight")
    assert prepare(shared_source, out, skip_bad=True) == prepare(shared_source, out)


def test_a_second_call_verifies_what_was_left_out(spoiled, tmp_path, out):
    manifest = prepare(spoiled, out, skip_bad=True)
    assert prepare(spoiled, out, skip_bad=True) == manifest
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", sound_only(spoiled, tmp_path / "sound"))
    with pytest.raises(DataError, match=r"200_sat\.jpg: left out as bad, which it is not here"):
        prepare(tmp_path / archive, out, skip_bad=True)


def test_a_second_call_without_the_option_names_it(spoiled, out):
    prepare(spoiled, out, skip_bad=True)
    with pytest.raises(DataError) as caught:
        prepare(spoiled, out)
    message = str(caught.value)
    assert "was prepared with --skip-bad: 6 bad files of its source were left out. Give --skip-bad again" in message
    assert "train/201_mask.png: expected the size" in message


def test_a_mended_and_a_newly_bad_file_are_told(spoiled, out):
    prepare(spoiled, out, skip_bad=True)
    write_pair(spoiled / "train", "201", 201, drawn=squares)
    write_mask(spoiled / "train" / "301_mask.png", road(301))
    with pytest.raises(DataError) as caught:
        prepare(spoiled, out, skip_bad=True)
    for line in (
        "(3 pairs there, 4 here)",
        "201: only in the source",
        "201_mask.png: left out as bad, which it is not here",
        "301_mask.png: bad here, not when it was prepared",
    ):
        assert line in str(caught.value)


def test_a_source_where_all_is_bad_is_an_error(source, out):
    for path in (source / "train").glob("*_mask.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"every pair of the source has a bad file.* Kinds: 3 damaged"):
        prepare(source, out, skip_bad=True)
    assert not out.exists()


def test_a_published_split_of_which_nothing_is_left_is_an_error(tmp_path, stand_ins):
    whu, source = find_dataset("whu"), shutil.copytree(stand_ins("whu"), tmp_path / "source")
    next((source / "val" / "label").iterdir()).write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"every pair of val has a bad file"):
        whu.prepare(source, tmp_path / "out", origin="synthetic", workers=1, progress=lambda *_: None, skip_bad=True)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_knows_the_option(tmp_path, stand_ins, name):
    entry, source = find_dataset(name), shutil.copytree(stand_ins(name), tmp_path / "source")
    first = min(
        path for path in source.rglob("*") if path.suffix in (".jpg", ".tif") and path.parts[-3] not in ("val", "test")
    )
    first.write_bytes(first.read_bytes()[:-2000])
    asked = {"origin": "synthetic", "workers": 1, "progress": lambda *_: None}
    with pytest.raises(DataError, match="1 file of the source cannot be used"):
        entry.prepare(source, tmp_path / "out", **asked)
    manifest = entry.prepare(source, tmp_path / "out", **asked, skip_bad=True)
    assert len(manifest.entries) == 3
    assert manifest.describe().endswith(f"not {name}, 1 bad file left out")
