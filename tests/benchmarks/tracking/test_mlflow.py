"""MLflow mirrors a run, and whatever happens to it the run goes on."""

import contextlib
import dataclasses
import http.server
import json
import os
import shutil
import signal
import sqlite3
import threading
import time

import mlflow
import numpy as np
import pytest
from PIL import Image

from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.protocol.run import ResolvedRun, resolve_run
from benchmarks.results.predictions import PREDICTIONS, read_predictions
from benchmarks.tracking.connection import EXPERIMENT
from benchmarks.tracking.describe import flat, tags, title
from benchmarks.tracking.mlflow import MlflowTracker
from benchmarks.tracking.tracker import Tracker
from data_prep.manifest_file import load_manifest
from reports.model_card import write_with_card
from rssam.config import RSSAM
from tests.benchmarks.prepared import TINY, Watcher, make_session, tiny_run
from tests.benchmarks.processes import outcome_of


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """Write a database with MLflow's tables and nothing in them, which takes a second."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(tmp_path, empty_database):
    """Copy the empty database into the home `tmp_path`; it has no experiment yet."""
    shutil.copy(empty_database, tmp_path)
    return tmp_path / "mlflow.db"


def finished(home, tracker):
    session = make_session(home, tracker=tracker)
    manifest = load_manifest(session.data_folder("deepglobe"), "deepglobe")
    resolved = resolve_run(tiny_run(), manifest, session.weights, session.precision)
    return execute(resolved, session), session


def test_everything_of_a_run_arrives(tmp_path, monkeypatch):
    """A run was called by its key, and of its predictions and parameters nothing was there."""
    messages = []
    outcome, session = finished(tmp_path, MlflowTracker(tmp_path, messages.append, write_with_card))
    assert messages == []
    assert outcome.status == "trained"

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [run] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.info.run_name == "UNet · 4 · deepglobe · tiny · split 0 seed 0"
    assert run.info.status == "FINISHED"
    assert run.data.params["model.name"] == "unet"
    assert run.data.params["recipe.epochs"] == "2"
    assert run.data.metrics["test_dice"] == pytest.approx(outcome.result.scores.dice)
    losses = [point.value for point in client.get_metric_history(run.info.run_id, "val_loss")]
    assert losses == pytest.approx([epoch["val_loss"] for epoch in outcome.result.history])
    steps = {name: client.get_metric_history(run.info.run_id, name) for name in ("step/loss", "step/rate", "val_dice")}
    assert {name: [point.step for point in points] for name, points in steps.items()} == {
        "step/loss": [1, 2, 3, 4, 5, 6], "step/rate": [1, 2, 3, 4, 5, 6], "val_dice": [1, 2],
    }  # fmt: skip
    assert run.data.metrics["total_seconds"] == outcome.result.seconds  # was lost: an epoch's seconds had its name
    inputs = {each.dataset.name: (each.dataset.digest, each.tags[0].value) for each in run.inputs.dataset_inputs}
    digest = outcome.result.identity["data"][:36]
    assert inputs == {
        "deepglobe train": (digest, "training"), "deepglobe val": (digest, "validation"),
        "deepglobe test": (digest, "testing"),
    }  # fmt: skip
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    strip = "test - image truth prediction.png"
    assert artifacts == {f"{outcome.key}.json", "curves.png", "model_card.md", strip, "validation"}
    samples = [artifact.path for artifact in client.list_artifacts(run.info.run_id, "validation")]
    assert samples == [f"validation/epoch {epoch:04d} - image truth prediction.png" for epoch in (1, 2)]
    copy = client.download_artifacts(run.info.run_id, f"{outcome.key}.json", str(tmp_path))
    with open(copy) as stream:
        assert json.load(stream)["counts"] == outcome.result.counts.to_json()
    assert not (session.store.work(outcome.key) / "mlflow-files").exists()

    monkeypatch.setenv("RSSAM_HOME", str(tmp_path))
    logged = client.get_logged_model(run.data.tags["model"].removeprefix("models:/"))
    model = mlflow.pyfunc.load_model(logged.artifact_location)
    predictions = read_predictions(session.store.work(outcome.key) / PREDICTIONS, binary=True)
    folder = session.data_folder("deepglobe") / "images"
    images = np.stack([np.array(Image.open(folder / f"{stem}.png")) for stem in predictions.images])
    assert (model.predict(images) == np.stack([predictions.labels(stem) for stem in predictions.images])).all()


def test_a_run_is_described_for_people():
    resolved = ResolvedRun(tiny_run(RSSAM("vit_t", "scratch", mhff=False), seed=3), "0" * 64, (), "32-true")
    assert title(resolved) == "RS-SAM · Neck + MFF · vit_t, scratch · deepglobe · tiny · split 0 seed 3"
    found = tags(resolved, "0123456789ab-dirty")
    assert (found["rows"], found["table5"], found["key"]) == ("table5:3", "3", resolved.key)
    assert found["mlflow.source.git.commit"] == "0123456789ab"
    assert "table5:3" in found["mlflow.note.content"]


def test_a_model_that_cannot_be_made_is_said_and_the_rest_arrives(tmp_path, database):
    def broken(path, trained, result):
        raise OSError(28, "No space left on device", str(path))

    messages = []
    outcome, session = finished(tmp_path, MlflowTracker(tmp_path, messages.append, broken))
    [message] = messages
    assert message.startswith(f"note: MLflow gets no model of {outcome.key} (")
    _, runs, _ = runs_in(tmp_path)
    assert (outcome.status, runs[outcome.key].info.status) == ("trained", "FINISHED")
    assert "model" not in runs[outcome.key].data.tags
    assert not (session.store.work(outcome.key) / "mlflow.json").exists()


def test_trackers_of_other_processes_are_equal(tmp_path, database):
    """A worker opens its session anew, and verifies all data again, for settings that differ."""
    import pickle

    other = MlflowTracker(tmp_path, print, write_with_card).elsewhere()
    assert pickle.loads(pickle.dumps(other)) == other
    assert isinstance(other(print), MlflowTracker)
    assert Tracker().elsewhere() == Tracker().elsewhere()


def test_a_call_may_take_longer_for_more_bytes():
    from benchmarks.tracking.call_with_timeout import TimeoutCaller

    faults = []
    caller = TimeoutCaller(faults.append, seconds_to_answer=0.0)
    caller.call(lambda: time.sleep(0.05), lambda: None, lambda: 20.0)
    assert faults == []  # an upload of 300 MB had a minute


def test_a_server_that_is_not_there_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    messages = []
    outcome, session = finished(tmp_path, MlflowTracker(tmp_path, messages.append))
    assert outcome.status == "trained"
    assert session.store.get(outcome.key) is not None
    assert len(messages) == 1
    assert "this session goes on without it" in messages[0]


class Answering(http.server.BaseHTTPRequestHandler):
    """A tracking server that answers every request with 500, after so many seconds."""

    seconds = 0.0

    def do_GET(self):
        time.sleep(self.seconds)
        with contextlib.suppress(OSError):  # nobody waits any more
            self.send_response(500)
            self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{found.server_port}")
        yield found
        found.shutdown()


@pytest.mark.parametrize(("seconds", "bound"), [(0.0, 60.0), (30.0, 1.0)], ids=["500", "slow"])
def test_a_server_that_is_ill_is_waited_for_once(tmp_path, monkeypatch, server, seconds, bound):
    """The client of MLflow alone would ask seven times and wait for two minutes each."""
    monkeypatch.setattr(Answering, "seconds", seconds)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    messages = []
    mirror = MlflowTracker(tmp_path, messages.append)
    mirror.caller.seconds_to_answer = bound
    outcome, session = finished(tmp_path, mirror)
    assert outcome.status == "trained"
    assert len(messages) == 1
    assert messages[0].count("\n") == 0
    assert "goes on without it" in messages[0]
    assert ("no answer within 1 s" in messages[0]) == (seconds > 0)
    assert (session.store.work(outcome.key) / "mlflow.json").is_file()  # MLflow has not got it yet


def runs_in(home):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    return client, {run.data.tags["key"]: run for run in found}, len(found)


def test_a_locked_database_is_told_later(tmp_path, database):
    """Locked all the time: a sentence, the result is stored; the next command tells MLflow the whole of it."""
    MlflowTracker(tmp_path, print).elsewhere()
    messages = []
    locking = sqlite3.connect(database, check_same_thread=False)
    locking.execute("BEGIN EXCLUSIVE")
    mirror = MlflowTracker(tmp_path, messages.append)
    mirror.caller.seconds_to_answer = 0.2
    outcome, session = finished(tmp_path, mirror)
    assert outcome.status == "trained"
    assert len(messages) == 1
    locking.rollback()
    locking.close()
    mirror.caller._calling.join(60)  # the call that was given up; with the process it would have ended

    again, _ = finished(tmp_path, MlflowTracker(tmp_path, messages.append))
    assert again.status == "cached"
    assert len(messages) == 1
    client, runs, count = runs_in(tmp_path)
    assert (count, runs[outcome.key].info.status) == (1, "FINISHED")
    losses = [point.value for point in client.get_metric_history(runs[outcome.key].info.run_id, "val_loss")]
    assert losses == pytest.approx([epoch["val_loss"] for epoch in outcome.result.history])
    assert not (session.store.work(outcome.key) / "mlflow.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("freed", ["while it trains", "after it has ended"])
def test_a_database_locked_for_a_minute(tmp_path, capfd, freed):
    """Longer than SQLite or the mirror waits. The training goes on, and in the end MLflow has every epoch once."""
    MlflowTracker(tmp_path, print).elsewhere()
    locking = sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False, isolation_level=None)
    messages, times, unlocked = [], [], threading.Event()

    def unlock():
        locking.execute("ROLLBACK")
        times.append(time.monotonic())
        unlocked.set()

    def on_epoch(metrics):
        if metrics["epoch"] == 1:
            locking.execute("BEGIN EXCLUSIVE")
            times.append(time.monotonic())
            threading.Timer(65, unlock).start()
        elif metrics["epoch"] == 3 and freed == "while it trains":
            assert unlocked.wait(120)
            mirror.caller._calling.join(60)
            time.sleep(mirror.caller.seconds_of_pause)

    mirror = MlflowTracker(tmp_path, messages.append)
    mirror.caller.seconds_of_pause = 10.0 if freed == "while it trains" else 300.0
    session = make_session(tmp_path, observer=Watcher(on_epoch), tracker=mirror)
    (item,) = resolve_all([tiny_run(recipe=dataclasses.replace(TINY, epochs=4))], session)
    outcome = execute(item, session)
    ended = time.monotonic()
    assert outcome.status == "trained"
    assert unlocked.wait(120)
    assert times[1] - times[0] > 60
    assert (times[1] < ended) == (freed == "while it trains")
    assert len(messages) == 1 if freed == "after it has ended" else len(messages) > 0
    for message in messages:
        assert message.startswith(f"MLflow at sqlite:///{tmp_path / 'mlflow.db'} failed (")
        assert "this session goes on without it and asks again after" in message
        assert message.endswith("Results do not depend on it")
        assert "\n" not in message
    said = len(messages)
    assert (session.store.work(item.key) / "mlflow.json").exists() == (freed == "after it has ended")
    if freed == "after it has ended":
        mirror.caller._calling.join(60)
        again = make_session(tmp_path, tracker=MlflowTracker(tmp_path, messages.append))
        assert execute(item, again).status == "cached"
    assert len(messages) == said
    assert "Traceback" not in "".join(capfd.readouterr())
    client, runs, count = runs_in(tmp_path)
    run = runs[item.key]
    assert (count, run.info.status) == (1, "FINISHED")
    assert run.data.metrics["test_dice"] == pytest.approx(outcome.result.scores.dice)
    points = client.get_metric_history(run.info.run_id, "val_loss")
    assert [point.step for point in points] == [1, 2, 3, 4]
    assert [point.value for point in points] == pytest.approx([epoch["val_loss"] for epoch in outcome.result.history])
    assert not (session.store.work(item.key) / "mlflow.json").exists()


def train_until_made(home):
    """Ends by kill -9 after MLflow has made the run, before it has its parameters."""
    from mlflow import MlflowClient

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    MlflowClient.log_batch = die
    finished(home, MlflowTracker(home, print))


def test_a_run_that_was_made_and_not_noted_is_found_again(tmp_path, database):
    """It stayed RUNNING for ever, beside the one that the next command made."""
    from mlflow import MlflowClient

    assert outcome_of(train_until_made, tmp_path) == -9
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [left] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert (left.info.status, left.data.params) == ("RUNNING", {})

    messages = []
    outcome, _ = finished(tmp_path, MlflowTracker(tmp_path, messages.append))
    key = outcome.key
    assert messages == []
    _, runs, count = runs_in(tmp_path)
    assert (count, runs[key].info.run_id, runs[key].info.status) == (1, left.info.run_id, "FINISHED")
    assert runs[key].data.params["model.name"] == "unet"


def test_the_same_run_of_another_home_is_not_taken_for_it(tmp_path, database, monkeypatch):
    """On one server: the same key says that it is the same declaration, not the same training."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    mirrors = [MlflowTracker(tmp_path / name, print) for name in ("one", "two")]
    for mirror in mirrors:
        mirror.start(ResolvedRun(tiny_run(), "0" * 64, (), "32-true"))
    for mirror in mirrors:
        mirror.stop("SIGTERM")
    assert runs_in(tmp_path)[2] == 2


