"""Files are written whole or not at all, with the user's umask, and what a killed process leaves is removed."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from rssam.errors import UserError
from rssam.files import write_atomic
from rssam.weights.convert import _write
from tests.conftest import REPOSITORY

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from rssam import files

def stop(descriptor):
    print("writing", flush=True)
    signal.pause()

os.fsync = stop
files.write_atomic(Path(sys.argv[1]), b"half")
"""


@pytest.fixture
def umask():
    """Set the umask; it is put back afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def writing(path):
    """Start a process that has begun to write `path` and never ends by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"writing\n"
    return process


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_keep_the_umask(tmp_path, umask, mask, mode):
    """All of them had mode 644, readable by everyone under umask 077 too."""
    umask(mask)
    write_atomic(tmp_path / "a", b"content")
    _write({"weight": torch.zeros(2)}, tmp_path / "a.safetensors", {})
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [mode, mode]


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    """It lay there for ever: two files after the second write."""
    target = tmp_path / "bundle.zip"
    write_atomic(target, b"old")
    process = writing(target)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / ".bundle.zip.abc_12.tmp").write_bytes(b"left by an older version")
    (tmp_path / ".other.zip.0.tmp").write_bytes(b"of another target")
    assert (len(list(tmp_path.iterdir())), target.read_bytes()) == (4, b"old")
    write_atomic(target, b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle.zip", ".other.zip.0.tmp"}
    assert target.read_bytes() == b"new"


def test_what_a_living_process_is_writing_stays(tmp_path):
    target = tmp_path / "bundle.zip"
    process = writing(target)
    try:
        write_atomic(target, b"new")
        (held,) = (path for path in tmp_path.iterdir() if path != target)
        assert (held.read_bytes(), target.read_bytes()) == (b"half", b"new")
    finally:
        process.kill()
        process.wait()
    write_atomic(target, b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


def test_threads_write_one_target_at_a_time_or_together(tmp_path):
    """Each content is whole, whoever is last, and nothing is left."""
    target, faults = tmp_path / "a", []

    def write(letter):
        try:
            for _ in range(100):
                write_atomic(target, letter * 1000, durable=False)
                found = target.read_bytes()
                assert found in {byte * 1000 for byte in (b"a", b"b", b"c", b"d")}
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_is_left_if_writing_is_interrupted(tmp_path, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"half")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_a_place_that_is_none_is_named_as_the_user_named_it(tmp_path, monkeypatch):
    """It said "FILE: File exists", "Is a directory" and "Permission denied" of a temporary file beside it."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(UserError, match=f"expected a folder at {tmp_path}/file for a.zip, found a file"):
        write_atomic(tmp_path / "file" / "a.zip", b"")
    with pytest.raises(UserError, match=f"found a folder at {tmp_path}/folder.zip"):
        write_atomic(tmp_path / "folder.zip", b"")

    def forbidden(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(PermissionError) as error:
        write_atomic(tmp_path / "a.zip", b"")
    assert error.value.filename == str(tmp_path / "a.zip")
