"""Who has a run, how far it is and why it failed; locks that outlive no process; signals that save."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

import benchmarks.execution.execute_run
from baselines.unet import UNet
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.run_status import Progress, ProgressWriter, StatusFiles, duration, run_status
from benchmarks.execution.runner import execute, execute_all
from benchmarks.inventory import by_state, planned_statuses, run_statuses
from benchmarks.signals import Stop, handle_signals
from data_prep.errors import DataError
from rssam.config import RSSAM
from tests.benchmarks.prepared import LORA, TINY, Watcher, make_session, tiny_run
from tests.benchmarks.processes import FORKSERVER, outcome_of, train_killed
from tests.conftest import REPOSITORY

ONE = dataclasses.replace(TINY, epochs=1)
OTHER = UNet(8)


def resolved(session, *runs):
    return resolve_all(list(runs) or [tiny_run()], session)


def hold(home, key, ready, leave):
    session = make_session(home)
    with session.store.lock(key):
        StatusFiles(session.store.work(key)).claim()
        ready.set()
        leave.wait(60)


@pytest.fixture
def held(tmp_path):
    """Another living process has the run: (session, resolved run, process, event that lets it go)."""
    session = make_session(tmp_path)
    [item] = resolved(session, tiny_run(recipe=ONE))
    ready, leave = FORKSERVER.Event(), FORKSERVER.Event()
    child = FORKSERVER.Process(target=hold, args=(tmp_path, item.key, ready, leave))
    child.start()
    assert ready.wait(60)
    yield session, item, child, leave
    if child.is_alive():  # an event waits for all who wait for it, a killed one for ever
        leave.set()
    child.join(20)


def test_steps_that_float16_left_out_are_said(tmp_path):
    session = make_session(tmp_path, precision_choice="fp16")
    [item] = resolved(session, tiny_run(recipe=ONE))
    writer = ProgressWriter(StatusFiles(session.store.work(item.key)), 1, "cpu")
    writer.overflows = 2
    writer.step(1, 1, 3, 3)
    said = "; 2 steps overflowed and were left out"
    assert StatusFiles(session.store.work(item.key)).progress().text.endswith(said)
    result = execute(item, session).result
    assert "2 steps" not in run_status(session.store, item.key).text
    assert "overflows" not in run_status(session.store, item.key).to_json()
    (epoch,) = result.history
    assert epoch["overflows"] == 0
    session.store.put(dataclasses.replace(result, history=({**epoch, "overflows": 2.0},)))
    assert run_status(session.store, item.key).text.endswith(said)
    assert run_status(session.store, item.key).to_json()["overflows"] == 2


def test_a_second_process_leaves_it_for_last_and_says_who(held):
    session, item, child, leave = held
    other = resolved(session, tiny_run(OTHER, ONE))[0]
    end = session.observer.end

    def let_go(outcome):
        end(outcome)
        leave.set()

    session.observer.end = let_go  # once the other run is done
    outcomes = execute_all([item, other], session)
    assert [outcome.status for outcome in outcomes] == ["trained", "trained"]
    assert [outcome.key for outcome in session.observer.outcomes] == [other.key, item.key]
    assert f"{item.key}: process {child.pid} on {os.uname().nodename} since " in session.observer.notes[0]


def test_the_state_is_running_and_a_look_changes_nothing(held):
    session, item, child, _ = held
    before = sorted(path.name for path in session.store.work(item.key).iterdir())
    found = run_status(session.store, item.key)
    assert (found.state, f"process {child.pid} on" in found.who) == ("running", True)
    assert sorted(path.name for path in session.store.work(item.key).iterdir()) == before


def test_a_killed_holder_holds_nothing(held):
    """Its note with the process number stays; the lock does not."""
    session, item, child, _ = held
    child.kill()
    child.join()
    assert (session.store.work(item.key) / "holder.json").is_file()
    assert run_status(session.store, item.key).state == "missing"
    assert execute(item, session).status == "trained"
    assert session.observer.notes == []
    assert not (session.store.work(item.key) / "holder.json").exists()


def test_waiting_ends_when_asked_to_stop(held):
    session, item, *_ = held
    threading.Timer(0.2, lambda: setattr(session.stop, "signal", "SIGTERM")).start()
    assert execute(item, session).status == "interrupted"


def test_a_failure_is_noted_in_the_work_folder_and_forgotten_on_success(tmp_path):
    session = make_session(tmp_path)
    [bad] = resolved(session, tiny_run(recipe=dataclasses.replace(ONE, crop=96)))
    execute(bad, session)
    found = run_status(session.store, bad.key)
    assert (found.state, "do not tile" in found.reason) == ("failed", True)
    assert not list(session.store.results.glob("*"))
    [good] = resolved(session, tiny_run(recipe=ONE))
    session.note_failure(good, "once")
    assert run_status(session.store, good.key).state == "failed"
    assert execute(good, session).status == "trained"
    assert run_status(session.store, good.key).state == "finished"
    states = by_state(run_statuses(tmp_path))
    assert {state: len(runs) for state, runs in states.items() if runs} == {"failed": 1, "finished": 1}
    json.dumps(states)


def test_what_nobody_foresaw_stops_one_run_only(tmp_path, monkeypatch):
    session = make_session(tmp_path)
    runs = resolved(session, tiny_run(recipe=ONE), tiny_run(OTHER, ONE))
    train = benchmarks.execution.execute_run.train

    def broken(net, *arguments, **options):
        if len(session.observer.outcomes) == 0:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied\nand more")
        return train(net, *arguments, **options)

    monkeypatch.setattr(benchmarks.execution.execute_run, "train", broken)
    outcomes = execute_all(runs, session)
    assert [outcome.status for outcome in outcomes] == ["failed", "trained"]
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied. This was not foreseen" in outcomes[0].reason
    assert "and more" not in outcomes[0].reason
    trace = json.loads((session.store.work(runs[0].key) / "failure.json").read_text())["traceback"]
    assert "in broken" in trace


@pytest.mark.parametrize("times", [1, 2])
def test_too_little_gpu_memory(tmp_path, monkeypatch, times):
    """Once: a second try with activation checkpointing gives the counts of an undisturbed run. Twice: it says so."""
    train, calls = benchmarks.execution.execute_run.train, []

    def short_of_memory(net, *arguments, **options):
        calls.append(net)
        if len(calls) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return train(net, *arguments, **options)

    monkeypatch.setattr(benchmarks.execution.execute_run, "train", short_of_memory)
    session = make_session(tmp_path / "b")
    outcome = execute(resolved(session, tiny_run(LORA, ONE))[0], session)
    assert "Tried to allocate 2.00 GiB.); once more with activation checkpointing" in session.observer.notes[0]
    if times == 2:
        assert (outcome.status, len(calls)) == ("failed", 2)
        assert "a smaller group would be another run" in outcome.reason
        return
    monkeypatch.undo()
    undisturbed = execute(resolved(make_session(tmp_path / "a"), tiny_run(LORA, ONE))[0], make_session(tmp_path / "a"))
    assert outcome.result.counts.to_json() == undisturbed.result.counts.to_json()
    losses = [[epoch["val_loss"] for epoch in ended.result.history] for ended in (outcome, undisturbed)]
    assert losses[0] == losses[1]
    assert outcome.result.provenance["activation_checkpointing"] is True
    assert undisturbed.result.provenance["activation_checkpointing"] is False
    assert "forward" in vars(calls[1].encoder.blocks[0])
    assert "forward" not in vars(calls[0].encoder.blocks[0])


def worker_dies(home, run):
    import psutil

    def step(*_):
        if watcher.outcomes:  # in the first run only
            return
        for child in psutil.Process().children():
            child.kill()

    watcher = Watcher()
    watcher.step = step
    session = make_session(home, observer=watcher, workers=1)
    outcomes = execute_all(resolve_all([run, tiny_run(OTHER, ONE)], session), session)
    (home / "outcomes.json").write_text(json.dumps([(outcome.status, outcome.reason) for outcome in outcomes]))


def test_a_dead_data_worker(tmp_path):
    """Killed, as by a machine short of memory: a sentence, and the next run of the plan is trained."""
    run = tiny_run(recipe=dataclasses.replace(TINY, batch=2, epochs=1))
    make_session(tmp_path)
    assert outcome_of(worker_dies, tmp_path, run) == 0
    (status, reason), (other, _) = json.loads((tmp_path / "outcomes.json").read_text())
    assert (status, other) == ("failed", "trained")
    assert "a process that reads images ended abruptly" in reason
    assert "run again, with fewer --workers" in reason


def test_a_bad_image_met_by_a_data_worker_is_one_sentence(tmp_path):
    from benchmarks.training.batches import worker_faults

    with pytest.raises(DataError) as error, worker_faults(Stop()):
        raise DataError(
            "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File x\n"
            "data_prep.errors.DataError: a.png cannot be read.\n"
        )
    assert str(error.value) == "a.png cannot be read."


def test_signals_are_heeded_once_and_handed_back():
    stop, said = Stop(), []
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with handle_signals(stop, said.append):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler that signals the group and the process
    assert stop.signal == "SIGTERM"
    assert len(said) == 1
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_stopping_saves_the_step_and_begins_no_further_run(tmp_path):
    """In the middle of an epoch; the run goes on from the step and ends as one that was never stopped."""
    straight = make_session(tmp_path / "a")
    wanted = execute(resolved(straight)[0], straight).result
    session = make_session(tmp_path / "b")
    steps = []

    def step(*place):
        steps.append(place)
        session.stop.signal = "SIGINT"

    session.observer.step = step
    runs = resolved(session, tiny_run(), tiny_run(OTHER, ONE))
    [outcome] = execute_all(runs, session)
    assert (outcome.status, len(steps)) == ("interrupted", 1)
    assert run_status(session.store, runs[0].key).state == "begun"
    again = make_session(tmp_path / "b")
    finished = execute(runs[0], again)
    assert finished.status == "resumed"
    assert finished.result.counts.to_json() == wanted.counts.to_json()


@pytest.mark.parametrize("moment", ["validation", "test"])
def test_stopping_while_evaluating_loses_no_step(tmp_path, moment, monkeypatch):
    session = make_session(tmp_path)
    if moment == "test":
        session.observer.testing = lambda *_: setattr(session.stop, "signal", "SIGTERM")
    else:
        import benchmarks.training.loop

        validate = benchmarks.training.loop.validation_loss

        def stopped(*arguments):
            session.stop.signal = "SIGTERM"
            return validate(*arguments)

        monkeypatch.setattr(benchmarks.training.loop, "validation_loss", stopped)
    [item] = resolved(session)
    assert execute(item, session).status == "interrupted"
    monkeypatch.undo()
    watcher = Watcher()
    steps = []
    watcher.step = lambda *place: steps.append(place)
    again = make_session(tmp_path, observer=watcher)
    assert execute(item, again).status == "resumed"
    assert len(steps) == (0 if moment == "test" else 3)  # of two epochs of three steps: the first epoch's are kept


def test_half_written_files_of_a_killed_run_are_removed(tmp_path):
    session = make_session(tmp_path)
    [item] = resolved(session, tiny_run(recipe=ONE))
    left = [
        session.store.results / f".{item.key}.json.abc.tmp",
        session.store.work(item.key) / ".last.safetensors.abc.tmp",
    ]
    other = session.store.results / ".deepglobe-unet-0123456789.json.abc.tmp"
    for path in (*left, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    execute(item, session)
    assert not any(path.exists() for path in left)
    assert other.exists()  # another process may be writing it


def test_progress_tells_time_left(tmp_path, monkeypatch):
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    notes = StatusFiles(tmp_path)
    writer = ProgressWriter(notes, candidates=2, device="cpu")
    writer.candidate = 1
    for step in (1, 2, 3):
        writer.step(1, 5, step, 10)
    found = notes.progress()
    # 3 of 50 steps of the second of two: 53 hundredths; a step takes 10 s, 47 are left
    assert found.done == pytest.approx(0.53)
    assert found.seconds_left == pytest.approx(470)
    assert found.text == "epoch 1 of 5, step 3 of 10, 7 min 50 s left"
    (tmp_path / "progress.json").write_text('{"what": "half of')
    assert notes.progress() is None


def test_lengths_of_time():
    found = [duration(seconds) for seconds in (9.6, 61, 3600 * 2 + 60 * 5, 86400 * 3 + 3600 * 4)]
    assert found == ["10 s", "1 min 1 s", "2 h 5 min", "3 d 4 h"]


def test_states_of_a_plan(tmp_path):
    session = make_session(tmp_path)
    done, begun, missing = tiny_run(recipe=ONE), tiny_run(OTHER), tiny_run(OTHER, ONE)
    lacking = dataclasses.replace(missing, model=RSSAM())
    execute(resolved(session, done)[0], session)
    assert outcome_of(train_killed, tmp_path, begun, {"epochs": 1}) == -9
    found = planned_statuses([done, begun, missing, lacking], session)
    assert [item.state for item in found] == ["finished", "begun", "missing", "missing"]
    assert "prepare weights vit_b" in found[3].reason
    assert isinstance(found[1].progress, Progress)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home with four images to train on, one to validate on and one to test on."""
    home = tmp_path_factory.mktemp("prepared")
    prepare = [sys.executable, "-m", "benchmarks.cli", "--home", str(home), "prepare", "deepglobe"]
    subprocess.run([*prepare, "--synthetic", "6"], cwd=REPOSITORY, check=True, capture_output=True)
    return home


