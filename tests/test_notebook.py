"""The notebook runs from top to bottom, in the time it names, and goes on where it was stopped.

Its code cells are run in one namespace by a plain process: they need no kernel, so neither do the tests.
"""

import ast
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.conftest import REPOSITORY

PATH = REPOSITORY / "docs" / "notebooks" / "fine_tune.ipynb"
SECONDS = 180
"""Of one core, as the notebook promises."""

PATIENCE = 900
"""Seconds that a busy machine may take."""

RUN = """
import json, sys
import matplotlib
matplotlib.use("Agg")
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
"""


def cells(kind):
    return ["".join(cell["source"]) for cell in json.loads(PATH.read_text())["cells"] if cell["cell_type"] == kind]


def start(folder):
    """Run all cells in `folder` on one core."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), os.environ["PYTHONPATH"]))}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(PATH)], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_it_is_stored_without_outputs_and_its_code_can_be_read():
    notebook = json.loads(PATH.read_text())
    assert notebook["nbformat"] == 4
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    for source in cells("code"):
        ast.parse(source)


def test_a_card_without_bf16_can_run_it():
    """The device chooses: a cell that names bf16 would be computed in software on a T4."""
    assert not [source for source in cells("code") if re.search("precision|bfloat16|bf16|half", source)]


@pytest.mark.slow  # a minute of training
def test_it_runs_goes_on_and_is_not_run_twice(tmp_path):
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = used.ru_utime + used.ru_stime
    first = start(tmp_path)
    seen = []
    while line := first.stdout.readline():  # the first system is trained: the second is at work soon
        seen.append(line)
        if line.startswith("sam-lora:"):
            break
    else:
        pytest.fail("".join(seen))
    work = tmp_path / "notebook-home" / "runs"
    while not list(work.glob("mine-rs-sam-*/progress.json")) and first.poll() is None:
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    rest, _ = first.communicate(timeout=PATIENCE)
    assert "KeyboardInterrupt: stopped by SIGINT; the same call goes on from what is saved" in rest

    second = start(tmp_path)
    output, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, output
    assert "sam-lora: cached" in output
    assert "rs-sam: resumed" in output
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert used.ru_utime + used.ru_stime - before < SECONDS  # of one core, both times together
    results = pd.read_csv(tmp_path / "comparison.csv")
    assert list(results["variant"]) == ["vit_t, scratch", "vit_t, scratch"]
    assert (results["dice"] > 0.5).all()
    assert (tmp_path / "maps.png").stat().st_size > 10_000
