"""A user's own data set, from its folder to a table, through the command line alone."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol import recipe as recipes
from benchmarks.protocol import targets as items
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE3, TABLE4, TABLE5
from benchmarks.results.store import Store
from data_prep.datasets.folder_options import ClassMap, declare
from data_prep.registry import BUILT_IN, DATASETS, register_home
from data_prep.rules import rule
from reports.bundle.checks.checked import RebuiltSplit
from reports.bundle.checks.data_checks import declared_split
from reports.select.results import collect
from reports.tables.frames import table_frames
from tests.benchmarks.prepared import SIDE, TINY
from tests.data_prep.samples import picture


@pytest.fixture
def one_row(monkeypatch):
    """The smoke profile in seconds, and tables of the SAM-LoRA row alone."""
    recipe = dataclasses.replace(TINY, name="smoke", epochs=1)
    monkeypatch.setitem(recipes.PROFILES, "smoke", dataclasses.replace(recipes.PROFILES["smoke"], recipe=recipe))
    for table in (TABLE3, TABLE4, TABLE5):
        rows = tuple(row for row in table.rows if row.model.name == "sam-lora")[:1]
        monkeypatch.setitem(items.ITEMS, table.id, dataclasses.replace(table, rows=rows))


@pytest.fixture
def source(tmp_path):
    """Ten pairs of 70 x 64 pixels with values 0, 1 and 2, so that every tile of the second row is padded."""
    for number in range(10):
        labels = np.random.default_rng(number).integers(0, 3, (7, 8)).astype(np.uint8).repeat(10, 0).repeat(8, 1)
        for kind, pixels in (("images", picture(number, 70)[:, :64]), ("masks", labels)):
            (tmp_path / "mine" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "mine" / kind / f"{number}.png")
    return str(tmp_path / "mine")


def test_several_classes_in_table3(command, tmp_path, source, one_row):
    arguments = ["prepare", "folder", "--name", "land", "--source", source, "--side", str(SIDE), "--workers", "1"]
    code, output, _ = command(*arguments, "--classes", "soil=0,grass=1,water=2", "--json")
    record = json.loads(output)
    assert (code, record["pairs"], record["describe"]) == (0, 20, "the user's own data: 10 pairs in 20 tiles")
    assert command("prepare", "land", "--source", source)[0] == 0
    run = ["reproduce", "table3", "--profile", "smoke", "--dataset", "land", "--no-track"]
    code, output, errors = command(*run, "--json")
    assert code == 0, output + errors
    (done,) = json.loads(output)
    assert done["status"] == "trained"
    assert done["key"].startswith("land-sam-lora-")
    result = Store(tmp_path / "home").get(done["key"])
    assert (result.classes, result.average, result.native_counts) == (("soil", "grass", "water"), "classes", None)
    assert result.identity["dataset"]["values"] == [0, 1, 2]
    counts = result.counts
    pixels = (counts.tp + counts.fp + counts.fn + counts.tn)[:, 0]
    assert sorted(set(pixels.tolist())) == [6 * 64, 64 * 64]  # padding is in no count
    assert "cached" in command(*run)[1]
    code, output, _ = command("report", "table3", "--out", str(tmp_path / "report"), "--json")
    assert code == 0
    assert done["key"] in (tmp_path / "report" / "table3.csv").read_text()
    frames = table_frames(items.ITEMS["table4"], collect(tmp_path / "home"), Setting("smoke", dataset="land"))
    assert frames[0].table.scores == ("soil", "grass", "water")  # not six columns without numbers, WHDLD's
    dice = 2 * counts.tp.sum(0) / (2 * counts.tp + counts.fp + counts.fn).sum(0)
    shown = frames[0].runs[["soil", "grass", "water"]].to_numpy(float)
    assert np.allclose(shown[0], dice)
    code, output, errors = command("report", "table4", "fig6", "--out", str(tmp_path / "report"))
    assert (code, "Soil ours" in (tmp_path / "report" / "report.md").read_text()) == (0, True)


def test_one_class_in_table5_in_processes_of_their_own(command, source, one_row, forked_jobs):
    classes = ["--classes", "road=1", "--ignore", "2", "--side", "64", "--workers", "1"]
    assert command("prepare", "folder", "--name", "paths", "--source", source, *classes)[0] == 0
    run = ["reproduce", "table5", "--profile", "smoke", "--dataset", "paths", "--no-track", "--jobs", "2", "--json"]
    code, output, errors = command(*run)
    assert (code, [item["status"] for item in json.loads(output)]) == (0, ["trained"]), output + errors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["folder"], 2, "--source"),
        (["folder", "--source", "SOURCE"], 2, "--name NAME"),
        (["folder", "--source", "SOURCE", "--name", "x"], 2, "say what the masks hold"),
        (["folder", "--source", "SOURCE", "--name", "whu", "--classes", "road=1"], 2, "taken by this suite"),
        (["folder", "--source", "SOURCE", "--name", "x", "--classes", "road=1", "--side", "100"], 2, "multiple of 32"),
        (["folder", "--source", "SOURCE", "--name", "x", "--classes", "road=1", "--class-map", "y"], 2, "not both"),
        (["folder", "--source", "SOURCE", "--name", "x", "--classes", "road=1"], 1, "found also 2"),
        (["folder", "--source", "/not/there", "--name", "x", "--classes", "road=1"], 1, "/not/there"),
        (["whu", "--source", "SOURCE", "--classes", "road=1"], 2, "prepare folder"),
        (["mine", "--source", "SOURCE"], 2, "prepare folder --name mine"),
    ],
)
def test_mistakes_end_in_a_sentence(command, tmp_path, source, arguments, code, words):
    found, output, errors = command(
        "prepare", *[source if argument == "SOURCE" else argument for argument in arguments]
    )
    plain = " ".join(errors.replace("│", " ").split())
    assert (found, output, "Traceback" in errors) == (code, "", False)
    assert words in plain
    assert not (tmp_path / "home" / "data" / "x").exists()


def test_a_home_registers_its_own_sets_and_no_others(command, tmp_path, source):
    options = ["--source", source, "--classes", "a=0,b=1,c=2", "--side", "64", "--workers", "1"]
    assert command("prepare", "folder", "--name", "mine", *options)[0] == 0
    assert [item["name"] for item in json.loads(command("datasets", "--json")[1])] == [*BUILT_IN, "mine"]
    assert command("datasets", "--json", home=tmp_path / "other")[1].count('"name"') == len(BUILT_IN)
    assert "mine" not in DATASETS
    data = tmp_path / "home" / "data"
    for name, text in (("mine", "{"), ("deepglobe", (data / "mine" / "dataset.json").read_text())):
        (data / name).mkdir(exist_ok=True)
        (data / name / "dataset.json").write_text(text.replace('"mine"', f'"{name}"'))
    code, output, errors = command("datasets", "--json")
    assert (code, output.count('"name"')) == (0, len(BUILT_IN))
    assert "dataset.json is damaged" in errors
    assert "the name deepglobe is taken" in errors


def test_what_was_declared_is_in_the_key(source):
    """With the name alone two homes' sets called "roads" would be one: road=1 and road=2 in one mean."""
    from data_prep.datasets.folder import Folder

    sets = [Folder("roads", ("road",), (value,), 0, None, "tile", (64, 64)) for value in (1, 2)]
    declared = [Setting("smoke").run(TABLE5.rows[0].model, "deepglobe").declared() for _ in sets]
    assert declared[0]["dataset"] == {"name": "deepglobe", "version": 1}  # keys of published sets stay as they are
    runs = [Run(TABLE5.rows[0].model, data, TINY).declared() for data in sets]
    assert runs[0]["dataset"] != runs[1]["dataset"]


