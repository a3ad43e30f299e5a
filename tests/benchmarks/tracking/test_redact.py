"""A password in MLFLOW_TRACKING_URI goes to MLflow's client alone.

`runs/<key>/mlflow.json` held `http://user:secret@...`, and the message of a server that does not answer printed it
twice: in the address, and in the text of the client's exception.
"""

import json

import pytest

from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.home import Home
from benchmarks.tracking.mlflow import MlflowTracker
from benchmarks.tracking.note import read_note
from benchmarks.tracking.redact import redacted, without_credentials
from tests.benchmarks.prepared import tiny_run

ADDRESS = "http://someone:s3cret%21pw@127.0.0.1:9/path?token=t0ken-value#frag9"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (ADDRESS, "http://127.0.0.1:9/path"),
        ("http://user:p@ss@host:5000", "http://host:5000"),
        ("postgresql://user:secret@host/db?sslmode=1", "postgresql://host/db"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("databricks", "databricks"),
        ("http://user:pass/word@host", "http://..."),
        ("http://user:pass?word@host", "http://..."),
        ("http://[no-address", "http://[no-address"),
        ("bob:s3cret@127.0.0.1:9", "...@127.0.0.1:9"),  # was shown and noted as it is
        ("http:/bob:s3cret@host", "...@host"),
        ("127.0.0.1:9/path?token=t0ken-value", "127.0.0.1:9/path"),
        ("file:/home/a@b", "file:/home/a@b"),
        ("/home/a:b@c", "/home/a:b@c"),
    ],
)
def test_an_address_keeps_what_finds_the_server(uri, address):
    assert without_credentials(uri) == address


@pytest.mark.parametrize(
    "text",
    [
        f"API request to {ADDRESS}/api failed",
        "no route to http://other:s3cret!pw@host/",
        "HTTPConnectionPool(host='127.0.0.1'): /path?token=t0ken-value (Caused by s3cret!pw)",
        "401: wrong password s3cret%21pw of someone",
        "Bearer from-the-environment",
    ],
)
def test_no_message_tells_a_secret(text, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "from-the-environment")
    said = redacted(text, ADDRESS)
    assert not any(secret in said for secret in ("s3cret", "t0ken", "from-the-environment", "frag9"))


@pytest.mark.parametrize("uri", ["bob:s3cret@127.0.0.1:9", "http:/bob:s3cret@host", "host/x?t0ken-value"])
@pytest.mark.parametrize("own", [True, False])
def test_no_message_tells_a_secret_of_an_address_without_a_scheme(uri, own):
    """`bob:s3cret@` stood in the message: only what follows "://" was looked through."""
    said = redacted(f"cannot reach {uri!r}, no {uri}", uri if own else "http://host")
    assert "s3cret" not in said
    assert "t0ken" not in said or not own
    assert said.startswith("cannot reach ")


def test_neither_note_nor_message_holds_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", ADDRESS)
    messages = []
    tracker = MlflowTracker(tmp_path, messages.append)
    monkeypatch.setattr(tracker, "_connect", lambda: (_ for _ in ()).throw(OSError(f"no answer from {ADDRESS}")))
    resolved = ResolvedRun(tiny_run(), "0" * 64, (), "32-true")
    tracker.start(resolved)
    note = Home(tmp_path).run(resolved.key) / "mlflow.json"
    assert "s3cret" not in note.read_text() + "".join(messages)
    assert "t0ken" not in note.read_text() + "".join(messages)
    assert "http://127.0.0.1:9/path" in messages[0]
    old = json.loads(note.read_text()) | {"uri": ADDRESS, "run_id": "abc"}
    note.write_text(json.dumps(old))
    assert read_note(note) == old["idempotency_key"]  # it is found again, and cleaned
    assert "s3cret" not in note.read_text()
