"""Serve MLflow's pages of a home on this machine alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from benchmarks.failures import first_line
from benchmarks.results.home import Home
from benchmarks.tracking.connection import connect, import_mlflow, tracking_uri
from benchmarks.tracking.redact import redacted, without_credentials
from rssam.errors import UserError

HOST = "127.0.0.1"
SECONDS_TO_START = 120.0
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_LOGGING_LEVEL": "WARNING", "PYTHONWARNINGS": "ignore"}
"""Environment of the server: none of its jobs is of use here, and its log would bury the link."""


def serve(home: Home, port: int, say: Callable[[str], None]) -> int:
    """Serve until the server ends or Ctrl-C, and return its exit code; `say` gets the link once it answers.

    Raises UserError if there is nothing to show, if it is on another server, or if the port is taken.
    """
    uri = tracking_uri(home)
    if uri.startswith("http"):
        raise UserError(f"runs are tracked at {without_credentials(uri)}, by MLFLOW_TRACKING_URI: open that address")
    if "MLFLOW_TRACKING_URI" not in os.environ and not home.mlflow_database.is_file():
        raise UserError(
            f"no run of {home.root} was tracked yet. Run: "
            f"rssam-bench --home {home.root} reproduce table5 --profile smoke"
        )
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            asked.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} of {HOST} cannot be used ({error.strerror}): choose another one with --port"
            ) from error
    experiment = _experiment(home)
    server = subprocess.Popen([
        sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1",
        "--default-artifact-root", home.mlflow_artifacts.as_uri(), "--uvicorn-opts", "--log-level warning",
    ], env={**os.environ, **_QUIET, "MLFLOW_BACKEND_STORE_URI": uri}, start_new_session=True)  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if _answers(server, port):
            say(f"http://{HOST}:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning")
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # MLflow leaves its own children when it is ended alone
        server.wait()


def _experiment(home: Home) -> str:
    """Return the number of the experiment, which has the tags that choose the view."""
    import_mlflow()
    from mlflow.exceptions import MlflowException

    try:
        return connect(home, SECONDS_TO_START).experiment
    except MlflowException as error:
        uri = tracking_uri(home)
        raise UserError(f"{without_credentials(uri)} cannot be opened ({redacted(first_line(error), uri)})") from error


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers, or return False if it has ended. Raises UserError if it does neither."""
    until = time.monotonic() + SECONDS_TO_START
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise UserError(f"MLflow's server did not answer within {SECONDS_TO_START:.0f} s") from None
            time.sleep(0.2)
    return False
