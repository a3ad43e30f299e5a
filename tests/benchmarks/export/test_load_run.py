"""A finished run as a network again: the same counts as its result, and clear words where it cannot be had."""

import dataclasses
import json

import pytest
import torch

from benchmarks.execution.plan import resolve_all
from benchmarks.execution.run_status import run_status
from benchmarks.execution.runner import execute_all
from benchmarks.export.load_run import NotTrained, declared_model, load_run
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.results.result import Result
from benchmarks.training.evaluate import evaluate
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from rssam.errors import UnknownName, UserError
from tests.benchmarks.prepared import LORA, TINY, make_session, tiny_run


def trained(session, run):
    return execute_all(resolve_all([run], session), session)[0].result


@pytest.mark.parametrize(("model", "rates"), [(LORA, (1e-3,)), (None, (1e-2, 1e-3, 1e-4))], ids=["frozen", "rates"])
def test_the_network_of_a_run_counts_as_the_run_did(tmp_path, model, rates):
    """A network part of which is frozen and in no checkpoint; and the best of several rates."""
    session = make_session(tmp_path)
    run = tiny_run(model, dataclasses.replace(TINY, rates=rates))
    result = trained(session, run)
    found = load_run(session.home, result.key)
    assert (found.model, found.task, found.key, found.dataset) == (run.model, run.task, result.key, "deepglobe")
    folder = session.data_folder("deepglobe")
    test = PreparedDataset(folder, load_manifest(folder, "deepglobe").splits(0)["test"], native=True)
    again = evaluate(found.net, test, found.task, TINY.crop, torch.device("cpu"))
    assert again.counts.to_json() == result.counts.to_json()
    assert again.native_counts.to_json() == result.native_counts.to_json()


@pytest.mark.parametrize("keep", [False, True])
def test_a_finished_run_keeps_no_optimiser_unless_asked(tmp_path, keep):
    """Each finished smoke run of a transformer left 270 to 310 MB that nothing went on from."""
    session = make_session(tmp_path, keep=keep)
    run = tiny_run(recipe=dataclasses.replace(TINY, rates=(1e-2, 1e-3)))
    result = trained(session, run)
    assert len(list(session.store.work(result.key).rglob("last.safetensors"))) == 2 * keep
    assert result.best_rate in (1e-2, 1e-3)
    assert result.best_loss == min(epoch["val_loss"] for epoch in result.history)
    assert Result.from_json(json.loads(json.dumps(result.to_json()))).best_rate == result.best_rate
    assert load_run(session.home, result.key).key == result.key
    again = make_session(tmp_path)
    assert execute_all(resolve_all([run], again), again)[0].status == "cached"
    assert run_status(session.store, result.key).state == "finished"


def test_a_result_of_an_earlier_version_names_its_rate_by_its_checkpoints(tmp_path):
    session = make_session(tmp_path, keep=True)
    result = trained(session, tiny_run(recipe=dataclasses.replace(TINY, rates=(1e-2, 1e-3))))
    new = load_run(session.home, result.key).net.state_dict()
    session.store.put(dataclasses.replace(result, best_rate=None, best_loss=None))
    old = load_run(session.home, result.key).net.state_dict()
    assert all(torch.equal(new[name], value) for name, value in old.items())
    session.store.put(dataclasses.replace(result, best_rate=0.5))
    with pytest.raises(NotTrained, match=r"names the rate 0\.5, which its recipe does not have"):
        load_run(session.home, result.key)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_declaration_is_found_again(model):
    for declared in (model, smallest(model)):
        identity = json.loads(json.dumps(tiny_run(declared).declared()))
        assert declared_model(identity) == declared


def test_what_cannot_be_had_is_said(tmp_path):
    session = make_session(tmp_path)
    with pytest.raises(NotTrained, match=r"no finished run 'deepglobe-x' in .*: none is finished there"):
        load_run(session.home, "deepglobe-x")
    result = trained(session, tiny_run())
    with pytest.raises(NotTrained, match=f"choose from {result.key}"):
        load_run(session.home, "deepglobe-x")
    for best in session.store.work(result.key).glob("best-*.safetensors"):
        best.write_bytes(best.read_bytes()[:500])  # "is not a readable checkpoint", without a remedy
    with pytest.raises(NotTrained, match=r"is not a readable checkpoint.*Delete .*json and .*reproduce its table"):
        load_run(session.home, result.key)
    for best in session.store.work(result.key).glob("best-*.safetensors"):
        best.unlink()
    with pytest.raises(NotTrained, match="its parameters are gone"):
        load_run(session.home, result.key)
    identity = json.loads(json.dumps(result.identity))
    for change, kind, words in (
        ({"name": "deeplab"}, UnknownName, "system 'deeplab'"),
        ({"options": {"depth": 3}}, UnknownName, "options depth, which this version lacks"),
        ({"version": 0}, UserError, "use the rssam-bench that made it"),
    ):
        with pytest.raises(kind, match=words):
            declared_model({**identity, "model": {**identity["model"], **change}})
    assert result.task.image_size == (64, 64)
