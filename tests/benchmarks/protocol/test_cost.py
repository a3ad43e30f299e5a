"""Parameters three ways and cost, against the paper's Table 7 and the counts of SAMed's own code."""

import pytest

from baselines.sam_lora import SamLora
from benchmarks.protocol.cost import measure
from benchmarks.protocol.paper_numbers import PUBLISHED_PARAMETERS
from benchmarks.protocol.registry import MODELS, variants
from rssam.config import RSSAM
from rssam.contract import Model, Task

TASK = Task(("road",), (512, 512))


@pytest.fixture(scope="module")
def costs():
    systems = [SamLora(), SamLora(encoder="vit_l"), RSSAM(), RSSAM(encoder="vit_l")]
    return {(model.name, model.encoder): measure(model, TASK) for model in systems}


def test_baseline_is_table_7s(costs):
    """SAMed's code: 91,210,222 parameters, of which 3,793,312 ever get a gradient; 90.36 M by the published rule."""
    base, large = costs["sam-lora", "vit_b"], costs["sam-lora", "vit_l"]
    assert (base.total, large.total) == (91_210_222, 309_276_910)
    assert base.trainable == 3_793_312
    assert round(base.as_published / 1e6, 2) == PUBLISHED_PARAMETERS["sam-lora", "vit_b"] == 90.36
    assert round(large.as_published / 1e6, 2) == PUBLISHED_PARAMETERS["sam-lora", "vit_l"] == 308.12
    assert base.gmacs == pytest.approx(114.22, abs=0.01)
    assert large.gmacs == pytest.approx(398.12, abs=0.01)


def test_rs_sam_is_plan_a1(costs):
    base, large = costs["rs-sam", "vit_b"], costs["rs-sam", "vit_l"]
    assert base.total / 1e6 == pytest.approx(107.87, abs=0.02)
    assert large.total / 1e6 == pytest.approx(328.18, abs=0.02)
    assert base.trainable / 1e6 == pytest.approx(21.375, abs=0.001)
    assert round(base.as_published / 1e6, 1) == 107.0
    assert round(large.as_published / 1e6, 1) == 327.0
    assert base.gmacs == pytest.approx(151.43, abs=0.02)
    assert large.gmacs == pytest.approx(438.63, abs=0.02)


def test_both_published_figures_cannot_be_met(costs):
    """The paper's RS-SAM rows differ by less than the encoders alone do: no plan under one rule gives both."""
    between = PUBLISHED_PARAMETERS["rs-sam", "vit_l"] - PUBLISHED_PARAMETERS["rs-sam", "vit_b"]
    encoders = costs["sam-lora", "vit_l"].as_published - costs["sam-lora", "vit_b"].as_published
    assert between < encoders / 1e6


def test_every_listed_system_is_a_model():
    assert all(isinstance(model, Model) and name == model.name for name, model in MODELS.items())
    assert {type(model) for model in variants()} == {type(model) for model in MODELS.values()}
