"""The command line in this process, and processes that start quickly."""

import functools
import multiprocessing
import sys

import pytest
import typer.testing

from benchmarks.cli import app as cli
from benchmarks.cli import options as root
from benchmarks.doctor import DoctorCheck


@pytest.fixture(autouse=True, scope="session")
def _commands_are_made_once():
    """Keep what Typer makes of the command line: it makes all commands anew at each call, in 30 milliseconds."""
    kept = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", kept)
        patch.setattr("typer.testing._get_command", kept)
        yield


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command line: (exit code, output, errors). Among the arguments, another --home may be named."""

    def call(*arguments, home=tmp_path / "home"):
        monkeypatch.setattr(sys, "argv", ["rssam-bench", "--home", str(home), *map(str, arguments)])
        for console in (root.screen, root.warnings):
            monkeypatch.setattr(console, "width", 200)
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def torch_found(monkeypatch):
    """Let the doctor find torch without a child that imports it, where the claim is another: four CPU seconds."""
    monkeypatch.setattr("benchmarks.doctor._torch", lambda: DoctorCheck("torch", "ok", "2"))


@pytest.fixture
def forked_jobs(monkeypatch):
    """Fork the processes of `--jobs` from a server that has imported torch, where the claim is not how they start."""
    from tests.benchmarks.processes import FORKSERVER

    given = multiprocessing.get_context
    monkeypatch.setattr(
        multiprocessing, "get_context", lambda method=None: FORKSERVER if method == "spawn" else given(method)
    )
