"""A recipe of several rates, one of which diverges: the others compete, and a resumed run remembers it."""

import dataclasses
import json

import pytest

import benchmarks.execution.execute_run
from benchmarks.divergence import DivergedRate
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.run_status import run_status
from benchmarks.execution.runner import execute
from benchmarks.export.load_run import load_run
from benchmarks.results.failed_run import FailedRun, read_failed_runs
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from tests.benchmarks.prepared import TINY, Watcher, make_session, tiny_run

TOO_HIGH = 1e30
TWO = dataclasses.replace(TINY, rates=(TOO_HIGH, 1e-3))
LOST = DivergedRate(TOO_HIGH, 1, "training")


def resolved(session, recipe):
    [item] = resolve_all([tiny_run(recipe=recipe)], session)
    return item


def finished(home, recipe, **options):
    session = make_session(home, **options)
    return execute(resolved(session, recipe), session), session


def test_a_rate_that_diverges_leaves_the_choice_to_the_others(tmp_path):
    """The whole run failed: "the loss became nan (training) in epoch 1", and no result was stored."""
    outcome, session = finished(tmp_path / "two", TWO)
    alone, _ = finished(tmp_path / "one", dataclasses.replace(TINY, rates=(1e-3,)))
    assert (outcome.status, outcome.reason) == ("trained", "")
    assert outcome.result.diverged == (LOST,)
    assert outcome.result.counts.to_json() == alone.result.counts.to_json()
    assert [note for note in session.observer.notes if "the other rates go on without it" in note]
    assert Result.from_json(json.loads(json.dumps(outcome.result.to_json()))).diverged == (LOST,)
    assert "diverged" not in alone.result.to_json()


def test_the_parameters_of_a_diverged_rate_are_never_loaded(tmp_path):
    """A rate that diverges late may have had the lowest loss of all before: NotTrained, or its network was exported."""
    outcome, session = finished(tmp_path, TWO)
    network = load_run(session.home, outcome.key)
    assert all(parameter.isfinite().all() for parameter in network.net.parameters())


def test_a_resumed_run_remembers_a_diverged_rate(tmp_path, monkeypatch):
    trained = []
    train = benchmarks.execution.execute_run.train

    def counted(net, recipe, rate, *arguments, **options):
        trained.append(rate)
        return train(net, recipe, rate, *arguments, **options)

    monkeypatch.setattr(benchmarks.execution.execute_run, "train", counted)
    straight, _ = finished(tmp_path / "straight", TWO)
    session = make_session(tmp_path / "broken")
    session.observer.on_epoch = lambda metrics: setattr(session.stop, "signal", "SIGTERM")
    assert execute(resolved(session, TWO), session).status == "interrupted"
    trained.clear()
    outcome, _ = finished(tmp_path / "broken", TWO, observer=Watcher())
    assert outcome.status == "resumed"
    assert trained == [1e-3]
    assert outcome.result.diverged == straight.result.diverged
    assert outcome.result.counts.to_json() == straight.result.counts.to_json()
    assert [epoch["val_loss"] for epoch in outcome.result.history] == [
        epoch["val_loss"] for epoch in straight.result.history
    ]


def test_a_damaged_note_trains_the_rate_again_and_says_so(tmp_path):
    session = make_session(tmp_path)
    item = resolved(session, TWO)
    folder = session.store.work(item.key) / "rate-1e+30"
    folder.mkdir(parents=True)
    (folder / "diverged.json").write_text('{"rate": "x", "epoch": 1, "phase": "training"}')
    assert execute(item, session).result.diverged == (LOST,)
    assert any("diverged.json cannot be read (ValueError): this rate is trained again" in note
               for note in session.observer.notes)  # fmt: skip


@pytest.mark.parametrize("rates", [(TOO_HIGH,), (TOO_HIGH, 2e30)], ids=["its only rate", "all rates"])
def test_a_run_all_of_whose_rates_diverge_is_diverged(tmp_path, rates):
    """Its note held a sentence alone: no report could tell which row it was missing from, nor that it diverged."""
    outcome, session = finished(tmp_path, dataclasses.replace(TINY, rates=rates))
    assert (outcome.status, [lost.rate for lost in outcome.diverged]) == ("failed", list(rates))
    (failed,) = read_failed_runs(tmp_path)
    assert isinstance(failed, FailedRun)
    assert (failed.key, failed.state, failed.diverged) == (outcome.key, "diverged", outcome.diverged)
    assert failed.identity == resolved(session, dataclasses.replace(TINY, rates=rates)).identity()
    assert failed.data_description.startswith("synthetic")
    status = run_status(session.store, outcome.key)
    assert status.state == "diverged"  # it was "failed", as is a run whose data or memory failed
    assert (status.name.title, status.name.recipe) == ("UNet · 4", "tiny")


def test_a_failure_is_remembered_while_it_is_tried_again(tmp_path):
    """The next try forgot it at its start: stopped before its end, it left no word of the failure."""
    session = make_session(tmp_path)
    bad = resolved(session, dataclasses.replace(TINY, crop=96))
    execute(bad, session)
    (failed,) = read_failed_runs(tmp_path)
    assert (failed.state, failed.key) == ("failed", bad.key)
    from benchmarks.execution.run_status import StatusFiles

    StatusFiles(session.store.work(bad.key)).claim()
    assert [again.key for again in read_failed_runs(tmp_path)] == [bad.key]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"identity": None}, "a part is missing"),
        ({"key": "deepglobe-unet-0000000000"}, "does not belong to its identity"),
        ({"diverged": [{"rate": float("nan"), "epoch": 1, "phase": "training"}]}, "expected a positive number"),
        ({"diverged": [{"rate": 1, "epoch": 0, "phase": "training"}]}, "expected a whole number from 1"),
        ({"diverged": [{"rate": 1, "epoch": 1, "phase": "\\input"}]}, "expected one of training"),
        ({"reason": 5}, "a part is missing or malformed"),
        ({"when": "| x"}, "expected a time"),
        ({"data": []}, "found a list"),
    ],
)
def test_a_foreign_note_is_checked_before_anything_uses_it(tmp_path, change, fault):
    session = make_session(tmp_path)
    item = resolved(session, dataclasses.replace(TINY, crop=96))
    execute(item, session)
    path = session.store.work(item.key) / "failure.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (damaged,) = read_failed_runs(tmp_path)
    assert isinstance(damaged, ResultDamaged)
    assert fault in str(damaged)


def test_a_reason_is_one_printable_line_when_it_is_read(tmp_path):
    session = make_session(tmp_path)
    item = resolved(session, dataclasses.replace(TINY, crop=96))
    execute(item, session)
    path = session.store.work(item.key) / "failure.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reason": "a\n\x1b[31mb" + "c" * 9999}))
    (failed,) = read_failed_runs(tmp_path)
    assert failed.reason.startswith("a [31mbccc")
    assert len(failed.reason) < 310
