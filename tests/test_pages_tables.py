"""Tables and examples of the pages for readers, held against what they describe."""

import dataclasses
import re
from typing import get_args

import pytest
from PIL import Image

from benchmarks import doctor
from benchmarks.execution.cost_estimate import gpu_hours
from benchmarks.execution.plan import plan
from benchmarks.needs import needs
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.targets import choose, default_profile
from data_prep.datasets.folder_options import declare, from_file, from_options
from data_prep.splits import exact_counts
from reports.statistics.jackknife import FEWEST_TESTED, FEWEST_UNITS, effective_needed
from reports.verdicts.rule import CAPS, FEWEST_REPLICATES, VerdictWord
from rssam.config import RSSAM
from rssam.sam.encoder_sizes import CHAINS
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"


def rows(page, heading):
    """Return the rows of the table below a line of headings, as cells."""
    _, _, below = (DOCS / page).read_text().partition(f"\n{heading}\n")
    table = re.match(r"(?:\|.*\n)+", below)[0].splitlines()[1:]  # without the line under the headings
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def hours(item, profile, rows=()):
    """Return the hours of a plan on the published data by operation count."""
    items, setting = choose([item], profile, rows=rows)
    return sum(
        gpu_hours(run, run.dataset.official_sizes or exact_counts(run.dataset.expected_pairs))
        for run in plan(items, setting, [0], 0, None)
    )


def in_hours(cell):
    number, unit = cell.split()
    return float(number) / {"h": 1, "min": 60}[unit]


PROFILE_ROWS = {
    row[0].strip("`"): row[1:]
    for row in rows(
        "reproduce.md",
        "| profile | for | epochs | rate | batch / group | crops of an image | devices | RS-SAM on DeepGlobe | "
        "all 39 runs |",
    )
}


@pytest.mark.parametrize("name", PROFILES)
def test_the_table_of_profiles_is_that_of_the_recipes(name):
    """No page had it, and README said of `fair`, three times as dear, that it takes less than `paper`."""
    profile, (_, epochs, rates, batch, crops, devices, row, everything) = PROFILES[name], PROFILE_ROWS[name]
    recipe = profile.recipe
    assert epochs == f"{recipe.epochs}{' for each rate' * (len(recipe.rates) > 1)}"
    assert [float(rate) for rate in rates.split(", ")] == list(recipe.rates)
    assert batch == f"{recipe.batch} / {recipe.group}"
    assert crops == ("whole images" if recipe.crop is None else f"{recipe.crops} of {recipe.crop} pixels")
    groups = recipe.batch // recipe.group
    assert [int(found) for found in re.findall(r"\d", devices)] == [n for n in range(1, 9) if groups % n == 0]
    if profile.claims_nothing:
        assert row == everything == "for a CPU"
    else:
        assert in_hours(row) == pytest.approx(hours("table5", name, ["5"]), rel=0.02)
        assert in_hours(everything) == pytest.approx(hours("all", name), rel=0.01)


def test_the_page_names_the_default_profiles():
    items = {name: choose([name])[0] for name in ("table5", "still-sam")}
    sentence = "Without it, the profile is `{}`, for `still-sam` `{}`."
    text = " ".join((DOCS / "reproduce.md").read_text().split())
    assert sentence.format(*map(default_profile, items.values())) in text


def test_the_page_says_what_disk_items_need(tmp_path):
    """It had 0.4 GB of weights, those of one encoder."""
    text = " ".join((DOCS / "reproduce.md").read_text().split())
    said = re.search(r"what an item needs: (\d+) GB for Table 5, (\d+) GB for `all`", text)
    for item, found in zip(("table5", "all"), said.groups(), strict=True):
        items, setting = choose([item])
        runs = plan(items, setting, [0], 0, None)
        assert int(found) == round(doctor._gigabytes(needs(tmp_path, runs), runs))


