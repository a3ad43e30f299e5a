"""What a person may type for a run, and what is said where it means several."""

import dataclasses
import json

import pytest

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.find_run import find_run
from benchmarks.protocol.run_names import find_rows, rows_of, run_name
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE5, TABLES
from rssam.config import RSSAM
from rssam.errors import UnknownName
from tests.reports.fabricate import fill


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Results of identities alone: U-Net, the Baseline, RS-SAM and an ablation of it, with two seeds of U-Net."""
    results = [
        Fake(f"deepglobe-{model.name}-{number}000000000", Setting("smoke").run(model, "deepglobe", seed).declared())
        for number, (model, seed) in enumerate(
            [(UNet(), 0), (UNet(), 1), (SamLora(), 0), (RSSAM(), 0), (RSSAM(mhff=False), 0)]
        )
    ]
    monkeypatch.setattr("benchmarks.find_run._results", lambda _: results)
    (tmp_path / "results").mkdir()
    for result in results:
        (tmp_path / "results" / f"{result.key}.json").touch()
    return tmp_path


@dataclasses.dataclass
class Fake:
    key: str
    identity: dict


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("deepglobe-unet-0000000000", "deepglobe-unet-0000000000"),
        ("deepglobe-sam", "deepglobe-sam-lora-2000000000"),
        ("deepglobe-unet-1", "deepglobe-unet-1000000000"),
        ("table5:5", "deepglobe-rs-sam-3000000000"),
        ("table5:Neck + MFF", "deepglobe-rs-sam-4000000000"),
        ("table1:Baseline", "deepglobe-sam-lora-2000000000"),
        ("rs-sam@deepglobe", "deepglobe-rs-sam-3000000000"),
        ("RS-SAM@deepglobe", "deepglobe-rs-sam-3000000000"),
        ("rs-sam@whu", "rs-sam@whu"),
        ("table5:2", "table5:2"),
        ("nothing", "nothing"),
    ],
)
def test_what_names_one_run(home, typed, key):
    assert find_run(home, typed) == key


@pytest.mark.parametrize("typed", ["deepglobe-unet", "unet@deepglobe", "table1:2"])
def test_what_names_several_lists_them(home, typed):
    with pytest.raises(UnknownName) as caught:
        find_run(home, typed)
    text = str(caught.value)
    assert text.startswith(f"{typed!r} names 2 finished runs")
    assert "\n  deepglobe-unet-0000000000  UNet · 16 · deepglobe · smoke · split 0 seed 0 · table1:2" in text
    assert "\n  deepglobe-unet-1000000000  UNet · 16 · deepglobe · smoke · split 0 seed 1 · table1:2" in text


def test_a_row_that_is_not_there_lists_the_rows(home):
    with pytest.raises(UnknownName, match="table5 has no row '11': choose from 1 \"Baseline"):
        find_run(home, "table5:11")


def test_real_results(tmp_path):
    fill(tmp_path, [0.70, 0.75])
    assert find_run(tmp_path, "table5:1").startswith("deepglobe-sam-lora-")


@pytest.mark.parametrize("setting", [Setting("paper"), Setting("smoke"), Setting("mini", "vit_t", "scratch")])
def test_every_row_is_found_by_its_own_run(setting):
    """By number, and by the place that its run is said to have."""
    for table in TABLES.values():
        if table.compares_encoders and setting.encoder:
            continue
        for number, row in enumerate((*table.rows, *table.controls), start=1):
            declared = setting.run(row.model, table.dataset).declared()
            assert f"{table.id}:{number}" in rows_of(declared)
            assert find_rows(table, [str(number)]) == (row,)


def test_a_name_is_the_same_after_the_file_sorted_its_options():
    """The size of RS-SAM was "sam_first": its first option by letter, in a result."""
    declared = Setting("smoke").run(RSSAM(), "deepglobe").declared()
    assert run_name(json.loads(json.dumps(declared, sort_keys=True))) == run_name(declared)
    assert run_name(declared).variant == "vit_t, scratch"


def test_names_tell_the_rows_of_table_5_apart():
    names = [run_name(Setting("paper").run(row.model, "deepglobe").declared()).title for row in TABLE5.rows]
    assert names == [
        "Baseline (SAM LoRA) · vit_b", "RS-SAM · Neck · vit_b", "RS-SAM · Neck + MFF · vit_b",
        "RS-SAM · Neck + MHFF · vit_b", "RS-SAM · vit_b",
    ]  # fmt: skip
