"""Checkpoints of other origin: what is the network is taken and named, what is not is refused in a sentence."""

import hashlib
import math
import re

import pytest
import torch
from safetensors.torch import save_file
from segment_anything import sam_model_registry

from rssam.sam.loading import load_weights
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsDamaged, WeightsFolder, write_content_digest
from rssam.weights.layout import sam_shapes
from rssam.weights.registry import WEIGHTS

TRANSFORMERS_NAMES = "0c52f6796f44ca24626b7a41452841bcf9bee50f9d8bcdbe62febfacc25c74c1"
"""Of sorted names and shapes in the state of `SamModel` of transformers 5.24.0 at the tiny size."""

ATTENTION = "blocks.1.attn.qkv.weight"


@pytest.fixture
def state(sam_file, tiny_vit_b):
    return torch.load(sam_file, weights_only=True)


def convert(content, tmp_path, write=torch.save, name="vit_b"):
    """The tensors that were prepared of such a file, and the note."""
    source, folder = tmp_path / "source.bin", WeightsFolder(tmp_path / "weights")
    write(content, source)
    convert_checkpoint(name, source, folder)
    return load_weights(folder.path_of(name)), folder.read_as(name)


def refused(content, tmp_path, write=torch.save):
    with pytest.raises(WeightsDamaged) as error:
        convert(content, tmp_path, write)
    assert not (tmp_path / "weights").exists()
    assert len(str(error.value)) < 1000
    return str(error.value)


def equal(found, other):
    return found.keys() == other.keys() and all(torch.equal(found[name], other[name]) for name in found)


@pytest.mark.parametrize(
    ("name", "tensors", "numbers"),
    [("vit_b", 314, 93_735_728), ("vit_l", 482, 312_343_088), ("vit_h", 594, 641_090_864)],
)
def test_the_shapes_of_the_declared_size_are_those_of_the_published_network(name, tensors, numbers):
    """By segment_anything's own function; a size is declared by width, blocks, heads and global blocks."""
    with torch.device("meta"):
        sam = sam_model_registry[name]()
    shapes = sam_shapes(WEIGHTS[name])
    assert shapes == {name: tuple(tensor.shape) for name, tensor in sam.state_dict().items()}
    assert (len(shapes), sum(map(math.prod, shapes.values()))) == (tensors, numbers)


def as_transformers(state):
    """SAM's tensors as the script of transformers that published them renames them, in its words."""
    renamed = {}
    for name, tensor in state.items():
        for old, new in {
            "iou_prediction_head.layers.0": "iou_prediction_head.proj_in",
            "iou_prediction_head.layers.1": "iou_prediction_head.layers.0",
            "iou_prediction_head.layers.2": "iou_prediction_head.proj_out",
            "mask_decoder.output_upscaling.0": "mask_decoder.upscale_conv1",
            "mask_decoder.output_upscaling.1": "mask_decoder.upscale_layer_norm",
            "mask_decoder.output_upscaling.3": "mask_decoder.upscale_conv2",
            "mask_downscaling.0": "mask_embed.conv1",
            "mask_downscaling.1": "mask_embed.layer_norm1",
            "mask_downscaling.3": "mask_embed.conv2",
            "mask_downscaling.4": "mask_embed.layer_norm2",
            "mask_downscaling.6": "mask_embed.conv3",
            "point_embeddings": "point_embed",
            "pe_layer.positional_encoding_gaussian_matrix": "shared_embedding.positional_embedding",
            "image_encoder": "vision_encoder",
            "neck.0": "neck.conv1",
            "neck.1": "neck.layer_norm1",
            "neck.2": "neck.conv2",
            "neck.3": "neck.layer_norm2",
            "patch_embed.proj": "patch_embed.projection",
            ".norm": ".layer_norm",
            "blocks": "layers",
        }.items():
            name = name.replace(old, new)
        if match := re.match(r"(.*output_hypernetworks_mlps\.\d+)\.layers\.(\d)(.*)", name):
            name = f"{match[1]}.{('proj_in', 'layers.0', 'proj_out')[int(match[2])]}{match[3]}"
        renamed[name] = tensor
    position = renamed["prompt_encoder.shared_embedding.positional_embedding"]
    return {**renamed, "shared_image_embedding.positional_embedding": position.clone()}


def test_names_of_hugging_face(state, tmp_path):
    """ "is not a SAM checkpoint: expected tensors named image_encoder.*", of SAM's own weights in their other home."""
    foreign = as_transformers(state)
    names = sorted((name, tuple(tensor.shape)) for name, tensor in foreign.items())
    assert hashlib.sha256(repr(names).encode()).hexdigest() == TRANSFORMERS_NAMES
    prepared, note = convert(foreign, tmp_path, save_file)
    assert equal(prepared, state)
    assert note == "Hugging Face's names"
    foreign.pop("prompt_encoder.shared_embedding.positional_embedding")  # tied, so newer files have it once
    assert equal(convert(foreign, tmp_path)[0], state)
    foreign["prompt_encoder.shared_embedding.positional_embedding"] = torch.ones(2, 128)
    with pytest.raises(WeightsDamaged, match=r"two tensors of it are both prompt_encoder\.pe_layer.*and they differ"):
        convert(foreign, tmp_path)


