"""The published sample: its bundle verifies, its page has that bundle's numbers, and it passes for no reproduction."""

import json
import re

import pytest

from reports.bundle.verify import check
from tests.conftest import REPOSITORY
from tests.test_site import load

sample = load("sample")
PAGE = sample.PAGE.read_text()


def test_the_bundle_verifies():
    found = check(sample.BUNDLE)
    assert not found.problems
    assert found.results >= 30


def test_the_page_has_the_numbers_of_the_bundle():
    assert sample.renewed(PAGE) == PAGE, "run: python docs/sample.py HOME"


def test_ten_seeds_test_thirty_images():
    splits = [json.loads(path.read_text())["test"] for path in (sample.BUNDLE / "splits").iterdir()]
    assert len(splits) == 10
    assert len({stem for split in splits for stem in split}) == 30


@pytest.mark.parametrize("table", ["Table 1", "Table 5"])
def test_no_table_reads_as_a_reproduction(table):
    section = PAGE.partition(f"\n## {table}. ")[2].partition("\n## ")[0]
    assert "- Not a reproduction: the recipe is mini" in section
    assert "vegas-roads in place of deepglobe" in section


@pytest.mark.parametrize("page", ["README.md", "docs/sample.md"])
def test_pictures_of_real_places_have_their_licence_beside_them(page):
    text = (REPOSITORY / page).read_text()
    assert re.search(r"sample-\w+\.(jpg|png)", text)
    assert "CC BY-SA 4.0" in text


def test_no_path_of_a_machine_is_published():
    text = sample.REPORT.read_text() + PAGE
    assert not re.findall(r"/(?:tmp|home|root|work)/\w+", text)
