"""A bundle with rows of the study: its chapter is made anew from the counts, and a changed number in it is found."""

import re
import zipfile

import numpy as np
import pytest

from benchmarks.protocol.setting import Setting
from reports.bundle.publish import publish
from reports.bundle.verify import check
from tests.benchmarks.prepared import write_prepared
from tests.reports.bundle.forged import seal
from tests.reports.bundle.genuine import put_run
from tests.reports.still_sam import FROZEN, MODELS, RS_SAM

SMOKE = Setting("smoke")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home, rng = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    write_prepared(home / "data" / "deepglobe")
    for label in (RS_SAM, FROZEN):
        put_run(home, SMOKE.run(MODELS[label], "deepglobe"), rng)
    return home


def unpacked(home, tmp_path, *items):
    publish(list(items), tmp_path / "bundle.zip", home)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize(("items", "results"), [(["still-sam"], 2), ([], 2), (["table5"], 1)])
def test_a_bundle_of_it_has_no_problem(home, tmp_path, items, results):
    """A frozen DINOv3 stands in no table of the paper: it was left out of a bundle of everything."""
    folder = unpacked(home, tmp_path, *items)
    found = check(folder)
    assert (found.problems, found.results) == ([], results)
    page = (folder / "README.md").read_text()
    assert ("## Does it still take SAM? Not in the paper" in page) == (results == 2)
    assert (folder / "tables" / "still-sam.csv").is_file() == (results == 2)


def test_a_changed_number_of_the_chapter_is_found(home, tmp_path):
    folder = unpacked(home, tmp_path, "still-sam")
    page = folder / "README.md"
    row = next(line for line in page.read_text().splitlines() if line.startswith(f"| {FROZEN}"))
    dice = re.search(r"0\.\d{3}", row).group()
    page.write_text(page.read_text().replace(row, row.replace(dice, "0.999")))
    seal(folder)
    (problem,) = check(folder).problems
    assert re.match(r"README.md: line \d+ is not what the results give", problem)


def test_a_run_that_its_tables_do_not_show_is_found(home, tmp_path):
    folder = unpacked(home, tmp_path, "still-sam")
    about = folder / "bundle.json"
    about.write_text(about.read_text().replace('"still-sam"', '"table5"'))
    for path in (folder / "tables").glob("*"):
        path.unlink()
    seal(folder)
    assert any("it stands in no table of the bundle" in problem for problem in check(folder).problems)