def move(source, folder, numbers, stem=str):
    for kind in ("images", "masks"):
        (source / folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            (source / kind / f"{number}.png").rename(source / folder / kind / f"{stem(number)}.png")


def test_a_published_split_from_its_folders_to_a_table(command, tmp_path, source, one_row):
    """Its test images were trained on; and --split blocked and split seeds made of one training several."""
    for folder, numbers in (("train", range(6)), ("val", (6, 7)), ("test", (8, 9))):
        move(tmp_path / "mine", folder, numbers, stem=lambda number, first=numbers[0]: number - first)
    options = ["--classes", "road=1", "--ignore", "2", "--side", "64", "--workers", "1"]
    code, output, _ = command("prepare", "folder", "--name", "paths", "--source", source, *options)
    assert code == 0
    assert "official split: by the folders of the source for train, val, test\n" in output
    run = ["reproduce", "table5", "--profile", "smoke", "--dataset", "paths", "--no-track", "--json"]
    (done,) = json.loads(command(*run)[1])
    result = Store(tmp_path / "home").get(done["key"])
    assert [result.data[split] for split in ("train", "val", "test")] == [2 * count for count in (6, 2, 2)]
    assert {stem[:6] for stem in result.images} == {"test/0", "test/1"}
    _, output, errors = command(*run, "--split", "blocked")
    (blocked,) = json.loads(output)
    assert "note: paths has a published split, which is kept: --split blocked changes nothing" in errors
    assert (blocked["key"], blocked["status"]) == (done["key"], "cached")
    assert result.published_split
    code, _, errors = command("report", "table5", "--out", tmp_path / "r")
    assert code == 0, errors
    page = (tmp_path / "r" / "report.md").read_text()
    assert "the user's own data: 10 pairs in 20 tiles, in the split of the source's folders; images used" in page
    assert command("score", "--run", done["key"], "--out", tmp_path / "masks")[0] == 0
    assert (tmp_path / "masks" / "test" / "0_y00000_x00000.png").exists()
    code, output, errors = command(
        "score", "--predictions", tmp_path / "masks", "--dataset", "paths", "--name", "again"
    )
    assert code == 0, errors
    code, output, errors = command("publish", "table5", "--out", tmp_path / "b.zip")
    assert code == 0, errors
    code, output, errors = command("verify", tmp_path / "b.zip")
    assert code == 0, output + errors


@pytest.mark.parametrize("split", ["folders", "ignored"])
def test_a_bundle_whose_split_is_not_as_declared_is_found(tmp_path, source, split):
    """Own data never had an official split: every bundle on a published one was called forged."""
    move(tmp_path / "mine", "train", range(7))
    move(tmp_path / "mine", "test", range(7, 10))
    mine = dataclasses.replace(
        declare(ClassMap("mine", (("a", 0), ("b", 1), ("c", 2)), side=64), tmp_path / "mine", ()), split=split
    )
    manifest = mine.prepare(
        tmp_path / "mine", tmp_path / "data" / "mine", origin="source", workers=1, progress=lambda *_: None
    )
    register_home(tmp_path / "data")
    assert list(declared_split(RebuiltSplit(manifest, manifest.splits(0)))) == []
    forged = dataclasses.replace(manifest, official_split=not manifest.official_split)
    (problem,) = declared_split(RebuiltSplit(forged, forged.splits(0)))
    words = {"folders": ("dealt", "published"), "ignored": ("published", "dealt")}[split]
    assert problem == f"its split is {words[0]}, that of mine is declared as {words[1]}"


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (rule("scaled", min=0, max=3000), "values of 0 to 3000 become 0 to 255"),
        (rule("bands", red=4, green=3, blue=2), "bands 4, 3 and 2 are read as red, green and blue"),
    ],
)
def test_a_bundle_whose_scale_or_bands_are_not_as_declared_is_found(tmp_path, source, added, words):
    mine = declare(ClassMap("mine", (("a", 0), ("b", 1), ("c", 2)), side=64), tmp_path / "mine", ())
    manifest = mine.prepare(
        tmp_path / "mine", tmp_path / "data" / "mine", origin="source", workers=1, progress=lambda *_: None
    )
    register_home(tmp_path / "data")
    image = (added, *manifest.rules["image"])
    forged = dataclasses.replace(manifest, rules={**manifest.rules, "image": image})
    (problem,) = declared_split(RebuiltSplit(forged, forged.splits(0)))
    assert problem == (f"its values are said to be: {words}; those of mine are declared as: 8 bits")


