"""Runs on a Ray cluster of this machine give what they give at home, whatever happens to nodes and workers."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import pytest
from rich.console import Console

from benchmarks.console.live_table import LiveTable
from benchmarks.execution.plan import plan, resolve_all
from benchmarks.execution.process_pool import execute_in_processes
from benchmarks.execution.run_status import StatusFiles
from benchmarks.execution.runner import execute_all
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE1
from data_prep.manifest_file import load_manifest, save_manifest
from rssam.config import RSSAM
from rssam.errors import UserError
from tests.benchmarks.prepared import LORA, TINY, Watcher, make_session, tiny_run
from tests.conftest import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    # Not importorskip, which imports it in each worker that collects this file.
    pytest.mark.skipif(find_spec("ray") is None, reason='Ray is an extra: pip install "ray>=2.40"'),
]

LONG = dataclasses.replace(TINY, epochs=6)
BASELINE = RSSAM("vit_t", "scratch", mff=False, mhff=False)


@pytest.fixture
def cluster(monkeypatch):
    """Three nodes of one core; they import the packages of this repository, and use one thread as the local runs do."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    from ray.cluster_utils import Cluster

    from benchmarks.execution import ray_cluster

    # Ray's nodes have this machine's own address, which the guard that keeps tests offline takes for another's
    monkeypatch.setattr(ray_cluster, "_require_answer", lambda address: None)
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.others = [nodes.add_node(**node) for _ in range(2)]
    nodes.wait_for_nodes()
    yield nodes
    nodes.shutdown()


def on_ray(cluster, runs, session):
    from benchmarks.execution.ray_cluster import open_cluster
    from benchmarks.execution.ray_executor import execute_on_ray

    with open_cluster(cluster.address, "auto") as device:
        assert device == "cpu"
        return execute_on_ray(resolve_all(runs, session), session, LiveTable(Console(file=sys.stderr)))


def same_results(outcomes, expected):
    """Counts, native counts and history, without the seconds."""

    def plain(outcome):
        raw = outcome.result.to_json()
        history = [{**epoch, "seconds": 0} for epoch in raw["history"]]
        return raw["key"], raw["images"], raw["counts"], raw["native_counts"], raw["best_epoch"], history

    return [plain(item) for item in outcomes] == [plain(item) for item in expected]


