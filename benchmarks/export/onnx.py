"""Write a trained system as one ONNX file: the whole network, base weights included, for runtimes without torch.

The height and width of the images are fixed, the batch is free. What is written is compared with the network in
onnxruntime before it takes its name, so that every file agrees. Parameters are float32, whatever the precision of
training. The logits of a network trained in bfloat16 differ from those of its test by that rounding.
"""

from __future__ import annotations

import importlib.util
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.export.load_run import TrainedNetwork
from rssam.errors import UserError
from rssam.files import require_no_folder, scratch_folder
from rssam.sam.attention import set_attention

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""Of the extra `onnx`."""
TOLERANCE = 1e-3
"""Largest difference between a logit of the file and the network's, as a share of the largest logit."""
ONE_FILE = 1_900_000_000
"""Bytes of parameters beyond which they lie in a second file, NAME.onnx.data: an ONNX file holds less than 2 GiB."""


class NotExported(UserError):
    """Raised if the network could not be written as ONNX, or if what was written gives other logits."""


def require_onnx() -> None:
    """Raise UserError with the command that brings the packages if one is not there."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"--onnx needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            "Run: pip install 'rssam-bench[onnx]'"
        )


def export_onnx(trained: TrainedNetwork, path: Path) -> float:
    """Write the network to `path`; return the largest difference of a logit between it and the file in onnxruntime.

    Raises NotExported if torch cannot write it, or if the two do not agree; `path` is then as it was.
    """
    require_onnx()
    require_no_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent, path.name) as folder:
        fresh = folder / path.name  # under its own name, because a second file is named in the first
        _write(trained, fresh)
        difference = _compare(trained, fresh)
        for file in sorted(folder.iterdir(), reverse=True):  # the parameters before the network that names them
            os.replace(file, path.parent / file.name)
    return difference


def _write(trained: TrainedNetwork, path: Path) -> None:
    # Folded attention: the scores [N, N] are its only large tensor, where the dense way has a bias besides; and
    # "auto" would ask for the size of the batch, which is free here.
    set_attention(trained.net, "folded")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.onnx.export(
                trained.net,
                (_images(trained, 2),),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise NotExported(f"{trained.model.name} cannot be written as ONNX by this torch: {reason}") from error
    finally:
        set_attention(trained.net, "auto")
    assert program is not None  # it is, of dynamo=True
    program.model.metadata_props.update(_properties(trained))
    large = sum(value.numel() * value.element_size() for value in trained.net.state_dict().values()) > ONE_FILE
    program.save(path, external_data=large)


def _properties(trained: TrainedNetwork) -> Mapping[str, str]:
    """Return what a user of the file must know of it, as its metadata."""
    facts: dict[str, Any] = {
        "key": trained.key,
        "system": trained.model.name,
        "dataset": trained.dataset,
        "classes": list(trained.task.classes),
        "input": "RGB, float32 in 0..1, [batch, 3, height, width]; the network normalises it",
        "output": "one logit for the class, above 0 where it is"
        if trained.task.binary
        else "one logit a class; argmax",
    }
    return {f"rssam-bench.{name}": json.dumps(value) for name, value in facts.items()}


def _compare(trained: TrainedNetwork, path: Path) -> float:
    """Return the largest difference over batches of one and of three images. Raises NotExported if it is too large."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (1, 3):
        images = _images(trained, batch)
        found = session.run(["logits"], {"images": images.numpy()})[0]
        expected = _logits(trained.net, images)
        difference, allowed = float(np.abs(found - expected).max()), TOLERANCE * float(np.abs(expected).max())
        if not difference <= allowed:
            raise NotExported(
                f"{path.name} was written, but its logits differ from the network's by up to {difference:.2g}, "
                f"where {allowed:.2g} is allowed, {TOLERANCE:g} of the largest logit: not kept"
            )
        largest = max(largest, difference)
    return largest


@torch.no_grad()
def _logits(net: nn.Module, images: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    logits: Tensor = net.eval()(images)
    return logits.numpy()


def _images(trained: TrainedNetwork, batch: int) -> Tensor:
    """Return images [batch, 3, H, W] of the task's size, always the same."""
    return torch.rand(batch, 3, *trained.task.image_size, generator=torch.Generator().manual_seed(0))
