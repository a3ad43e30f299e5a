"""What onnxruntime makes of an exported network, against torch; every system, in its smallest variant."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from baselines.unet import UNet
from benchmarks.export import onnx as onnx_export
from benchmarks.export.load_run import TrainedNetwork
from benchmarks.export.onnx import TOLERANCE, NotExported, export_onnx
from benchmarks.protocol.registry import MODELS, smallest
from rssam.contract import Task
from rssam.errors import UserError
from rssam.weights.folder import WeightsFolder
from tests.rssam.fakes import shake

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

SYSTEMS = [pytest.param(smallest(model), id=name) for name, model in MODELS.items()]


def as_trained(model, classes=("road",), size=(64, 96)):
    torch.manual_seed(0)
    task = Task(classes, size)
    net = shake(model.build(task, WeightsFolder("/nowhere"))).eval()
    return TrainedNetwork(net, model, task, "32-true", "deepglobe-x-0123456789", "deepglobe", {})


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """One small network with its file."""
    path = tmp_path_factory.mktemp("onnx") / "a.onnx"
    trained = as_trained(UNet(4), ("building", "road"))
    export_onnx(trained, path)
    return trained, path


def agree(trained, path):
    """Images other than those of the exporter's own comparison, and batches it has not seen."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        images = torch.rand(batch, 3, 64, 96)
        with torch.no_grad():
            wanted = trained.net(images).numpy()
        found = session.run(None, {"images": images.numpy()})[0]
        assert wanted.std() > 0.01 * np.abs(wanted).max()  # else everything would agree
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max(), rtol=0)
    return session


def test_onnxruntime_gives_the_logits_of_torch(unet):
    session = agree(*unet)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["rssam-bench.classes"]) == ["building", "road"]
    assert session.get_inputs()[0].shape[1:] == [3, 64, 96]


@pytest.mark.slow
@pytest.mark.parametrize("model", SYSTEMS)
def test_every_system(model, tmp_path):
    trained = as_trained(model)
    export_onnx(trained, tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    agree(trained, tmp_path / "a.onnx")


@pytest.mark.slow
def test_parameters_of_more_than_one_file_lie_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "ONE_FILE", 0)
    trained = as_trained(UNet(16))
    export_onnx(trained, tmp_path / "a.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"a.onnx", "a.onnx.data"}
    agree(trained, tmp_path / "a.onnx")


def test_a_file_that_gives_other_logits_is_not_kept(unet, tmp_path, monkeypatch):
    before = tmp_path / "a.onnx"
    before.write_bytes(b"old")
    trained, path = unet
    given = onnx_export._logits
    monkeypatch.setattr(onnx_export, "_logits", lambda net, images: given(net, images) * 1.01)
    monkeypatch.setattr(onnx_export, "_write", lambda _, fresh: fresh.write_bytes(path.read_bytes()))
    with pytest.raises(NotExported, match=r"its logits differ from the network's by up to .*not kept"):
        export_onnx(trained, before)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


class Complex(nn.Module):
    """A network as somebody's own system may be: with an operator that ONNX does not have."""

    def forward(self, images):
        return torch.linalg.eigvals(images[..., :64, :64]).real.sum(1, keepdim=True)[..., None] * images[:, :1]


def test_what_cannot_be_written_is_a_sentence(tmp_path):
    trained = as_trained(UNet(4))
    broken = TrainedNetwork(
        Complex(), *(getattr(trained, name) for name in list(TrainedNetwork.__dataclass_fields__)[1:])
    )
    with pytest.raises(NotExported, match="unet cannot be written as ONNX by this torch: "):
        export_onnx(broken, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "onnx_of_another_world"))
    with pytest.raises(UserError, match=r"needs onnx_of_another_world, which is not installed.*rssam-bench\[onnx\]"):
        export_onnx(as_trained(UNet(4)), tmp_path / "a.onnx")
