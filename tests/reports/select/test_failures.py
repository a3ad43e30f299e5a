"""Which row a run without a result belongs to, and that none vanishes: not by a version, a commit, or other data."""

import dataclasses
import json
from dataclasses import replace

import pytest

from benchmarks.divergence import DivergedRate
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.store import Store
from reports.select.results import collect
from reports.tables.frames import table_frames
from reports.verdicts.output import verdicts_json
from reports.verdicts.summary import summarize
from tests.reports.fabricate import (
    PART,
    PROVENANCE,
    TABLE5,
    fabricate,
    fabricate_failure,
    fill,
    row_run,
    store_failure,
)

PAPER = Setting("paper")
LOST = (DivergedRate(5e-3, 3, "validation"),)
TABLE1 = TABLES["table1"]


def frames(home, table=TABLE5, setting=PAPER):
    return table_frames(table, collect(home, None), setting)


def test_results_of_another_commit_stand_beside_a_failure(tmp_path):
    """Both replicates that were made after a mend were averaged to 0.765, "2 runs": the one before it was no more."""
    store_failure(tmp_path, fabricate_failure(row_run(4, seed=0, split_seed=0), diverged=LOST))
    fill(tmp_path, [None] * 4 + [0.76], seeds=((1, 1), (2, 2)), provenance={**PROVENANCE, "commit": "later"})
    (frame,) = frames(tmp_path)
    assert (frame.rows["state"][4], frame.rows["runs"][4]) == ("diverged", "2 of 3 runs, 1 diverged")
    assert frame.rows["dice"].isna()[4]


def test_a_replicate_that_has_a_result_did_not_fail(tmp_path):
    run = row_run(4, seed=1, split_seed=1)
    Store(tmp_path).put(fabricate(run, 0.76))
    store_failure(tmp_path, fabricate_failure(run, diverged=LOST))
    (frame,) = frames(tmp_path)
    assert (frame.rows["state"][4], frame.rows["runs"][4]) == ("done", "1")


def test_an_official_split_makes_no_second_replicate_of_a_failure(tmp_path):
    for split_seed in (0, 1):
        store_failure(tmp_path, fabricate_failure(row_run(0, split_seed=split_seed), diverged=LOST, digest="official"))
    Store(tmp_path).put(fabricate(row_run(1, split_seed=1), 0.7, digest="official"))
    store_failure(tmp_path, fabricate_failure(row_run(1, split_seed=2), diverged=LOST, digest="official"))
    (frame,) = frames(tmp_path)
    assert frame.rows["runs"].tolist()[:2] == ["0 of 1 run, 1 diverged", "1"]


@pytest.mark.parametrize("other", [{"data": PART}, {"precision": "32-true"}, {"digest": "prepared anew"}])
def test_a_failure_on_other_data_or_precision_stands_by_itself(tmp_path, other):
    """And parts no results: those of one column stay in one."""
    fill(tmp_path, [0.70, 0.75], seeds=((0, 0), (1, 1)))
    store_failure(tmp_path, fabricate_failure(row_run(0), diverged=LOST, **other))
    first, second = frames(tmp_path)
    assert (len(first.results), first.failed) == (4, ())
    assert first.rows["state"].tolist()[:2] == ["done", "done"]
    assert (second.results, len(second.failed), second.rows["state"][0]) == ((), 1, "diverged")


def test_a_failure_on_unknown_data_stands_in_every_column(tmp_path):
    """Its manifest could not be read: the four others were averaged to "higher", "4 runs", and it stood alone."""
    replicates = [(number, number) for number in range(1, 5)]
    fill(tmp_path, [0.79], seeds=replicates)
    fill(tmp_path, [0.79], seeds=[(1, 9)], data=PART)
    store_failure(tmp_path, replace(fabricate_failure(row_run(0)), data={}))
    found = frames(tmp_path)
    assert [frame.rows["runs"][0] for frame in found] == ["4 of 5 runs, 1 failed", "1 of 2 runs, 1 failed"]
    assert all(frame.rows["dice"].isna()[0] for frame in found)


def test_failures_on_unknown_data_alone_stand_by_themselves(tmp_path):
    store_failure(tmp_path, fabricate_failure(row_run(0), data=PART, digest="part"))
    store_failure(tmp_path, replace(fabricate_failure(row_run(1), digest="part"), data={}))
    store_failure(tmp_path, replace(fabricate_failure(row_run(2, seed=3), precision="32-true"), data={}))
    assert [len(frame.failed) for frame in frames(tmp_path)] == [2, 1]


