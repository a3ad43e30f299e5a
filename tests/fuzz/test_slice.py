"""Forty mutated foreign files; `python -m tests.fuzz.run` does a thousand."""

import subprocess
import sys


def test_mutated_files_end_in_sentences(tmp_path):
    """In a process of its own, without the threads and modules of other tests."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--count", "40", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
