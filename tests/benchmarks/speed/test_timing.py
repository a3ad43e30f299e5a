"""What `rssam-bench speed` counts and compares."""

import json

import pytest
import torch

from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import plain_fields
from benchmarks.protocol.setting import Setting
from benchmarks.speed import peers, timing
from benchmarks.speed.memory import memory_of
from benchmarks.speed.peers import PeerMissing, peer_encoder
from benchmarks.speed.timing import Conditions, Operation, measure_encoder
from rssam.contract import Task
from rssam.sam.encoder_sizes import ENCODERS
from tests.benchmarks.protocol.test_custom import SYSTEM_CODE


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Times are read by nobody here."""
    monkeypatch.setattr(timing, "SECONDS_OF_AN_OPERATION", 0.001)
    monkeypatch.setitem(timing.SIDE_OF_PRODUCT, "cpu", 64)


def test_an_encoder_beside_segment_anythings_blocks():
    """Every operation of either way is timed and weighed; multiply-adds are those of the layers, by hand."""
    conditions = Conditions("cpu", "32-true", batch=2, group=1, rounds=3)
    record = measure_encoder("vit_t", Task(("road",), (224, 224)), conditions, ("auto", "reference"))
    compared = {"reference.latency", "reference.throughput", "reference.step"}
    assert set(record["times_as_long"]) == compared
    assert all(len(ratio["rounds"]) == 3 for ratio in record["times_as_long"].values())
    assert set(record["memory_above_weights"]) == compared
    assert all(set(memory) == {"own", "other"} for memory in record["memory_above_weights"].values())
    assert record["memory_above_weights"]["reference.step"]["other"] > 2**20  # what it keeps for its backward pass
    size, tokens, rank = ENCODERS["vit_t"], 14 * 14, 4  # one whole window, so that nothing is padded
    width = size.width
    layers = (3 + 1 + 2 * 4) * width**2 + 2 * (2 * rank * width)  # of a token; LoRA on queries and values
    attention = 2 * tokens * width + 2 * 14 * width  # scores and values; positions along height and width
    neck = width * 256 + 9 * 256 * 256
    whole = tokens * (3 * 16 * 16 * width + size.blocks * (layers + attention) + neck)
    assert record["gmacs"] == pytest.approx(whole / 1e9)
    assert record["share_of_product_rate"] == pytest.approx(
        2e9 * record["gmacs"] * record["images_per_second"]["median"] / record["product_rate"]
    )


def test_the_command_takes_an_own_system_beside_a_known_one(command, tmp_path, monkeypatch):
    (tmp_path / "ownnet.py").write_text(SYSTEM_CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ("--size", "32", "--batch", "1", "--group", "1", "--device", "cpu")
    code, output, _ = command(
        "speed", "ownnet:Net", "ownnet:Resnet", "encoder", "--encoder", "vit_t", *options, "--json"
    )
    assert code == 0
    own, other, encoder = json.loads(output)
    assert [record["system"]["options"]["encoder"] for record in (own, other)] == [
        "vit_t",
        "resnet18",
    ]  # both were vit_t
    assert (own["system"]["title"], encoder["system"]["title"]) == ("Net", "SAM's encoder vit_t")
    assert own["parameters"] == {"total": 4, "trainable": 4, "as_published": 4}
    assert own["gmacs"] == pytest.approx(3 * 32 * 32 / 1e9)
    code, _, said = command("speed", "nonet", *options)
    assert (code, "unknown system 'nonet': choose from fcn" in said) == (2, True)


def test_maps_of_one_pixel_are_refused(command):
    """It ended in a ValueError of torch: "Expected more than 1 value per channel when training"."""
    code, _, said = command(
        "speed", "unetformer", "--encoder", "vit_t", "--size", "32", "--group", "1", "--device", "cpu"
    )
    assert code == 1
    assert "unetformer has maps of one pixel here" in said
    assert "use a larger --size or a larger --group" in said


def test_an_encoder_means_the_network_that_reproduce_trains(command):
    """With vit_t `speed` measured full-size systems, and `reproduce` trained their smallest variants."""
    options = ("--size", "32", "--batch", "1", "--group", "1", "--device", "cpu", "--json")
    code, output, _ = command("speed", "unet", "sam-lora", "--encoder", "vit_t", *options)
    assert code == 0
    trained = [
        Setting("paper", "vit_t", "scratch").run(MODELS[name], "deepglobe").model for name in ("unet", "sam-lora")
    ]
    assert [record["system"]["options"] for record in json.loads(output)] == [plain_fields(model) for model in trained]


def test_memory_of_a_call_is_what_it_needs_more():
    """A tensor of 64 MiB that lives during the call, beside one that was there before."""
    before = torch.ones(2**24)
    found = memory_of(lambda: torch.ones(2**24).sum(), torch.device("cpu"))
    assert 0.9 < found.above / 2**26 < 1.5
    assert found.peak > found.above + before.nbytes


def test_whole_encoders_of_others_are_compared_and_names_of_missing_packages_said(monkeypatch):
    """The way "reference" has LoRA as SAMed writes it: ours was said to be faster beside SAM than it is."""
    task, conditions = Task(("road",), (64, 64)), Conditions("cpu", "32-true", batch=1, group=1, rounds=3)
    record = measure_encoder("vit_t", task, conditions, peers=("stock",))
    assert set(record["times_as_long"]) == {"stock.latency", "stock.throughput", "stock.step"}
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(PeerMissing, match="timm needs the package timm, which is not installed: pip install timm"):
        peer_encoder("timm", "vit_b", task)


def test_a_gradient_passes_every_block_of_a_peer():
    """As in ours, so that a step of one is as much work as a step of the other."""
    net = peer_encoder("stock", "vit_t", Task(("road",), (64, 64)))
    net(torch.rand(1, 3, 64, 64)).square().mean().backward()
    assert [name for name, value in net.named_parameters() if value.grad is not None] == ["net.pos_embed"]


def test_selecting_a_way_is_not_timed(monkeypatch):
    """It took 1.4 to 8.5 ms of every call."""
    called = []
    operations = [
        Operation(name, lambda name=name: called.append(name), 1, lambda name=name: called.append(f"ready {name}"))
        for name in "ab"
    ]
    monkeypatch.setattr(timing, "timed", lambda run, repeats, device: run() or called.append("timed") or 1.0)
    timing.alternating(operations, 1, torch.device("cpu"))
    assert called == ["ready a", "a", "a", "timed", "ready b", "b", "b", "timed",
                      "ready a", "a", "timed", "ready b", "b", "timed"]  # fmt: skip
