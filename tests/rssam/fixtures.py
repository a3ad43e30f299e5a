"""Fixtures shared by the tests of SAM-based networks; a conftest imports them."""

import shutil
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
    make_tiny(monkeypatch)


def make_tiny(patch):
    patch.setitem(ENCODERS, "vit_b", TINY)
    numbers = {"width": TINY.width, "blocks": TINY.blocks, "heads": TINY.heads, "global_blocks": TINY.global_blocks}
    patch.setitem(WEIGHTS, "vit_b", replace(WEIGHTS["vit_b"], **numbers))


@pytest.fixture(scope="session")
def converted(sam_file, tmp_path_factory):
    """A weights folder with the tiny vit_b in it, which no test changes."""
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        make_tiny(patch)
        convert_checkpoint("vit_b", sam_file, WeightsFolder(folder))
    return folder


@pytest.fixture
def weights(tiny_vit_b, converted, tmp_path):
    """A weights folder with the tiny vit_b in it."""
    return WeightsFolder(shutil.copytree(converted, tmp_path / "weights"))
