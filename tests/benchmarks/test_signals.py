"""Signals to every process of a command at once, as terminals and schedulers send them, with processes that read."""

import dataclasses
import os
import signal
import sys
import time

import pytest
from torch.utils.data import get_worker_info

from benchmarks.execution.run_status import StatusFiles
from benchmarks.protocol import recipe as recipes
from benchmarks.training.checkpoint import LAST, read_checkpoint
from data_prep.loading.torch_dataset import PreparedDataset
from tests.benchmarks.prepared import TINY, make_session
from tests.benchmarks.processes import FORKSERVER, command


def reproduce_slowly(home):
    """A session of its own, whose second step waits half a second for its images, and whose epoch does not end."""
    os.setsid()
    read, quick = PreparedDataset.__getitem__, [TINY.group]  # in each of the two processes that read

    def slow(self, index):
        if get_worker_info() is not None:  # and not the process that decodes all images once
            quick[0] -= 1
            time.sleep(0.25 if quick[0] < 0 else 0.0)
        return read(self, index)

    PreparedDataset.__getitem__ = slow
    recipe = dataclasses.replace(TINY, name="smoke", crops=100)
    recipes.PROFILES["smoke"] = dataclasses.replace(recipes.PROFILES["smoke"], recipe=recipe)
    arguments = ("reproduce", "table5", "--profile", "smoke", "--device", "cpu", "--no-track", "--workers", "2")
    sys.exit(command(home, home / "log", *arguments))


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, id="SIGTERM"), pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.slow)],
)
def test_a_signal_to_the_whole_group(tmp_path, number):
    """The parent once ended its processes that read: the step was lost, and all since the last checkpoint."""
    import psutil

    home = make_session(tmp_path).home
    child = FORKSERVER.Process(target=reproduce_slowly, args=(home,))
    child.start()
    until = time.monotonic() + 60
    while not (found := list(home.glob("runs/*/progress.json"))):  # the first step is done
        assert child.is_alive(), (home / "log").read_text()
        assert time.monotonic() < until
        time.sleep(0.02)
    readers = psutil.Process(child.pid).children()
    assert len(readers) == 2
    assert {os.getpgid(process) for process in (child.pid, *(reader.pid for reader in readers))} == {child.pid}
    time.sleep(0.1)
    os.killpg(child.pid, number)
    child.join(60)
    said = (home / "log").read_text()
    assert child.exitcode == 1, said
    assert f"{number.name}: the step is finished and saved, then this stops" in said
    assert f"stopped by {number.name}; what was done is saved" in said
    assert "go on with: rssam-bench" in said
    assert "Traceback" not in said
    (notes,) = (StatusFiles(path.parent) for path in found)
    progress = read_checkpoint(notes.folder / LAST).progress
    assert (progress["epoch"], progress["step"] >= 2) == (0, True)  # the step that waited is done
    assert not notes.held()
    assert not [reader for reader in readers if reader.is_running() and reader.status() != psutil.STATUS_ZOMBIE]
