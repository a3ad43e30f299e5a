"""The note on what was made otherwise: each circumstance that is in no key, with its rows; none where all agree."""

import pytest

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.store import Store
from reports.select.comparable import comparable_groups
from reports.select.results import collect
from reports.tables.mixed_software import mixed_software
from tests.reports.fabricate import PROVENANCE, fabricate, fill, row_run

TABLE1 = TABLES["table1"]


def note(home, **changes):
    """The note where the second row alone was made with these changes."""
    fill(home, [0.6, None, 0.65], table=TABLE1)
    Store(home).put(fabricate(row_run(1, table=TABLE1), 0.7, provenance={**PROVENANCE, **changes}))
    (group,) = comparable_groups(TABLE1, collect(home, None), Setting("paper"))
    return mixed_software(group)


@pytest.mark.parametrize(
    ("change", "here", "elsewhere"),
    [
        ({"versions": {**PROVENANCE["versions"], "torch": "2.12.0"}}, "with torch 2.12.0", "with torch 2.11.0"),
        ({"versions": {**PROVENANCE["versions"], "timm": "1.0"}}, "with timm 1.0", "with timm not recorded"),
        ({"commit": "fedcba987654"}, "from commit fedcba987654", "from commit 0123456789ab"),
        (
            {"commit": "0123456789ab-dirty"},
            "from commit 0123456789ab with changes not committed",
            "from commit 0123456789ab",
        ),
        ({"commit": None}, "from a commit not recorded", "from commit 0123456789ab"),
        ({"device": "NVIDIA H200"}, "on NVIDIA H200", "on NVIDIA RTX A6000"),
        ({"devices": 4}, "on 4 devices (dropout then draws other numbers)", "on one device"),
        ({"compiled": True}, "compiled", "not compiled"),
        ({"activation_checkpointing": True}, "with activation checkpointing", "without activation checkpointing"),
    ],
)
def test_each_circumstance_is_said_with_its_row(tmp_path, change, here, elsewhere):
    """All of them stood at the head of the page at most, "torch 2.11.0 and 2.12.0", without a row."""
    expected = f"Not all made alike, which may move numbers: UNet {here}; all other runs {elsewhere}."
    assert note(tmp_path, **change) == expected


@pytest.mark.parametrize("change", [{}, {"finished": "2026-01-01"}, {"waiting_for_images": 0.5}, {"devices": 1}])
def test_nothing_is_said_of_what_moves_no_number(tmp_path, change):
    assert note(tmp_path, **change) == ""


def test_a_row_of_both_kinds_says_how_many_runs(tmp_path):
    run = row_run(0, table=TABLE1, seed=1, split_seed=1)
    Store(tmp_path).put(fabricate(run, 0.7, provenance={**PROVENANCE, "device": "NVIDIA H200"}))
    expected = "1 of 2 runs of FCN and TransUNet on NVIDIA RTX A6000; all other runs on NVIDIA H200."
    assert note(tmp_path, device="NVIDIA H200").endswith(f": {expected}")  # two each: the first name comes last


def test_words_of_a_record_are_bounded_and_hold_no_markup(tmp_path):
    text = note(tmp_path, device="\\input{x} | <b>`a`" + "y" * 480)
    assert "UNet on ?input?x? ? ?b??a?yyy" in text
    assert len(text) < 300
