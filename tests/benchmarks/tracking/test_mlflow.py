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

import pytest

from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.protocol.run import resolve_run
from benchmarks.tracking.mlflow import EXPERIMENT, MlflowTracker, flat
from data_prep.manifest import load_manifest
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


def test_parameters_metrics_and_the_result_arrive(tmp_path):
    messages = []
    outcome, _ = finished(tmp_path, MlflowTracker(tmp_path, messages.append))
    assert messages == []
    assert outcome.status == "trained"

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [run] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.info.run_name == outcome.key
    assert run.info.status == "FINISHED"
    assert run.data.params["model.name"] == "unet"
    assert run.data.params["recipe.epochs"] == "2"
    assert run.data.metrics["test_dice"] == pytest.approx(outcome.result.scores.dice)
    losses = [point.value for point in client.get_metric_history(run.info.run_id, "val_loss")]
    assert losses == pytest.approx([epoch["val_loss"] for epoch in outcome.result.history])
    [artifact] = client.list_artifacts(run.info.run_id)
    copy = client.download_artifacts(run.info.run_id, artifact.path, str(tmp_path))
    with open(copy) as stream:
        assert json.load(stream)["counts"] == outcome.result.counts.to_json()


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


@pytest.mark.parametrize(("seconds", "bound"), [(0.0, 60.0), (30.0, 2.0)], ids=["500", "slow"])
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
    assert ("no answer within 2 s" in messages[0]) == (seconds > 0)
    assert (session.store.work(outcome.key) / "mlflow.json").is_file()  # MLflow has not got it yet


def runs_in(home):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    return client, {run.info.run_name: run for run in found}, len(found)


def test_a_locked_database_is_told_later(tmp_path, database):
    """Locked all the time: a sentence, the result is stored; the next command tells MLflow the whole of it."""
    assert MlflowTracker(tmp_path, print).open()
    messages = []
    locking = sqlite3.connect(database, check_same_thread=False)
    locking.execute("BEGIN EXCLUSIVE")
    mirror = MlflowTracker(tmp_path, messages.append)
    mirror.caller.seconds_to_answer = 1.0
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
    assert MlflowTracker(tmp_path, print).open()
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


def train_until(home, moment):
    """Ends by kill -9 after MLflow has made the run: before it has its parameters, or before the note names it."""
    from mlflow import MlflowClient

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    mirror = MlflowTracker(home, print)
    if moment == "parameters":
        MlflowClient.log_batch = die
    else:
        written, mirror._write_note = mirror._write_note, lambda key, note: (die if note.run_id else written)(key, note)
    finished(home, mirror)


@pytest.mark.parametrize("moment", ["parameters", pytest.param("note", marks=pytest.mark.slow)])
def test_a_run_that_was_made_and_not_noted_is_found_again(tmp_path, moment):
    """It stayed RUNNING for ever, beside the one that the next command made."""
    assert outcome_of(train_until, tmp_path, moment) == -9
    _, runs, count = runs_in(tmp_path)
    ((key, left),) = runs.items()
    assert (count, left.info.status, len(left.data.params) > 0) == (1, "RUNNING", moment == "note")
    assert json.loads((tmp_path / "runs" / key / "mlflow.json").read_text())["run_id"] is None

    messages = []
    outcome, _ = finished(tmp_path, MlflowTracker(tmp_path, messages.append))
    assert (outcome.key, messages) == (key, [])
    _, runs, count = runs_in(tmp_path)
    assert (count, runs[key].info.run_id, runs[key].info.status) == (1, left.info.run_id, "FINISHED")
    assert runs[key].data.params["model.name"] == "unet"


def test_the_same_run_of_another_home_is_not_taken_for_it(tmp_path, database, monkeypatch):
    """On one server: the same key says that it is the same declaration, not the same training."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    mirrors = [MlflowTracker(tmp_path / name, print) for name in ("one", "two")]
    for mirror in mirrors:
        mirror.start("key", {"seed": 0})
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
    steps = [point.step for point in client.get_metric_history(killed.info.run_id, "val_loss")]
    assert steps == [1, 2]


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
