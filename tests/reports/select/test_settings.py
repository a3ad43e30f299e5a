"""Settings found again from results alone."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Table
from data_prep import registry as catalog
from reports.select.results import Collection, StoredResult
from reports.select.settings import command, describe, settings
from reports.tables.assemble import assemble
from tests.reports.fabricate import TABLE5, fabricate, row_run


@dataclass(frozen=True)
class Plain:
    """A system without an encoder."""

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain"
    version: ClassVar[int] = 1
    published: ClassVar[None] = None
    small: ClassVar[dict] = {}

    def weights_needed(self):
        return ()


@dataclass(frozen=True)
class Roofs:
    """Another binary data set."""

    name: ClassVar[str] = "roofs"
    title: ClassVar[str] = "Roofs"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("roof",)
    image_size: ClassVar[tuple[int, int]] = (512, 512)
    average: ClassVar[str] = "foreground"
    expected_pairs: ClassVar[None] = None
    official_sizes: ClassVar[None] = None


@pytest.fixture(autouse=True)
def roofs(monkeypatch):
    monkeypatch.setitem(catalog.DATASETS, "roofs", Roofs())


PLAIN = replace(TABLE5.rows[0], labels=("Plain", "", ""), model=Plain())
MIXED = replace(TABLE5, id="mixed", rows=(PLAIN, *TABLE5.rows[3:]))
ON_ROOFS = replace(TABLE5, id="roofs", dataset="roofs", rows=(TABLE5.rows[0], TABLE5.rows[4]))


def collection(*runs):
    return Collection(tuple(StoredResult(fabricate(run), "own") for run in runs))


def found(table, *runs, tables=()):
    return settings(collection(*runs), table, tables)


SMALL = Setting("mini", encoder="vit_t", init="scratch")


@pytest.mark.parametrize(
    "setting",
    [
        Setting("paper"),
        Setting("fair"),
        Setting("mini"),
        Setting("smoke"),
        Setting("paper", init="scratch"),
        Setting("paper", encoder="vit_l"),
        Setting("paper", split="blocked"),
        replace(SMALL, split="blocked"),
        Setting("paper", dataset="roofs"),
        SMALL,
    ],
    ids=describe,
)
def test_the_setting_of_a_run_is_found_again(setting):
    assert found(TABLE5, row_run(1, setting)) == [setting]


def test_nothing_found_without_results():
    assert found(TABLE5) == []


def test_the_papers_setting_comes_first_and_smoke_last():
    order = [Setting("paper"), Setting("fair"), SMALL, Setting("smoke")]
    assert found(TABLE5, *(row_run(1, setting) for setting in reversed(order))) == order


def test_a_system_without_encoder_makes_no_setting_of_its_own():
    runs = [row_run(index, SMALL, table=MIXED) for index in range(3)]
    assert found(MIXED, *runs) == [SMALL]


def test_a_system_without_encoder_alone_stands_under_the_bare_profile():
    assert found(MIXED, row_run(0, SMALL, table=MIXED)) == [Setting("mini")]


def test_another_tables_runs_are_not_this_table_on_other_data():
    at_home = [row_run(index, table=ON_ROOFS) for index in range(2)]
    assert found(TABLE5, *at_home, tables=(ON_ROOFS,)) == []
    assert found(ON_ROOFS, *at_home, tables=(TABLE5,)) == [Setting("paper")]
    moved = row_run(1, Setting("paper", dataset="roofs"))
    assert found(TABLE5, *at_home, moved, tables=(ON_ROOFS,)) == [Setting("paper", dataset="roofs")]


def test_another_tables_larger_encoder_is_not_this_table_with_it():
    larger = replace(
        TABLE5.rows[4], labels=("yes", "yes", "large"), model=replace(TABLE5.rows[4].model, encoder="vit_l")
    )
    sizes: Table = replace(TABLE5, id="sizes", rows=(TABLE5.rows[4], larger))
    runs = [row_run(index, table=sizes) for index in range(2)]
    assert found(TABLE5, *runs, tables=(sizes,)) == [Setting("paper")]
    assert found(sizes, *runs, tables=(TABLE5,)) == [Setting("paper")]


def test_on_another_data_set_the_papers_numbers_are_not_compared():
    setting = Setting("paper", dataset="roofs")
    (frame,) = assemble([TABLE5], collection(row_run(1, setting))).frames
    assert frame.setting == setting
    assert frame.rows["dice_paper"].isna().all()
    assert frame.rows["dice_difference"].isna().all()
    assert any("data set roofs in place of deepglobe" in note for note in frame.notes)


def test_splits_by_scenes_and_by_image_stand_in_sections_of_their_own():
    """One column would mix two test sets under the same split seed."""
    blocked = Setting("paper", split="blocked")
    runs = [row_run(index, setting) for setting in (Setting("paper"), blocked) for index in (0, 1)]
    first, second = assemble([TABLE5], collection(*runs)).frames
    assert (first.setting, second.setting) == (Setting("paper"), blocked)
    for frame in (first, second):
        assert len(frame.runs) == 2
    words = "Split by scenes (--split blocked)"
    assert not any(words in note for note in first.notes)
    assert any(words in note for note in second.notes)


def test_runs_on_tiles_cut_anew_and_split_by_scenes_are_found():
    """Their declaration said "random", so a report had no row for them."""
    setting = Setting("paper", dataset="whu", split="blocked", drawn=("whu",))
    run = row_run(1, setting)
    assert run.split_rule == "blocked"
    assert found(TABLE5, run) == [setting]
    assert command(TABLE5, setting) == "rssam-bench reproduce table5 --dataset whu --split blocked"


def test_commands():
    assert command(TABLE5, Setting("paper", split="blocked")) == "rssam-bench reproduce table5 --split blocked"
    assert command(TABLE5, Setting("paper")) == "rssam-bench reproduce table5"
    assert command(TABLE5, Setting("smoke")) == "rssam-bench reproduce table5 --profile smoke"
    assert command(TABLE5, replace(SMALL, dataset="roofs")) == (
        "rssam-bench reproduce table5 --profile mini --encoder vit_t --init scratch --dataset roofs"
    )
