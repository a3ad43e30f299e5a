"""RS-SAM, the parts of SAM it is made of, and the contract that every system keeps. Importing it imports no torch.

These names are for whoever writes a system; see docs/extend.md.
"""

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
