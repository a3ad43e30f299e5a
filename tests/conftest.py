"""Every test is offline, and runs with one thread a worker so that two workers do not fight for two cores."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

gc.disable()  # until all tests are imported

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes of it that must be free. Tests hold a hundredth of that at a time; a container may have 64 MiB in all."""


def has_room(folder: Path) -> bool:
    """Return whether a folder can be written, takes libraries that are compiled there, and has room."""
    usable = folder.is_dir() and os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return usable and shutil.disk_usage(folder).free > ROOM


# Some disks take 4 ms to remove a folder, of which the tests make 20,000; in memory it takes 0.01 ms.
if "TMPDIR" not in os.environ and sys.platform == "linux" and has_room(MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # pytest has asked for the folder before

OFFLINE = Path(__file__).parent / "offline"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers and children keep the memory of tensors that are freed: what glibc gives back is zeroed page by page again.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 << 20))  # the most that it takes
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(512 << 20))
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.pop("MLFLOW_TRACKING_URI", None)
os.environ.pop("RSSAM_HOME", None)
sys.path.insert(0, str(OFFLINE))

import sitecustomize as offline  # noqa: E402

offline.block()
offline.skip_fsync()

import pytest  # noqa: E402

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"


def pytest_configure():
    os.environ[offline.RECORD] = tempfile.mkstemp(prefix="connections-")[1]
    if "PYTEST_XDIST_WORKER" in os.environ:  # here, as a child that imports this file has an exit code of its own
        atexit.register(os._exit, 0)  # to unload all that tests imported takes three seconds


@pytest.fixture(autouse=True)
def _no_connections():
    yield
    attempts = take_attempts()
    assert not attempts, f"the test tried to leave this machine:\n{attempts}"


def take_attempts() -> str:
    """Return what was recorded of connections, and forget it."""
    record = Path(os.environ[offline.RECORD])
    attempts = record.read_text()
    record.write_text("")
    return attempts


@pytest.fixture(autouse=True)
def _own_data_sets_are_forgotten():
    """Put the list of data sets back: a set "mine" of one test stood among the choices of a later one."""
    from data_prep.registry import DATASETS

    before = dict(DATASETS)
    yield
    if before != DATASETS:
        DATASETS.clear()
        DATASETS.update(before)


LONGEST = (
    "tests/test_gpu_script.py",
    "tests/test_wheel.py",
    "tests/fuzz/test_slice.py",
    "tests/benchmarks/training/test_half_precision_losses.py",
    "tests/benchmarks/training/test_fake_cuda.py",
    "tests/benchmarks/training/test_compiled_graphs.py",
)
"""Files with tests or fixtures of many seconds."""

FORKING = (
    "tests/benchmarks/cli/test_predict.py",
    "tests/benchmarks/execution/",
    "tests/benchmarks/protocol/test_own_data.py",
    "tests/benchmarks/results/test_test_set_log.py",
    "tests/benchmarks/test_signals.py",
    "tests/benchmarks/tracking/test_mlflow.py",
    "tests/benchmarks/training/test_device_layout.py",
)
"""Tests whose processes a server forks; one worker starts it, in four seconds, where one worker has them all."""


def pytest_collection_modifyitems(items):
    """Put the longest tests first, for whose end the other worker would wait, and those that fork beside them."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST + FORKING))


def pytest_collection_finish():
    """Keep everything imported out of garbage collection, where each full collection of it takes 0.3 seconds."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # libraries report frozen objects as leaks at exit


def pytest_sessionfinish():
    Path(os.environ[offline.RECORD]).unlink()