def start(home, *arguments):
    """The first and the fourth of the five runs."""
    command = [sys.executable, "-m", "benchmarks.cli", "--home", home, "reproduce", "table5", "--profile", "smoke"]
    return subprocess.Popen(
        [*map(str, command), "--no-track", "--part", "1/3", *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("group", [False, True], ids=["alone", "group"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_from_outside(tmp_path, prepared, jobs, group):
    """SIGTERM to the command alone, and to all its processes: all save, it exits with 1 and says how to go on."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    options = ("--jobs", jobs, "--workers", "1" if group else "0")
    child = start(tmp_path, *options)
    while len(list(tmp_path.glob("runs/*/progress.json"))) < int(jobs):
        assert child.poll() is None, child.communicate()
        time.sleep(0.1)
    if group:
        os.killpg(child.pid, signal.SIGTERM)
    else:
        child.terminate()
    output, errors = child.communicate(timeout=120)
    assert child.returncode == 1
    assert "SIGTERM: " in errors
    assert ("at work finish their step" in errors) == (jobs == "2")
    assert output.count("interrupted: stopped by SIGTERM; what was done is saved") == int(jobs)
    assert f"go on with: rssam-bench --home {tmp_path} reproduce table5 --profile smoke" in output
    assert len(list(tmp_path.glob("runs/*/last.safetensors"))) == int(jobs)
    again = start(tmp_path, *options)
    output, errors = again.communicate(timeout=1200)
    assert again.returncode == 0, errors
    assert output.count("resumed: Dice") == int(jobs)


@pytest.mark.parametrize(
    "broken", [ConnectionResetError(104, "Connection reset by peer"), EOFError(), FileNotFoundError(2, "gone")]
)
def test_a_worker_that_dies_while_it_sends(broken, monkeypatch):
    """Where the connection broke before the signal came, the reason was "Connection reset by peer" and no remedy."""
    from benchmarks.training import batches as module
    from benchmarks.training.batches import DataWorkerDied, _raise_as_dataloader, worker_faults

    monkeypatch.setattr(module, "SIGNAL_COMES", 0.0)  # none does

    def batches():
        yield "first"
        raise broken

    told = _raise_as_dataloader(batches())
    assert next(told) == "first"
    with pytest.raises(DataWorkerDied, match="run again, with fewer --workers"), worker_faults(Stop()):
        next(told)
