from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from data_prep.dataset import Dataset
from data_prep.datasets.folder import DECLARATION, MOST_CLASSES, Folder, load_folder
from data_prep.datasets.folder_options import BadDeclaration, ClassMap, declare, from_file, from_options
from data_prep.errors import DataError
from data_prep.images.class_values import ValueReader
from data_prep.images.decode import BadPicture
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from data_prep.prepare.resize_or_tile import corners, nearest, resized
from data_prep.rules import sentences
from tests.conftest import SHARED
from tests.data_prep.samples import contents, picture

ROAD = (255, 120, 80)
COLOURS = np.array([(0, 0, 0), ROAD], np.uint8)


def labels_of(seed: int, shape: tuple[int, int], classes: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, shape).astype(np.uint8)


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(pixels)
    (made.convert(mode) if mode else made).save(path)


def write(folder, sizes, colours=COLOURS):
    """Pairs 0.png, 1.png ... of these (height, width); returns their labels."""
    drawn = {}
    for number, (height, width) in enumerate(sizes):
        labels = labels_of(number, (height, width), len(colours))
        save(folder / "images" / f"{number}.png", picture(number, max(height, width))[:height, :width])
        save(folder / "masks" / f"{number}.png", np.asarray(colours)[labels])
        drawn[str(number)] = labels
    return drawn


def declared(source, text="road=255,120,80", **options) -> Folder:
    named = {"name": "mine", **options}
    return declare(replace(from_options([text], named.pop("ignore", None)), **named), source, ("deepglobe",))


def prepare(dataset, source, out, workers=1):
    return dataset.prepare(source, out, origin="source", workers=workers, progress=lambda *_: None)


def refusal(dataset, source, out) -> str:
    with pytest.raises(DataError) as caught:
        prepare(dataset, source, out)
    assert not out.exists()
    return str(caught.value)


def mask(out, entry) -> np.ndarray:
    return np.asarray(Image.open(out / entry.mask))


def test_tiles_hold_every_pixel_once_and_padding_is_ignored(tmp_path):
    drawn = write(tmp_path / "s", [(70, 100), (64, 64), (33, 31)])
    dataset = declared(tmp_path / "s", side=64)
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out", workers=2)
    assert isinstance(dataset, Dataset)
    assert [entry.stem for entry in manifest.entries] == [
        "0_y00000_x00000", "0_y00000_x00064", "0_y00064_x00000", "0_y00064_x00064",
        "1_y00000_x00000", "2_y00000_x00000",
    ]  # fmt: skip
    found = {stem: np.full((128, 128), 7, np.uint8) for stem in drawn}
    images = {stem: np.asarray(Image.open(tmp_path / "s" / "images" / f"{stem}.png")) for stem in drawn}
    for entry, item in zip(
        manifest.entries, PreparedDataset(tmp_path / "out", manifest.entries, native=True), strict=True
    ):
        stem, top, left = entry.stem.split("_")[0], int(entry.stem[-12:-7]), int(entry.stem[-5:])
        found[stem][top : top + 64, left : left + 64] = item["mask"].numpy()
        height, width = drawn[stem].shape
        for row, column in ((0, 0), (5, 63), (63, 5), (63, 63)):
            there = images[stem][min(top + row, height - 1), min(left + column, width - 1)]
            assert (item["image"][:, row, column].numpy() == there).all()
        assert "native_mask" not in entry.files
        assert (item["native_mask"] == item["mask"]).all()
        assert (entry.source_size, entry.size) == ((height, width), (64, 64))
        assert entry.scene == f"{stem}_y00000_x00000"
    for stem, labels in drawn.items():
        height, width = labels.shape
        assert (found[stem][:height, :width] == labels).all()
        found[stem][:height, :width] = 255
        assert set(np.unique(found[stem])) <= {7, 255}


def test_a_two_colour_palette_would_store_ignored_pixels_as_road(tmp_path):
    """Pillow writes two colours in one bit a pixel: 255 came back as 1, and all padding was road."""
    write(tmp_path / "s", [(40, 64), (64, 40)])
    manifest = prepare(declared(tmp_path / "s", side=64), tmp_path / "s", tmp_path / "out")
    assert (mask(tmp_path / "out", manifest.entries[0])[40:] == 255).all()
    assert (mask(tmp_path / "out", manifest.entries[1])[:, 40:] == 255).all()


