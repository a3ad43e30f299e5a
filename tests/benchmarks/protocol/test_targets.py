"""What there is to reproduce: names, rows and the runs behind them."""

import pytest

from benchmarks.execution.plan import plan
from benchmarks.protocol.claims import claim_bearing
from benchmarks.protocol.figures import FIGURES
from benchmarks.protocol.paper_numbers import PAPER_TABLES
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import SYSTEMS, TABLES
from benchmarks.protocol.targets import ITEMS, choose, find_items, require_suitable, systems
from data_prep.registry import DATASETS
from rssam.config import RSSAM
from rssam.errors import UnknownName

ALL = find_items(["all"])
CLAIMS = find_items(["claims"])


def test_every_table_of_the_paper_with_every_row_and_number():
    assert list(TABLES) == [f"table{number}" for number in range(1, 8)]
    for name, table in TABLES.items():
        assert {row.labels: dict(row.paper) for row in table.rows} == PAPER_TABLES[name]
        assert [row.labels for row in table.rows] == list(PAPER_TABLES[name])
        assert table.dataset in DATASETS


@pytest.mark.parametrize("profile", PROFILES)
def test_fifty_five_rows_are_thirty_nine_runs(profile):
    setting = Setting(profile)
    rows = [setting.run(row.model, table.dataset) for table in TABLES.values() for row in table.rows]
    assert (len(rows), len(set(rows))) == (55, 39)
    assert plan(ALL, setting, [0], 0, 1) == list(dict.fromkeys(rows))
    assert len(plan(ALL, setting, [0], 0, 1, controls=True)) == 39 + 8


def test_rs_sam_of_tables_1_5_6_and_7_is_one_run():
    setting = Setting("paper")
    full = {setting.run(RSSAM(), "deepglobe")}
    for name in ("table1", "table5", "table6", "table7"):
        table = TABLES[name]
        assert full < {setting.run(row.model, table.dataset) for row in table.rows}
    three, four = (plan([TABLES[name]], setting, [0], 0, 1) for name in ("table3", "table4"))
    assert three == four


def test_the_figures_need_no_run_of_their_own():
    in_tables = set(plan([ITEMS[name] for name in TABLES], Setting("paper"), [0], 0, 1))
    for figure in FIGURES.values():
        assert set(plan([figure], Setting("paper"), [0], 0, 1)) <= in_tables
    assert [panel.title for panel in FIGURES["fig6"].panels] == [name for name, _ in SYSTEMS]


def test_controls_come_when_asked_for():
    declared = systems(TABLES["table5"])
    assert (len(declared), len(systems(TABLES["table5"], controls=True))) == (5, 10)


def test_a_table_of_encoder_sizes_takes_no_encoder():
    require_suitable(ALL, Setting("mini"))
    with pytest.raises(UnknownName, match="table7 compares encoders"):
        require_suitable(ALL, Setting("mini", encoder="vit_t"))
    require_suitable(find_items(["table1", "fig6"]), Setting("mini", encoder="vit_t"))


def test_claims_take_neither_one_encoder_nor_one_data_set():
    require_suitable(CLAIMS, Setting("mini", init="scratch"))
    with pytest.raises(UnknownName, match=r"claims compares encoders.* \(table1, .*table6, fig6, fig7\)"):
        require_suitable(CLAIMS, Setting("mini", encoder="vit_t"))
    with pytest.raises(UnknownName, match="on the paper's three data sets"):
        require_suitable(CLAIMS, Setting("paper", dataset="whu"))


def test_systems_named_in_place_of_the_rows_take_the_encoder():
    """`--model unet --encoder vit_b` gave the run of `--model unet`, and so did the misspelt `--encoder vit-b`."""
    tables, unet = find_items(["table1"]), MODELS["unet"]
    for encoder in ("vit_b", "vit-b"):
        with pytest.raises(UnknownName, match=f"unet has no SAM encoder that --encoder {encoder} could replace: leave"):
            require_suitable(tables, Setting("paper", encoder=encoder), [unet])
    with pytest.raises(UnknownName, match="unet and fcn have no SAM encoder"):
        require_suitable(tables, Setting("paper", encoder="vit_b"), [unet, MODELS["fcn"]])
    require_suitable(tables, Setting("paper", encoder="vit_b"), [unet, MODELS["rs-sam"]])
    require_suitable(tables, Setting("paper", encoder="vit_t"), [unet])  # its smallest variant


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "zzz"}, "unknown split rule 'zzz': choose from random, blocked"),
        ({"init": "imagenet"}, "unknown init 'imagenet': choose from sam, scratch"),
    ],
)
def test_options_of_python_are_those_of_the_command(options, words):
    """Another split rule was taken as "random", and another start left systems without SAM at their own."""
    with pytest.raises(UnknownName, match=words):
        choose(["table1"], "mini", **options)


@pytest.mark.parametrize(("repeats", "replicates"), [(None, 5), (1, 1), (3, 3)])
def test_claims_repeat_the_runs_they_rest_on_and_make_the_others_once(repeats, replicates):
    runs = plan(CLAIMS, Setting("paper"), [0], 0, repeats)
    assert len(runs) == len(set(runs)) == 15 * replicates + 24
    bearing = {(run.model, run.dataset.name) for run in runs if run.seed == replicates - 1 and replicates > 1}
    assert bearing == ({(run.model, run.dataset) for run in claim_bearing()} if replicates > 1 else set())
    assert all(run.seed == run.split_seed for run in runs)
    assert set(plan(ALL, Setting("paper"), [0], 0, 1)) <= set(runs)


def test_a_table_named_beside_the_claims_is_not_repeated_with_them():
    both = plan([*CLAIMS, TABLES["table2"]], Setting("paper"), [0], 0, None)
    assert len(both) == 15 * 5 + 24


def test_names():
    assert find_items(["fig7", "table5", "fig7"]) == [FIGURES["fig7"], TABLES["table5"]]
    with pytest.raises(UnknownName, match=r"choose from table1, .*fig6, fig7, claims, still-sam, all"):
        find_items(["table8"])