def test_the_page_says_what_disk_a_run_takes():
    """It said 0.7 GB and 0.2 GB: without the checkpoint that is being written, without MLflow's copy."""
    text = " ".join((DOCS / "reproduce.md").read_text().split())
    said = re.findall(r"at most (\S+) GB\b[^.]*?under `fair` (\S+) GB\.", text)
    for pair, gigabytes, beside in zip(
        said,
        (doctor.training_gigabytes, doctor.finished_gigabytes),
        (0, doctor.GIGABYTES_OF_RESULTS),
        strict=True,
    ):
        for profile, found in zip(("paper", "fair"), pair, strict=True):
            run = Setting(profile).run(RSSAM(), "deepglobe")
            assert found == f"{gigabytes(run) - beside:.1f}"


@pytest.mark.parametrize("fewest", [FEWEST_UNITS, FEWEST_TESTED])
def test_the_tutorial_says_how_many_sheets_to_label(fewest):
    """It said "several", and nobody learnt before labelling that an interval takes about 130."""
    text = " ".join((DOCS / "tutorial.md").read_text().split())
    about = int(re.search(rf"takes {fewest}\b[^.]*so about (\d+)", text)[1])
    exact = next(total for total in range(1000) if exact_counts(total)[2] >= fewest)
    assert about == pytest.approx(exact, abs=5)


def test_the_class_map_of_the_page_is_that_of_its_command(tmp_path):
    """No page had the format, and `"road=1,roof=2"` refused every mask with a 0."""
    page = (DOCS / "data.md").read_text()
    (code,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "land.yaml").write_text(code)
    found = from_file(tmp_path / "land.yaml")
    (given,) = re.findall(r'--classes "(background=0,.*?)" --ignore (\d+)', page)
    assert (found.classes, found.ignore) == (from_options([given[0]], None).classes, int(given[1]))
    assert (found.name, found.side, found.fit, found.scale, found.bands) == ("land", 256, "tile", "0,3000", "4,3,2")
    for number in range(8):
        for folder in ("images", "masks"):
            (tmp_path / "source" / folder).mkdir(parents=True, exist_ok=True)
            Image.new("L", (256, 256), number % 3).save(tmp_path / "source" / folder / f"{number}.png")
    named = dataclasses.replace(found, scale=None, bands=None)  # of GeoTIFFs
    manifest = declare(named, tmp_path / "source", []).prepare(
        tmp_path / "source", tmp_path / "out", origin="source", workers=1, progress=lambda *_: None
    )
    assert manifest.classes == ("background", "road", "roof")


def test_what_intervals_tests_and_verdicts_need_is_what_the_code_asks():
    """Four sentences had the numbers, of which "less than 8 equal units" had no formula."""
    units, effective, replicates = rows("numbers.md", "| least | interval | dagger | verdict, test of a claim |")
    assert units[1:3] == [str(FEWEST_UNITS), str(FEWEST_TESTED)]
    assert effective[1:3] == [str(effective_needed(fewest)) for fewest in (FEWEST_UNITS, FEWEST_TESTED)]
    assert replicates[1:] == ["1", "1", str(FEWEST_REPLICATES)]
    text = " ".join((DOCS / "numbers.md").read_text().split())
    caps = re.search(r"if T is above (\S+) on DeepGlobe, or (\S+) on WHU and WHDLD", text)
    assert [float(caps[number]) for number in (1, 2, 2)] == [CAPS[name] for name in ("deepglobe", "whu", "whdld")]


@pytest.mark.parametrize("row", rows("glossary.md", "| word | sense | page |"), ids=lambda row: row[0])
def test_a_word_of_the_glossary_is_on_its_page(row):
    """Eight led to pages without the word: adapter, bundle, collapsed, complete, constant answer, start, stem."""
    word, _, link = row
    target = re.search(r"\]\((.+?\.md)", link)[1]
    assert re.search(rf"\b{re.escape(word)}s?\b", " ".join((DOCS / target).read_text().split()), re.IGNORECASE)


def test_the_glossary_is_in_order_and_names_every_verdict_profile_and_chain():
    glossary = rows("glossary.md", "| word | sense | page |")
    words = [word.lower() for word, *_ in glossary]
    assert words == sorted(words)
    senses = {word: sense for word, sense, _ in glossary}
    assert set(re.findall(r'"(.+?)"', senses["verdict"])) == set(get_args(VerdictWord))
    assert set(re.findall(r"`(.+?)`", senses["profile"])) == set(PROFILES)
    assert set(re.findall(r"`(.+?)`", senses["chain"])) == set(CHAINS)
