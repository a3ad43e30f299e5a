"""The data card: every finding on folders made to have it, its words, its pictures, and the command."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND as BY_THE_TABLES
from data_prep.checks.card import IMPLIED_FOREGROUND, examine
from data_prep.checks.card_markdown import SIDES, findings, markdown, write_card
from data_prep.checks.contact_sheets import FONT, THUMB, TURN, contact_sheet, label
from data_prep.checks.duplicates import ORIENTATIONS, turned
from data_prep.datasets.folder_options import declare, from_options
from data_prep.datasets.whdld import Whdld
from data_prep.manifest_file import load_manifest, save_manifest
from data_prep.synthetic.road_scenes import road_scene
from tests.data_prep.samples import contents, prepare, write_image, write_mask
from tests.data_prep.tiles import scene


def quiet(done, total, what):
    pass


def card_of(folder, manifest):
    return examine(folder, manifest, 2, quiet)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A scene of four tiles, an exact and a near copy, a blank image, an empty mask, and scenes to fill up."""
    folder = tmp_path_factory.mktemp("source")
    big = np.asarray(Image.fromarray(scene(0)).resize((1024, 1024), Image.Resampling.LANCZOS))
    images = {f"1{r}{c}": big[512 * r : 512 * (r + 1), 512 * c : 512 * (c + 1)] for r in (0, 1) for c in (0, 1)}
    for number in range(4):
        images[f"20{number}"] = road_scene(512, np.random.default_rng([9, number])).image
    images["300"] = (images["200"] * 0.95).astype(np.uint8)[:, ::-1]
    images["400"] = np.full((512, 512, 3), 40, np.uint8)
    for stem, pixels in images.items():
        write_image(folder / f"{stem}_sat.jpg", pixels)
    (folder / "500_sat.jpg").write_bytes((folder / "201_sat.jpg").read_bytes())
    for image in folder.glob("*_sat.jpg"):
        mask = np.zeros((512, 512), np.uint8)
        stem = image.name.split("_")[0]
        if stem != "203":
            mask[: int(stem) // 10] = 255
        write_mask(folder / f"{stem}_mask.png", mask)
    return folder


@pytest.fixture(scope="module")
def home(source, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    prepare(source, home / "data" / "deepglobe")
    return home


@pytest.fixture
def folder(home, tmp_path):
    """A prepared folder that a test may spoil."""
    shutil.copytree(home / "data", tmp_path / "home" / "data")
    return tmp_path / "home" / "data" / "deepglobe"


@pytest.fixture(scope="module")
def manifest(home):
    return load_manifest(home / "data" / "deepglobe", "deepglobe")


@pytest.fixture(scope="module")
def card(home, manifest):
    return card_of(home / "data" / "deepglobe", manifest)


def test_what_is_there(card):
    assert (card.pairs, card.expected_pairs, card.complete, card.origin) == (11, 6226, False, "source")
    assert card.sizes == card.source_sizes == (("512x512", 11),)
    assert card.labels == ((0, 11), (1, 10))
    assert card.empty == ("203",)
    assert card.blank == ("400",)
    assert card.damaged == card.skipped == ()


def test_copies_abutting_tiles_and_who_is_parted(card, manifest):
    of = {entry.stem: split for split, entries in manifest.splits(0).items() for entry in entries}
    assert [(group.stems, group.splits) for group in card.exact] == [(("201", "500"), (of["201"], of["500"]))]
    (near,) = card.near
    assert (near.pair.first, near.pair.second, near.pair.orientation) == ("200", "300", "mirrored")
    assert near.splits == (of["200"], of["300"])
    found = {(seam.first, seam.second) for seam in card.seams}
    assert found == {("100", "101"), ("110", "111"), ("100", "110"), ("101", "111")}
    random, blocked = card.divisions
    assert (random.rule, blocked.rule) == ("random", "blocked")
    assert set(random.parted) == {pair for pair in found if of[pair[0]] != of[pair[1]]}
    assert random.parted
    assert blocked.parted == ()


def test_shares_are_those_of_all_pixels_of_a_split(card, home, manifest):
    for division, rule in zip(card.divisions, ("random", "blocked"), strict=True):
        for facts in division.splits:
            entries = manifest.splits(0, rule)[facts.split]
            masks = [np.asarray(Image.open(home / "data" / "deepglobe" / entry.mask)) for entry in entries]
            assert facts.images == len(masks)
            assert facts.shares == (pytest.approx((np.mean(masks),)) if masks else ())
            assert facts.absent == (() if np.any(masks) or not masks else ("road",))


def test_ignored_pixels_count_nowhere(folder, manifest):
    entry = manifest.entries[0]
    with Image.open(folder / entry.mask) as picture:
        palette, labels = picture.getpalette(), np.array(picture)
    labels[:] = 1
    labels[100:] = 255
    spoiled = Image.fromarray(labels)
    spoiled.putpalette(palette + [0] * (768 - len(palette)))  # else Pillow writes one bit a pixel
    spoiled.save(folder / entry.mask)
    single = replace(manifest, entries=(replace(entry, split="test"),), official_split=True)
    card = card_of(folder, single)
    assert card.divisions[0].splits[2].shares == (1.0,)
    assert card.labels == ((1, 1), (255, 1))


def test_damaged_and_missing_files_are_findings(folder, manifest):
    (folder / "images" / "100.png").write_bytes(b"no picture")
    (folder / "masks" / "101.png").unlink()
    with (folder / "images" / "202.png").open("ab") as stream:
        stream.write(b"x")
    card = card_of(folder, manifest)
    assert card.damaged == (
        "images/100.png: changed since it was prepared",
        "masks/101.png: missing",
        "images/202.png: changed since it was prepared",
    )
    assert next(findings(card)) == "3 files are not as prepared: delete the folder and run prepare again."
    write_card(card, manifest, folder, folder.parent / "card")


def test_a_file_that_was_bad_when_it_was_prepared_is_damaged_too(folder, manifest):
    """A digest vouches for bytes, not for a picture."""
    (folder / "images" / "100.png").write_bytes(b"no picture")
    digest = hashlib.sha256(b"no picture").hexdigest()
    entries = tuple(replace(e, image_sha256=digest) if e.stem == "100" else e for e in manifest.entries)
    assert card_of(folder, replace(manifest, entries=entries)).damaged == ("images/100.png: cannot be read",)


def test_a_published_split_is_reported_and_kept(home, manifest):
    of = {"201": "train", "500": "test"}
    entries = tuple(replace(entry, split=of.get(entry.stem, "train")) for entry in manifest.entries)
    card = card_of(home / "data" / "deepglobe", replace(manifest, entries=entries, official_split=True))
    assert [division.rule for division in card.divisions] == ["official"]
    assert [group.across for group in card.exact] == [True]
    words = list(findings(card))
    assert "1 groups of identical images lie in more than one split." in words
    assert "No image in val." in words
    assert "The published split is kept: no copy was moved." in markdown(card)


def test_a_copy_of_a_tile_in_another_split_parts_its_neighbours_too(home, manifest):
    """Only one of two identical tiles is compared; the other one's split counted for nothing."""
    twin = next(entry for entry in manifest.entries if entry.stem == "101")
    entries = tuple(replace(entry, split="train") for entry in manifest.entries)
    entries += (replace(twin, stem="901", split="test", group="101"),)
    card = card_of(home / "data" / "deepglobe", replace(manifest, entries=entries, official_split=True))
    assert set(card.divisions[0].parted) == {("100", "101"), ("101", "111")}


def test_a_folder_prepared_before_scenes_says_so(home, manifest):
    entries = tuple(replace(entry, scene=None) for entry in manifest.entries)
    card = card_of(home / "data" / "deepglobe", replace(manifest, entries=entries))
    assert len(card.seams) == 4
    assert len(card.divisions) == 1
    assert "to use `--split blocked`, delete it and run `rssam-bench prepare deepglobe --source DIR`" in markdown(card)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Card and markdown of four images in 16 tiles: b lies to the right of a, c is a's copy."""
    source, out = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("cut") / "cut"
    images = {
        "a": scene(0)[:384, :384],
        "b": scene(0)[:384, 384:],
        "c": scene(0)[:384, :384],
        "d": scene(2)[:376, :384],
    }
    for stem, pixels in images.items():
        write_image(source / "images" / f"{stem}.png", pixels)
        write_mask(source / "masks" / f"{stem}.png", np.uint8(255) * (pixels[..., 0] > 120))
    wanted = replace(from_options(["road=255"], None), name="cut", side=192, fit="tile")
    dataset = declare(wanted, source, ())
    manifest = dataset.prepare(source, out, origin="source", workers=1, progress=quiet)
    return card_of(out, manifest), manifest, out


def test_a_card_of_tiles_counts_images(cut):
    """It once said 16 pairs, and called the four tiles of every image identical."""
    card, _, _ = cut
    assert (card.pairs, card.tiles) == (4, 16)
    assert card.source_sizes == (("384x384", 3), ("384x376", 1))
    assert [group.stems for group in card.exact] == [("a_y00000_x00000", "c_y00000_x00000")]
    assert card.ignored == pytest.approx(2 * 8 * 192 / (16 * 192 * 192))
    words = markdown(card)
    assert "- Pairs: 4, cut into 16 tiles; images without a mask, left out: 0" in words
    assert "- Pixels that are ignored: 0.52 % of all" in words


def test_every_tile_of_an_image_is_compared_with_those_of_others(cut):
    """Only the first tile of each image was: b beside a went unseen, for a's first tile does not touch it."""
    card, manifest, _ = cut
    assert {(seam.first, seam.second, seam.side) for seam in card.seams} == {
        (f"a_y{top}_x00192", f"b_y{top}_x00000", "right") for top in ("00000", "00192")
    }
    scenes = {entry.tile_of: entry.scene for entry in manifest.entries}
    assert scenes["a"] == scenes["b"] == scenes["c"] != scenes["d"]


def test_the_next_best_pair_is_none_of_those_found(cut, card):
    """It once named a pair that abuts, in the direction in which it does not."""
    for shown in (cut[0], card):
        assert shown.next_seam is not None
        found = [{seam.first, seam.second} for seam in shown.seams]
        assert {shown.next_seam.first, shown.next_seam.second} not in found
        assert f"{shown.next_seam.second} {SIDES[shown.next_seam.side]} {shown.next_seam.first}" in markdown(shown)


def test_classes_absent_from_a_split(tmp_path):
    Whdld().synthesize(tmp_path / "source", 6, 0)
    for path in sorted((tmp_path / "source" / "ImagesPNG").iterdir()):
        labels = np.array(Image.open(path))
        labels[(labels == (255, 255, 0)).all(axis=2)] = (0, 0, 255)
        Image.fromarray(labels).save(path)
    out = tmp_path / "whdld"
    manifest = Whdld().prepare(tmp_path / "source", out, origin="synthetic", workers=1, progress=quiet)
    card = card_of(out, manifest)
    assert all(facts.absent == ("road",) for facts in card.divisions[0].splits)
    assert all(sum(facts.shares) == pytest.approx(1) for facts in card.divisions[0].splits)
    assert card.empty == ()
    assert card.implied is None
    words = list(findings(card))
    assert words[0].startswith("These are invented scenes")
    assert "No pixel of road in test." in words
    assert "0 (building)" in markdown(card)


def test_left_out_files_are_shown(home, manifest):
    card = card_of(home / "data" / "deepglobe", replace(manifest, skipped=("7_sat.jpg: cut short",)))
    assert "1 bad file of the source was left out (--skip-bad)." in list(findings(card))
    assert "7_sat.jpg: cut short" in markdown(card)


def test_the_shares_implied_are_those_of_the_paper_tables():
    assert dict(IMPLIED_FOREGROUND) == BY_THE_TABLES


def test_pillow_turns_as_the_orientations_say():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    for number, name in enumerate(ORIENTATIONS):
        turn = TURN[name]
        picture = Image.fromarray(image)
        got = np.asarray(picture if turn is None else picture.transpose(turn))
        assert (got == turned(image, number)).all(), name


@pytest.mark.parametrize(
    ("stem", "words"),
    [("104", "val: 104"), ("validation/9", "validation/9"), ("Tile 3/image_part_004_y00512_x00512", "val: ...")],
)
def test_labels_of_the_contact_sheet_stay_above_their_image(stem, words):
    """Stems with folders and tiles were written over the label of the next image."""
    shown = label("val", stem)
    assert shown.startswith(words)
    assert shown.endswith(stem[-12:])
    assert FONT.getlength(shown) <= THUMB


def test_the_contact_sheet_shows_images_above_their_masks(home, manifest):
    folder = home / "data" / "deepglobe"
    sheet = np.asarray(contact_sheet(folder, manifest))
    first = manifest.splits(0)["train"][0]
    with Image.open(folder / first.image) as image, Image.open(folder / first.mask) as mask:
        small = np.asarray(image.resize((176, 176), Image.Resampling.BOX))
        below = np.asarray(mask.convert("RGB").resize((176, 176), Image.Resampling.NEAREST))
    assert (sheet[24:200, 8:184] == small).all()
    assert (sheet[202:378, 8:184] == below).all()


@pytest.mark.parametrize("shift", [0, 3])
def test_the_contact_sheet_shows_a_mask_that_is_shifted(tmp_path, shift):
    """Beside each other, and a fifth as large, a shift of pixels was seen by nobody."""
    truth = np.zeros((192, 192), np.uint8)
    truth[:, 60:100] = 1
    image = np.repeat(np.where(truth, 200, 50)[..., None], 3, axis=-1).astype(np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / "s" / folder).mkdir(parents=True)
    for number in range(3):
        Image.fromarray(image).save(tmp_path / "s" / "images" / f"{number}.png")
        Image.fromarray(np.roll(truth, shift, axis=1)).save(tmp_path / "s" / "masks" / f"{number}.png")
    mine = declare(replace(from_options(["road=1"], None), name="mine"), tmp_path / "s", ())
    manifest = mine.prepare(tmp_path / "s", tmp_path / "out", origin="source", workers=1, progress=lambda *_: None)
    sheet = np.asarray(contact_sheet(tmp_path / "out", manifest)).astype(int)
    part = sheet[24 + 2 * THUMB + 4 : 24 + 3 * THUMB + 4, 8 : 8 + THUMB]
    bright = part.min(axis=-1) == 200  # road of the image that the mask leaves clear
    assert bright.sum() == shift * THUMB
    assert (np.ptp(part[:, 60 + shift], axis=-1) > 200).all()  # the outline, in the colour of the class alone


def test_a_second_card_is_the_same_and_takes_away_what_no_longer_holds(home, manifest, card, tmp_path):
    folder = home / "data" / "deepglobe"
    write_card(card, manifest, folder, tmp_path / "a")
    write_card(card_of(folder, manifest), manifest, folder, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == ["card.json", "card.md", "contact.png", "copies.png", "seams.png"]
    write_card(replace(card, seams=(), exact=(), near=()), manifest, folder, tmp_path / "a")
    assert sorted(contents(tmp_path / "a")) == ["card.json", "card.md", "contact.png"]


def check(home, *options):
    return CliRunner().invoke(app, ["--home", str(home), "prepare", "deepglobe", "--check", *options])


def test_the_command_writes_the_card_and_changes_nothing(folder):
    before = contents(folder)
    result = check(folder.parents[1])
    assert result.exit_code == 0
    assert "abutting pairs are parted" in result.output
    written = folder.parents[1] / "data-cards" / "deepglobe"
    assert sorted(contents(written)) == ["card.json", "card.md", "contact.png", "copies.png", "seams.png"]
    for line in (written / "card.md").read_text().splitlines():
        if line.startswith("!["):
            assert (written / line.split("(")[-1].rstrip(")")).is_file()
    assert contents(folder) == before


def test_the_command_for_programs_and_into_another_folder(folder, tmp_path):
    result = check(folder.parents[1], "--json", "--out", str(tmp_path / "card"))
    assert result.exit_code == 0
    card = json.loads(result.stdout)
    assert card["seams"][0]["side"] in ("right", "below")
    assert card == json.loads((tmp_path / "card" / "card.json").read_text())
    assert not (folder.parents[1] / "data-cards").exists()


def test_the_command_fails_for_damaged_files_only(folder):
    (folder / "masks" / "100.png").unlink()
    result = check(folder.parents[1])
    assert result.exit_code == 1
    assert "1 file is not as prepared" in result.output


def test_the_command_takes_no_source(folder):
    assert check(folder.parents[1], "--source", "x").exit_code == 2


def test_a_manifest_of_no_pairs_has_a_card(tmp_path, manifest):
    empty = replace(manifest, entries=())
    save_manifest(tmp_path / "data", empty)
    card = card_of(tmp_path / "data", empty)
    assert write_card(card, empty, tmp_path / "data", tmp_path / "card")[0].is_file()
