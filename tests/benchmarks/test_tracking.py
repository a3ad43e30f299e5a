"""MLflow mirrors a run, and whatever happens to it the run goes on."""

import json

import pytest

from benchmarks.runner import execute
from benchmarks.spec import resolve
from benchmarks.tracking import EXPERIMENT, MlflowMirror, flat
from data_prep.base import load_manifest
from tests.benchmarks.prepared import make_session, tiny_run


def finished(home, tracker):
    session = make_session(home, tracker=tracker)
    manifest = load_manifest(session.data_folder("deepglobe"), "deepglobe")
    resolved = resolve(tiny_run(), manifest, session.weights, session.precision)
    return execute(resolved, session), session


def test_parameters_metrics_and_the_result_arrive(tmp_path):
    messages = []
    outcome, _ = finished(tmp_path, MlflowMirror(tmp_path, messages.append))
    assert messages == []
    assert outcome.status == "trained"

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [run] = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.info.run_name == outcome.key
    assert run.info.status == "FINISHED"
    assert run.data.params["model.name"] == "sam-lora"
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
    outcome, session = finished(tmp_path, MlflowMirror(tmp_path, messages.append))
    assert outcome.status == "trained"
    assert session.store.get(outcome.key) is not None
    assert len(messages) == 1
    assert "this session goes on without it" in messages[0]


def test_listening_changes_no_count(tmp_path):
    with_mirror, _ = finished(tmp_path / "a", MlflowMirror(tmp_path / "a", print))
    without, _ = finished(tmp_path / "b", make_session(tmp_path / "b").tracker)
    assert with_mirror.key == without.key
    assert with_mirror.result.counts.to_json() == without.result.counts.to_json()


def test_flat_joins_names_by_dots():
    assert flat({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
