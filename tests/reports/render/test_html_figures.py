"""Pictures on the page: the right pixels, once each, within bounds."""

import base64
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol.figures import FIGURES
from benchmarks.results.store import Store
from data_prep import registry as catalog
from reports.figures import error_maps as errors
from reports.figures.examples import find_block, find_figures
from reports.render import html_figures as viewer
from reports.render.html_figures import SIDE, class_map, figure_views, photograph
from reports.select.results import collect
from reports.select.settings import PAPER_SETTING
from tests.reports.pictured import Roads, draw_masks, pretend, write_pictures

FIG7 = FIGURES["fig7"]


@pytest.fixture(autouse=True, scope="module")
def small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, "deepglobe", Roads())
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Figure 7 without its middle column."""
    home = tmp_path_factory.mktemp("home")
    manifest = write_pictures(home, Roads(), list(draw_masks(Roads(), 24)))
    for number, panel in enumerate(FIG7.panels):
        if panel.title != "with Neck":
            pretend(home, panel.model, Roads(), manifest, 0.3 - 0.1 * number)
    return home


def pixels(uri):
    kind, _, data = uri.partition(",")
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


def views(home, *named):
    return figure_views(find_figures([FIG7], collect(home, home / "none"), home, named), home)


def test_maps_lose_nothing():
    picture = np.random.default_rng(0).choice([0, 86, 255], (40, 60, 3)).astype(np.uint8)
    kind, image = pixels(class_map(picture))
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)


def test_a_map_of_five_colours_is_small():
    rng = np.random.default_rng(0)
    labels, truth = (rng.random((64, 64)).repeat(8, 0).repeat(8, 1) < 0.2 for _ in range(2))
    picture = errors.error_picture(truth.astype(np.uint8), labels.astype(np.uint8))
    assert len(class_map(picture)) < 20_000 < picture.size


def test_large_pictures_are_shrunk():
    large = np.zeros((300, 2 * SIDE, 3), np.uint8)
    for encode in (photograph, class_map):
        assert pixels(encode(large))[1].size == (SIDE, 150)


def test_scenes_hold_what_the_figure_holds(home):
    [view] = views(home)
    block = find_block(FIG7, "deepglobe", PAPER_SETTING, collect(home, home / "none"), home)
    assert [scene.stem for scene in view.scenes] == [scene.stem for scene in block.scenes]
    for shown, scene in zip(view.scenes, block.scenes, strict=True):
        assert [panel.title for panel in shown.panels] == ["image", "truth", "Baseline", "with Neck", "RS-SAM"]
        assert [panel.uri is None for panel in shown.panels] == [False, False, False, True, False]
        ours = np.asarray(pixels(shown.panels[4].uri)[1].convert("RGB"))
        np.testing.assert_array_equal(ours, errors.error_picture(scene.truth, scene.predictions[2]))
        assert [panel.dice for panel in shown.panels] == [
            "",
            "",
            f"{scene.dice[0]:.3f}",
            "not run",
            f"{scene.dice[2]:.3f}",
        ]
    assert "Not run on deepglobe: with Neck. To fill them: `rssam-bench reproduce fig7`." in view.notes
    assert view.size == sum(len(panel.uri or "") for scene in view.scenes for panel in scene.panels)
    assert "Circles" not in " ".join(view.caption)


def test_images_asked_for_by_name_come_first(home):
    [view] = views(home)
    last = view.scenes[-1].stem
    [asked] = views(home, f"deepglobe:{last}")
    assert asked.scenes[0].stem == last


def test_lost_predictions_are_told_without_a_folder_and_without_harm(home, tmp_path):
    """The page named the home's folders, and advised to delete a good result."""
    copy = tmp_path / "someone" / "home"
    shutil.copytree(home, copy)
    for item in collect(copy, copy / "none").stored:
        (Store(copy).work(item.result.key) / "predictions.npz").unlink()
    [view] = views(copy)
    notes = " ".join(view.notes)
    assert "predictions.npz cannot be read (No such file or directory): its result stands" in notes
    assert str(tmp_path) not in notes
    assert "elete" not in notes
    shutil.rmtree(copy / "data")
    [view] = views(copy)
    assert "is not prepared: no manifest.json in data/deepglobe" in " ".join(view.notes)
    assert str(tmp_path) not in " ".join(view.notes)


def test_what_is_beyond_the_budget_is_left_out_and_named(home, monkeypatch):
    [whole] = views(home)
    monkeypatch.setattr(viewer, "BUDGET", whole.size - 1)
    [view] = views(home)
    assert len(view.scenes) == len(whole.scenes) - 1
    assert view.notes[-1].endswith(f"{whole.scenes[-1].stem}.")