def test_a_stopped_run_is_killed_and_goes_on_in_the_same(tmp_path, database):
    session = make_session(tmp_path, tracker=MlflowTracker(tmp_path, print))
    session.observer.on_epoch = lambda _: setattr(session.stop, "signal", "SIGTERM")
    manifest = load_manifest(session.data_folder("deepglobe"), "deepglobe")
    resolved = resolve_run(tiny_run(), manifest, session.weights, session.precision)
    assert execute(resolved, session).status == "interrupted"
    _, runs, _ = runs_in(tmp_path)
    killed = runs[resolved.key]
    assert (killed.info.status, killed.data.tags["reason"]) == ("KILLED", "stopped by SIGTERM")

    outcome, _ = finished(tmp_path, MlflowTracker(tmp_path, print))
    client, runs, count = runs_in(tmp_path)
    assert (outcome.status, count) == ("resumed", 1)
    assert (runs[resolved.key].info.run_id, runs[resolved.key].info.status) == (killed.info.run_id, "FINISHED")
    for name, expected in (("val_loss", [1, 2]), ("step/loss", [1, 2, 3, 4, 5, 6])):
        assert [point.step for point in client.get_metric_history(killed.info.run_id, name)] == expected


def test_a_failed_run_is_marked(tmp_path, database):
    session = make_session(tmp_path, tracker=MlflowTracker(tmp_path, print))
    session.observer.on_epoch = lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device", "x"))
    manifest = load_manifest(session.data_folder("deepglobe"), "deepglobe")
    resolved = resolve_run(tiny_run(), manifest, session.weights, session.precision)
    assert execute(resolved, session).status == "failed"
    _, runs, _ = runs_in(tmp_path)
    assert runs[resolved.key].info.status == "FAILED"
    assert "no space left for x: free some and run again" in runs[resolved.key].data.tags["reason"]


def test_listening_changes_no_count(tmp_path, database):
    with_mirror, _ = finished(tmp_path, MlflowTracker(tmp_path, print))
    without, _ = finished(tmp_path / "b", make_session(tmp_path / "b").tracker)
    assert with_mirror.key == without.key
    assert with_mirror.result.counts.to_json() == without.result.counts.to_json()


def test_flat_joins_names_by_dots():
    assert flat({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
