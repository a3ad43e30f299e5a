"""Processes that are killed: forked from a server that has imported torch, so that each starts in milliseconds."""

import contextlib
import multiprocessing
import os
import signal
import sys

from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from tests.benchmarks.prepared import Watcher, make_session

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(
    [
        "tests.benchmarks.uncollected_garbage",
        "benchmarks.execution.execute_run",
        "benchmarks.cli.app",
        "benchmarks.export.predict",
        "reports.write",
        "timm",
        "tests.benchmarks.prepared",
        "tests.benchmarks.processes",
        "tests.benchmarks.frozen_garbage",
    ]
)


def outcome_of(target, *arguments, seconds=120):
    """Exit code of a process that calls `target`: 0, or minus the signal that ended it."""
    child = FORKSERVER.Process(target=target, args=arguments)
    child.start()
    child.join(seconds)
    assert not child.is_alive()
    return child.exitcode


class Killer(Watcher):
    """An observer that ends its own process, as kill -9 does, at so many steps or so many epochs."""

    def __init__(self, steps=None, epochs=None):
        super().__init__()
        self.left = {"steps": steps, "epochs": epochs}

    def step(self, epoch, epochs, step, steps):
        self.count("steps")

    def epoch(self, metrics):
        self.count("epochs")

    def count(self, what):
        if self.left[what] is not None:
            self.left[what] -= 1
            if self.left[what] == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def train_killed(home, run, options, save_every=600.0, precision="auto"):
    """Execute one run on `home`; dies as `options` say."""
    session = make_session(
        home, observer=Killer(**options), save_every=save_every, precision_choice=precision, keep=True
    )
    (resolved,) = resolve_all([run], session)
    outcome = execute(resolved, session)
    assert outcome.result is not None, outcome.reason


def command(home, log, *arguments):
    """The command line on `home`, with what it says appended to `log`; returns its exit code."""
    from benchmarks.cli import app as cli
    from benchmarks.cli import options as root

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background is born deaf to it
    sys.argv = ["rssam-bench", "--home", str(home), *arguments]
    root.screen.width = root.warnings.width = 200
    with log.open("a") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0
