"""Networks on an encoder of choice: what is trained, at which rate, and that each keeps the contract of a system."""

import dataclasses

import pytest
import torch
from segmentation_models_pytorch import DPT

from baselines.encoder_swap import EncoderSwap
from benchmarks.conformance import BINARY, CHECKS, built
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.protocol.cost import measure, measure_network
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import smallest
from benchmarks.protocol.run import plain_fields
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.optimizer import make_optimizer, set_rate
from rssam.contract import Task, encoder_rate
from rssam.encoders.declared import ENCODERS, SAM, Encoder
from rssam.encoders.network import make_encoder
from rssam.errors import UnknownName, UserError
from rssam.lora import lora_parameters
from rssam.model import RsSam
from rssam.sam.attention import set_attention
from rssam.sam.loading import encoder_state, load_weights
from tests.benchmarks.prepared import TINY, make_session, tiny_run
from tests.rssam.fakes import TINY as TINY_SAM
from tests.rssam.fakes import train_two_steps, trainable_parameters

TASK = Task(BINARY, (64, 64))
PRETRAINED = Task(BINARY, (512, 512))

SYSTEMS = {
    "SAM frozen, DPT": EncoderSwap("vit_b"),
    "SAM tuned, DPT": EncoderSwap("vit_b", tuning="full"),
    "ImageNet LoRA, DPT": EncoderSwap("imagenet_b", tuning="lora"),
    "DINOv3 LoRA, DPT": EncoderSwap("dinov3_b", tuning="lora"),
    "SAM 2.1 LoRA, DPT": EncoderSwap("sam2_b_plus", tuning="lora"),
    "DINOv3 LoRA, mask decoder": EncoderSwap("dinov3_b", tuning="lora", head="sam"),
    "DINOv3 LoRA, RS-SAM": EncoderSwap("dinov3_b", tuning="lora", head="rssam"),
}
QUICK = ("ImageNet LoRA, DPT", "SAM 2.1 LoRA, DPT")


def architecture(system, task=PRETRAINED):
    with torch.device("meta"):
        return system.architecture(task)


def of_encoder(net):
    """Names of the encoder's parameters, and of those of them that are trained."""
    parameters = dict(net.encoder.named_parameters())
    return set(parameters), {name for name, parameter in parameters.items() if parameter.requires_grad}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name.replace(" ", "-"))
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SYSTEMS]
)
def test_conformance(name, check):
    """Of every kind of row; the default of the system is with all others in tests/test_conformance.py."""
    with torch.random.fork_rng():
        check.run(smallest(SYSTEMS[name]))


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_of_a_pretrained_encoder_is_trained(name):
    system, net = SYSTEMS[name], architecture(SYSTEMS[name])
    every, trained = of_encoder(net)
    expected = {"frozen": set(), "lora": lora_parameters(net.encoder).keys(), "full": every}[system.tuning]
    assert trained == expected
    assert all(p.requires_grad for part, p in net.named_parameters() if part.startswith(("head.", "decoder", "neck.")))


@pytest.mark.parametrize(
    ("encoder", "lora"),
    # rank 4: 4 * (width + width) for queries and for values of every block; for SAM as in the Baseline
    [("vit_b", 147_456), ("dinov3_b", 147_456), ("imagenet_b", 147_456), ("dinov3_l", 393_216),
     ("sam2_b_plus", 4 * 2 * sum(blocks * 2 * (112 << stage) for stage, blocks in enumerate((2, 3, 16, 3)))
      - 4 * 2 * (112 + 224 + 448))],  # where stages change, inputs are half as wide
)  # fmt: skip
def test_parameters_of_lora(encoder, lora):
    frozen, adapted = (architecture(EncoderSwap(encoder, tuning=tuning)) for tuning in ("frozen", "lora"))
    assert trainable_parameters(adapted) - trainable_parameters(frozen) == lora


