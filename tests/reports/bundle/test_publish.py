"""A bundle says what the home says, and whoever changes one of its files is found out."""

import dataclasses
import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from baselines.unet import UNet
from benchmarks.protocol.setting import Setting
from benchmarks.scoring.score import score
from benchmarks.scoring.test_images import select_test_images
from reports.bundle.files import README
from reports.bundle.ledger import NOT_HERE
from reports.bundle.publish import _refuse_private, publish
from reports.bundle.verify import check
from rssam.errors import UserError
from tests.benchmarks.prepared import write_prepared
from tests.reports.bundle.forged import seal
from tests.reports.bundle.genuine import masks_of, put_run
from tests.reports.fabricate import TABLE5

SMOKE = Setting("smoke")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Three rows of Table 5 with counts on a prepared split, and one scored row."""
    home = tmp_path_factory.mktemp("home")
    folder, rng = home / "data" / "deepglobe", np.random.default_rng(0)
    entries = write_prepared(folder).splits(0)["test"]
    for row in TABLE5.rows[:3]:
        put_run(home, SMOKE.run(row.model, "deepglobe"), rng)
    masks = home / "masks"
    masks.mkdir()
    for entry, mask in zip(entries, masks_of(folder, entries), strict=True):
        Image.fromarray(mask.astype(np.uint8)).save(masks / f"{entry.stem}.png")
    score(home, select_test_images(home, "deepglobe", 0, "random"), masks, "Perfect", "", lambda *_: None)
    return home


@pytest.fixture(scope="module")
def bundle_file(home, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "bundle.zip"
    publish([], path, home)
    return path


@pytest.fixture
def unpacked(bundle_file, tmp_path):
    """The bundle as a folder that a test may spoil, beside the file."""
    shutil.copy(bundle_file, tmp_path)
    with zipfile.ZipFile(bundle_file) as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def change(folder, pattern, edit):
    path = sorted(folder.glob(pattern))[0]
    raw = json.loads(path.read_text())
    edit(raw)
    path.write_text(json.dumps(raw))
    seal(folder)
    return path.relative_to(folder).as_posix()


def test_a_bundle_is_whole_and_holds_no_pixel_and_no_private_word(home, tmp_path, unpacked):
    found = check(tmp_path / "bundle.zip")
    assert (found.problems, found.results, found.submissions, found.splits) == ([], 3, 1, 1)
    assert check(unpacked).problems == []
    names = {path.suffix for path in unpacked.rglob("*") if path.is_file()}
    assert names == {".json", ".jsonl", ".md", ".csv", ""}
    text = "".join(path.read_text() for path in unpacked.rglob("*") if path.is_file())
    assert "someone's" not in text
    assert str(home) not in text
    page = (unpacked / README).read_text()
    assert "| Perfect (scored predictions) |  |  | 1.000 |" in page
    first = (tmp_path / "bundle.zip").read_bytes()
    publish([], tmp_path / "bundle.zip", home)
    assert (tmp_path / "bundle.zip").read_bytes() == first


def test_items_choose_results_and_bad_wishes_are_said(home, tmp_path):
    found = publish(["table6"], tmp_path / "six.zip", home)  # no row of it was run: the scored row alone
    assert (found.results, found.submissions) == (0, 1)
    assert check(tmp_path / "six.zip").problems == []
    for items, out, words in (
        (["table2"], "a.zip", "nothing of table2 to publish"),
        (["fig6"], "a.zip", "fig6 cannot be published"),
        (["table9"], "a.zip", "unknown item"),
        ([], "a.tar", "ends in .zip"),
    ):
        with pytest.raises(UserError, match=words):
            publish(items, tmp_path / out, home)
    assert not (tmp_path / "a.zip").exists()
    with pytest.raises(UserError, match="found nothing"):
        check(tmp_path / "nowhere.zip")


def test_results_without_their_data_are_not_published(home, tmp_path):
    (tmp_path / "results").mkdir()
    for path in (home / "results").iterdir():
        (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="the data of these results is missing"):
        publish([], tmp_path / "a.zip", tmp_path)
    write_prepared(tmp_path / "data" / "deepglobe", seed=1)
    with pytest.raises(UserError, match="is other data"):
        publish([], tmp_path / "a.zip", tmp_path)


def more_hits(raw):
    raw["counts"]["tp"][0][0] += 5
    raw["counts"]["tn"][0][0] -= 5


def exchange(raw):
    raw["test"][0], raw["train"][0] = raw["train"][0], raw["test"][0]


@pytest.mark.parametrize(
    ("pattern", "edit", "words"),
    [
        ("results/*", more_hits, "pixels of the truth, and"),
        ("results/*", lambda raw: raw["counts"]["fp"][0].__setitem__(0, 10**6), "its counts add up to"),
        ("results/*", lambda raw: raw["native_counts"]["fp"][0].__setitem__(0, 1), "native resolution: image"),
        ("results/*", lambda raw: raw["counts"]["fp"][0].__setitem__(0, -1), "counts cannot be negative"),
        ("results/*", lambda raw: raw["identity"].__setitem__("seed", 7), "does not belong to its identity"),
        ("results/*", lambda raw: raw.__setitem__("best_epoch", 2), "not the one of lowest validation loss"),
        ("results/*", lambda raw: raw["data"].__setitem__("train", 9), "9 train images, its split has 8"),
        ("results/*", lambda raw: raw["images"].reverse(), "not the test images of its split"),
        ("results/*", lambda raw: raw["images"].__setitem__(0, "x\x1b[2J"), r"not in its data set: x\?\[2J"),
        ("results/*", lambda raw: raw.__setitem__("history", [{"epoch": []}]), "missing or malformed"),
        ("scores/*", lambda raw: raw.__setitem__("classes", ["roof"]), "are not its data set's"),
        ("splits/*", exchange, "is not what the rule gives for split seed 0"),
        ("splits/*", lambda raw: raw["images"][0].__setitem__("source_mask_sha256", "0"), "its digest is not that"),
        ("splits/*", lambda raw: raw["test"].pop(), "not each of the 14 images once"),
        ("splits/*", lambda raw: raw.pop("images"), "missing or malformed"),
        ("bundle.json", lambda raw: raw.__setitem__("made_with", "0.0.1"), "made with rssam-bench 0.0.1"),
        ("bundle.json", lambda raw: raw.__setitem__("tables", ["table5"]), "README.md: line"),
    ],
)
def test_each_change_is_found_though_the_digests_were_made_anew(unpacked, pattern, edit, words):
    name = change(unpacked, pattern, edit)
    problems = check(unpacked).problems
    assert any(re.search(words, line) for line in problems), problems
    assert any(line.startswith((name, "README.md", "results/")) for line in problems)


def test_a_printed_number_must_be_the_one_the_counts_give(unpacked):
    page = unpacked / README
    page.write_text(page.read_text().replace("| 1.000 |", "| 1.001 |", 1))
    table = unpacked / "tables" / "table5.csv"
    table.write_text(table.read_text().replace("dice,0.", "dice,1.", 1))
    (problem, *others) = [line for line in check(unpacked).problems if "SHA-256" not in line]
    assert "README.md: line" in problem
    assert "expected" in problem
    assert others[0].startswith("tables/table5.csv: line")
    assert sum("its SHA-256 is not the one listed" in line for line in check(unpacked).problems) == 2


def test_files_that_do_not_belong_are_named(unpacked, tmp_path):
    (unpacked / "masks").mkdir()
    (unpacked / "masks" / "a.png").write_bytes(b"pixels")
    (unpacked / "link.json").symlink_to("/etc/hostname")
    sorted(unpacked.glob("results/*"))[0].unlink()
    (unpacked / "README.md").unlink()
    problems = "\n".join(check(unpacked).problems)
    for words in ("masks/a.png: no bundle has", "link.json: is a link", "listed in SHA256SUMS, and missing", "README"):
        assert words in problems


def packed(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return path


def test_archives_made_to_do_harm_are_refused(tmp_path):
    link = zipfile.ZipInfo("results/a.json")
    link.external_attr = 0o120777 << 16
    cases = (
        (("../evil.json", "{}"), "outside of its folder"),
        (("/evil.json", "{}"), "outside of its folder"),
        ((link, "/etc/passwd"), "is a link"),
        (("results/a.json", b" " * (201 << 20)), "not safe to unpack"),
    )
    for number, (member, words) in enumerate(cases):
        (problem,) = check(packed(tmp_path / f"{number}.zip", member)).problems
        assert words in problem
    assert not (tmp_path.parent / "evil.json").exists()
    (tmp_path / "no.zip").write_bytes(b"no archive")
    assert "found another file" in check(tmp_path / "no.zip").problems[0]
    deep = packed(tmp_path / "deep.zip", ("splits/a.json", "[" * 100_000), ("results/a.json", "[" * 100_000))
    assert "splits/a.json: a part is missing or malformed" in "\n".join(check(deep).problems)


def test_a_score_that_names_a_folder_of_a_person_stays_at_home(home, tmp_path):
    masks = home / "masks"
    found = score(
        home, select_test_images(home, "deepglobe", 0, "random"), masks, "/home/ann/model", "", lambda *_: None
    )
    try:
        with pytest.raises(UserError, match="contains the path /home/ann/model"):
            publish([], tmp_path / "a.zip", home)
    finally:
        found.path.unlink()
    assert not (tmp_path / "a.zip").exists()


def test_a_home_of_other_letters_stays_at_home_too(tmp_path):
    """JSON writes "Müller" as "M\\u00fcller", and so the path of such a home was published."""
    other = tmp_path / "Müller"
    with pytest.raises(UserError, match="contains the path"):
        _refuse_private({"scores/a.json": json.dumps({"name": f"{other}/masks"}).encode()}, other)


def test_nothing_to_publish_says_what_was_left_out(tmp_path):
    """A home whose only result is damaged was said to have none."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"no usable result and no score .*\n  left out: a.json: it is cut off"):
        publish([], tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("place", ["data/deepglobe/a.zip", "results/a.zip", "folder.zip"])
def test_a_bundle_takes_no_place_of_the_suite(home, tmp_path, place):
    """A folder of that name ended in ".folder.zip.0.tmp: Is a directory", after all the work."""
    (tmp_path / "folder.zip").mkdir()
    out = tmp_path / place if place == "folder.zip" else home / place
    with pytest.raises(UserError, match="expected a place"):
        publish([], out, home)


def test_a_result_that_no_table_shows_is_left_out_and_named(home, tmp_path):
    """It went along, and stood nowhere: verify found no problem."""
    run = dataclasses.replace(SMOKE.run(TABLE5.rows[0].model, "deepglobe"), model=UNet(3))
    result = put_run(home, run, np.random.default_rng(1))
    try:
        found = publish([], tmp_path / "a.zip", home)
    finally:
        (home / "results" / f"{result.key}.json").unlink()
    assert (found.results, found.notes) == (3, (f"left out: {result.key}: it stands in no table",))
    assert check(tmp_path / "a.zip").problems == []


def test_the_ledger_goes_along_without_names_that_are_not_in_the_bundle(home, tmp_path):
    images = select_test_images(home, "deepglobe", 0, "random")
    score(home, images, home / "masks", "Our secret", "", lambda *_: None).path.unlink()
    publish([], tmp_path / "bundle.zip", home)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        lines = archive.read("ledger.jsonl").decode().splitlines()
    uses = [json.loads(line) for line in lines]
    assert len(uses) == len((home / "ledger.jsonl").read_text().splitlines())
    assert "Our secret" not in "".join(lines)
    assert "Perfect" in [use["system"] for use in uses]
    assert NOT_HERE in [use["system"] for use in uses]


def test_results_without_a_logged_use_are_said(home, tmp_path):
    """As of a home whose results came from another machine: an honest gap is shown, and is no problem."""
    ledger = home / "ledger.jsonl"
    kept = ledger.read_bytes()
    ledger.unlink()
    try:
        publish([], tmp_path / "bundle.zip", home)
    finally:
        ledger.write_bytes(kept)
    found = check(tmp_path / "bundle.zip")
    assert (found.problems, found.uses) == ([], ("No use was logged of 4 of its results and scores.",))


def test_predictions_may_not_be_called_as_a_system_of_the_suite(home, tmp_path):
    """`score --name RS-SAM` made a row of that name, beside that of the runs."""
    images = select_test_images(home, "deepglobe", 0, "random")
    with pytest.raises(UserError, match="expected another name than that of a system of this suite, found 'RS-SAM'"):
        score(home, images, tmp_path, "RS-SAM", "", lambda *_: None)