def test_a_failure_of_an_earlier_version_is_named_where_results_of_it_are(tmp_path):
    failed = fabricate_failure(row_run(4), diverged=LOST)
    model = {**failed.identity["model"], "version": 0}
    failed = replace(failed, identity={**failed.identity, "model": model})
    store_failure(tmp_path, failed)
    fill(tmp_path, [None] * 4 + [0.76])
    collection = collect(tmp_path, None)
    assert collection.left_out == (f"{failed.key}, which diverged: version 0 of rs-sam, this version has 1",)
    assert frames(tmp_path)[0].rows["state"][4] == "done"


@dataclasses.dataclass(frozen=True)
class Net:
    """A user's own system."""

    width: int = 4
    name = "net"
    title = "Net"
    version = 1
    small = {"width": 4}  # noqa: RUF012
    cli_options = ()
    published = None

    def weights_needed(self):
        return ()


class LaterNet(Net):
    version = 2


def test_an_earlier_version_of_an_own_system_keeps_its_row_though_it_always_diverged(tmp_path):
    """It had a row where it had a result; without one it was in no table, and the later version stood alone."""
    for model, fails in ((Net(), True), (LaterNet(), False)):
        run = replace(row_run(0, table=TABLE1), model=model)
        system = {SYSTEM: record(model)}
        if fails:
            store_failure(tmp_path, fabricate_failure(run, diverged=LOST, provenance=system))
        else:
            Store(tmp_path).put(fabricate(run, 0.7, provenance={**PROVENANCE, **system}))
    (frame,) = frames(tmp_path, TABLE1)
    own = frame.rows.tail(2)
    assert own["Method"].tolist() == ["Net (own system, version 1)", "Net (own system, version 2)"]
    assert own["state"].tolist() == ["diverged", "done"]


def test_notes_that_cannot_be_used_are_named(tmp_path):
    """A note of 0.1 says no more than a sentence, and is counted in one; it was passed over without a word."""
    folder = tmp_path / "runs" / "deepglobe-unet-0123456789"
    folder.mkdir(parents=True)
    (folder / "failure.json").write_text('{"reason": "the loss became nan", "when": "2025-01-01"}')
    moved = fabricate_failure(row_run(0))
    (tmp_path / "runs" / "deepglobe-x-0").mkdir()
    (tmp_path / "runs" / "deepglobe-x-0" / "failure.json").write_text(json.dumps(moved.to_json()))
    collection = collect(tmp_path, None)
    assert collection.left_out[0].startswith("This home holds 1 failed run of rssam-bench 0.1, which")
    assert collection.damaged == (f"runs/deepglobe-x-0/failure.json: it is of the run {moved.key}",)


def test_the_gravest_state_is_that_of_the_row(tmp_path):
    fill(tmp_path, [0.03, 0.03, 0.7])
    for index in (1, 2):
        store_failure(tmp_path, fabricate_failure(row_run(index, seed=1, split_seed=1)))
    store_failure(tmp_path, fabricate_failure(row_run(1, seed=2, split_seed=2), diverged=LOST))
    (frame,) = frames(tmp_path)
    assert frame.rows["state"].tolist()[:3] == ["collapsed", "diverged", "failed"]
    assert frame.rows["runs"].tolist()[:3] == ["1", "1 of 3 runs, 1 diverged, 1 failed", "1 of 2 runs, 1 failed"]


@pytest.mark.parametrize(("diverged", "unranked"), [(LOST, ""), ((), "1 of 5 rows has a run that failed")])
def test_rows_are_ranked_beside_one_that_diverged_but_not_beside_one_that_failed(tmp_path, diverged, unranked):
    """What failed may be the best; what diverged is known to have no score, as what collapsed."""
    fill(tmp_path, [0.70, None, 0.72, 0.73, 0.74])
    store_failure(tmp_path, fabricate_failure(row_run(1), diverged=diverged))
    assert frames(tmp_path)[0].unranked == unranked


def test_verdicts_for_programs_have_the_state(tmp_path):
    fill(tmp_path, [0.70, 0.75])
    store_failure(tmp_path, fabricate_failure(row_run(1, seed=1, split_seed=1), diverged=LOST))
    (judged,) = json.loads(verdicts_json(summarize(collect(tmp_path, None), tmp_path)))["judged"]
    by_run = {run["run"]: run for run in judged["runs"] if run["state"] != "not run"}
    assert {name: run["state"] for name, run in by_run.items()} == {"Baseline": "done", "Multi-scale Neck": "diverged"}
    assert by_run["Multi-scale Neck"]["why"] == "1 of 2 runs, 1 diverged"
    assert by_run["Multi-scale Neck"]["mean"] is None