@pytest.mark.parametrize("name", ["DINOv3 LoRA, DPT", "DINOv3 LoRA, mask decoder"])
def test_gradients_reach_what_is_trained_and_nothing_else(name, monkeypatch):
    """With the freezing of pretrained weights, on the small encoder."""
    monkeypatch.setitem(ENCODERS, "dinov3_b", dataclasses.replace(ENCODERS["dinov3_nano"], name="dinov3_b"))
    torch.manual_seed(0)
    net = SYSTEMS[name].architecture(TASK)
    changed, silent = train_two_steps(net)
    unused = {part for part in silent if not part.endswith("norm_final_attn.bias") and not part.endswith("k_proj.bias")}
    running = {part for part in changed if "running_" in part or "num_batches" in part}
    assert (changed - running, unused) == (set(), set())


def test_lora_in_the_whole_network_starts_as_the_frozen_one(monkeypatch):
    monkeypatch.setitem(ENCODERS, "dinov3_b", dataclasses.replace(ENCODERS["dinov3_nano"], name="dinov3_b"))
    frozen, adapted = (EncoderSwap(tuning=tuning).architecture(TASK).eval() for tuning in ("frozen", "lora"))
    adapted.load_state_dict(frozen.state_dict(), strict=False)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(adapted(images), frozen(images), atol=1e-5, rtol=1e-5)


def test_dpt_is_smps_own():
    """Parameters of the head, at smp's defaults without a readout, on ViT-B."""
    net = architecture(EncoderSwap("imagenet_b"), Task(("a", "b"), (224, 224)))
    with torch.device("meta"):
        smps = DPT("tu-vit_base_patch16_224.augreg_in21k", encoder_weights=None, classes=2, decoder_readout="ignore")
    for ours, theirs in ((net.decoder, smps.decoder), (net.head, smps.segmentation_head)):
        shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
        assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == shapes


def test_rs_sams_head_is_the_full_model():
    from rssam import RSSAM

    net, full = architecture(EncoderSwap(head="rssam")), architecture(RSSAM())
    assert isinstance(net, RsSam)

    def head(network):
        return {name: tensor.shape for name, tensor in network.state_dict().items() if not name.startswith("encoder.")}

    assert head(net) == head(full)
    assert (net.early, set(net.sources.values())) == (full.early, set(full.sources.values())) == (2, {11})


