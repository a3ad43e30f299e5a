"""RS-SAM, the parts of SAM it is made of, and the contract that every system keeps. Importing it imports no torch.

These names are for whoever writes a system; see docs/extend.md.
"""

from typing import TYPE_CHECKING

from rssam.deferred import deferred

if TYPE_CHECKING:
    from rssam.config import RSSAM
    from rssam.contract import IGNORE, Model, Optimisation, Task, require_float, to_unit_range
    from rssam.errors import UserError
    from rssam.weights.folder import WeightsFolder

__all__ = [
    "IGNORE",
    "RSSAM",
    "Model",
    "Optimisation",
    "Task",
    "UserError",
    "WeightsFolder",
    "require_float",
    "to_unit_range",
]

__getattr__ = deferred(
    __name__,
    {
        "IGNORE": "rssam.contract:IGNORE",
        "Model": "rssam.contract:Model",
        "Optimisation": "rssam.contract:Optimisation",
        "RSSAM": "rssam.config:RSSAM",
        "Task": "rssam.contract:Task",
        "UserError": "rssam.errors:UserError",
        "WeightsFolder": "rssam.weights.folder:WeightsFolder",
        "require_float": "rssam.contract:require_float",
        "to_unit_range": "rssam.contract:to_unit_range",
    },
)
