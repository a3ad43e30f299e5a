"""Save an adapter as a model of MLflow, and predict with it: images in, labels out.

The model is the adapter and names this module as its loader. It holds no code and no base weights, which come,
by digest, from the home. MLflow's `model_config` may name `home`, and as `model` the class of a system of the user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.export.adapter import load_network
from benchmarks.export.load_run import TrainedNetwork
from benchmarks.metrics.confusion import predicted_labels
from benchmarks.training.evaluate import predict_logits
from benchmarks.training.loop import make_fabric
from rssam.errors import UserError

ADAPTER = "adapter.safetensors"


def describe_model(folder: Path) -> None:
    """Make the folder, with the adapter in it, a model of MLflow."""
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types import Schema, TensorSpec

    byte = np.dtype(np.uint8)
    images, labels = TensorSpec(byte, (-1, -1, -1, 3)), TensorSpec(byte, (-1, -1, -1))
    model: Any = Model(signature=ModelSignature(Schema([images]), Schema([labels])))
    add: Any = add_to_model  # has no types
    add(model, loader_module=__name__, data=ADAPTER)
    model.save(str(folder / "MLmodel"))
    (folder / "requirements.txt").write_text(f"rssam-bench=={version('rssam-bench')}\n")


class LabelPredictor:
    """Predictor that works as the run was tested: on CUDA in the precision of its training, on a CPU in fp32."""

    def __init__(self, trained: TrainedNetwork) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.size = trained.task.image_size
        self.fabric = make_fabric(device, trained.precision if device == "cuda" else "32-true")
        self.net = self.fabric.setup(trained.net).eval()

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8], params: Mapping[str, Any] | None = None) -> NDArray[np.uint8]:
        """Return labels uint8 [N, H, W] of images uint8 [N, H, W, 3], of a binary task 1 in the foreground.

        Larger images than the network's are covered by a grid. Raises UserError if none fits.
        """
        size, side = images.shape[1:3], self.size[0]
        whole = size == self.size
        if not whole and (self.size != (side, side) or size[0] % side or size[1] % side):
            raise UserError(f"expected images of {self.size[0]}x{self.size[1]} pixels, found {size[0]}x{size[1]}")
        labels = []
        for image in torch.from_numpy(np.array(images)).permute(0, 3, 1, 2):
            logits = predict_logits(self.net, image[None], None if whole else side, self.fabric.device)
            labels.append(predicted_labels(logits)[0].cpu().numpy())
        return np.stack(labels)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> LabelPredictor:
    """Load the model for MLflow. Raises AdapterUnusable, with the command, if its base is not prepared."""
    given = model_config or {}
    return LabelPredictor(load_network(adapter=path, model=given.get("model"), home=given.get("home")))
