"""The strip of predictions: which images it shows, and that the outline has a colour of its own."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol.figures import FIGURES
from data_prep import registry as catalog
from reports.render.html_strip import prediction_strip
from reports.select.results import collect
from reports.statistics.per_image import image_dice
from tests.reports.pictured import Roads, draw_masks, pretend, write_pictures


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(catalog.DATASETS, "deepglobe", Roads())
    manifest = write_pictures(tmp_path, Roads(), list(draw_masks(Roads(), 24)))
    for number, panel in enumerate(FIGURES["fig7"].panels):
        pretend(tmp_path, panel.model, Roads(), manifest, 0.3 - 0.1 * number)
    return tmp_path


def own(home):
    return [stored.result for stored in collect(home, home / "none").stored]


def test_the_best_run_on_a_good_a_middling_and_a_poor_image(home):
    best = max(own(home), key=lambda result: result.scores.dice)
    strip = prediction_strip(own(home), home)
    assert strip.key == best.key
    values = dict(zip(best.images, image_dice(best.counts).tolist(), strict=True))
    shown = [values[scene.stem] for scene in strip.scenes]
    assert shown == sorted(shown, reverse=True)
    assert [scene.dice for scene in strip.scenes] == [f"{value:.3f}" for value in shown]
    assert len(shown) == min(3, len(values))


def test_roads_are_outlined_in_a_saturated_colour(home):
    """White roads on bright roofs were not to be seen."""
    strip = prediction_strip(own(home), home)
    assert strip.legend == (("road", "rgb(255 0 255)"),)
    image, truth = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), int)
        for uri in (strip.scenes[0].image, strip.scenes[0].truth)
    )
    changed = np.abs(truth - image).sum(axis=2) > 150
    assert changed.any()
    red, green, blue = truth[changed].mean(axis=0)
    assert min(red, blue) > green + 60


def test_without_predictions_there_is_none(home):
    for path in home.glob("runs/*/predictions.npz"):
        path.unlink()
    assert prediction_strip(own(home), home) is None
    assert prediction_strip([], home) is None
