"""The command line in this process."""

import sys

import pytest

from benchmarks.cli import app as cli
from benchmarks.cli import options as root


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