WRAPPED = {
    "a module's prefix": (lambda s: {f"module.{name}": t for name, t in s.items()}, 'names behind "module."'),
    "a dictionary": (lambda s: {"model": s, "optimizer": {"state": {0: torch.zeros(3)}}, "epoch": 3}, 'inside "model"'),
    "Lightning": (
        lambda s: {"state_dict": {**{f"model.{n}": t for n, t in s.items()}, "loss.weight": torch.ones(2)}},
        'inside "state_dict"; names behind "model."; without the tensors beside it: 1 (loss.weight)',
    ),
    "SAM-HQ": (
        lambda s: {**s, "mask_decoder.hf_token.weight": torch.ones(1, 256), "mask_decoder.hf_mlp.x": torch.ones(1)},
        "without what SAM-HQ adds to the decoder: 2 (mask_decoder.hf_mlp.x, mask_decoder.hf_token.weight)",
    ),
    "names of SAM, as MedSAM": (lambda s: s, ""),
    "parameters": (lambda s: {name: torch.nn.Parameter(tensor) for name, tensor in s.items()}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("wrap", "words"), WRAPPED.values(), ids=WRAPPED)
def test_wrappers_are_taken_off_and_named(state, tmp_path, wrap, words):
    prepared, note = convert(wrap(state), tmp_path)
    assert equal(prepared, state)
    assert note == words


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_kept_as_float32(state, tmp_path, kind):
    prepared, note = convert({name: tensor.to(kind) for name, tensor in state.items()}, tmp_path)
    assert equal(prepared, {name: tensor.to(kind).float() for name, tensor in state.items()})
    assert note == f"{str(kind)[6:]}, kept as float32"


def test_shared_storage(state, tmp_path):
    """RuntimeError of safetensors, in a traceback: "Some tensors share memory"."""
    state["image_encoder.blocks.1.mlp.lin1.bias"] = state["image_encoder.blocks.0.mlp.lin1.bias"]
    line = torch.arange(512.0)
    state["mask_decoder.transformer.norm_final_attn.weight"] = line[:256]
    state["mask_decoder.transformer.norm_final_attn.bias"] = line[256:]
    assert equal(convert(state, tmp_path)[0], state)


def test_block_names_and_nothing_useful(state, tmp_path):
    """It passed, and training said "prepare the weights again"."""
    useless = {f"image_encoder.blocks.{index}.x": torch.ones(1) for index in range(4)}
    useless["image_encoder.patch_embed.proj.weight"] = torch.rand(96, 3, 16, 16)
    useless |= {"prompt_encoder.x": torch.ones(1), "mask_decoder.x": torch.ones(1)}
    words = refused(useless, tmp_path)
    assert "is not a SAM checkpoint of vit_b: expected the 202 tensors of vit_b; missing 201 (image_encoder." in words
    assert "; unexpected 6 (image_encoder.blocks.0.x, " in words


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("image_encoder.pos_embed", torch.rand(1, 4096, 96), "(1, 4096, 96) instead of (1, 64, 64, 96)"),
        ("image_encoder.pos_embed", torch.rand(1, 64, 64, 48), "(1, 64, 64, 48) instead of (1, 64, 64, 96)"),
        ("image_encoder.blocks.0.attn.rel_pos_h", torch.rand(13, 32), "(13, 32) instead of (27, 32)"),
        ("image_encoder.blocks.1.attn.rel_pos_h", torch.rand(127, 24), "(127, 24) instead of (127, 32)"),
        ("image_encoder.blocks.1.attn.rel_pos_w", torch.rand(126, 32), "(126, 32) instead of (127, 32)"),
        ("mask_decoder.mask_tokens.weight", torch.rand(5, 256), "(5, 256) instead of (4, 256)"),
    ],
)
def test_tables_of_another_shape_are_named_with_both_shapes(state, tmp_path, name, tensor, words):
    found = refused({**state, name: tensor}, tmp_path)
    assert f"of another shape 1 ({name} {words})" in found


def test_position_tables_of_another_image_size_are_taken_for_they_are_resampled(state, tmp_path):
    state["image_encoder.pos_embed"] = torch.rand(1, 16, 32, 96)
    for block in (1, 3):
        state[f"image_encoder.blocks.{block}.attn.rel_pos_h"] = torch.rand(31, 32)
        state[f"image_encoder.blocks.{block}.attn.rel_pos_w"] = torch.rand(63, 32)
    prepared, note = convert(state, tmp_path)
    assert equal(prepared, state)
    assert note == "position tables of images of 512x256 pixels, where SAM's are of 1024x1024"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(state, tmp_path, value):
    """They passed, and so did training, to a loss that is not a number."""
    state[f"image_encoder.{ATTENTION}"][3, 5] = value
    assert f"values that are not finite in 1 (image_encoder.{ATTENTION})" in refused(state, tmp_path)


