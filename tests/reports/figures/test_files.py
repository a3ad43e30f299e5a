"""Whole figures from fabricated results: what is shown, what is said about it, and that nothing overlaps."""

import io
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from benchmarks.protocol.figures import FIGURES
from benchmarks.protocol.setting import Setting
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.store import Store
from data_prep import registry as catalog
from data_prep.errors import UnknownDataset
from reports.figures.drawing import draw
from reports.figures.examples import find_block, find_figures, find_rows
from reports.figures.files import render_figure
from reports.select.results import collect
from reports.statistics.per_image import image_dice
from rssam.errors import UnknownName
from tests.reports.pictured import LandCover, Roads, Roofs, draw_masks, pretend, write_pictures
from tests.reports.select.test_failures import Net

FIG6, FIG7 = FIGURES["fig6"], FIGURES["fig7"]
PAPER = Setting("paper")
SMALL = Setting("mini", init="scratch")
NONE = Path("no published results")


@pytest.fixture(autouse=True, scope="module")
def small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        for dataset in (Roads(), Roofs(), LandCover()):
            patch.setitem(catalog.DATASETS, dataset.name, dataset)
        yield


def prepare(home, dataset, count=14):
    return write_pictures(home, dataset, list(draw_masks(dataset, count)))


def run_figure(home, figure, dataset, manifest, skip=(), **options):
    """Results of every panel, the last the best."""
    return {
        panel.title: pretend(home, panel.model, dataset, manifest, 0.3 - 0.01 * number, **options)
        for number, panel in enumerate(figure.panels)
        if panel.title not in skip
    }


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Every run of Figure 6, but MANet on WHU."""
    home = tmp_path_factory.mktemp("full")
    for dataset in (Roads(), Roofs(), LandCover()):
        skip = ("MANet",) if dataset.name == "whu" else ()
        run_figure(home, FIG6, dataset, prepare(home, dataset), skip)
    return home


@pytest.fixture(scope="module")
def files(full):
    (found,) = every_figure(full, FIG6)
    return found


@pytest.fixture(scope="module")
def page(full):
    return rendered(full, FIG6).page


@pytest.fixture
def home(tmp_path):
    """Every run of Figure 7."""
    run_figure(tmp_path, FIG7, Roads(), prepare(tmp_path, Roads(), 28))
    return tmp_path


def rendered(home, figure=FIG7, setting=PAPER, named=()):
    return render_figure(find_rows(figure, setting, collect(home, NONE), home, named))


def every_figure(home, figure=FIG7, published=NONE):
    return [render_figure(rows) for rows in find_figures([figure], collect(home, published), home)]


def texts(page):
    return [text for text in page.findobj(Text) if text.get_visible() and text.get_text()]


def assert_disjoint(page):
    page.set_dpi(300)
    renderer = page.canvas.get_renderer()
    page.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(page)]
    for (name, first), (other, second) in combinations(boxes, 2):
        apart = first.x1 <= second.x0 or second.x1 <= first.x0 or first.y1 <= second.y0 or second.y1 <= first.y0
        assert apart, f"{name!r} and {other!r} overlap"
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= page.bbox.width, text
        assert box.y1 <= page.bbox.height, text


def test_a_users_own_system_has_no_panel(tmp_path):
    """It is a row of the same results; the panels ended with "zip() argument 2 is longer than argument 1"."""
    manifest = prepare(tmp_path, Roads(), 28)
    run_figure(tmp_path, FIG6, Roads(), manifest)
    own = pretend(tmp_path, Net(), Roads(), manifest, 0.2)
    Store(tmp_path).put(replace(own, provenance={**own.provenance, SYSTEM: record(Net())}))
    shown = rendered(tmp_path, FIG6)
    assert len(find_block(FIG6, "deepglobe", PAPER, collect(tmp_path, NONE), tmp_path).results) == len(FIG6.panels)
    assert not any("Net (own" in text.get_text() for text in texts(shown.page))


class TestFigure6:
    """Three data sets, six rows, thirteen columns."""

    def test_files(self, files):
        assert sorted(files.files) == ["fig6-paper.pdf", "fig6-paper.png"]
        with Image.open(io.BytesIO(files.files["fig6-paper.png"])) as picture:
            assert picture.width == 2100
            assert round(picture.info["dpi"][0]) == 300
        pdf = files.files["fig6-paper.pdf"]
        assert pdf.startswith(b"%PDF")
        assert b"CreationDate" not in pdf
        assert b"/FontFile2" in pdf  # TrueType, embedded
        # 64 pixels a side, as prepared: images and predictions go in as they are
        assert pdf.count(b"/Width 64 ") == 6 * 13 - 2

    def test_the_same_results_give_the_same_bytes(self, full, files):
        assert every_figure(full, FIG6)[0].files == files.files

    def test_what_is_missing_is_said_and_drawn(self, page, files):
        assert files.notes == ("fig6-paper: not run on whu: MANet. To fill them: `rssam-bench reproduce fig6`",)
        assert [text.get_text() for text in texts(page)].count("not run") == 2

    def test_no_text_overlaps_and_none_is_tiny(self, page):
        assert_disjoint(page)
        assert min(text.get_fontsize() for text in texts(page)) >= 5.5

    def test_long_names_are_shortened(self, full):
        dataset = type("Long", (Roads,), {"title": "A data set with a title that is far too long for two rows"})()
        block = find_block(FIG6, "deepglobe", PAPER, collect(full, NONE), full)
        scenes = tuple(replace(scene, stem=f"tile_of_a_very_long_name_{scene.stem}") for scene in block.scenes)
        page = draw(FIG6, [replace(block, dataset=dataset, scenes=scenes)])
        assert_disjoint(page)
        words = [text.get_text() for text in texts(page)]
        assert "deepglobe" in words
        assert sum("…" in word for word in words) == 2

    def test_caption(self, files):
        lines = files.caption
        assert "Not a reproduction of the paper's figure: partial data of DeepGlobe; " in lines[1]
        assert any(line.startswith("Setting: profile paper. Recipe: AdamW") for line in lines)
        assert any(
            "the 2 test images whose difference of Dice, RS-SAM less Baseline, is nearest" in sentence
            for sentence in lines
        )
        assert sum(line.startswith("Rows of ") for line in lines) == 3
        assert "split seed 0 with seed 0; precision bf16-mixed." in lines[-1]

    def test_legends_name_errors_and_classes(self, page):
        words = [text.get_text() for text in texts(page)]
        assert {"hit", "background", "missed", "invented", "building", "bare soil", "water"} <= set(words)


@pytest.mark.parametrize("dataset", [Roads(), LandCover()], ids=lambda dataset: dataset.name)
def test_the_number_under_a_map_is_the_dice_of_what_is_drawn(full, dataset):
    block = find_block(FIG6, dataset.name, PAPER, collect(full, NONE), full)
    assert len(block.scenes) == 2
    for scene in block.scenes:
        for labels, dice in zip(scene.predictions, scene.dice, strict=True):
            found = []
            for label in [1] if len(dataset.classes) == 1 else range(6):
                ours, real = labels == label, scene.truth == label
                if ours.any() or real.any():
                    found.append(2 * (ours & real).sum() / (ours.sum() + real.sum()))
            assert dice == pytest.approx(np.mean(found))


class TestFigure7:
    """The ablation on roads."""

    def test_rows_follow_the_rule(self, home):
        runs = {
            item.result.identity["model"]["options"].get("mhff"): item.result for item in collect(home, NONE).stored
        }
        ours, reference = runs[True], runs[None]
        difference = image_dice(ours.counts) - image_dice(reference.counts)
        distance = np.abs(difference - np.median(difference))
        expected = [ours.images[index] for index in np.argsort(distance, kind="stable")[:3]]
        block = find_block(FIG7, "deepglobe", PAPER, collect(home, NONE), home)
        assert [scene.stem for scene in block.scenes] == expected

    def test_page(self, home):
        page = rendered(home).page
        assert_disjoint(page)
        assert any("Baseline → with Neck" in text.get_text() for text in texts(page))
        patches = [len(axes.patches) for axes in page.axes]
        assert patches == [0, 0, 1, 2, 1] * 3  # none on image and truth; each step on both of its panels

    def test_named_images_come_first_and_strangers_are_noted(self, home):
        ours = next(item.result for item in collect(home, NONE).stored)
        rule = [scene.stem for scene in find_block(FIG7, "deepglobe", PAPER, collect(home, NONE), home).scenes]
        other = next(stem for stem in ours.images if stem not in rule)
        found = rendered(home, named=[f"deepglobe:{other}", f"deepglobe:{rule[0]}", "deepglobe:nowhere", "whu:1"])
        assert found.notes == (
            "fig7-paper: no rows of whu, so whu:1 is not shown",
            "fig7-paper: no test image of deepglobe in these runs: nowhere",
        )
        rows = ", ".join([other, rule[0], *rule[1:]])
        assert any(line.startswith(f"Rows of DeepGlobe: {rows}") for line in found.caption)
        assert any(line.endswith(f"asked for by name: {other}, {rule[0]}.") for line in found.caption)

    @pytest.mark.parametrize(
        ("named", "error"), [("de1001", UnknownName), ("deepglobe:", UnknownName), ("mars:1", UnknownDataset)]
    )
    def test_what_names_no_image_is_refused(self, home, named, error):
        with pytest.raises(error, match="unknown"):
            rendered(home, named=[named])

    def test_the_lowest_replicate_is_shown_and_said(self, home):
        manifest = prepare(home, Roads(), 28)
        for seed in (1, 2):
            run_figure(home, FIG7, Roads(), manifest, seed=seed, split_seed=seed)
        found = rendered(home)
        assert any("split seed 0 with seed 0, the lowest of 3 replicates;" in line for line in found.caption)

    def test_a_panel_with_another_seed_is_named(self, tmp_path):
        manifest = prepare(tmp_path, Roads())
        run_figure(tmp_path, FIG7, Roads(), manifest, skip=["with Neck"])
        pretend(tmp_path, FIG7.panels[1].model, Roads(), manifest, 0.2, seed=3)
        found = rendered(tmp_path)
        assert found.notes == ()
        assert any("split seed 0 with seed 0 (with Neck seed 3); precision" in line for line in found.caption)

    def test_every_setting_has_its_files(self, home):
        manifest = prepare(home, Roads(), 28)
        run_figure(home, FIG7, Roads(), manifest, setting=SMALL)
        found = every_figure(home)
        assert [name for figure in found for name in figure.files] == [
            "fig7-paper.png", "fig7-paper.pdf", "fig7-mini-scratch.png", "fig7-mini-scratch.pdf",
        ]  # fmt: skip
        assert "profile mini, init scratch" in found[1].caption[1]

    def test_a_collapsed_run_is_shown_and_named(self, tmp_path):
        manifest = prepare(tmp_path, Roads())
        run_figure(tmp_path, FIG7, Roads(), manifest, skip=["with Neck"])
        pretend(tmp_path, FIG7.panels[1].model, Roads(), manifest, 40.0)
        assert "Collapsed, not above the constant answer: with Neck on DeepGlobe." in rendered(tmp_path).caption


class TestNothingToShow:
    """A reason and a command in place of a figure."""

    def nothing(self, home, reason):
        (found,) = every_figure(home)
        assert (found.files, found.caption) == ({}, ())
        assert len(found.notes) == 1
        assert reason in found.notes[0]

    def test_nothing_run(self, tmp_path):
        self.nothing(
            tmp_path,
            "fig7-paper: deepglobe is left out. RS-SAM and Baseline have not both been run on deepglobe: "
            "`rssam-bench reproduce fig7`",
        )

    def test_only_one_of_the_two(self, tmp_path):
        run_figure(tmp_path, FIG7, Roads(), prepare(tmp_path, Roads()), skip=["Baseline"])
        self.nothing(tmp_path, "have not both been run")

    def test_published_results_have_no_pixels(self, home, tmp_path_factory):
        empty = tmp_path_factory.mktemp("empty")
        (found,) = every_figure(empty, published=Store(home).results)
        assert found.files == {}
        assert "have not both been run" in found.notes[0]

    def test_no_prepared_data(self, home):
        (home / "data" / "deepglobe" / "manifest.json").unlink()
        self.nothing(home, "Run: rssam-bench prepare deepglobe --source DIR")

    def test_other_data_than_the_runs(self, home):
        prepare(home, Roads(), 20)
        self.nothing(home, "does not hold the data that")

    def test_lost_predictions(self, home):
        for item in collect(home, NONE).stored:
            (Store(home).work(item.result.key) / "predictions.npz").unlink()
        self.nothing(home, "its result stands, and only its pictures are missing")

    def test_lost_predictions_of_another_panel_leave_an_empty_cell(self, home):
        neck = next(
            item.result.key
            for item in collect(home, NONE).stored
            if item.result.identity["model"]["options"].get("mhff") is False
        )
        (Store(home).work(neck) / "predictions.npz").unlink()
        found = rendered(home)
        assert found.page is not None
        assert f"{neck}/predictions.npz cannot be read" in found.notes[0]
        assert [text.get_text() for text in texts(found.page)].count("not run") == 3
