"""A home of rssam-bench 0.1 is named in one sentence, and no byte of it changes."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.doctor import examine
from benchmarks.earlier_version import left_by_0_1
from benchmarks.export.load_run import load_run
from benchmarks.inventory import run_statuses
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.store import Store
from benchmarks.training.checkpoint import LAST, METADATA, CheckpointForeign, Checkpoints, read_checkpoint
from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from reports.bundle.verify import check
from reports.select.results import collect
from tests.benchmarks.prepared import write_prepared
from tests.data_prep.samples import write_source
from tests.reports.fabricate import fabricate, fabricate_failure, row_run, store_failure

SENTENCE = (
    "This home holds 1 result, 1 prepared data set, 1 checkpoint of weights, 1 run with checkpoints and 1 failed "
    "run of rssam-bench 0.1, which this version neither reads nor changes: prepare anew in another --home, and use "
    "rssam-bench 0.1.0 for its results."
)


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def as_0_1(path, **changes):
    raw = json.loads(path.read_text()) | {"schema": 1} | changes
    path.write_text(json.dumps(raw, sort_keys=True, separators=(",", ":")))


@pytest.fixture
def home(tmp_path):
    """A home with a result, data, weights, a checkpoint and the note of a failure as 0.1 wrote them."""
    home = tmp_path / "home"
    result = fabricate(row_run(0))
    Store(home).put(result)
    path = Store(home).path(result.key)
    as_0_1(path, identity={**result.identity, "protocol": 1})
    write_prepared(Home(home).dataset("deepglobe"))
    as_0_1(Home(home).dataset("deepglobe") / "manifest.json", rules={"image": "RGB, shrunk"})
    net = nn.Linear(2, 2)
    checkpoints = Checkpoints(Home(home).run(result.key))
    checkpoints.folder.mkdir(parents=True)
    checkpoints.save(net, nn_optimizer(net), {"best_epoch": 0}, {})
    last = checkpoints.folder / LAST
    with safe_open(last, framework="pt") as stream:
        metadata = json.loads(stream.metadata()[METADATA])
    del metadata["format"]
    save_file(load_file(last), last, metadata={METADATA: json.dumps(metadata)})
    Home(home).weights.mkdir()
    save_file(net.state_dict(), Home(home).weights / "resnet50.safetensors", metadata={"source_sha256": "0676ba61"})
    failure = Home(home).failure("deepglobe-unet-0123456789")
    failure.parent.mkdir(parents=True)
    failure.write_text(json.dumps({"reason": "out of memory", "when": "2024-02-03T04:05:06+00:00", "traceback": "..."}))
    return home


def nn_optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)


def test_all_of_it_is_named_in_one_sentence_and_left(home, tmp_path, torch_found):
    before = contents(home)
    assert left_by_0_1(home).sentence == SENTENCE
    (key,) = left_by_0_1(home).results
    assert run_statuses(home) == []
    collection = collect(home, None)
    assert (collection.stored, collection.failed, collection.damaged) == ((), (), ())
    assert collection.left_out == (SENTENCE,)
    checks = {check.what: check for check in examine(home)}
    assert checks["home"].found == SENTENCE
    assert "made by rssam-bench 0.1" in checks["weights resnet50"].found
    assert "made by rssam-bench 0.1" in checks["data deepglobe"].found
    with pytest.raises(ResultDamaged, match=r"made by rssam-bench 0\.1: use rssam-bench 0\.1\.0"):
        load_run(home, key)
    with pytest.raises(CheckpointForeign, match=r"rssam-bench 0\.1"):
        read_checkpoint(Home(home).run(key) / LAST)
    net = nn.Linear(2, 2)
    with pytest.raises(CheckpointForeign):  # a damaged one would be deleted
        Checkpoints(Home(home).run(key)).resume(net, nn_optimizer(net))
    with pytest.raises(DataError, match=r"made by rssam-bench 0\.1"):
        load_manifest(Home(home).dataset("deepglobe"), "deepglobe")
    source = write_source(tmp_path / "source", 4)
    with pytest.raises(DataError, match=r"use another --home and run: rssam-bench prepare deepglobe"):
        DeepGlobe().prepare(
            source, Home(home).dataset("deepglobe"), origin="source", workers=1, progress=lambda *_: None
        )  # fmt: skip
    assert contents(home) == before


def test_what_this_version_writes_is_not_of_0_1(tmp_path):
    result = fabricate(row_run(0))
    Store(tmp_path).put(result)
    store_failure(tmp_path, fabricate_failure(row_run(1)))
    write_prepared(Home(tmp_path).dataset("deepglobe"))
    net = nn.Linear(2, 2)
    checkpoints = Checkpoints(Home(tmp_path).run(result.key))
    checkpoints.folder.mkdir(parents=True)
    checkpoints.save(net, nn_optimizer(net), {"best_epoch": 0}, {})
    assert left_by_0_1(tmp_path).sentence == ""
    assert left_by_0_1(tmp_path / "none").sentence == ""


def test_a_bundle_of_0_1_is_refused_in_one_sentence(tmp_path):
    """Its digests are those of sentences: it was said to be forged in every file."""
    (tmp_path / "bundle.json").write_text(json.dumps({"schema": 1, "made_with": "0.1.0", "tables": ["table1"]}))
    (tmp_path / "README.md").write_text("# Results")
    (tmp_path / "SHA256SUMS").write_text("")
    assert check(tmp_path).problems == [
        "bundle.json: a bundle of rssam-bench 0.1, of which this version reads nothing: use rssam-bench 0.1.0"
    ]
