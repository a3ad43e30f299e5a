"""The command line with one small run for a plan: a module of its own, because `--devices` starts its command again.

FAULT in the environment, "error" or "kill", is what befalls the second device at its second step.
"""

import os
import signal

from benchmarks.cli import app as cli
from benchmarks.execution import plan
from benchmarks.training import loop as engine
from rssam.errors import UserError
from tests.benchmarks.prepared import tiny_run
from tests.benchmarks.training.test_device_layout import RECIPE, SYSTEMS

FAULT = os.environ.get("FAULT") if os.environ.get("LOCAL_RANK") == "1" else None
_outputs, _calls = engine.training_outputs, iter(range(1000))


def outputs(*arguments):
    if FAULT and next(_calls) == 1:
        if FAULT == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise UserError("this card is broken")
    return _outputs(*arguments)


if __name__ == "__main__":
    engine.training_outputs = outputs
    plan.plan = lambda *_: [tiny_run(SYSTEMS["with batch norm"], RECIPE)]
    cli.main()
