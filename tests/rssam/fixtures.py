"""Fixtures shared by the tests of SAM-based networks; a conftest imports them."""

from dataclasses import replace

import pytest
import torch

from rssam.sam.encoder_sizes import ENCODERS
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsFolder
from rssam.weights.registry import WEIGHTS
from tests.rssam.fakes import TINY, official_sam


@pytest.fixture(scope="session")
def sam_file(tmp_path_factory):
    """A `.pth` as SAM publishes it, of the tiny size."""
    path = tmp_path_factory.mktemp("published") / "sam.pth"
    torch.save(official_sam().state_dict(), path)
    return path


@pytest.fixture
def tiny_vit_b(monkeypatch):
    """For the time of one test, vit_b is the tiny size."""
    monkeypatch.setitem(ENCODERS, "vit_b", TINY)
    numbers = {"width": TINY.width, "blocks": TINY.blocks, "heads": TINY.heads, "global_blocks": TINY.global_blocks}
    monkeypatch.setitem(WEIGHTS, "vit_b", replace(WEIGHTS["vit_b"], **numbers))


@pytest.fixture
def weights(tiny_vit_b, sam_file, tmp_path):
    """A weights folder with the tiny vit_b in it."""
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint("vit_b", sam_file, folder)
    return folder
