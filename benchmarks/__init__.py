"""Run the benchmark: protocol, training, scoring, stored results, command line. Importing it imports no torch.

For whoever works in Python, see docs/python.md. `MODELS` has the systems of this suite by name, with default options:
`MODELS["unet"]`.
"""

from typing import TYPE_CHECKING

from rssam.on_demand import on_demand

if TYPE_CHECKING:
    from benchmarks.execution.observer import Outcome
    from benchmarks.export.adapter import load_network
    from benchmarks.export.load_run import TrainedNetwork
    from benchmarks.metrics.counts import Counts, Scores, class_scores, scores
    from benchmarks.protocol.custom import find_model
    from benchmarks.protocol.registry import MODELS
    from benchmarks.reproduction import RunFailed, fine_tune, reproduce
    from benchmarks.results.home import Home, open_home
    from benchmarks.results.result import Result
    from benchmarks.scoring.count_masks import count_masks
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "benchmarks.execution.observer": ("Outcome",),
            "benchmarks.export.adapter": ("load_network",),
            "benchmarks.export.load_run": ("TrainedNetwork",),
            "benchmarks.metrics.counts": ("Counts", "Scores", "class_scores", "scores"),
            "benchmarks.protocol.custom": ("find_model",),
            "benchmarks.protocol.registry": ("MODELS",),
            "benchmarks.reproduction": ("RunFailed", "fine_tune", "reproduce"),
            "benchmarks.results.home": ("Home", "open_home"),
            "benchmarks.results.result": ("Result",),
            "benchmarks.scoring.count_masks": ("count_masks",),
        },
    )

__all__ = [
    "MODELS",
    "Counts",
    "Home",
    "Outcome",
    "Result",
    "RunFailed",
    "Scores",
    "TrainedNetwork",
    "class_scores",
    "count_masks",
    "find_model",
    "fine_tune",
    "load_network",
    "open_home",
    "reproduce",
    "scores",
]
