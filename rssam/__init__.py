"""RS-SAM, the parts of SAM it is made of, and the contract that every system keeps. Importing it imports no torch.

For whoever writes a system, see docs/extend.md; for whoever predicts with one, docs/python.md. `IGNORE`, 255, is the
label of pixels outside loss and counts in every data set.
"""

from typing import TYPE_CHECKING

from rssam.on_demand import on_demand

if TYPE_CHECKING:
    from rssam.config import RSSAM
    from rssam.contract import IGNORE, Model, Optimisation, Task, require_float, to_unit_range
    from rssam.errors import UserError
    from rssam.inference.predict_array import predict_array
    from rssam.inference.sliding_window import labels_of
    from rssam.overlay import drawn_over
    from rssam.weights.folder import WeightsFolder
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "rssam.config": ("RSSAM",),
            "rssam.contract": ("IGNORE", "Model", "Optimisation", "Task", "require_float", "to_unit_range"),
            "rssam.errors": ("UserError",),
            "rssam.inference.predict_array": ("predict_array",),
            "rssam.inference.sliding_window": ("labels_of",),
            "rssam.overlay": ("drawn_over",),
            "rssam.weights.folder": ("WeightsFolder",),
        },
    )

__all__ = [
    "IGNORE",
    "RSSAM",
    "Model",
    "Optimisation",
    "Task",
    "UserError",
    "WeightsFolder",
    "drawn_over",
    "labels_of",
    "predict_array",
    "require_float",
    "to_unit_range",
]
