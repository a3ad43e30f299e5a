"""The training step of every system on CUDA tensors without content: devices, types, gradients, no wait for the device.

Nothing here was measured on a GPU. The scaler of float16 was asked for its scale twice a step, each time a wait:
"DataDependentOutputException: aten._local_scalar_dense.default".
"""

import shutil

import pytest
import torch

from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.tables import TABLES
from tests.benchmarks.training.fake_cuda import ASKED, FEW, STEPS, records

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="the stand-in for a driver is compiled by g++"),
    pytest.mark.skipif(torch.__version__ < (2, 15), reason="torch 2.11 asks a driver for tensors without content too"),
]

WHOLE = {"steps": STEPS, "logits": ["torch.float32 on cuda"], "loss": ["torch.float32 on cuda"],
         "without_gradient": [], "waits": {}}  # fmt: skip
"""Of a step with nothing to find; the losses are taken of logits in float32."""


def faults(found):
    return {
        f"{record['system']} {record['precision']} {record['size']}": record
        for record in found
        if record.get("failed") or {name: record[name] for name in WHOLE} != WHOLE
    }


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Records of the controls and of a few systems in float16, whose scaler is more to do, and of passes, last."""
    return records(tmp_path_factory.mktemp("driver"), "controls@16-mixed", "few@16-mixed", "passes@bf16-mixed")


def test_the_count_finds_what_waits(quick):
    """Otherwise the tests below would show nothing."""
    found = {record["system"]: record for record in quick[: len(ASKED)]}
    assert "_local_scalar_dense" in found["item"]["failed"]
    assert "nonzero" in found["nonzero"]["failed"]
    assert found["cpu"]["waits"] == {"_to_copy from cuda": 1}
    assert found["constant"]["waits"] == {"_to_copy from cpu": 1}
    assert found["nothing"]["waits"] == {}


def test_a_few_systems_in_float16(quick):
    found = quick[len(ASKED) : -1]
    assert len(found) == len(FEW)
    assert faults(found) == {}


def test_passes_over_images_wait_once_a_batch(quick):
    """The test of six images waited 54 times: copies from pageable memory, counts and labels image by image."""
    found = quick[-1]
    assert found["validation"]["waits"] == {"_to_copy from cuda": 1}
    assert found["test"]["waits"] == {"bincount": 4, "value": 1, "_to_copy from cuda": 3}


@pytest.mark.slow
def test_every_system(tmp_path):
    found = records(tmp_path, "small@bf16-mixed", "small@16-mixed")
    assert len(found) == 2 * len(MODELS)
    assert faults(found) == {}


@pytest.mark.slow
def test_every_row_of_table_5(tmp_path):
    found = records(tmp_path, "table5@bf16-mixed", "table5@16-mixed")
    assert len(found) == 2 * len(TABLES["table5"].every_row)
    assert faults(found) == {}


@pytest.mark.slow
def test_the_systems_of_tables_1_and_5_at_their_size(tmp_path):
    found = records(tmp_path, "tables@bf16-mixed", "tables@16-mixed")
    assert {record["size"] for record in found} == {512}
    assert faults(found) == {}
