"""Twenty kills over prepare, training, every kind of writing and report, and then the table of an undisturbed run."""

import dataclasses
import json
import os
import random
import signal
import sys

import pytest

from benchmarks.protocol import recipe as recipes
from benchmarks.protocol.tables import TABLE5
from benchmarks.results.store import Store
from data_prep.datasets import deepglobe
from data_prep.registry import find_dataset
from data_prep.rules import rule
from data_prep.synthetic.marker import MARKER
from tests.benchmarks.prepared import SIDE
from tests.benchmarks.processes import FORKSERVER, command

KILLS = 40
"""Half at a touch of the home, thirty apart on average; half after at most eight seconds, then fewer."""
SMOKE = dataclasses.replace(recipes.SMOKE, epochs=2, crops=1, crop=SIDE, limit=4)
"""Two epochs, so that there is a checkpoint before the last, of four steps that save 200 MB each."""
STAGES = {
    "prepare": ("prepare", "deepglobe", "--workers", "1"),
    "reproduce": ("reproduce", "table5", "--profile", "smoke", "--device", "cpu", "--no-track", "--save-every", "0.05"),
    "report": ("report", "table5", "--format", "csv"),
}
TOUCHES = {"open", "os.mkdir", "os.remove", "os.rename"}


def shorten():
    """Make the images of this process small, and its training short."""
    recipes.PROFILES["smoke"] = dataclasses.replace(recipes.PROFILES["smoke"], recipe=SMOKE)
    rules = {**deepglobe.READING.rules, "image": rule("block-mean", size=(SIDE, SIDE))}
    deepglobe.READING = dataclasses.replace(deepglobe.READING, rules=rules)
    deepglobe.DeepGlobe.image_size = (SIDE, SIDE)


def live(home, source, stages, touches):
    """Go through the stages; with `touches`, die by SIGKILL at the so-many-th touch of the home folder."""
    shorten()
    left = touches

    def hook(name, arguments):
        nonlocal left
        if name in TOUCHES and str(home) in str(arguments[0]) and ".log" not in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if touches:
        sys.addaudithook(hook)
    for stage in stages:
        options = {"prepare": ("--source", str(source)), "report": ("--out", str(home / "report"))}.get(stage, ())
        code = command(home, home.parent / f"{home.name}.log", *STAGES[stage], *options)
        if code != 0:
            sys.exit(code)


def lived(*arguments, seconds=None):
    """Exit code; after so many seconds it is killed."""
    child = FORKSERVER.Process(target=live, args=arguments)
    child.start()
    child.join(seconds)
    if child.is_alive():
        assert seconds is not None
        child.kill()
        child.join()
    return child.exitcode


def scenes(source, monkeypatch):
    """A source of twelve small invented scenes, taken for a real one."""
    monkeypatch.setattr(deepglobe, "SOURCE_SIDE", 2 * SIDE)
    find_dataset("deepglobe").synthesize(source, 12, 0)
    (source / MARKER).unlink()
    return source


def results(home):
    """What decides a table, by key; and when each file was written."""
    found, written = {}, {}
    for path in sorted((home / "results").glob("*.json")):
        raw = json.loads(path.read_text())
        for name in ("seconds", "peak_memory", "provenance"):
            del raw[name]
        raw["history"] = [{**epoch, "seconds": 0} for epoch in raw["history"]]
        found[path.stem], written[path.stem] = raw, path.stat().st_mtime_ns
    return found, written


def table(home):
    """The report's table without the columns that tell of time."""
    rows = [line.split(",") for line in (home / "report" / "table5.csv").read_text().splitlines()]
    kept = [index for index, name in enumerate(rows[0]) if name not in ("seconds", "finished", "peak_memory")]
    return [[row[index] for index in kept if index < len(row)] for row in rows]


@pytest.mark.slow
def test_forty_kills_then_one_clean_run(tmp_path, monkeypatch):
    seed = int(os.environ.get("RSSAM_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RSSAM_TEST_SEED={seed}")
    chance = random.Random(seed)
    source = scenes(tmp_path / "source", monkeypatch)
    assert lived(tmp_path / "calm", source, list(STAGES), 0, seconds=600) == 0
    wanted, _ = results(tmp_path / "calm")
    assert len(wanted) == len(TABLE5.rows)

    home, kills, through, seen, seconds = tmp_path / "home", 0, 0, {}, 8.0
    (home / "report").mkdir(parents=True)
    while kills < KILLS:
        stages = chance.choice([list(STAGES), ["report"], ["prepare", "reproduce"]]) if seen else list(STAGES)
        touches = 0 if chance.random() < 0.5 else int(chance.expovariate(1 / 30)) + 1
        code = lived(home, source, stages, touches, seconds=chance.uniform(0.03, 1.0) * seconds)
        assert code in (0, -9), (tmp_path / "home.log").read_text()
        kills, through = kills + (code == -9), through + (code == 0)
        seconds *= 0.8 if code == 0 else 1.0  # less is left to do
        found, written = results(home)
        assert seen.items() <= written.items(), "a finished run was trained once more"
        assert all(found[key] == wanted[key] for key in found)
        seen = written
        assert through < KILLS
    assert lived(home, source, list(STAGES), 0, seconds=600) == 0, (tmp_path / "home.log").read_text()
    found, written = results(home)
    assert found == wanted
    assert seen.items() <= written.items()
    assert table(home) == table(tmp_path / "calm")
    assert not list((home / "results").rglob("*.tmp"))
    assert not list((home / "runs").rglob("*.tmp"))
    for key in found:
        with Store(home).lock(key).acquire(timeout=0):
            pass
    said = (tmp_path / "home.log").read_text()
    assert said.count(" trained: ") + said.count(" resumed: ") <= len(wanted)
    print(f"{kills} kills, {through} lives that were through before theirs, {said.count(' resumed: ')} runs resumed")


def reproduce(home, name):
    shorten()
    sys.exit(command(home, home / f"{name}.log", *STAGES["reproduce"]))


@pytest.mark.slow
def test_two_at_once_train_each_run_once(tmp_path, monkeypatch):
    source = scenes(tmp_path / "source", monkeypatch)
    assert lived(tmp_path / "home", source, ["prepare"], 0, seconds=300) == 0
    home = tmp_path / "home"
    children = [FORKSERVER.Process(target=reproduce, args=(home, name)) for name in ("one", "two")]
    for child in children:
        child.start()
    for child in children:
        child.join(600)
    said = {name: (home / f"{name}.log").read_text() for name in ("one", "two")}
    assert [child.exitcode for child in children] == [0, 0], said
    count = len(TABLE5.rows)
    assert sum(text.count(" trained: ") for text in said.values()) == count
    assert sum(text.count(" cached: ") for text in said.values()) == count
    assert any(" has it; it is left for the end of the plan" in text for text in said.values())
    ends = [[line for line in text.splitlines() if not line.startswith(("[", "note: "))] for text in said.values()]
    assert len(ends[0]) > count
    assert ends[0] == ends[1]
