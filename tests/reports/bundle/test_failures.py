"""Runs without a result, diverged rates and mixed software travel in a bundle, and are checked there."""

import json
import zipfile
from dataclasses import replace

import pytest

from benchmarks.divergence import DivergedRate
from benchmarks.results.failed_run import FailedRun, read_failed_runs
from benchmarks.results.store import Store
from reports.bundle.failures import diverged_rates
from reports.bundle.files import README
from reports.bundle.publish import publish
from reports.bundle.verify import check
from reports.select.results import collect
from reports.tables.frames import table_frames
from tests.reports.bundle.test_publish import SMOKE, change, home, seal  # noqa: F401  (a fixture)
from tests.reports.fabricate import TABLE5, fabricate, row_run

LOST = DivergedRate(3e-4, 1, "training")


def lost(home, index, seed, **changes):  # noqa: F811
    """A run beside the results of `home`, on their data."""
    result = next(Store(home).results.glob("*.json"))
    identity = json.loads(result.read_text())["identity"]
    data = json.loads(result.read_text())["data"]
    run = SMOKE.run(TABLE5.rows[index].model, "deepglobe", seed, 0)
    own = {**identity, **run.declared()}
    failed = FailedRun(own, "", "2025-02-03T04:05:06+00:00", (), {**data}, {})
    return replace(failed, **changes)


@pytest.fixture
def bundle(home, tmp_path):  # noqa: F811
    """The bundle of a home with one row diverged and one failed, unpacked."""
    runs = lost(home, 0, 1, diverged=(LOST,)), lost(home, 4, 1, reason="no space left for /data/someone/x")
    for failed in runs:
        path = home / "runs" / failed.key / "failure.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**failed.to_json(), "traceback": "/home/someone/secret.py"}))
    path = next(Store(home).results.glob("*.json"))
    raw = json.loads(path.read_text())
    raw["provenance"] |= {"compiled": True, "devices": 2}
    path.write_text(json.dumps(raw))
    publish(["table5"], tmp_path / "bundle.zip", home)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_carries_what_has_no_result(bundle):
    """A bundle held results alone: its README gave the mean of the survivors, and verify had no problem with it."""
    (made_up,) = check(bundle).problems  # of the fixture alone: a smoke batch is one group
    assert "its 2 devices cannot share the 1 groups of a batch" in made_up
    assert sorted(failed.state for failed in read_failed_runs(bundle)) == ["diverged", "failed"]
    readme = (bundle / README).read_text()
    assert "2 runs diverged or failed and have no result (`runs/`): the rows below say so." in readme
    assert "| 1 of 2 runs, 1 diverged |" in readme
    assert "| 0 of 1 run, 1 failed |" in readme
    assert "1 of 2 runs, 1 diverged (split seed 0 with seed 1: no finite loss in epoch 1 at rate 0.0003" in readme
    (frame,) = table_frames(TABLE5, collect(bundle, None), SMOKE)
    assert frame.rows["state"].tolist()[:5] == ["diverged", "done", "done", "not run", "failed"]
    assert '"1 of 2 runs, 1 diverged"' in (bundle / "tables" / "table5.csv").read_text()


def test_the_readme_says_below_the_table_what_was_made_otherwise(bundle):
    """`compiled` was left out of a bundle, and what differs stood at its head alone, without a row's name."""
    readme = (bundle / README).read_text()
    assert "Not all made alike, which may move numbers: " in readme
    assert "on 2 devices (dropout then draws other numbers), compiled; all other runs on one device, not compiled." in (
        readme
    )


def test_reasons_with_a_path_and_tracebacks_stay_at_home(bundle):
    texts = [path.read_text() for path in bundle.glob("runs/*/failure.json")]
    assert any("not published: it names a path" in text for text in texts)
    assert not any("someone" in text or "traceback" in text for text in texts)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda raw: raw["diverged"][0].update(rate=0.5), "the rate 0.5 diverged, and is none of its recipe"),
        (lambda raw: raw["diverged"][0].update(epoch=9), "diverged in epoch 9, its recipe has 1"),
        (lambda raw: raw["diverged"].append(dict(raw["diverged"][0])), "a rate diverged twice"),
        (lambda raw: raw["diverged"][0].update(rate="1"), "expected a positive number"),
        (lambda raw: raw["identity"].update(seed=7), "does not belong to its identity"),
        (lambda raw: raw.pop("when"), "a part is missing or malformed"),
        (lambda raw: raw["identity"]["recipe"].update(epochs=2), "does not belong to its identity"),
    ],
)
def test_each_change_of_a_failure_is_found(bundle, edit, words):
    (name,) = [
        path.relative_to(bundle).as_posix()
        for path in bundle.glob("runs/*/failure.json")
        if json.loads(path.read_text())["diverged"]
    ]
    change(bundle, name, edit)
    assert any(words in problem for problem in check(bundle).problems), check(bundle).problems


def test_a_failure_that_is_taken_away_or_has_a_result_is_found(bundle):
    path = sorted(bundle.glob("runs/*/failure.json"))[0]
    content = path.read_text()
    path.unlink()
    seal(bundle)
    assert any("README.md: line" in problem for problem in check(bundle).problems)
    path.write_text(content)
    result = sorted(bundle.glob("results/*.json"))[0]
    (bundle / "runs" / result.stem).mkdir()
    raw = {**json.loads(content), "key": result.stem, "identity": json.loads(result.read_text())["identity"]}
    (bundle / "runs" / result.stem / "failure.json").write_text(json.dumps({**raw, "diverged": []}))
    seal(bundle)
    assert any("the same run has a result" in problem for problem in check(bundle).problems)


@pytest.mark.parametrize(
    ("diverged", "words"),
    [
        ((replace(LOST, rate=1.0),), "is none of its recipe"),
        ((LOST,), "all rates of its recipe diverged, and still it has a result"),
    ],
)
def test_a_result_names_only_rates_that_left_others(diverged, words):
    found = list(diverged_rates(fabricate(row_run(0, SMOKE), diverged=diverged)))
    assert any(words in fault for fault in found)