def test_padding_and_absent_classes_are_said(command, tmp_path):
    """572 pixels in tiles of 512 are two thirds padding, and a class that no mask shows has no score."""
    labels = np.zeros((572, 572), np.uint8)
    labels[:99] = 1
    for number in range(4):
        for kind, pixels in (("images", picture(number, 572)), ("masks", labels)):
            (tmp_path / "s" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "s" / kind / f"{number}.png")
    arguments = ["--source", tmp_path / "s", "--classes", "a=0,b=1,c=2,d=3", "--workers", "1"]
    code, output, _ = command("prepare", "folder", "--name", "wide", *arguments)
    assert code == 0
    assert "padding: 68.8% with tiles of 512 pixels; least with --side 576: 1.4%." in output
    assert "no pixel in any mask: c, d\n" in output
    output = command("prepare", "folder", "--name", "narrow", *arguments, "--side", "288")[1]
    assert "padding:" not in output
    assert json.loads(command("prepare", "narrow", "--source", tmp_path / "s", "--json")[1])["absent"] == ["c", "d"]


def test_globs_and_an_ignored_split_on_the_command_line(command, tmp_path, source):
    move(tmp_path / "mine", "train", range(7))
    move(tmp_path / "mine", "test", range(7, 10))
    globs = ["--images", "*/images/*.png", "--masks", "*/masks/*.png"]
    options = ["--source", source, "--classes", "a=0,b=1,c=2", "--side", "64", "--workers", "1", "--json", *globs]
    record = json.loads(command("prepare", "folder", "--name", "kept", *options)[1])
    assert (record["official_split"], record["splits"]) == (True, {"train": 12, "val": 2, "test": 6})
    record = json.loads(command("prepare", "folder", "--name", "dealt", *options, "--ignore-split")[1])
    assert (record["official_split"], record["splits"]) == (False, {"train": 14, "val": 4, "test": 2})
    assert "prepare folder" in " ".join(command("prepare", "whu", "--source", source, "--ignore-split")[2].split())