def test_the_foreground_share_is_that_of_the_source_however_it_is_cut(tmp_path):
    """A mean over tiles gives a strip of 16 pixels the weight of a full tile: it said 0.25 for a share of 0.444."""
    labels = np.zeros((48, 48), np.uint8)
    labels[:32, :32] = 1
    save(tmp_path / "s" / "images" / "a.png", picture(1, 48))
    save(tmp_path / "s" / "masks" / "a.png", labels)
    manifest = prepare(declared(tmp_path / "s", "road=1", side=32), tmp_path / "s", tmp_path / "out")
    assert manifest.foreground == pytest.approx(labels.mean())
    assert manifest.labelled == pytest.approx(48 * 48 / (4 * 32 * 32))
    assert np.mean([entry.foreground for entry in manifest.entries]) == 0.25


def test_tiles_of_one_image_and_of_its_copy_never_part(tmp_path):
    """Cut first and split then, three of four images had tiles in train and in test."""
    write(tmp_path / "s", [(64, 96)] * 12)
    for kind in ("images", "masks"):
        save(tmp_path / "s" / kind / "copy.png", np.asarray(Image.open(tmp_path / "s" / kind / "3.png")))
    manifest = prepare(declared(tmp_path / "s", side=32), tmp_path / "s", tmp_path / "out")
    assert len(manifest.entries) == 13 * 6
    for seed in range(5):
        where: dict[str, set[str]] = {}
        for split, entries in manifest.splits(seed).items():
            for entry in entries:
                where.setdefault(entry.tile_of.replace("copy", "3"), set()).add(split)
        assert all(len(splits) == 1 for splits in where.values())
    split = sentences(manifest.rules)["split"]
    assert "tiles of one image never part" in split
    assert "2 images that have identical copies never part (groups: 1)" in split


@pytest.mark.parametrize(("old", "new"), [((50, 70), (32, 64)), ((31, 33), (64, 32)), ((96, 64), (32, 32))])
def test_masks_are_resized_to_the_pixel_below_each_new_centre(old, new):
    labels = labels_of(1, old, 6)
    made = nearest(labels, new)
    for row in range(new[0]):
        for column in range(new[1]):
            there = [int((place + Fraction(1, 2)) * a / b) for place, a, b in zip((row, column), old, new, strict=True)]
            assert made[row, column] == labels[there[0], there[1]]


