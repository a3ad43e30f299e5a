"""Each run of RS-SAM records how far apart its class tokens are; none of it is in the key, and nothing is drawn."""

from dataclasses import replace

import torch
from torch import nn

from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.training.class_distances import class_distances
from benchmarks.training.loop import make_fabric
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from rssam.config import RSSAM
from rssam.weights.folder import WeightsFolder
from tests.benchmarks.prepared import TINY, make_session, tiny_run

SMALL = RSSAM("vit_t", "scratch", mff=False, mhff=False)


def test_a_run_records_its_start_and_end(tmp_path):
    """A run said nothing of its tokens: whether they had met was seen in the score alone."""
    session, run = make_session(tmp_path), tiny_run(SMALL, replace(TINY, epochs=1, limit=2))
    [resolved] = resolve_all([run], session)
    result = execute(resolved, session).result
    recorded = result.provenance["class_distances"]
    assert [len(distances) for distances in recorded.values()] == [4, 4]
    assert recorded["start"] != recorded["end"]
    assert "class_distances" not in str(result.identity)

    with seeded(run.seed, deterministic=True):
        net = SMALL.build(run.task, WeightsFolder(tmp_path))
    folder = session.data_folder("deepglobe")
    first = PreparedDataset(folder, load_manifest(folder, "deepglobe").splits(0)["train"])[0]
    expected = net.class_distances(first["image"][None].float() / 255)
    assert recorded["start"] == expected


def test_measuring_draws_nothing_and_leaves_the_network_as_it_was(tmp_path):
    session, task = make_session(tmp_path), tiny_run().task
    folder = session.data_folder("deepglobe")
    data = PreparedDataset(folder, load_manifest(folder, "deepglobe").splits(0)["train"])
    net = SMALL.build(task, WeightsFolder(tmp_path)).train()
    before = torch.get_rng_state()
    fabric = make_fabric("cpu", "32-true")
    assert len(class_distances(net, data, task, fabric)) == 4
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training
    assert class_distances(nn.Identity(), data, task, fabric) == []
