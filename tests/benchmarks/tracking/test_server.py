"""`rssam-bench mlflow` shows a home's runs on this machine alone, and says why where it cannot."""

import socket
import subprocess
import sys

import pytest

from benchmarks.results.home import Home
from benchmarks.tracking import server
from benchmarks.tracking.server import serve
from rssam.errors import UserError

ANSWERS = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        with open(sys.argv[2], "w") as stream: stream.write(self.path)
        raise SystemExit
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).handle_request()
"""


@pytest.fixture
def port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def test_a_home_without_runs_is_told_what_makes_some(tmp_path, port):
    """A server was opened on an empty database, and its page showed nothing."""
    with pytest.raises(UserError, match=rf"Run: rssam-bench --home {tmp_path} reproduce table5"):
        serve(Home(tmp_path), port, print)


def test_runs_on_a_server_are_shown_by_that_server(tmp_path, port, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://bob:s3cret@host:5000")
    with pytest.raises(UserError, match="tracked at http://host:5000, by MLFLOW_TRACKING_URI") as raised:
        serve(Home(tmp_path), port, print)
    assert "s3cret" not in str(raised.value)


def test_a_port_that_is_taken_is_named(tmp_path):
    Home(tmp_path).mlflow_database.touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {taken} of 127.0.0.1 cannot be used .* --port"):
            serve(Home(tmp_path), taken, print)


def test_a_server_that_ends_at_once_has_no_link(tmp_path, port, monkeypatch):
    Home(tmp_path).mlflow_database.touch()
    monkeypatch.setattr(server, "_experiment", lambda home: "7")
    real = subprocess.Popen
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(server.subprocess, "Popen", lambda _, **options: real(command, **options))
    links = []
    assert (serve(Home(tmp_path), port, links.append), links) == (3, [])


def test_the_link_of_the_training_view_comes_when_the_server_answers(tmp_path, port, monkeypatch):
    """MLflow 3 opens an experiment on its page for GenAI, which is empty, whatever tags it has."""
    Home(tmp_path).mlflow_database.touch()
    monkeypatch.setattr(server, "_experiment", lambda home: "7")
    started, real = [], subprocess.Popen

    def popen(command, **options):
        started.append((command, options["env"]))
        return real([sys.executable, "-c", ANSWERS, str(port), str(tmp_path / "asked")], **options)

    monkeypatch.setattr(server.subprocess, "Popen", popen)
    links = []
    serve(Home(tmp_path), port, links.append)
    assert links == [f"http://127.0.0.1:{port}/#/experiments/7/runs?workflowType=machine_learning"]
    assert (tmp_path / "asked").read_text() == "/health"
    [(command, environment)] = started
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path / 'mlflow.db'}"  # a list of processes shows
    assert not any("sqlite" in word for word in command)  # arguments, and an address may hold a password
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
