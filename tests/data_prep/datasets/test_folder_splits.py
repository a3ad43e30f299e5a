"""The split that a user's own data was published with is the split of its runs, and what is not whole is said."""

from dataclasses import replace

import pytest

from data_prep.datasets.folder import DECLARATION, load_folder
from data_prep.datasets.folder_options import BadDeclaration
from data_prep.errors import DataError
from data_prep.manifest_file import save_manifest
from data_prep.rules import sentences
from tests.data_prep.datasets.test_folder_layout import heights, own, prepare, write, write_all

FOLDERS = {
    "split/images": ("{split}/images/{stem}.png", "{split}/masks/{stem}.png"),
    "images/split": ("images/{split}/{stem}.png", "masks/{split}/{stem}.png"),
    "mmsegmentation": ("img_dir/{split}/{stem}.jpg", "ann_dir/{split}/{stem}.png"),
    "folders of labels": ("{split}/{stem}.png", "{split}_labels/{stem}.png"),
    "annot": ("{split}/{stem}.png", "{split}annot/{stem}.png"),
    "Massachusetts": ("{split}/input/{stem}.png", "{split}/output/{stem}.png"),
    "deeper": ("data/{split}/city/images/{stem}.png", "data/{split}/city/masks/{stem}.png"),
}
WORDS = [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "Valid", "Test")]
SIZES = (5, 1, 2)


def write_split(source, layout=FOLDERS["split/images"], words=WORDS[0], sizes=SIZES, *, again=False):
    """Pairs numbered through all splits, or with `again` from 0 in each."""
    number = 0
    for split, size in zip(words, sizes, strict=True):
        for place in range(size):
            stem = place if again else number
            write(source / layout[0].format(split=split, stem=stem), number)
            write(source / layout[1].format(split=split, stem=stem), number, road=number + 1)
            number += 1


def splits_of(manifest, seed=0):
    return {split: [entry.source for entry in entries] for split, entries in manifest.splits(seed).items()}


PUBLISHED = {"train": ["0", "1", "2", "3", "4"], "val": ["5"], "test": ["6", "7"]}


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("layout", FOLDERS.values(), ids=FOLDERS)
def test_folders_are_the_split(tmp_path, layout, words):
    """train/0 was a test image, and two published test images were trained on: 6/1/1 for 5/1/2, without a word."""
    write_split(tmp_path / "s", layout, words)
    dataset = own(tmp_path / "s")
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    assert (dataset.split, manifest.official_split) == ("folders", True)
    for seed in range(3):
        assert splits_of(manifest, seed) == PUBLISHED
        assert manifest.digest(seed) == manifest.digest(seed, "blocked") == manifest.digest(0)
    said = sentences(manifest.rules)
    assert said["split"] == "train/val/test as published: 5/1/2"
    assert said["official split"] == "by the folders of the source for train, val, test"
    assert load_folder(tmp_path / "out") == dataset
    assert prepare(dataset, tmp_path / "s", tmp_path / "out") == manifest


def test_tiles_stay_in_the_split_of_their_image(tmp_path):
    write_split(tmp_path / "s")
    manifest = prepare(own(tmp_path / "s", side=32), tmp_path / "s", tmp_path / "out")
    assert splits_of(manifest) == PUBLISHED


@pytest.mark.parametrize("place", ["ImageSets/Segmentation", "", "splits"])
@pytest.mark.parametrize(
    "line", ["{}", "{}.jpg", "JPEGImages/{}.jpg", "JPEGImages/{}.jpg SegmentationClass/{}.png", "{} 1"]
)
def test_lists_are_the_split(tmp_path, place, line):
    source = tmp_path / "s"
    write_all(source, ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"), range(10))
    lists = {**PUBLISHED, "trainval": PUBLISHED["train"] + PUBLISHED["val"]}
    for split, stems in lists.items():
        path = source / place / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\r\n".join([*(line.format(stem, stem) for stem in stems), "not_there", ""]))
    manifest = prepare(own(source), source, tmp_path / "out")
    assert splits_of(manifest) == PUBLISHED
    assert sentences(manifest.rules)["official split"] == (
        "by the lists test.txt, train.txt, val.txt of the source; 2 pairs that are in no published split are left out"
    )


def write_lists(folder, **stems):
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in stems.items():
        (folder / f"{split}.txt").write_text("\n".join(names))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_windows_are_read(tmp_path, encoding):
    write_all(tmp_path / "s", ("images/{}ü.png", "masks/{}ü.png"), range(8))
    for split, stems in PUBLISHED.items():
        (tmp_path / "s" / f"{split}.txt").write_text("\r\n".join(f"C:\\data\\{stem}ü.png" for stem in stems), encoding)
    assert own(tmp_path / "s").split == "lists"


def test_lists_for_segmentation_come_before_others(tmp_path):
    """Pascal VOC has lists of the same names for whole images, of other images."""
    write_all(tmp_path / "s", ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"), range(8))
    write_lists(tmp_path / "s" / "ImageSets" / "Main", train="02", val="1", test="3")
    write_lists(tmp_path / "s" / "ImageSets" / "Segmentation", **PUBLISHED)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert splits_of(manifest) == PUBLISHED


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"a": {"train": "01", "test": "1"}}, "in two splits"),
        ({"a": {"train": "01", "test": "2"}, "b": {"train": "02", "test": "1"}}, "different splits in a and in b"),
    ],
)
def test_lists_that_contradict_each_other_are_refused_or_ignored(tmp_path, lists, words):
    write_all(tmp_path / "s", ("images/{}.png", "masks/{}.png"))
    for place, stems in lists.items():
        write_lists(tmp_path / "s" / place, **stems)
    with pytest.raises(DataError, match=rf"{words}.*--ignore-split"):
        own(tmp_path / "s")


