"""A trained system on other data: classes by name, images of other sizes, and counts as of the network by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from baselines.sam_lora import SamLora
from benchmarks.export.load_run import TrainedNetwork
from benchmarks.results.test_set_log import read_ledger
from benchmarks.scoring.cross_dataset import (
    ClassesDoNotMatch,
    ClassMapping,
    MappedNetwork,
    evaluate_elsewhere,
    match_classes,
)
from benchmarks.scoring.test_images import select_test_images
from data_prep.datasets.folder import Folder
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest, save_manifest
from data_prep.registry import register_home
from rssam.contract import Task
from rssam.errors import UserError
from rssam.value_range import ValueRange
from tests.benchmarks.prepared import SIDE, make_session, write_prepared

COVER = ("building", "road", "bare soil", "water")


class Bright(nn.Module):
    """Class i where the red of a pixel is the i-th quarter; one class: where it is above 0.4. Any size."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        red = images[:, :1]
        if self.channels == 1:
            return red - 0.4
        centres = (torch.arange(self.channels, device=red.device).view(1, -1, 1, 1) + 0.5) / self.channels
        return -(red - centres).abs()


def trained(classes=("road",), side=SIDE, dataset="whu"):
    task = Task(classes, (side, side))
    return TrainedNetwork(
        Bright(task.channels).eval(), SamLora("vit_t", "scratch"), task, "32-true", "whu-x-1", dataset, {}
    )


def run(session, system, mapping, *, part="all", name="Mine"):
    chosen = select_test_images(session.home, "deepglobe", 0, "random", part)
    return evaluate_elsewhere(system, chosen, mapping, name, session, lambda done, total: None)


@pytest.mark.parametrize(("part", "side"), [("all", SIDE), ("test", SIDE), ("test", 32)])
def test_counts_are_those_of_the_network_by_hand(tmp_path, part, side):
    session = make_session(tmp_path)
    scored = run(session, trained(side=side), match_classes(("road",), ("road",), ()), part=part)
    submission = scored.submission
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random", part)
    data = PreparedDataset(chosen.folder, chosen.entries)
    assert submission.images == tuple(item["name"] for item in data)
    for index, item in enumerate(data):
        guess, mask = item["image"][0].numpy() / 255 > 0.4, item["mask"].numpy() == 1
        wanted = [(guess & mask).sum(), (guess & ~mask).sum(), (~guess & mask).sum(), (~guess & ~mask).sum()]
        assert [int(getattr(submission.counts, name)[index, 0]) for name in ("tp", "fp", "fn", "tn")] == wanted
    assert (submission.kind, submission.identity["system"]["crop"]) == ("evaluated", None if side == SIDE else 32)
    assert submission.native_counts.images == len(submission.images)
    assert "copies" not in submission.data  # whu is not prepared in this home
    again = run(session, trained(side=side), match_classes(("road",), ("road",), ()), part=part)
    assert (again.cached, again.submission.to_json()) == (True, submission.to_json())
    assert [use.purpose for use in read_ledger(tmp_path).uses] == ["evaluate"]
    other = trained(side=side)
    torch.nn.init.ones_(other.net.unused)  # trained once more under the same key
    assert not run(session, other, match_classes(("road",), ("road",), ()), part=part).cached
    half = make_session(tmp_path, precision_choice="bf16")
    rounded = run(half, trained(side=side), match_classes(("road",), ("road",), ()), part=part)
    assert not rounded.cached
    assert rounded.submission.identity["system"]["precision"] == "bf16-mixed"


def test_a_title_is_shown_and_is_in_no_key(tmp_path, monkeypatch):
    """A reworded title of a system counted the same images under another key: another use of the split."""
    session = make_session(tmp_path)
    mapping = match_classes(("road",), ("road",), ())
    first = run(session, trained(), mapping, name=None).submission
    assert first.name == SamLora.title
    monkeypatch.setattr(SamLora, "title", "Another title")
    again = run(session, trained(), mapping, name=None)
    assert (again.cached, again.submission.key) == (True, first.key)
    assert run(session, trained(), mapping, name="Mine").submission.name == "Mine"


def test_of_several_classes_one_is_foreground(tmp_path):
    """Roads of a land-cover system: everything else it says is background."""
    session = make_session(tmp_path)
    known = ("building", "water", "road", "bare soil")
    submission = run(session, trained(known), match_classes(known, ("road",), ())).submission
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random", "all")
    data = PreparedDataset(chosen.folder, chosen.entries)
    hits = 0
    for item in data:
        red = item["image"][0].numpy() / 255
        hits += int(((np.minimum((red * 4).astype(int), 3) == 2) & (item["mask"].numpy() == 1)).sum())
    assert int(submission.counts.tp.sum()) == hits > 0


