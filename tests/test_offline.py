"""What conftest does to a process: a connection to another address is refused and recorded, in a child too."""

import socket
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, take_attempts

ELSEWHERE = ("192.0.2.1", 80)  # reserved for documentation: nobody is there


def test_connection_is_refused_and_recorded():
    with socket.socket() as stream, pytest.raises(ConnectionRefusedError):
        stream.connect(ELSEWHERE)
    with pytest.raises(ConnectionRefusedError):
        socket.getaddrinfo("example.org", 443)
    assert take_attempts() == "connect ('192.0.2.1', 80)\ngetaddrinfo 'example.org'\n"


def test_child_process_is_guarded():
    code = f"import socket; socket.create_connection({ELSEWHERE!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "192.0.2.1" in take_attempts()


def test_a_child_that_imports_conftest_has_an_exit_code_of_its_own():
    """Workers end without unloading, with 0."""
    code = "import os; os.environ['PYTEST_XDIST_WORKER'] = 'gw0'; import tests.conftest; raise SystemExit(3)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 3


def test_this_machine_is_allowed():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
