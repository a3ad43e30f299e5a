"""A disk that fills and a home that cannot be written: clear words, nothing lost, and the same result afterwards."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from baselines.unet import UNet
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.run_status import run_status
from benchmarks.execution.runner import execute, execute_all
from benchmarks.tracking.mlflow import MlflowTracker
from tests.benchmarks.prepared import Watcher, make_session, tiny_run


@contextmanager
def mounted(folder, options):
    """A file system in memory at `folder`; skips where this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def free(folder):
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_while_training(tmp_path):
    """After the first epoch no checkpoint fits any more. What was saved stays whole, and is gone on from."""
    calm = make_session(tmp_path / "calm")
    wanted = execute(resolve_all([tiny_run()], calm)[0], calm).result
    home = tmp_path / "home"
    with mounted(home, "size=40m"):
        ballast = home / "ballast"

        def fill(metrics):
            ballast.write_bytes(bytes(free(home) - (64 << 10)))

        watcher = Watcher(fill)
        session = make_session(home, observer=watcher)
        first, second = resolve_all([tiny_run(), tiny_run(UNet(8))], session)
        outcomes = execute_all([first, second], session)
        assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
        assert all("no space left on the disk while writing" in outcome.reason for outcome in outcomes)
        assert "free some and run again" in outcomes[0].reason
        assert not list(home.rglob("*.tmp"))
        assert not list((home / "results").glob("*"))
        assert (home / "runs" / first.key / "last.safetensors").is_file()
        ballast.unlink()
        again = make_session(home)
        outcome = execute(first, again)
        assert (outcome.status, again.observer.notes) == ("resumed", [])
        assert outcome.result.counts.to_json() == wanted.counts.to_json()
        assert run_status(again.store, first.key).state == "finished"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_home_that_cannot_be_written(tmp_path):
    """What is finished is shown; what is missing fails with a sentence that names the folder and the option."""
    home, messages = tmp_path / "home", []
    with mounted(home, "size=40m"):
        session = make_session(home)
        done, missing = resolve_all([tiny_run(), tiny_run(UNet(8))], session)
        assert execute(done, session).status == "trained"
        subprocess.run(["mount", "-o", "remount,ro", home], check=True)
        fresh = make_session(home, tracker=MlflowTracker(home, messages.append))
        outcomes = execute_all([done, missing], fresh)
        assert [outcome.status for outcome in outcomes] == ["cached", "failed"]
        assert "cannot be written (Read-only file system): choose another folder with --home" in outcomes[1].reason
        assert str(home) in outcomes[1].reason
        assert run_status(fresh.store, missing.key).state == "missing"
    assert messages == []