def test_image_and_mask_stay_aligned_when_resized():
    """A nearest rule from the corner instead of the centre moved every mask by 0.48 pixels on average."""
    offsets = []
    for start in range(100, 143):
        labels = np.zeros((572, 572), np.uint8)
        labels[start : start + 150, start + 90 : start + 290] = 1
        image = np.repeat(255 * labels[..., None], 3, axis=2)
        small, smaller = resized(image, (128, 128))[..., 0].astype(float), nearest(labels, (128, 128)).astype(float)
        offsets.append(np.subtract(ndimage.center_of_mass(small), ndimage.center_of_mass(smaller)))
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.03
    whole = resized(picture(3, 96), (32, 32))
    blocks = picture(3, 96).reshape(32, 3, 32, 3, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(whole - blocks).max() <= 0.5


def test_resized_pairs_keep_their_stems(tmp_path):
    drawn = write(tmp_path / "s", [(70, 100), (64, 64)])
    manifest = prepare(declared(tmp_path / "s", fit="resize", side=64), tmp_path / "s", tmp_path / "out")
    assert [(entry.stem, entry.tile_of, entry.native_mask) for entry in manifest.entries] == [
        ("0", None, None), ("1", None, None),
    ]  # fmt: skip
    assert (mask(tmp_path / "out", manifest.entries[0]) == nearest(drawn["0"], (64, 64))).all()
    assert (mask(tmp_path / "out", manifest.entries[1]) == drawn["1"]).all()
    assert "nearest pixel" in sentences(manifest.rules)["mask"]


@pytest.mark.parametrize(
    ("sizes", "fit", "size"),
    [
        ([(64, 96)] * 3, "keep", (64, 96)),
        ([(64, 96), (64, 64)], "tile", (512, 512)),
        ([(70, 70)] * 2, "tile", (512, 512)),
        ([(32, 2048)] * 2, "tile", (512, 512)),
    ],
)
def test_images_of_one_usable_size_are_kept(tmp_path, sizes, fit, size):
    write(tmp_path / "s", sizes)
    dataset = declared(tmp_path / "s")
    assert (dataset.fit, dataset.image_size) == (fit, size)
    if fit == "keep":
        manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
        assert {(entry.size, entry.tile_of, entry.labelled) for entry in manifest.entries} == {(size, None, 1.0)}


def test_corners_cover_row_by_row():
    assert corners((65, 64), (64, 64)) == [(0, 0), (64, 0)]
    assert corners((64, 130), (64, 64)) == [(0, 0), (0, 64), (0, 128)]


NUMBERS = np.array([0, 1, 2, 9], np.uint8)


def written_as(kind, labels):
    """The same labels 0, 1, 2 and ignored as people save them."""
    if kind == "RGB":
        return Image.fromarray(np.repeat(NUMBERS[labels][..., None], 3, axis=2))
    if kind == "RGBA":
        return Image.fromarray(np.repeat(NUMBERS[labels][..., None], 3, axis=2)).convert("RGBA")
    if kind == "I;16":
        return Image.fromarray(NUMBERS[labels].astype(np.uint16))
    made = Image.fromarray(NUMBERS[labels])
    if kind == "P":
        made.putpalette([channel for number in range(10) for channel in (number, 77, 200 - number)])
    return made


@pytest.mark.parametrize("kind", ["L", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_numbers_are_read_in_every_mode(tmp_path, kind, suffix):
    labels = labels_of(5, (32, 32), 4)
    save(tmp_path / "s" / "img" / "a.jpg", picture(1, 32))
    (tmp_path / "s" / "GT").mkdir()
    written_as(kind, labels).save(tmp_path / "s" / "GT" / f"a.{suffix}")
    dataset = declared(tmp_path / "s", "background=0, road=1,roof=2", ignore="9")
    assert (dataset.classes, dataset.average, dataset.background) == (("background", "road", "roof"), "classes", None)
    manifest = prepare(dataset, tmp_path / "s", tmp_path / "out")
    assert (mask(tmp_path / "out", manifest.entries[0]) == np.array([0, 1, 2, 255])[labels]).all()
    assert manifest.entries[0].foreground == 1.0
    assert manifest.entries[0].labelled == pytest.approx((labels != 3).mean())


def test_classes_that_a_message_proposes_are_taken(tmp_path):
    """It proposed "road=1,roof=2", which refuses every mask that has a 0."""
    with pytest.raises(BadDeclaration) as error:
        from_options(["road"], None)
    proposed = re.findall(r'"(\S+)"', str(error.value))[-1]
    save(tmp_path / "s" / "images" / "a.png", picture(1, 32))
    save(tmp_path / "s" / "masks" / "a.png", labels_of(5, (32, 32), 3))
    manifest = prepare(declared(tmp_path / "s", proposed), tmp_path / "s", tmp_path / "out")
    assert (manifest.classes, manifest.labelled) == (("background", "road", "roof"), 1)


def test_one_bit_masks_are_0_and_1(tmp_path):
    """Converted to grey they are 0 and 255: with road=1 declared, every road would be an unknown value."""
    labels = labels_of(5, (32, 32))
    save(tmp_path / "s" / "images" / "a.png", picture(1, 32))
    save(tmp_path / "s" / "masks" / "a.tif", labels.astype(bool))
    manifest = prepare(declared(tmp_path / "s", "road=1"), tmp_path / "s", tmp_path / "out")
    assert (mask(tmp_path / "out", manifest.entries[0]) == labels).all()


def test_palettes_are_read_by_colour_where_colours_are_declared(tmp_path):
    labels = labels_of(5, (32, 32))
    save(tmp_path / "s" / "Image" / "deep" / "a.png", picture(1, 32))
    made = Image.fromarray(1 - labels)
    made.putpalette([*ROAD, 0, 0, 0])
    (tmp_path / "s" / "other" / "Labels").mkdir(parents=True)
    made.save(tmp_path / "s" / "other" / "Labels" / "a.png")
    manifest = prepare(declared(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert (mask(tmp_path / "out", manifest.entries[0]) == labels).all()


def test_all_faults_are_listed_at_once(tmp_path):
    source = tmp_path / "s"
    write(source, [(32, 32)] * 9)
    for name, place, colour in (("0", (3, 4), (1, 2, 3)), ("1", (0, 0), (255, 120, 81))):
        drawn = np.array(Image.open(source / "masks" / f"{name}.png"))
        drawn[place] = colour
        save(source / "masks" / f"{name}.png", drawn)
    (source / "images" / "2.png").unlink()
    save(source / "more" / "images" / "3.png", picture(99, 32))
    save(source / "masks" / "4.png", COLOURS[labels_of(4, (32, 64))])
    (source / "images" / "5.png").write_bytes((source / "images" / "5.png").read_bytes()[:200])
    (source / "masks" / "6.png").unlink()
    save(source / "masks" / "6.jpg", COLOURS[labels_of(6, (32, 32))])
    (source / "images" / "7.png").unlink()
    Image.fromarray(picture(7, 32)).convert("CMYK").save(source / "images" / "7.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    (source / "images" / "8.png").unlink()
    Image.fromarray(picture(8, 32)).save(source / "images" / "8.jpg", exif=turned)
    message = refusal(declared(source, side=32), source, tmp_path / "out")
    for line in (
        "9 files of the source cannot be used",
        "masks/0.png: expected the declared values (0, 0, 0), (255, 120, 80), found also (1, 2, 3)\n",
        "masks/1.png: expected the declared values (0, 0, 0), (255, 120, 80), found also (255, 120, 81)\n",
        "masks/2.png: there is no image of this ID",
        "images/3.png and more/images/3.png: same ID, different content",
        "masks/4.png: expected the size of its image, 32x32, found 64x32 (width x height)",
        "images/5.png: cannot be decoded",
        "masks/6.jpg: expected a mask without loss (PNG, TIFF), found JPEG",
        "images/7.jpg: expected an image of 8 bits in RGB or grey, found mode CMYK (print colours)",
        "images/8.jpg: expected an upright picture, found EXIF orientation 6",
    ):
        assert line in message


def test_the_innermost_folder_says_what_a_file_is(tmp_path):
    write(tmp_path / "images" / "set", [(32, 32)] * 2)
    manifest = prepare(declared(tmp_path / "images"), tmp_path / "images", tmp_path / "out")
    assert (len(manifest.entries), manifest.without_mask) == (2, 0)


@pytest.mark.parametrize(
    ("text", "drawn", "words"),
    [
        ("road=1", 0, "none of the 2 masks has any road: expected road 1; background 0"),
        ("road=1,roof=2", 2, "all 2 masks show nothing but roof"),
        ("road=1,roof=2", 9, "all 2 masks are ignored everywhere"),
        ("road=1", 9, "all 2 masks are ignored everywhere"),
    ],
)
def test_a_whole_set_of_one_label_is_refused_a_single_mask_is_not(tmp_path, text, drawn, words):
    """Padding is no label: with it counted, an empty set had two and went through."""
    for name in ("a", "b"):
        save(tmp_path / "s" / "images" / f"{name}.png", picture(ord(name), 48))
        save(tmp_path / "s" / "masks" / f"{name}.png", np.full((48, 48), drawn, np.uint8))
    dataset = declared(tmp_path / "s", text, ignore="9", side=32)
    assert words in refusal(dataset, tmp_path / "s", tmp_path / "out").replace(", background", "; background")
    save(tmp_path / "s" / "masks" / "a.png", labels_of(1, (48, 48)) + np.uint8(len(dataset.classes) > 1))
    assert len(prepare(dataset, tmp_path / "s", tmp_path / "out").entries) == 8


def test_a_second_run_verifies_and_other_options_are_refused(tmp_path):
    source, out = tmp_path / "s", tmp_path / "mine"
    write(source, [(48, 40)] * 3)
    dataset = declared(source, side=32)
    first = prepare(dataset, source, out)
    before = contents(out)
    assert prepare(load_folder(out), source, out, workers=2) == first == load_manifest(out, "mine")
    assert contents(out) == before
    assert load_folder(out) == dataset
    with pytest.raises(DataError, match=r"was prepared with image_size \(32, 32\) \(now \(64, 64\)\)"):
        prepare(replace(dataset, image_size=(64, 64)), source, out)
    save(source / "masks" / "1.png", COLOURS[labels_of(50, (48, 40))])
    with pytest.raises(DataError, match=r"3 pairs there, 3 here.*\n  1: its files have another content"):
        prepare(dataset, source, out)


def test_an_interrupted_run_is_resumed_to_the_same_bytes_but_not_by_other_rules(tmp_path):
    """Records of another class map must not be taken: their tiles hold other labels under the same names."""
    source = tmp_path / "s"
    write(source, [(48, 40)] * 3)
    good = (source / "masks" / "2.png").read_bytes()
    (source / "masks" / "2.png").write_bytes(good[:90])
    dataset = declared(source, side=32)
    swapped = declared(source, "dark=0,0,0,road=255,120,80", side=32)
    refusal(swapped, source, tmp_path / "out")
    refusal(dataset, source, tmp_path / "out")
    assert (tmp_path / ".out.partial").exists()
    (source / "masks" / "2.png").write_bytes(good)
    prepare(dataset, source, tmp_path / "out")
    prepare(dataset, source, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert (tmp_path / "out" / DECLARATION).exists()
    assert not (tmp_path / ".out.partial").exists()


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (["road=255"], (("road", 255),)),
        (["road=255,120,80,flat roof=1,2,3"], (("road", ROAD), ("flat roof", (1, 2, 3)))),
        (["a=1, b=2", "c=3"], (("a", 1), ("b", 2), ("c", 3))),
    ],
)
def test_classes_on_the_command_line(texts, classes):
    assert from_options(texts, None).classes == classes


@pytest.mark.parametrize("text", ["", "road", "road=", "road=1,2", "road=1,2,3,4", "=1", "road=-1", "road=1;roof=2"])
def test_malformed_classes_are_refused_with_an_example(text):
    with pytest.raises(BadDeclaration, match="expected classes such as"):
        from_options([text], None)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("road=1", {"name": None}, "--name NAME"),
        ("road=1", {"name": "../x"}, "expected a name of small letters"),
        ("road=1", {"name": "Roads"}, "expected a name of small letters"),
        ("road=1", {"name": "deepglobe"}, "is taken"),
        ("road=1", {"side": 500}, "multiple of 32"),
        ("road=1", {"side": 0}, "multiple of 32"),
        ("road=1", {"side": 100_000}, "at most 8192, found 100000"),  # 27.9 GiB for one tile: a traceback
        ("road=0", {}, "a value of its own"),
        ("road=1,roof=1", {}, "a value of its own"),
        ("road=1,road=2", {}, "every class once"),
        ("road=1,roof=1,2,3", {}, "expected numbers for all values"),
        ("road=1", {"ignore": "255,0,0"}, "expected numbers for all values"),
        ("road=1", {"ignore": "1"}, "a value of its own"),
        ("background=1", {}, "besides background"),
        ("road=70000", {}, "up to 65535"),
        ("road=1,2,300", {}, "up to 255 each"),
        (",".join(f"c{number}={number}" for number in range(MOST_CLASSES + 1)), {}, "at most"),
    ],
)
def test_declarations_that_make_no_sense(tmp_path, text, options, words):
    with pytest.raises(BadDeclaration, match=words):
        declared(tmp_path, text, **options)


def test_a_class_map_says_the_same_as_the_options(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        "name: mine\nclasses:\n- {name: background, value: '9,9,9'}\n- {name: road, value: [255, 120, 80]}\n"
        "ignore: [1, 2, 3]\nfit: tile\nside: 64\n"
    )
    dataset = declare(from_file(path), tmp_path, ())
    assert dataset == Folder("mine", ("road",), (ROAD,), (9, 9, 9), (1, 2, 3), "tile", (64, 64))
    options = from_options(["road=255,120,80,background=9,9,9"], "1,2,3")
    assert declare(replace(options, name="mine", side=64), tmp_path, ()) == dataset


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes: [", "cannot be read as a class map"),
        ("- 1", "expected the keys name, classes"),
        ("colour: 1", "found colour"),
        ("classes: {road: 1}", "a list of name and value"),
        ("classes: [{name: road, value: true}]", "class road: expected a number or R,G,B"),
        ("classes: [{name: road, value: 1}]\nside: big", "side as a number"),
        ("classes: [{name: road, value: 1}]\nside: true", "side as a number"),
        ("classes: [{name: road, value: 1}]\nfit: [crop]", "fit as one of tile, resize"),
        ("classes: [{name: road, value: 1}]\naverage: mean", "expected the keys name, classes, ignore, fit"),
        # A class called False; the last of two values; 90, as YAML counts minutes; 10.
        ("classes: [{name: no, value: 1}]", "name of a class as text, found False; quote it"),
        ("classes: [{name: road, value: 1, value: 2}]", "'value' comes twice"),
        ("classes: [{name: road, value: 1}]\nclasses: [{name: roof, value: 1}]", "'classes' comes twice"),
        ("classes: [{name: road, value: 1:30}]", "expected a number or R,G,B, found '1:30'"),
        ("classes: [{name: road, value: 1}]\nthreshold: 1_0", "threshold as a grey value, found '1_0'"),
    ],
)
def test_damaged_class_maps(tmp_path, text, words):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(BadDeclaration, match=words):
        from_file(tmp_path / "map.yaml")
    with pytest.raises(BadDeclaration, match="cannot be read"):
        from_file(tmp_path / "none.yaml")


def test_a_number_of_a_class_map_is_decimal(tmp_path):
    """YAML 1.1 reads 010 as 8."""
    (tmp_path / "map.yaml").write_text("classes: [{name: road, value: 010}, {name: roof, value: 0x1f}]\nside: 64\n")
    assert from_file(tmp_path / "map.yaml") == ClassMap(classes=(("road", 10), ("roof", 31)), side=64)


def test_a_number_that_no_class_can_have_is_not_proposed():
    """--classes "NAME=-1" was proposed, which is refused in turn."""
    for number, proposed in ((-1, False), (70_000, False), (3, True)):
        with pytest.raises(BadPicture) as raised:
            ValueReader({0: 0, 1: 1})(Image.fromarray(np.full((2, 2), number, np.int32)))
        assert ("say so: --classes" in str(raised.value)) == proposed


def test_colours_tell_classes_apart(tmp_path):
    by_number = declare(ClassMap("a", tuple((f"c{n}", n) for n in range(MOST_CLASSES)), side=32), tmp_path, ())
    assert len(set(by_number.palette)) == len(by_number.classes) == MOST_CLASSES
    assert declared(tmp_path, "a=1,2,3,b=4,5,6", side=32).palette == ((1, 2, 3), (4, 5, 6))
    dark = declared(tmp_path, "road=0,0,0,background=255,255,255", side=32)
    assert dark.palette != ((0, 0, 0),)


def test_there_are_no_stand_ins(tmp_path):
    with pytest.raises(DataError, match="has no stand-ins"):
        declared(tmp_path, side=32).synthesize(tmp_path / "x", 4, 0)


def test_a_damaged_declaration_is_told(tmp_path):
    for text in ("{", "[]", '{"name": "x"}', json.dumps({"name": "x", "colour": 1})):
        (tmp_path / DECLARATION).write_text(text)
        with pytest.raises(DataError, match=r"is damaged .* prepare folder --name"):
            load_folder(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real samples beside the repository")
def test_real_road_scenes(tmp_path):
    source = tmp_path / "some"
    for stem in ("1019", "108", "370", "806"):
        for kind in ("images", "masks"):
            (source / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(SHARED / "roads-gsi" / kind / f"{stem}.png", source / kind)
    manifest = prepare(declared(source), source, tmp_path / "out")
    road = [(np.asarray(Image.open(path)) == ROAD).all(axis=2).mean() for path in (source / "masks").iterdir()]
    assert len(manifest.entries) == 4 * len(road) == 16
    assert manifest.foreground == pytest.approx(np.mean(road))
    assert manifest.describe() == "the user's own data: 4 pairs in 16 tiles"
