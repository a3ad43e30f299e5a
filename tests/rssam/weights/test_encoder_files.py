"""Published files of encoders: in timm's names and the publisher's, what is refused, and what is not downloaded."""

import hashlib
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from baselines.encoder_swap import EncoderSwap
from benchmarks.starting_weights import prepare_weights
from rssam.contract import Task
from rssam.encoders.declared import ENCODERS
from rssam.errors import UserError
from rssam.weights.convert import convert_checkpoint
from rssam.weights.download import download
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from rssam.weights.http_download import Fetch
from rssam.weights.registry import WEIGHTS, EncoderWeights
from tests.rssam.encoders.published import as_dinov3_publishes, as_sam2_publishes, timms_own

TASK = Task(("road",), (64, 64))


@pytest.fixture
def small(monkeypatch):
    """For the time of one test, three declared encoders are of the small sizes."""
    for name, nano in (("dinov3_b", "dinov3_nano"), ("imagenet_b", "imagenet_nano"), ("sam2_b_plus", "sam2_nano")):
        monkeypatch.setitem(ENCODERS, name, replace(ENCODERS[nano], name=name))
        shape = (ENCODERS[nano].width, *WEIGHTS[name].shape[1:])
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], shape=shape))


def prepare(name, content, folder):
    """Prepare what `content` is as a file of its kind; return the notes."""
    source = folder / ("file.pth" if name != "imagenet_b" else "model.safetensors")
    (save_file if name == "imagenet_b" else torch.save)(content, source)
    _, notes = prepare_weights(name, source, WeightsFolder(folder / "weights"), lambda *_: None)
    return notes


def started(name, folder):
    net = EncoderSwap(name).build(TASK, WeightsFolder(folder / "weights"))
    return net.encoder.net.state_dict()


def require_started(name, state, folder):
    found = started(name, folder)
    assert found.keys() == {key for key in state if not key.startswith("head.")}
    assert all(torch.equal(tensor, state[key]) for key, tensor in found.items() if key != "pos_embed")


def test_dinov3s_own_names(small, tmp_path):
    """As timm's conversion has them: the same tensors, whose keys have no bias."""
    net = timms_own("dinov3_nano")
    published = as_dinov3_publishes(net.state_dict())
    assert "rope_embed.periods" in published
    assert {"without biases" in note for note in prepare("dinov3_b", published, tmp_path)} == {False}
    require_started("dinov3_b", net.state_dict(), tmp_path)
    timms = timm.models.eva.checkpoint_filter_fn(published, net)
    prepared = load_file(tmp_path / "weights" / "dinov3_b.safetensors")
    assert prepared.keys() == timms.keys() - {"local_cls_norm.weight", "local_cls_norm.bias"}
    assert all(torch.equal(prepared[key], timms[key]) for key in prepared)


def test_the_mask_of_biases_is_applied(small, tmp_path):
    """In DINOv3's released files it is zero throughout: a bias beside it has no effect there, and had one here."""
    state = timms_own("dinov3_nano").state_dict()
    published = as_dinov3_publishes(state)
    for key in published:
        if key.endswith("bias_mask"):
            published[key] = torch.zeros_like(published[key])
    prepare("dinov3_b", published, tmp_path)
    none = {key: torch.zeros_like(t) if key.endswith(("q_bias", "v_bias")) else t for key, t in state.items()}
    require_started("dinov3_b", none, tmp_path)


def test_timms_files_without_biases_of_zero(small, tmp_path):
    """timm publishes DINOv3 twice; the one without biases is the same network, and is said to be read so."""
    state = timms_own("dinov3_nano").state_dict()
    for key in [key for key in state if key.endswith(("q_bias", "v_bias"))]:
        state[key] = torch.zeros_like(state[key])
    bare = {key: tensor for key, tensor in state.items() if not key.endswith(("q_bias", "v_bias"))}
    notes = prepare("dinov3_b", bare, tmp_path)
    assert any("without biases of queries and values, which are zero" in note for note in notes)
    require_started("dinov3_b", state, tmp_path)


def test_timms_classifier(small, tmp_path):
    state = timms_own("imagenet_nano", num_classes=7).state_dict()
    assert state["head.weight"].shape[0] == 7
    notes = prepare("imagenet_b", state, tmp_path)
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert f"no digest of imagenet_b is published: this file's, {digest[:12]}..." in " ".join(notes)
    assert WeightsFolder(tmp_path / "weights").start("imagenet_b") == digest  # in the key of every run
    require_started("imagenet_b", state, tmp_path)


