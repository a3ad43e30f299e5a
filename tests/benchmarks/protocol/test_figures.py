"""The figures as declared, against the paper's text and tables."""

from dataclasses import replace

import pytest

from baselines.sam_lora import SamLora
from benchmarks.protocol.figures import FIGURES, Panel
from benchmarks.protocol.paper_numbers import PAPER_TABLES
from rssam.config import RSSAM

FIG6, FIG7 = FIGURES["fig6"], FIGURES["fig7"]


def test_figure_6_has_every_system_in_the_order_of_the_tables():
    for table in ("table1", "table2", "table3"):
        assert [(panel.title,) for panel in FIG6.panels] == list(PAPER_TABLES[table])


def test_figure_6_has_two_rows_of_each_data_set_in_the_papers_order():
    # "Rows 1-2: DeepGlobe dataset; Rows 3-4: WHDLD dataset; Rows 5-6: Aerial Imagery dataset."
    assert (FIG6.datasets, FIG6.images) == (("deepglobe", "whdld", "whu"), 2)


def test_figure_7_adds_the_papers_modules_one_after_the_other():
    assert [panel.model for panel in FIG7.panels] == [SamLora(), RSSAM(mff=False, mhff=False), RSSAM()]
    assert FIG7.datasets == ("deepglobe",)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_the_rows_are_chosen_by_the_full_model_and_the_baseline(figure):
    models = {panel.title: panel.model for panel in figure.panels}
    assert (models[figure.ours], models[figure.reference]) == (RSSAM(), SamLora())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panels": (*FIG7.panels, Panel("again", RSSAM()))}, "the same title or declare the same run"),
        ({"panels": (*FIG7.panels, Panel("RS-SAM", RSSAM(rank=8)))}, "the same title or declare the same run"),
        ({"ours": "Full"}, "no panels Full and Baseline"),
    ],
)
def test_a_figure_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(FIG7, **change)