def test_lists_of_something_else_are_no_split(tmp_path):
    """A folder accepted before keeps its digest: a train.txt of captions names no pair."""
    write_all(tmp_path / "s", ("images/{}.png", "masks/{}.png"))
    before = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "before")
    write_lists(tmp_path / "s", train=["a road", "a house"], test=["0 is a number"])
    (tmp_path / "s" / "val.txt").write_bytes(bytes(range(256)))
    after = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "after")
    assert (after.official_split, after.digest(0)) == (False, before.digest(0))
    assert "split" not in (tmp_path / "after" / DECLARATION).read_text()


def test_folders_and_lists_must_agree(tmp_path):
    write_split(tmp_path / "s")
    write_lists(tmp_path / "s", train="01234", val="5", test="67")
    assert own(tmp_path / "s").split == "folders"
    write_lists(tmp_path / "s", train="01237", val="5", test="6")
    with pytest.raises(DataError, match=r"give two splits.*\n  test/images/7.png: in train by a list, in test"):
        own(tmp_path / "s")


def test_a_mask_in_another_split_than_its_image_is_refused(tmp_path):
    write_split(tmp_path / "s")
    (tmp_path / "s" / "train" / "masks" / "0.png").rename(tmp_path / "s" / "val" / "masks" / "0.png")
    with pytest.raises(DataError, match=r"1 masks lie in another split.*\n  val/masks/0.png: its image is in train"):
        own(tmp_path / "s")


def test_without_validation_pairs_train_gives_some(tmp_path):
    write_split(tmp_path / "s", sizes=(17, 0, 4))
    copy = (tmp_path / "s" / "train" / "images" / "3.png").read_bytes()
    for number in (8, 12, 14):
        (tmp_path / "s" / "train" / "images" / f"{number}.png").write_bytes(copy)
    dataset = own(tmp_path / "s")
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    splits = splits_of(manifest)
    assert splits["test"] == ["17", "18", "19", "20"]
    assert (len(splits["train"]), len(splits["val"])) == (14, 3)  # 15 of 85 parts of 17
    assert not {"3", "8", "12", "14"} & set(splits["val"])  # four copies: more than there is room for
    assert "val is 15 in 85 of the published training pairs" in sentences(manifest.rules)["official split"]
    assert prepare(dataset, tmp_path / "s", tmp_path / "out") == manifest


def test_without_test_pairs_the_validation_pairs_are_the_test(tmp_path):
    """Nothing else was held out: dealt from train, test images would have neighbours and authors in common with it."""
    write_split(tmp_path / "s", FOLDERS["mmsegmentation"], sizes=(8, 3, 0))
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    splits = splits_of(manifest)
    assert splits["test"] == ["10", "8", "9"]
    assert (len(splits["train"]), len(splits["val"])) == (7, 1)
    said = sentences(manifest.rules)["official split"]
    assert "the published validation pairs are the test split; no other validation pairs were published" in said


@pytest.mark.parametrize("sizes", [(8, 0, 0), (0, 0, 8), (0, 4, 4)])
def test_a_split_without_training_or_held_out_pairs_is_none(tmp_path, sizes):
    write_split(tmp_path / "s", sizes=sizes)
    dataset = own(tmp_path / "s")
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    assert (dataset.split, manifest.official_split) == (None, False)
    assert sentences(manifest.rules)["split"].startswith("train/val/test 70/15/15")