def test_operations_by_hand():
    """Of DINOv3-B at 512 x 512: 1024 patches and 5 tokens in 12 blocks; LoRA of rank 4 beside it."""
    tokens, width = 1029, 768
    encoder = 12 * (12 * width**2 * tokens + 2 * tokens**2 * width) + 1024 * (3 * 16 * 16) * width

    class Taps(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = make_encoder(ENCODERS["dinov3_b"], (512, 512))

        def forward(self, images):
            return self.encoder(images, (2, 5, 8, 11)).taps[-1]

    assert measure_network(lambda task: Taps(), PRETRAINED).gmacs == pytest.approx(encoder / 1e9, rel=1e-9)
    frozen, adapted = (measure(EncoderSwap(tuning=tuning), PRETRAINED).gmacs for tuning in ("frozen", "lora"))
    assert adapted - frozen == pytest.approx(12 * 4 * 4 * width * tokens / 1e9, rel=1e-6)


# ---- the encoder's own rate


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_tuned_encoder_has_a_tenth_of_the_rate(optimizer):
    system = smallest(SYSTEMS["SAM tuned, DPT"])
    net, recipe = built(system), dataclasses.replace(PAPER, optimizer=optimizer)
    made = make_optimizer(net, recipe, 1e-3, encoder_rate=encoder_rate(system))
    set_rate(made, 5e-3)
    rates = {parameter: group["lr"] for group in made.param_groups for parameter in group["params"]}
    encoder = set(net.encoder.parameters())
    assert len(encoder) > 10
    assert rates.keys() == {parameter for parameter in net.parameters() if parameter.requires_grad}
    assert {rates[parameter] for parameter in encoder} == {0.1 * 5e-3}
    assert {rate for parameter, rate in rates.items() if parameter not in encoder} == {5e-3}


def test_a_run_trains_and_resumes_at_both_rates(tmp_path, monkeypatch):
    """The share is kept with a checkpoint: without it the encoder went on at the rate of the head."""
    made = []

    def record(*arguments, **options):
        made.append(make_optimizer(*arguments, **options))
        return made[-1]

    monkeypatch.setattr("benchmarks.training.loop.make_optimizer", record)
    session, system = make_session(tmp_path), EncoderSwap("vit_t", "scratch", "full", dpt_channels=8)
    run = tiny_run(system, dataclasses.replace(TINY, epochs=1))
    execute_all(resolve_all([run], session), session)
    (optimizer,) = made
    head, encoder = optimizer.param_groups
    assert encoder["lr"] == 0.1 * head["lr"] > 0

    net, progress = built(system), {"epoch": 1, "best_epoch": 0}
    before, after = (make_optimizer(net, TINY, 1e-3, encoder_rate=0.1) for _ in range(2))
    net(torch.rand(2, 3, 64, 64)).mean().backward()
    before.step()
    Checkpoints(tmp_path / "saved").save(net, before, progress, {})
    Checkpoints(tmp_path / "saved").resume(net, after)
    assert [group.get("share") for group in after.param_groups] == [None, 0.1]
    assert after.state_dict()["state"].keys() == before.state_dict()["state"].keys()


def test_every_other_system_has_one_rate():
    """And one group of parameters, as its stored checkpoints have."""
    for system in (SYSTEMS["SAM frozen, DPT"], SYSTEMS["DINOv3 LoRA, DPT"]):
        assert encoder_rate(system) == 1.0
    made = make_optimizer(built(smallest(SYSTEMS["SAM frozen, DPT"])), PAPER, 1e-3)
    assert [set(group) & {"share"} for group in made.param_groups] == [set()]


def test_what_the_rate_depends_on_is_in_the_key():
    assert plain_fields(SYSTEMS["SAM tuned, DPT"])["tuning"] == "full"


# ---- SAM's weights; those of other encoders are in tests/rssam/weights/test_encoder_files.py


@pytest.mark.parametrize("tuning", ["frozen", "lora", "full"])
def test_sams_encoder_starts_from_sams_checkpoint(weights, monkeypatch, tuning):
    monkeypatch.setitem(
        ENCODERS, "vit_b", Encoder("vit_b", SAM, TINY_SAM.width, TINY_SAM.blocks, TINY_SAM.heads, "vit_t")
    )
    net = EncoderSwap("vit_b", tuning=tuning).build(TASK, weights)
    expected = encoder_state(load_weights(weights.path_of("vit_b")), TINY_SAM, TASK.image_size)
    state = net.encoder.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items() if not name.startswith("neck."))
    assert state.keys() - expected.keys() == lora_parameters(net.encoder).keys()


# ---- declarations


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"encoder": "dinov2_b"}, UnknownName, "unknown encoder 'dinov2_b': choose one of vit_b, .*dinov3_b"),
        ({"init": "sam"}, UnknownName, "unknown init 'sam': choose pretrained or scratch"),
        ({"tuning": "half"}, UnknownName, "unknown tuning 'half': choose frozen or lora or full"),
        ({"head": "unet"}, UnknownName, "unknown head 'unet': choose dpt or sam or rssam"),
        ({"encoder": "dinov3_nano"}, UserError, "dinov3_nano has no published weights: use --init scratch"),
        ({"encoder": "vit_b", "head": "rssam"}, UserError, "is sam-lora or rs-sam: use that system, or head dpt"),
        ({"encoder": "sam2_b_plus", "head": "sam"}, UserError, "maps of four strides, not of 16 alone: use head dpt"),
        ({"rank": 0}, ValueError, "rank and dpt_channels must be 1 or more, not 0 and 256"),
    ],
)
def test_what_cannot_be_built_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        EncoderSwap(**options)


def test_the_smallest_variant_is_of_the_same_family():
    """All of them became DINOv3, and rows of a smoke run one run."""
    small = {smallest(system).encoder for system in SYSTEMS.values()}
    assert small == {"vit_t", "imagenet_nano", "dinov3_nano", "sam2_nano"}
    assert EncoderSwap("dinov3_l_sat").weights_needed() == ("dinov3_l_sat",)
    assert smallest(EncoderSwap("dinov3_l_sat")).weights_needed() == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_one_graph(name):
    net = built(smallest(SYSTEMS[name]))
    set_attention(net, "folded")  # SAM's, as on CUDA
    net.compile(backend="aot_eager", fullgraph=True)
    images = torch.rand(2, 3, 64, 64)
    net(images).square().mean().backward()
    with torch.no_grad():
        net.eval()(images)
