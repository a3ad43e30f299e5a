"""The ledger of test splits: nothing is lost between processes, nothing damaged is fatal."""

import json

import pytest

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.results.home import Home
from benchmarks.results.test_set_log import SplitUses, count_uses, read_ledger, record_use
from tests.benchmarks.prepared import make_session, tiny_run
from tests.benchmarks.processes import FORKSERVER

EACH = 200


def resolved(model=None, seed=0, digest="a split"):
    run = Setting("paper").run(model or SamLora(), "deepglobe", seed)
    return ResolvedRun(run, digest, ("weights",), "bf16-mixed")


def write_many(home, seed):
    for _ in range(EACH):
        record_use(home, resolved(seed=seed))


def test_two_processes_lose_and_mix_no_line(tmp_path):
    writers = [FORKSERVER.Process(target=write_many, args=(tmp_path, seed)) for seed in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read_ledger(tmp_path)
    assert found.damaged == ()
    keys = [use.key for use in found.uses]
    assert sorted(map(keys.count, set(keys))) == [EACH, EACH]
    assert count_uses(found.uses) == (SplitUses("deepglobe", "a split", 2 * EACH, 2, 1),)


@pytest.mark.parametrize("torn", [b'{"time": "2025', b"\xff\xfe", b"[1]", b'{"time": 1}', b"null"])
def test_a_torn_line_is_named_and_spoils_no_other(tmp_path, torn):
    """Appended to half a line, a sound record was once lost with it."""
    record_use(tmp_path, resolved())
    with Home(tmp_path).test_set_log.open("ab") as stream:
        stream.write(torn)
    record_use(tmp_path, resolved(seed=1))
    found = read_ledger(tmp_path)
    assert len(found.uses) == 2
    (sentence,) = found.damaged
    assert sentence.startswith("line 2 of ledger.jsonl cannot be read")


def test_a_part_that_is_no_text_is_damage(tmp_path):
    record_use(tmp_path, resolved())
    line = json.loads(Home(tmp_path).test_set_log.read_text())
    Home(tmp_path).test_set_log.write_text(json.dumps({**line, "key": 3}) + "\n")
    (sentence,) = read_ledger(tmp_path).damaged
    assert sentence.startswith("line 1 of ledger.jsonl cannot be read (key: expected one printable line of")


def test_no_ledger_holds_nothing(tmp_path):
    assert (read_ledger(tmp_path).uses, read_ledger(tmp_path).damaged) == ((), ())


def test_wear_counts_runs_and_systems_by_split(tmp_path):
    for used in (resolved(), resolved(), resolved(UNet()), resolved(digest="another")):
        record_use(tmp_path, used)
    assert count_uses(read_ledger(tmp_path).uses) == (
        SplitUses("deepglobe", "a split", 3, 2, 2),
        SplitUses("deepglobe", "another", 1, 1, 1),
    )


def test_a_run_writes_one_line_and_a_cached_one_none(tmp_path):
    session = make_session(tmp_path)
    [item] = resolve_all([tiny_run()], session)
    for _ in range(2):
        execute(item, session)
    (use,) = read_ledger(session.home).uses
    assert (use.key, use.dataset, use.split, use.purpose) == (item.key, "deepglobe", item.data_digest, "test")
