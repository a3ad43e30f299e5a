"""An adapter as a model of MLflow: no code in it, and the base from the home or the command that prepares it."""

import numpy as np
import pytest

from baselines.sam_lora import SamLora
from benchmarks.export.adapter import AdapterUnusable, load_adapter, write_adapter
from benchmarks.export.mlflow_model import ADAPTER, LabelPredictor, describe_model
from benchmarks.training.evaluate import to_float
from rssam.errors import UserError
from tests.benchmarks.export.test_adapter import stirred
from tests.benchmarks.prepared import LORA, SIDE, tiny_run
from tests.rssam.fixtures import converted, sam_file, tiny_vit_b, weights  # noqa: F401


def pictures(*size):
    return np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)


def test_a_missing_base_is_named_with_its_command(weights, tmp_path, monkeypatch):  # noqa: F811
    import mlflow

    monkeypatch.setenv("RSSAM_HOME", str(tmp_path / "empty"))
    write_adapter(tmp_path / ADAPTER, *stirred(tiny_run(SamLora()), weights), None)
    describe_model(tmp_path)
    with pytest.raises(AdapterUnusable, match=r"needs the checkpoint vit_b, which is not in .*empty.*prepare weights"):
        mlflow.pyfunc.load_model(str(tmp_path))


def test_nothing_in_the_model_is_code_and_it_predicts(weights, tmp_path):  # noqa: F811
    import mlflow
    import torch

    write_adapter(tmp_path / ADAPTER, *stirred(tiny_run(LORA), weights), None)
    describe_model(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {ADAPTER, "MLmodel", "requirements.txt"}
    model = mlflow.pyfunc.load_model(str(tmp_path), model_config={"home": str(tmp_path / "elsewhere")})
    images = pictures(SIDE, 2 * SIDE)
    labels = model.predict(images)
    assert (labels.dtype, labels.shape) == (np.uint8, (2, SIDE, 2 * SIDE))
    net = load_adapter(tmp_path / ADAPTER, weights).net
    with torch.no_grad():
        logits = net(to_float(torch.from_numpy(images[:, :, SIDE:].copy()).permute(0, 3, 1, 2), torch.device("cpu")))
    assert (labels[:, :, SIDE:] == (logits[:, 0] > 0).numpy()).mean() > 0.999
    with pytest.raises(UserError, match="expected images of 64x64 pixels, found 64x50"):
        LabelPredictor(load_adapter(tmp_path / ADAPTER, weights)).predict(pictures(SIDE, 50))