def test_joined_and_reordered_classes_win_where_theirs_would():
    mapping = match_classes(
        COVER, ("Water", "Built_Up", "Soil"), {"building": "built-up", "road": "Built Up", "bare_soil": "Soil"}.items()
    )
    assert mapping.sources == ((3,), (0, 1), (2,))
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    net = Bright(4)
    table = torch.tensor([1, 1, 2, 0])
    assert torch.equal(MappedNetwork(net, mapping)(images).argmax(1), table[net(images).argmax(1)])
    binary = match_classes(COVER, ("built",), {"building": "built", "road": "built"}.items())
    assert torch.equal(MappedNetwork(net, binary)(images)[:, 0] > 0, net(images).argmax(1) < 2)


@pytest.mark.parametrize(
    ("system", "tested", "declared", "words"),
    [
        (("road",), ("building",), (), "nothing of the system is building.*Give --classes"),
        (("road",), ("road", "water"), (), "cannot fill several classes"),
        (COVER, ("road", "building"), (), "nothing of the data set is bare soil, water"),
        (("road",), ("street",), [("lane", "street")], "no class 'lane' of the system"),
        (("road",), ("street",), [("road", "path")], "no class 'path' of the data set"),
        # The last one counted, and the map of buildings was scored as roads.
        (COVER, ("road",), [("building", "building"), ("Building", "road")], "no class 'building' of the data set"),
        (COVER, COVER, [("water", "road"), ("Water", "building")], "says of Water that it is two classes: name one"),
    ],
)
def test_classes_that_do_not_meet_are_said(system, tested, declared, words):
    with pytest.raises(ClassesDoNotMatch, match=words):
        match_classes(system, tested, declared)
    assert match_classes(("road",), ("street",), [("Road", "street")]) == ClassMapping(("road",), ("street",), ((0,),))


def test_its_own_data_and_other_sizes_are_refused(tmp_path):
    session = make_session(tmp_path)
    mapping = match_classes(("road",), ("road",), ())
    with pytest.raises(UserError, match="was trained on deepglobe"):
        run(session, trained(dataset="deepglobe"), mapping)
    with pytest.raises(UserError, match="takes images of 96x96 pixels, and those of deepglobe have 64x64"):
        run(session, trained(side=96), mapping)
    assert not (tmp_path / "scores").exists()
    assert read_ledger(tmp_path).uses == ()


def test_images_it_may_have_been_trained_on_are_counted(tmp_path):
    """The same pictures under another name would have passed for new ones."""
    session = make_session(tmp_path)
    own = Folder("mine", ("road",), (1,), 0, None, "keep", (SIDE, SIDE))
    manifest = write_prepared(tmp_path / "data" / "mine")
    save_manifest(tmp_path / "data" / "mine", replace(manifest, dataset="mine", entries=manifest.entries[:5]))
    (tmp_path / "data" / "mine" / "dataset.json").write_text(own.to_json())
    try:
        assert register_home(tmp_path / "data") == []
        submission = run(session, trained(dataset="mine"), match_classes(("road",), ("road",), ())).submission
    finally:
        register_home(tmp_path / "none")
    assert submission.data["copies"] == 5


def test_data_prepared_anew_say_nothing_about_its_training(tmp_path):
    """Of other data of the same name "0 of the images" were said to be shared: of those it was trained on nothing."""
    session = make_session(tmp_path)
    manifest = write_prepared(tmp_path / "data" / "whu", seed=1)
    save_manifest(tmp_path / "data" / "whu", replace(manifest, dataset="whu"))
    manifest = load_manifest(tmp_path / "data" / "whu", "whu")
    identity = {"data": manifest.digest(0), "split_seed": 0, "split_rule": "random"}
    mapping = match_classes(("road",), ("road",), ())
    for number, (data, copies) in enumerate(((identity["data"], 0), ("0" * 64, None))):
        system = replace(trained(), identity={**identity, "data": data})
        scored = run(session, system, mapping, name=f"Mine {number}")
        assert scored.submission.data.get("copies") == copies
        assert any("is not prepared here as whu-x-1 was trained on it" in note for note in scored.notes) == bool(number)


def test_values_that_were_stretched_otherwise_are_said(tmp_path):
    """A network of 11 bits of values was tested on bytes without a word."""
    system = replace(trained(), value_range=ValueRange.alike(0, 2047))
    scored = run(make_session(tmp_path), system, match_classes(("road",), ("road",), ()))
    assert "the images of deepglobe show values of bytes as they are, and it was trained on 0 to 2047" in scored.notes


def test_a_damaged_evaluation_is_counted_anew(tmp_path):
    """`evaluate` ended in "it is cut off" without a remedy, where `score` writes such a file again."""
    session, mapping = make_session(tmp_path), match_classes(("road",), ("road",), ())
    path = run(session, trained(), mapping).path
    whole = path.read_text()
    path.write_text("{")
    assert not run(session, trained(), mapping).cached
    assert json.loads(path.read_text())["counts"] == json.loads(whole)["counts"]