def test_a_copy_filled_up_with_zeros(state, tmp_path):
    """A `.safetensors` file has no checksum: the part that never came trained as zeros."""
    state[f"image_encoder.{ATTENTION}"].zero_()
    assert f"nothing but one value in 1 (image_encoder.{ATTENTION})" in refused(state, tmp_path, save_file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: {name: tensor.int() for name, tensor in s.items()}, "expected floating-point numbers, found"),
        (lambda s: {**s, "image_encoder.neck.1.bias": torch.zeros(256).to_sparse()}, "of another kind"),
        (lambda s: {"model": s, "model_ema": dict(s)}, 'holds 2 networks, under "model", "model_ema": save one'),
        (lambda s: {"net": {f"backbone\x1b[31m{n}": t for n, t in s.items()}}, "expected a dictionary of tensors with"),
        (lambda s: {"epoch": 3, "model": "s"}, "expected a dictionary of tensors with image_encoder.patch_embed"),
        (lambda s: [s], "expected a dictionary of tensors with image_encoder.patch_embed.proj.weight"),
    ],
)
def test_what_is_no_checkpoint_is_said(state, tmp_path, change, words):
    assert words in refused(change(state), tmp_path)


def test_a_dictionary_that_holds_itself(tmp_path, tiny_vit_b):
    odd = {}
    odd.update({str(index): odd for index in range(50)})
    assert "expected a dictionary of tensors" in refused(odd, tmp_path)


def test_a_flipped_bit_of_a_pth(state, tmp_path):
    """torch compares no checksum: the file passed with another weight."""

    def flipped(content, path):
        torch.save(content, path)
        spoilt = bytearray(path.read_bytes())
        spoilt[spoilt.find(content["mask_decoder.iou_token.weight"].numpy().tobytes()) + 100] ^= 64
        path.write_bytes(spoilt)

    assert "found a damaged file (Bad CRC-32 for file 'source/data/" in refused(state, tmp_path, flipped)


def test_objects_are_named_and_not_loaded(state, tmp_path):
    """ "truncated or foreign file: fetch it again", of a checkpoint that also holds a configuration."""
    words = refused({"state_dict": state, "hyper_parameters": re.compile("x")}, tmp_path)
    assert "found Python objects (re._compile), which are never loaded. If you trust it, save its" in words


def test_a_view_that_claims_more_than_the_file_has(tmp_path):
    """Nine bytes a tensor can stand for a terabyte."""
    wide = torch.ones(1).expand(2**20, 2**20)
    source = tmp_path / "wide.pth"
    torch.save({"layer4.1.conv2.weight": torch.rand(512, 512, 3, 3), "x": wide}, source)
    with pytest.raises(WeightsDamaged, match=r"expected about 47 MB of tensors, found 4194313 MB"):
        convert_checkpoint("resnet18", source, WeightsFolder(tmp_path / "weights"))


def test_a_prepared_file_of_no_use_is_found_when_it_is_loaded(state, tmp_path, monkeypatch):
    """As an earlier version of this suite prepared it: whole by its digest, and with NaN in it."""
    state[f"image_encoder.{ATTENTION}"][0, 0] = float("nan")
    folder, source = WeightsFolder(tmp_path / "weights"), tmp_path / "sam.pth"
    torch.save(state, source)
    with monkeypatch.context() as earlier:
        earlier.setattr("rssam.weights.values.fault", lambda tensors: "")
        convert_checkpoint("vit_b", source, folder)
    with pytest.raises(WeightsDamaged, match=r"no checkpoint to start from: .*not finite.*run: rssam-bench prepare w"):
        folder.path_of("vit_b")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_that_an_earlier_version_prepared_is_still_taken(state, tmp_path, kind):
    half = {name: tensor.to(kind) for name, tensor in state.items()}
    folder = WeightsFolder(tmp_path)
    save_file(half, folder.path("vit_b"), {"source_sha256": "1" * 64, "content_sha256": "0" * 64})
    write_content_digest(folder.path("vit_b"))
    assert equal(load_weights(folder.path_of("vit_b")), half)
    half[f"image_encoder.{ATTENTION}"][0, 0] = float("nan")
    save_file(half, folder.path("vit_b"), {"source_sha256": "1" * 64, "content_sha256": "0" * 64})
    write_content_digest(folder.path("vit_b"))
    with pytest.raises(WeightsDamaged, match="not finite"):
        folder.path_of("vit_b")