def test_equal_names_in_several_splits_get_their_folders(tmp_path):
    """ "same ID, different content" refused the publisher's folders of the Massachusetts roads."""
    write_split(tmp_path / "s", FOLDERS["Massachusetts"], WORDS[1], again=True)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert splits_of(manifest) == {
        "train": [f"training/{number}" for number in range(5)],
        "val": ["validation/0"],
        "test": ["testing/0", "testing/1"],
    }
    assert heights(tmp_path / "out", manifest)["testing/1"] == 8


def test_a_split_without_masks_does_not_stand_in_the_way(tmp_path):
    write_split(tmp_path / "s", again=True)
    for mask in (tmp_path / "s" / "test" / "masks").iterdir():
        mask.unlink()
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert (manifest.without_mask, splits_of(manifest)["test"]) == (2, ["val/0"])


@pytest.mark.parametrize("name", ["0", "7"])
def test_copies_across_the_split_are_reported_and_not_moved(tmp_path, name):
    """Of equal names, copies counted once: the split that came first in the alphabet kept them, test."""
    write_split(tmp_path / "s")
    for kind in ("images", "masks"):
        copy = (tmp_path / "s" / "train" / kind / "0.png").read_bytes()
        (tmp_path / "s" / "test" / kind / f"{name}.png").write_bytes(copy)
    manifest = prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    first, second = ("test/0", "train/0") if name == "0" else ("0", "7")
    assert manifest.copies_across_splits == ((first, second),)
    sizes = [len(stems) for stems in splits_of(manifest).values()]
    assert sizes == ([5, 1, 3] if name == "0" else [5, 1, 2])
    assert "of which 1 lie in more than one split), none was moved" in sentences(manifest.rules)["split"]


def test_a_split_can_be_ignored(tmp_path):
    write_split(tmp_path / "s")
    dataset = own(tmp_path / "s", ignore_split=True)
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    assert (dataset.split, manifest.official_split) == ("ignored", False)
    assert [len(stems) for stems in splits_of(manifest).values()] == [6, 1, 1]
    said = sentences(manifest.rules)
    assert "(train, val, test) was ignored on demand" in said["official split"]
    assert said["split"].startswith("train/val/test 70/15/15")
    with pytest.raises(DataError, match=r"was prepared with split ignored \(now folders\)"):
        prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


def test_ignoring_no_split_is_a_mistake(tmp_path):
    write_all(tmp_path / "s", ("images/{}.png", "masks/{}.png"))
    with pytest.raises(BadDeclaration, match=r"expected a published split.*found none"):
        own(tmp_path / "s", ignore_split=True)


def test_a_folder_dealt_before_keeps_its_digest_and_says_what_to_do(tmp_path):
    write_split(tmp_path / "s")
    before = replace(own(tmp_path / "s"), split=None)
    manifest = prepare(before, tmp_path / "s", tmp_path / "out")
    assert manifest.digest(0)[:12] == "6a9cd3d60eca"  # of version 0.2.0 with its split dropped
    assert "split" not in (tmp_path / "out" / DECLARATION).read_text()
    assert prepare(load_folder(tmp_path / "out"), tmp_path / "s", tmp_path / "out") == manifest
    with pytest.raises(DataError, match=r"was prepared with split None \(now folders\). Delete it"):
        prepare(own(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


def test_a_source_whose_split_was_changed_is_another_source(tmp_path):
    """Files were compared by their content alone: a pair moved from train to test was not noticed."""
    write_split(tmp_path / "s")
    dataset = own(tmp_path / "s")
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    for kind in ("images", "masks"):
        place = tmp_path / "s" / "train" / kind / "0.png"
        place.rename(tmp_path / "s" / "test" / kind / "0.png")
    with pytest.raises(DataError, match=r"another source.*\n  0: in train there, in test here"):
        prepare(dataset, tmp_path / "s", tmp_path / "out")
    save_manifest(tmp_path / "out", replace(manifest, official_split=False))
    with pytest.raises(DataError, match=r"split: dealt there, published here"):
        prepare(dataset, tmp_path / "s", tmp_path / "out")


def test_leaving_out_bad_files_may_not_empty_a_split(tmp_path):
    write_split(tmp_path / "s")
    (tmp_path / "s" / "val" / "images" / "5.png").write_bytes(b"")
    with pytest.raises(DataError, match="every pair of val has a bad file"):
        prepare(own(tmp_path / "s", side=32), tmp_path / "s", tmp_path / "out", skip_bad=True)