def test_sam_2s_own_file(small, tmp_path):
    """The trunk alone is taken out of a whole SAM 2."""
    state = timms_own("sam2_nano").state_dict()
    notes = prepare("sam2_b_plus", as_sam2_publishes(state), tmp_path)
    assert 'names behind "image_encoder.trunk."' in " ".join(notes)
    require_started("sam2_b_plus", state, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: {k: t for k, t in s.items() if k != "blocks.2.mlp.fc1.bias"}, "missing net.blocks.2.mlp.fc1.bias"),
        (lambda s: {**s, "blocks.9.norm1.weight": torch.rand(192)}, "unexpected net.blocks.9.norm1.weight"),
        (lambda s: {**s, "norm.weight": torch.rand(7)}, "net.norm.weight of shape"),
        (lambda s: {**s, "storage_tokens": s["storage_tokens"][:, :2]}, "net.reg_token of shape"),
        (lambda s: {**s, "blocks.1.attn.qkv.bias_mask": torch.ones(576)}, "expected keys without bias"),
        (lambda s: {k: t for k, t in s.items() if k != "blocks.1.attn.qkv.bias_mask"}, "expected keys without bias"),
        (lambda s: {**s, "blocks.1.attn.qkv.bias": torch.tensor(1.0)}, "unexpected net.blocks.1.attn.qkv.bias"),
        (lambda s: {**s, "blocks.1.attn.qkv.bias_mask": torch.ones(7)}, "unexpected net.blocks.1.attn.qkv.bias"),
        (lambda s: {**s, "blocks.1.attn.qkv.bias": torch.rand(576).to_sparse()}, "of another kind"),
        (lambda s: {**s, "blocks.1.ls1.gamma": torch.rand(1).expand(1 << 40)}, "MB of tensors, found"),
        (lambda s: {**s, "patch_embed.proj.weight": torch.rand(384, 3, 16, 16)}, r"found shape \(384, 3, 16, 16\)"),
        (lambda s: {**s, "cls_token": torch.full((1, 1, 192), torch.nan)}, "not finite in 1 "),
    ],
    ids=[
        "missing",
        "unexpected",
        "shape",
        "renamed shape",
        "bias of keys",
        "no mask",
        "scalar",
        "short mask",
        "sparse",
        "huge",
        "another width",
        "not finite",
    ],
)
def test_a_file_that_is_not_it_is_refused(small, tmp_path, change, words):
    published = change(as_dinov3_publishes(timms_own("dinov3_nano").state_dict()))
    with pytest.raises(WeightsDamaged, match=words):
        prepare("dinov3_b", published, tmp_path)
    assert not (tmp_path / "weights" / "dinov3_b.safetensors").exists()


def test_the_published_file_of_another_name_is_refused(tmp_path, monkeypatch):
    """ViT-L of web and of satellite images have the same names and shapes: one would have been run as the other."""
    source = tmp_path / "web.pth"
    torch.save({"patch_embed.proj.weight": torch.rand(8, 3, 16, 16)}, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    monkeypatch.setitem(WEIGHTS, "dinov3_l", replace(WEIGHTS["dinov3_l"], sha256=digest[:8]))
    with pytest.raises(WeightsDamaged, match=r"published file of dinov3_l, not of dinov3_l_sat\. Run: .* dinov3_l "):
        convert_checkpoint("dinov3_l_sat", source, WeightsFolder(tmp_path))


@pytest.mark.parametrize("name", [name for name, weights in WEIGHTS.items() if weights.licence_first])
def test_what_needs_a_licence_is_never_downloaded(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Fetch, "run", lambda self: pytest.fail("it went to the network"))
    words = rf"--source FILE, with the file {WEIGHTS[name].published_file} that https://ai\.meta\.com/.* is accepted"
    with pytest.raises(UserError, match=words):
        download(name, WeightsFolder(tmp_path))
    with pytest.raises(WeightsNotFound, match=words):
        EncoderSwap(name).build(TASK, WeightsFolder(tmp_path))


def test_every_file_and_licence_is_declared():
    encoders = {name: weights for name, weights in WEIGHTS.items() if isinstance(weights, EncoderWeights)}
    assert {name for name in encoders if name.startswith("dinov3")} == {
        name for name, weights in encoders.items() if weights.licence == "DINOv3 License" and weights.licence_first
    }
    assert all(encoder.licence and encoder.pretraining for encoder in ENCODERS.values())
    assert encoders.keys() <= ENCODERS.keys()
