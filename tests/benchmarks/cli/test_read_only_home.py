"""A home on a disk that is mounted for reading: what can be shown is shown, what cannot be stored is said first.

The mount is played at the boundary of the operating system, since tests may run as a user whom no mode of a file stops.
"""

import errno
import os
import sys

import pytest

from benchmarks import doctor
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from tests.benchmarks.prepared import make_session, tiny_run

_MOUNTED = []
_WRITES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.link": 1, "os.symlink": 1, "os.chmod": 0}


def _refuse(event, arguments):
    if not _MOUNTED:
        return
    if event == "open":
        path, _, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event in _WRITES:
        path = arguments[_WRITES[event]]
    else:
        return
    if not isinstance(path, int) and os.fspath(path).startswith(_MOUNTED[0]):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))


sys.addaudithook(_refuse)  # it cannot be taken away, so it looks at a list


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home with one finished run, and its key."""
    home = tmp_path_factory.mktemp("shared") / "home"
    session = make_session(home)
    (resolved,) = resolve_all([tiny_run()], session)
    execute_all([resolved], session)
    return home, resolved.key


@pytest.fixture
def mounted(finished):
    """The same for reading alone; nothing in it changes."""
    home, key = finished
    before = sorted((str(path), path.stat().st_mtime_ns) for path in home.rglob("*"))
    _MOUNTED.append(str(home))
    yield home, key
    _MOUNTED.clear()
    assert sorted((str(path), path.stat().st_mtime_ns) for path in home.rglob("*")) == before


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("status", "table5"), ("datasets",)])
def test_status_and_data_sets_are_shown(command, mounted, arguments):
    code, out, err = command(*arguments, home=mounted[0])
    assert (code, "error" in err) == (0, False)
    assert "deepglobe" in out


def test_a_report_goes_elsewhere(command, mounted, tmp_path):
    code, _, err = command("report", "table5", "--format", "md", "--out", tmp_path / "report", home=mounted[0])
    assert (code, "error" in err) == (0, False)
    assert (tmp_path / "report" / "report.md").is_file()


@pytest.mark.parametrize("arguments", [("metrics", "--run", "KEY"), ("score", "--run", "KEY")])
def test_what_would_be_stored_is_said_first(command, mounted, monkeypatch, arguments):
    """ "[Errno 30] Read-only file system: ...; free or choose another disk", after everything had been measured."""

    def called(*_):
        raise AssertionError("it was measured")

    monkeypatch.setattr("benchmarks.scoring.score.count", called)
    monkeypatch.setattr("benchmarks.scoring.measure_objects.read_predictions", called)
    home, key = mounted
    code, out, err = command(*(key if part == "KEY" else part for part in arguments), home=home)
    assert (code, out) == (1, "")
    assert f"error: {home} cannot be written to (Read-only file system), and " in err
    assert "copy what you need of it to a folder of your own, or ask its owner" in err


def test_stored_metrics_are_shown(command, finished):
    home, key = finished
    assert command("metrics", "--run", key, home=home)[0] == 0
    _MOUNTED.append(str(home))
    try:
        code, out, err = command("metrics", "--run", key, home=home)
    finally:
        _MOUNTED.clear()
    assert (code, "error" in err) == (0, False)
    assert "relaxed" in out


def test_a_folder_for_predictions_is_tried_before_the_use_is_logged(command, finished, tmp_path):
    home, key = finished
    (tmp_path / "file").write_text("")
    before = (home / "ledger.jsonl").read_bytes()
    code, _, err = command("score", "--run", key, "--out", tmp_path / "file", home=home)
    assert code == 1
    assert f"{tmp_path / 'file'} cannot be written to (Not a directory), and the predictions would be written" in err
    assert (home / "ledger.jsonl").read_bytes() == before


def test_the_doctor_notices(mounted, monkeypatch):
    for check in ("_torch", "_gpu"):
        monkeypatch.setattr(doctor, check, lambda: doctor.DoctorCheck("", "ok", ""))
    checks = {check.what: check for check in doctor.examine(mounted[0])}
    assert checks["home"].state == "problem"
    assert "cannot be written to (Read-only file system)" in checks["home"].found
    assert checks["home"].remedy == "rssam-bench --home FOLDER COMMAND"


@pytest.mark.parametrize("arguments", [("status",), ("metrics",), ("report", "--out", "OUT"), ("datasets",)])
def test_a_file_for_a_home(command, tmp_path, arguments):
    (tmp_path / "file").write_text("")
    places = {"OUT": tmp_path / "out"}
    code, _, err = command(*(places.get(part, part) for part in arguments), home=tmp_path / "file")
    assert code in (0, 1)
    assert "Traceback" not in err
