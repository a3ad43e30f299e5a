"""A kill at any moment, the order of the file system and the number of workers change no byte of a prepared folder."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.registry import find_dataset
from tests.conftest import REPOSITORY
from tests.data_prep import raster_files
from tests.data_prep.samples import contents, picture, prepare, squares, write_image, write_mask, write_pair

KILLS = 30
"""A third each with one, two and three workers, spread over the time. What one leaves is tested touch by touch."""


def write_mixed(folder, side, drawn=picture):
    """Seven pairs of which two show the same, an image in two places, and three files that cannot be used."""
    for index in range(6):
        write_pair(folder / "train", str(100 + index), index, side, drawn)
    write_pair(folder / "more", "555", 3, side, drawn)
    shutil.copy(folder / "train" / "104_sat.jpg", folder / "more")
    write_pair(folder / "more", "700", 7, side, drawn)
    (folder / "more" / "700_sat.jpg").write_bytes((folder / "more" / "700_sat.jpg").read_bytes()[:-300])
    write_pair(folder / "more", "701", 8, side, drawn)
    write_image(folder / "train" / "701_sat.jpg", np.zeros((side, side, 3), np.uint8))
    write_mask(folder / "a mask without an image" / "900_mask.png", np.zeros((8, 8), np.uint8))
    return folder


@pytest.fixture
def reversed_listings(monkeypatch):
    """Folders list their files backwards."""
    scandir, listdir = os.scandir, os.listdir

    class Backwards:
        """As os.scandir: an iterator that is a context too."""

        def __init__(self, *arguments):
            with scandir(*arguments) as entries:
                self.entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.entries)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def close(self):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda *arguments: sorted(listdir(*arguments), reverse=True))


def test_number_of_workers_and_order_of_the_file_system(tmp_path, request):
    source = write_mixed(tmp_path / "source", 512, squares)
    listed = [path.name for path in source.rglob("*")]
    manifest = prepare(source, tmp_path / "1", skip_bad=True)
    assert (len(manifest.entries), len(manifest.skipped)) == (7, 3)
    wanted = contents(tmp_path / "1")
    for workers in (2, 3):
        prepare(source, tmp_path / str(workers), workers=workers, skip_bad=True)
        assert contents(tmp_path / str(workers)) == wanted
    request.getfixturevalue("reversed_listings")
    assert [path.name for path in source.rglob("*")] != listed
    prepare(source, tmp_path / "backwards", skip_bad=True)
    assert contents(tmp_path / "backwards") == wanted


TOUCHES = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"}


def killed_at(event, whdld, source, out):
    """Whether a process that prepares dies at its so-many-th touch of the file system, or is through before it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    touches = 0

    def hook(name, arguments):
        nonlocal touches
        within = name in ("os.remove", "os.rmdir") and arguments[1] >= 0  # by a folder's descriptor, as rmtree does
        if name in TOUCHES and (within or str(out.parent) in str(arguments[0])):
            touches += 1
            if touches == event:
                os._exit(9)

    sys.addaudithook(hook)
    try:
        whdld.prepare(source, out, origin="synthetic", workers=1, progress=lambda *_: None, skip_bad=True)
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_before_any_touch_of_the_file_system(tmp_path):
    whdld, source = find_dataset("whdld"), tmp_path / "source"
    whdld.synthesize(source, 3, seed=0)
    (source / "ImagesPNG" / "wh0001.png").write_bytes(b"")
    asked = {"origin": "synthetic", "workers": 1, "progress": lambda *_: None, "skip_bad": True}
    manifest = whdld.prepare(source, tmp_path / "straight", **asked)
    wanted = contents(tmp_path / "straight")
    event = 0
    while True:
        event += 1
        out = tmp_path / f"killed at {event}" / "whdld"
        if not killed_at(event, whdld, source, out):
            break
        assert not out.exists() or contents(out) == wanted
        assert whdld.prepare(source, out, **asked) == manifest
        assert contents(out) == wanted
        assert {path.name for path in out.parent.iterdir()} <= {"whdld", ".whdld.lock"}
    assert event > 30


def start(source, home, workers, name="deepglobe"):
    command = [sys.executable, "-m", "benchmarks.cli", "--home", str(home), "prepare", name]
    options = ["--source", str(source), "--skip-bad", "--workers", str(workers)]
    return subprocess.Popen(
        [*command, *options], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(child):
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors


def kill(child):
    """Kill a process, and it alone; return its own children as they were at that moment."""
    process = psutil.Process(child.pid)
    process.suspend()  # nothing is born between the count and the kill
    children = process.children(recursive=True)
    process.kill()
    child.wait()
    return children


def alive(process):
    """Whether a process still does something: one that ended stays listed until its new parent collects it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_thirty_kills_at_random_moments_change_no_byte(tmp_path):
    source, home = write_mixed(tmp_path / "source", 1024), tmp_path / "home"
    wanted = kill_at_random(source, tmp_path, "deepglobe", KILLS)
    assert len(wanted) == 3 * 7 + 1
    out = home / "data" / "deepglobe"
    DeepGlobe().prepare(source, out, origin="source", workers=1, progress=lambda *_: None, skip_bad=True)


@pytest.mark.slow
def test_kills_while_large_rasters_are_cut_change_no_byte(tmp_path):
    source = tmp_path / "source"
    raster_files.write_raster(source / "a.tif", raster_files.noise(6200, 6400))
    raster_files.write_raster(source / "a_label.tif", raster_files.blocks(6200, 6400))
    wanted = kill_at_random(source, tmp_path, "whu", KILLS // 2)
    assert len(wanted) == 2 * 9 + 1
    for workers in (1, 2):
        raster_files.prepare(source, tmp_path / str(workers), workers=workers)
        assert contents(tmp_path / str(workers)) == wanted


def kill_at_random(source, folder, name, wished):
    """Kill the command so often, at moments spread over its time, each with one, two and three workers.

    In the end it must have made what an undisturbed one makes.
    """
    home = folder / "home"
    out = home / "data" / name
    began = time.monotonic()
    finish(start(source, folder / "undisturbed", 1, name))
    straight = time.monotonic() - began
    wanted = contents(folder / "undisturbed" / "data" / name)

    chance, kills, finished = random.Random(0), 0, 0
    while kills < wished:
        child = start(source, home, 1 + kills % 3, name)
        stratum = (kills // 3 + chance.random()) / (wished // 3)
        try:
            child.wait(timeout=(0.25 + 0.65 * stratum) * straight)
            finish(child)
            finished += 1
            straight *= 0.9  # the machine was busier when it was measured
        except subprocess.TimeoutExpired:
            orphans = kill(child)
            child.stderr.close()
            kills += 1
            psutil.wait_procs(orphans, timeout=10)
            assert [orphan for orphan in orphans if alive(orphan)] == []
        if out.exists():  # so a killed run is never taken for a whole one
            assert contents(out) == wanted
            shutil.rmtree(home)
    finish(start(source, home, 2, name))
    assert contents(out) == wanted
    assert {path.name for path in out.parent.iterdir()} <= {name, f".{name}.lock"}
    print(f"{kills} kills, {finished} runs that were through before theirs")
    return wanted
