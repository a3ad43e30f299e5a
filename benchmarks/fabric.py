"""Import Lightning's Fabric without Lightning's trainer and torchmetrics: a process starts in two thirds of the time.

`import lightning` loads the trainer. Fabric reads torchmetrics' version alone, and that import loads scipy.signal.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

NAME = "torchmetrics"


@contextmanager
def _version_alone() -> Iterator[None]:
    """Let a module that has a version and nothing else stand for torchmetrics, unless that is loaded."""
    if NAME in sys.modules:
        yield
        return
    sys.modules[NAME] = stand_in = ModuleType(NAME)
    stand_in.__version__ = importlib.metadata.version(NAME)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del sys.modules[NAME]


with _version_alone():
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.plugins.precision.amp import MixedPrecision
    from lightning_fabric.plugins.precision.precision import Precision
    from lightning_fabric.strategies.ddp import DDPStrategy

__all__ = ["DDPStrategy", "Fabric", "LightningEnvironment", "MixedPrecision", "Precision", "TorchElasticEnvironment"]