def holder(session, key):
    """The note of the process that has a run, once there is one with a checkpoint."""
    notes = StatusFiles(session.store.work(key))
    until = time.monotonic() + 120
    while not (notes.begun() and notes.held()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return json.loads((notes.folder / "holder.json").read_text())


def node_of(process, cluster):
    """The node, not the head, whose raylet is the ancestor of that process; None if it works on the head."""
    import psutil

    ancestors = {parent.pid for parent in psutil.Process(process).parents()}
    for node in cluster.others:
        raylets = node.all_processes["raylet"]
        if ancestors & {item.process.pid for item in raylets}:
            return node
    return None


def test_a_node_is_killed_in_the_middle(tmp_path, cluster):
    runs = [tiny_run(LORA, LONG, seed=seed) for seed in range(3)] + [tiny_run(BASELINE, LONG, seed=7)]
    broken = dataclasses.replace(tiny_run(LORA), recipe=dataclasses.replace(TINY, crop=96))
    watcher = Watcher()
    session = make_session(tmp_path / "ray", observer=watcher)
    keys = [item.key for item in resolve_all(runs, session)]
    killed = []

    def kill_a_node():
        while not killed:
            for key in keys[:3]:
                process = holder(session, key)["pid"]
                node = node_of(process, cluster)
                if node is not None:
                    cluster.remove_node(node, allow_graceful=False)
                    killed.append((key, process))
                    return

    threading.Thread(target=kill_a_node, daemon=True).start()
    outcomes = on_ray(cluster, [*runs, broken], session)
    alone = make_session(tmp_path / "alone")
    expected = execute_all(resolve_all(runs, alone), alone)
    ((key, process),) = killed
    lost = [text for text in watcher.notes if "lost" in text]
    assert lost
    assert lost[0].startswith(f"{key}: lost process {process} on ")
    assert "try 1 of 3" in lost[0]
    assert same_results(outcomes[:-1], expected)
    assert outcomes[keys.index(key)].status == "resumed"
    assert (outcomes[-1].status, "do not tile" in outcomes[-1].reason) == ("failed", True)
    assert len(watcher.outcomes) == len(runs) + 1
    again = on_ray(cluster, runs, make_session(tmp_path / "ray"))
    assert [item.status for item in again] == ["cached"] * len(runs)


def test_the_smoke_plan_of_table_1_outlives_a_node(tmp_path, cluster):
    """The eleven systems under the true profile: a node is lost with a run that has saved some steps."""
    home = tmp_path / "ray"
    prepare = [sys.executable, "-m", "benchmarks.cli", "--home", str(home), "prepare", "deepglobe", "--synthetic", "12"]
    subprocess.run(prepare, cwd=REPOSITORY, check=True, capture_output=True)
    shutil.copytree(home / "data", tmp_path / "alone" / "data")
    runs = plan([TABLE1], Setting("smoke", None, None, None), [0], 0, 1)
    assert len(runs) == 11
    watcher = Watcher()
    session = make_session(home, observer=watcher, save_every=3.0)
    keys = [item.key for item in resolve_all(runs, session)]
    killed = []

    def kill_a_node():
        while len(list(session.store.results.glob("*.json"))) < 2:
            time.sleep(0.1)
        while not killed:
            time.sleep(0.05)
            for key in keys:
                notes = StatusFiles(session.store.work(key))
                if session.store.path(key).exists() or not (notes.begun() and notes.held()):
                    continue
                process = json.loads((notes.folder / "holder.json").read_text())["pid"]
                if (node := node_of(process, cluster)) is not None:
                    cluster.remove_node(node, allow_graceful=False)
                    killed.append((key, process))
                    break

    threading.Thread(target=kill_a_node, daemon=True).start()
    outcomes = on_ray(cluster, runs, session)
    ((key, process),) = killed
    assert [text.startswith(f"{key}: lost process {process} on ") for text in watcher.notes if "lost" in text] == [True]
    statuses = {item.key: item.status for item in outcomes}
    assert (len(statuses), statuses.pop(key), set(statuses.values())) == (11, "resumed", {"trained"})
    alone = make_session(tmp_path / "alone")
    expected = execute_in_processes(resolve_all(runs, alone), alone, os.cpu_count() or 1)  # with one thread each
    assert same_results(outcomes, expected)


def test_asked_to_stop_every_run_saves(tmp_path, cluster):
    """And those that had not begun have no outcome. Ray's own way of cancelling once left nothing saved."""
    runs = [tiny_run(LORA, dataclasses.replace(TINY, epochs=500), seed=seed) for seed in range(5)]
    session = make_session(tmp_path)
    keys = [item.key for item in resolve_all(runs, session)]

    def stop():
        for key in keys[:3]:
            holder(session, key)
        session.stop.signal = "SIGINT"

    threading.Thread(target=stop, daemon=True).start()
    outcomes = on_ray(cluster, runs, session)
    assert [item.status for item in outcomes] == ["interrupted"] * 3
    assert all(item.reason == "stopped by SIGINT; what was done is saved" for item in outcomes)
    for item in outcomes:
        assert (session.store.work(item.key) / "last.safetensors").is_file()
        assert not StatusFiles(session.store.work(item.key)).held()
    assert {item.key for item in outcomes} == set(keys[:3])


def test_a_worker_that_always_dies_is_given_up(tmp_path, cluster):
    watcher = Watcher()
    session = make_session(tmp_path, observer=watcher)
    run = tiny_run(LORA, dataclasses.replace(TINY, epochs=500))
    (item,) = resolve_all([run], session)
    ended = threading.Event()

    def kill():
        seen = set()
        while not ended.is_set():
            process = holder(session, item.key)["pid"]
            if process not in seen:
                seen.add(process)
                os.kill(process, signal.SIGKILL)
            time.sleep(0.05)

    threading.Thread(target=kill, daemon=True).start()
    (outcome,) = on_ray(cluster, [run], session)
    ended.set()
    assert outcome.status == "failed"
    assert "its worker was lost 4 times" in outcome.reason
    assert len([text for text in watcher.notes if "lost" in text]) == 3


def test_data_that_differ_on_the_node_are_not_trained_on(tmp_path, cluster):
    """The result would bear the digest of the data where the command was given."""
    session = make_session(tmp_path)
    run = tiny_run(LORA)
    resolved = resolve_all([run], session)
    folder = session.data_folder("deepglobe")
    manifest = load_manifest(folder, "deepglobe")
    changed = dataclasses.replace(manifest.entries[0], source_mask_sha256="0" * 64)
    save_manifest(folder, dataclasses.replace(manifest, entries=(changed, *manifest.entries[1:])))
    from benchmarks.execution.ray_cluster import open_cluster
    from benchmarks.execution.ray_executor import execute_on_ray

    with open_cluster(cluster.address, "cpu"):
        (outcome,) = execute_on_ray(resolved, session, LiveTable(Console(file=sys.stderr)))
    assert outcome.status == "failed"
    assert "differs from the data set where the command was given" in outcome.reason


def test_what_no_node_can_take_is_said_at_once(tmp_path, cluster):
    from benchmarks.execution.ray_cluster import open_cluster

    session = make_session(tmp_path, workers=64)
    with pytest.raises(UserError, match="a run needs 65 CPU and 66 GiB of memory, and no node"):
        on_ray(cluster, [tiny_run(LORA)], session)
    with pytest.raises(UserError, match="no node of the Ray cluster has a GPU"), open_cluster(cluster.address, "cuda"):
        pass


def test_no_cluster_there():
    from benchmarks.execution.ray_cluster import open_cluster

    with pytest.raises(UserError, match=r"refused.*ray start --head"), open_cluster("127.0.0.1:1", "auto"):
        pass


def test_needs_grow_with_the_processes_that_read():
    from benchmarks.execution.ray_cluster import GIB, Reservation, reservation

    assert reservation("cuda", 2) == Reservation(1, 3, 8 * GIB)
    assert reservation("cpu", 0).gpus == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_to_the_whole_group(tmp_path, number):
    """As terminals and schedulers send it: Ray's own processes must outlive it until the runs have saved."""
    session = make_session(tmp_path)
    arguments = ["reproduce", "table5", "--profile", "smoke", "--executor", "ray", "--device", "cpu", "--no-track"]
    recipe = 'dataclasses.replace(TINY, name="smoke", epochs=500)'
    code = (
        "import dataclasses\nfrom benchmarks.cli import app as cli\nfrom benchmarks.protocol import recipe as recipes\n"
        "from tests.benchmarks.prepared import TINY\n"
        f"recipes.PROFILES['smoke'] = dataclasses.replace(recipes.PROFILES['smoke'], recipe={recipe})\n"
        "cli.main()"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code, "--home", str(session.home), *arguments],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (begun := [folder for folder in session.home.glob("runs/*") if StatusFiles(folder).begun()]):
        assert time.monotonic() < until
        assert command.poll() is None, command.stdout.read()
        time.sleep(0.1)
    os.killpg(command.pid, number)
    said, _ = command.communicate(timeout=120)
    assert command.returncode == 1
    assert f"{number.name}: the step is finished and saved" in said
    assert f"stopped: {begun[0].name}: stopped by SIGINT; what was done is saved" in said
    assert "go on with: rssam-bench" in said
    assert "Traceback" not in said
    assert not [folder for folder in session.home.glob("runs/*") if StatusFiles(folder).held()]
