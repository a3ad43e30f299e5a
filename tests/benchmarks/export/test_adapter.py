"""A run passed on as one file: bit for bit the same network elsewhere, or a sentence that says why not."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from baselines.rsam_seg import RsamSeg
from baselines.sam_lora import SamLora
from benchmarks.export.adapter import ENTRY, AdapterUnusable, is_collapsed, load_adapter, write_adapter
from benchmarks.export.load_run import TrainedNetwork, load_run, recorded_range
from benchmarks.protocol.run import resolve_run
from benchmarks.tensors import content_digest, trained_state
from data_prep.facts import FACTS
from data_prep.manifest_file import load_manifest
from reports.model_card import interval_record, render
from rssam.config import RSSAM
from rssam.kinds import fault
from rssam.value_range import ValueRange
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsFolder
from rssam.weights.registry import WEIGHTS
from tests.benchmarks.prepared import TINY, make_session, tiny_run
from tests.reports.fabricate import fabricate
from tests.rssam.fakes import official_sam, shake
from tests.rssam.fixtures import converted, sam_file, tiny_vit_b, weights  # noqa: F401

SIZE = (64, 64)
FACTS_OF_OLD = {
    "origin": "source", "complete": False, "pairs": 3, "sources": 3, "expected": None, "cut_anew": False, "skipped": 0,
}  # fmt: skip


def stirred(run, folder, seed=3):
    """A network as if trained: what may change has changed. And a result that says so."""
    torch.manual_seed(run.seed)
    net = run.model.build(run.task, folder).eval()
    generator = torch.Generator().manual_seed(seed)
    for value in trained_state(net).values():
        if value.is_floating_point():
            value += 0.05 * torch.randn(value.shape, generator=generator)
    start = {name: folder.digest(name) for name in run.model.weights_needed()}
    result = fabricate(run, 0.7, precision="32-true")
    return TrainedNetwork(
        net, run.model, run.task, "32-true", result.key, run.dataset.name, start, identity=result.identity
    ), result


def logits(net, size=SIZE):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return net(images)


@pytest.mark.parametrize("model", [SamLora(), RSSAM(), RsamSeg(train_adapters=False)], ids=lambda model: model.name)
def test_the_same_logits_bit_for_bit_elsewhere(model, weights, sam_file, tmp_path):  # noqa: F811
    trained, result = stirred(tiny_run(model), weights)
    path = tmp_path / "out" / "roads.safetensors"
    about = write_adapter(path, trained, result, None)
    elsewhere = WeightsFolder(tmp_path / "elsewhere")
    convert_checkpoint("vit_b", sam_file, elsewhere)
    torch.manual_seed(77)  # whatever this process did before
    found = load_adapter(path, elsewhere)
    assert torch.equal(logits(found.net), logits(trained.net))
    assert dataclasses.replace(found, net=None) == dataclasses.replace(trained, net=None)
    with safe_open(path, framework="pt") as stream:
        assert set(stream.keys()) == trained_state(trained.net).keys()
        assert not any("image_encoder" in name or "patch_embed" in name for name in stream.keys())  # noqa: SIM118
    assert about["base"]["vit_b"] == {
        "sha256": weights.digest("vit_b"), "licence": "Apache-2.0", "url": WEIGHTS["vit_b"].url,
    }  # fmt: skip


def test_the_declared_range_of_the_training_data_goes_with_it(weights, tmp_path):  # noqa: F811
    """An optional fact of the data: files without it are read as before."""
    trained, result = stirred(tiny_run(), weights)
    result = dataclasses.replace(result, data={**result.data, "scale": {"min": 0, "max": 3000}})
    write_adapter(tmp_path / "deep.safetensors", trained, result, None)
    assert load_adapter(tmp_path / "deep.safetensors", weights).value_range == ValueRange.alike(0, 3000)
    assert fault({**FACTS_OF_OLD, "scale": {"min": 0, "max": "3000"}}, FACTS)
    assert not fault(FACTS_OF_OLD, FACTS)
    assert recorded_range(FACTS_OF_OLD) is None


def test_a_finished_run_as_it_comes_from_its_home(tmp_path):
    """What is frozen at random numbers, not in a checkpoint either, once came back as other random numbers."""
    from benchmarks.execution.runner import execute_all

    session = make_session(tmp_path)
    run = tiny_run(RsamSeg("vit_t", "scratch", train_adapters=False), dataclasses.replace(TINY, epochs=1, limit=4))
    manifest = load_manifest(session.data_folder("deepglobe"), "deepglobe")
    (outcome,) = execute_all([resolve_run(run, manifest, session.weights, session.precision)], session)
    trained = load_run(session.home, outcome.key)
    assert torch.equal(logits(load_run(session.home, outcome.key).net), logits(trained.net))
    write_adapter(tmp_path / "a.safetensors", trained, outcome.result, None)
    assert torch.equal(logits(load_adapter(tmp_path / "a.safetensors", session.weights).net), logits(trained.net))


def test_the_base_must_be_there_and_the_very_one(weights, tmp_path):  # noqa: F811
    path = tmp_path / "a.safetensors"
    write_adapter(path, *stirred(tiny_run(SamLora()), weights), None)
    with pytest.raises(AdapterUnusable, match=r"needs the checkpoint vit_b, which is not in .*prepare weights vit_b"):
        load_adapter(path, WeightsFolder(tmp_path / "empty"))
    torch.save(shake(official_sam(), seed=9).state_dict(), tmp_path / "other.pth")
    other = WeightsFolder(tmp_path / "other")
    convert_checkpoint("vit_b", tmp_path / "other.pth", other)
    digests = f"{weights.digest('vit_b')[:12]}.*{other.digest('vit_b')[:12]}"
    with pytest.raises(AdapterUnusable, match=f"{digests}.*delete that file and run: rssam-bench prepare weights"):
        load_adapter(path, other)


def rewritten(path, change, *, sealed=True):
    """The adapter with its content changed, and its digest made to fit again."""
    with safe_open(path, framework="pt") as stream:
        about = json.loads(stream.metadata()[ENTRY])
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    del about["sha256"]
    change(about, tensors)
    about["sha256"] = content_digest(tensors, about) if sealed else "0" * 64
    save_file(tensors, path, metadata={ENTRY: json.dumps(about)})


def test_every_tensor_that_does_not_fit_is_named(weights, tmp_path):  # noqa: F811
    path = tmp_path / "a.safetensors"
    write_adapter(path, *stirred(tiny_run(SamLora()), weights), None)

    def change(about, tensors):
        names = sorted(tensors)
        del tensors[names[0]]
        tensors["stranger"] = torch.zeros(1)
        tensors[names[1]] = torch.zeros(3)
        about["names"] = names[:2]

    rewritten(path, change)
    with safe_open(path, framework="pt") as stream:
        missing, other = json.loads(stream.metadata()[ENTRY])["names"]
    with pytest.raises(
        AdapterUnusable, match=rf"missing {missing}; unexpected stranger; of another kind {other} \(exp"
    ):
        load_adapter(path, weights)


def test_what_is_no_whole_adapter_says_so(weights, tmp_path):  # noqa: F811
    path = tmp_path / "a.safetensors"
    with pytest.raises(AdapterUnusable, match=r"found no file: rssam-bench export --run KEY --out FILE"):
        load_adapter(path, weights)
    with pytest.raises(AdapterUnusable, match=r"no adapter of rssam-bench"):
        load_adapter(weights.path("vit_b"), weights)
    write_adapter(path, *stirred(tiny_run(SamLora()), weights), None)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(AdapterUnusable, match="does not have the SHA-256"):
        load_adapter(path, weights)
    path.write_bytes(whole[:-5])
    with pytest.raises(AdapterUnusable, match="damaged or no safetensors file"):
        load_adapter(path, weights)
    path.write_bytes(whole)
    rewritten(path, lambda about, _: about.pop("base"))
    with pytest.raises(AdapterUnusable, match=r"does not say what an adapter does \(base is missing\): fetch it again"):
        load_adapter(path, weights)
    path.write_bytes(whole)
    rewritten(path, lambda about, _: about.update(format=1))
    with pytest.raises(AdapterUnusable, match=r"made by rssam-bench 0\.1: use rssam-bench 0\.1\.0 for it"):
        load_adapter(path, weights)
    path.write_bytes(whole)
    rewritten(path, lambda about, _: about.update(format=3))
    with pytest.raises(AdapterUnusable, match=r"format 3, this version reads 2: use the rssam-bench"):
        load_adapter(path, weights)


def test_what_was_trained_as_a_whole_needs_no_base(tmp_path):
    """An ImageNet start is overwritten by training: asking whoever loads the adapter for it would be in vain."""
    from baselines.unet_smp import SmpUNet

    run = tiny_run(SmpUNet("resnet18", "imagenet", 4))
    torch.manual_seed(0)
    net = run.model.architecture(run.task).eval()
    trained = TrainedNetwork(net, run.model, run.task, "32-true", "k", "deepglobe", {"resnet18": "ab" * 32})
    about = write_adapter(tmp_path / "a.safetensors", trained, fabricate(run, 0.7), None)
    assert (about["base"], set(about["start"])) == ({}, {"resnet18"})
    found = load_adapter(tmp_path / "a.safetensors", WeightsFolder(tmp_path / "nowhere"))
    assert torch.equal(logits(found.net), logits(net))
    assert found.start == trained.start


def test_the_card_tells_what_the_metadata_tell(weights, tmp_path):  # noqa: F811
    trained, result = stirred(tiny_run(SamLora()), weights)
    about = write_adapter(tmp_path / "a.safetensors", trained, result, interval_record(result))
    card = render(about, "a.safetensors")
    for words in (
        "Baseline (SAM LoRA) on deepglobe", "| classes | road; the background is implied", "64x64 pixels, 1 m a pixel",
        "| Dice | 0.700 (no interval: 3 test images with something to score, where",
        "complete: all 6226 pairs; 4358 images for training",
        f"| base | vit_b, licence Apache-2.0, SHA-256 {weights.digest('vit_b')}", "prepare weights vit_b",
        "The recipe is tiny, not the paper's", "AdamW, weight decay 0.1, rate 0.001",
    ):  # fmt: skip
        assert words in card
    many = dataclasses.replace(
        result,
        images=tuple(map(str, range(40))),
        counts=dataclasses.replace(
            result.counts,
            **{part: getattr(result.counts, part)[:1].repeat(40, axis=0) for part in ("tp", "fp", "fn", "tn")},
        ),
    )
    found = interval_record(many)  # it was one of zero width
    assert (found["dice_interval"], found["interval_over"]) == (None, "40 test images")
    assert found["no_interval"] == "40 test images, all alike, so they show no spread"
    many.counts.tp[:] += np.arange(40)[:, None]
    low, high = interval_record(many)["dice_interval"]
    assert low < many.scores.dice < high
    about["data"] |= {"origin": "synthetic"}
    about["result"] |= {"dice_interval": [0.6, 0.8], "constant_dice": 0.75}
    card = render(about, "a.safetensors")
    assert "95 % interval 0.600 to 0.800 over 3 test images" in card
    assert "made-up scenes" in card
    assert "does not exceed that of a constant answer (0.750)" in card
    assert "ground resolution not known" in card


def test_the_cards_code_runs(weights, tmp_path, monkeypatch):  # noqa: F811
    about = write_adapter(tmp_path / "a.safetensors", *stirred(tiny_run(SamLora()), weights), None)
    code = render(about, "a.safetensors").partition("```python\n")[2].partition("```")[0]
    home = tmp_path / ".cache" / "rssam-bench"
    home.mkdir(parents=True)
    (home / "weights").symlink_to(weights.root)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["logits"].shape == (1, 1, *SIZE)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "most"), [(RSSAM(), 90e6), (SamLora(), 17e6)], ids=["rs-sam", "sam-lora"])
def test_full_size_with_vit_b(model, most, tmp_path):
    """A made-up SAM ViT-B in the official format beneath: sizes as they would be, and equality to the last bit."""
    from rssam.sam.encoder_sizes import ENCODERS

    torch.manual_seed(0)
    torch.save(official_sam(ENCODERS["vit_b"]).state_dict(), tmp_path / "sam.pth")
    folder = WeightsFolder(tmp_path / "weights")
    convert_checkpoint("vit_b", tmp_path / "sam.pth", folder)
    run = tiny_run(model, dataclasses.replace(tiny_run().recipe, crop=512))
    trained, result = stirred(run, folder)
    path = tmp_path / "a.safetensors"
    write_adapter(path, trained, result, None)
    assert path.stat().st_size < most
    found = load_adapter(path, folder)
    assert torch.equal(logits(found.net, (512, 512)), logits(trained.net, (512, 512)))
    print(f"{model.name}: {path.stat().st_size / 1e6:.2f} MB")


@pytest.mark.parametrize(
    ("said", "collapsed"),
    [
        ({"scores": {"dice": 0.1}, "constant_dice": 0.1}, True),
        ({"scores": {"dice": None}, "constant_dice": 0.1}, True),
        ({"scores": {"dice": 0.2}, "constant_dice": 0.1}, False),
        ({"scores": {"dice": "high"}, "constant_dice": 0.1}, False),
        ({"scores": 1}, False),
        ([], False),
    ],
)
def test_an_adapter_says_whether_it_is_collapsed(said, collapsed):
    assert is_collapsed(said) == collapsed
