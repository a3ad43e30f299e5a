"""Checkpoints of a tiny SAM as people save them, some of them spoilt, and what must come of them."""

import re
from collections import OrderedDict
from dataclasses import replace

import torch
from safetensors.torch import load_file, save_file

from rssam.sam.encoder_sizes import ENCODERS
from rssam.weights.registry import WEIGHTS
from tests.fuzz.mutations import bytes_mutated
from tests.rssam.fakes import TINY, official_sam
from tests.rssam.weights.test_foreign_files import as_transformers

_STATE = {}


def build():
    """Make vit_b tiny for this process, and its tensors."""
    ENCODERS["vit_b"] = TINY
    numbers = {"width": TINY.width, "blocks": TINY.blocks, "heads": TINY.heads, "global_blocks": TINY.global_blocks}
    WEIGHTS["vit_b"] = replace(WEIGHTS["vit_b"], **numbers)
    _STATE.update({name: tensor.half().float() for name, tensor in official_sam().state_dict().items()})


def _prefixed(prefix):
    return lambda state, rng: {f"{prefix}{name}": tensor for name, tensor in state.items()}


HARMLESS = {
    "as it is": lambda state, rng: state,
    "half": lambda state, rng: {name: tensor.half() for name, tensor in state.items()},
    "double": lambda state, rng: {name: tensor.double() for name, tensor in state.items()},
    "module": _prefixed("module."),
    "compiled": _prefixed("_orig_mod.model."),
    "model": lambda state, rng: {"model": state, "epoch": 3, "args": {"lr": 0.1, "names": ["a"]}},
    "Lightning": lambda state, rng: {"state_dict": _prefixed("model.")(state, rng), "loops": {}, "global_step": 5},
    "Hugging Face": lambda state, rng: as_transformers(state),
    "SAM-HQ": lambda state, rng: {**state, "mask_decoder.hf_token.weight": torch.rand(1, 256)},
    "ordered": lambda state, rng: OrderedDict(state),
    "parameters": lambda state, rng: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
    "strided": lambda state, rng: {
        name: tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor for name, tensor in state.items()
    },
    "shared": lambda state, rng: _views(state),
}
"""Changes after which the tensors are the same."""


def _views(state):
    """All tensors as pieces of one storage."""
    line = torch.cat([tensor.flatten() for tensor in state.values()])
    sizes = [tensor.numel() for tensor in state.values()]
    pieces = line.split(sizes)
    return {name: piece.view(tensor.shape) for (name, tensor), piece in zip(state.items(), pieces, strict=True)}


def _one(change):
    def changed(state, rng):
        name = rng.choice(sorted(state))
        return {**state, name: change(state[name])}

    return changed


def _not_finite(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[tensor.numel() // 2] = float("nan")
    return tensor


HARMFUL = {
    "missing": lambda state, rng: _without(state, rng),
    "renamed": lambda state, rng: {re.sub(r"blocks\.\d", "blocks.7", name): tensor for name, tensor in state.items()},
    "surplus": lambda state, rng: {**state, "image_encoder.\x1b[31m": torch.rand(3)},
    "not finite": _one(_not_finite),
    "another shape": _one(lambda tensor: tensor[None].repeat(2, *[1] * tensor.ndim)),
    "flat": _one(lambda tensor: tensor.reshape(-1, 1, 1)),
    "no number": _one(lambda tensor: tensor.to(torch.complex64)),
    "integers": _one(lambda tensor: tensor.int()),
    "sparse": _one(lambda tensor: tensor.to_sparse()),
    "meta": _one(lambda tensor: torch.empty_like(tensor, device="meta")),
    "text": _one(lambda tensor: "tensor"),
    "empty": _one(lambda tensor: tensor[:0]),
    "huge": _one(lambda tensor: torch.zeros(1).expand(2**40)),
    "twice": lambda state, rng: {"model": state, "ema": dict(state)},
    "objects": lambda state, rng: {"state_dict": state, "hparams": re.compile("x")},
    "a list": lambda state, rng: [state],
    "a tensor": lambda state, rng: torch.rand(3),
    "nothing": lambda state, rng: {},
    "numbers for names": lambda state, rng: dict(enumerate(state.values())),
    "block names alone": lambda state, rng: {name: torch.rand(1) for name in state if "blocks" in name},
    "an encoder alone": lambda state, rng: {n: t for n, t in state.items() if n.startswith("image_encoder")},
    "one network in another": lambda state, rng: {**state, **_prefixed("module.")(state, rng)},
}
"""Changes after which no training starts from the file."""


def _without(state, rng):
    gone = rng.choice(sorted(state))
    return {name: tensor for name, tensor in state.items() if name != gone}


def checkpoint(home, rng):
    """A file; the files `exact` and `refused` say what must come of it."""
    path = home / "vit_b.pth"
    harmless = rng.random() < 0.5
    forms = HARMLESS if harmless else HARMFUL
    content = forms[rng.choice(sorted(forms))](dict(_STATE), rng)
    flat = isinstance(content, dict) and all(isinstance(each, torch.Tensor) for each in content.values())
    plain = flat and all(isinstance(name, str) for name in content)
    try:
        if not (plain and rng.random() < 0.4):
            raise ValueError
        save_file(content, path)
    except (ValueError, RuntimeError, NotImplementedError):  # of what safetensors does not write
        torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.8)
    if rng.random() < 0.35:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))
        return path
    (home / ("exact" if harmless else "refused")).write_text("")
    return path


def prepared(home, accepted):
    """What is wrong: good weights refused, weights of no use accepted, or other tensors than those of the file."""
    if (home / ("refused" if accepted else "exact")).exists():
        return "weights of no use" if accepted else "good weights refused"
    if not accepted or not (home / "exact").exists():
        return ""
    found = load_file(home / "weights" / WEIGHTS["vit_b"].file)
    same = found.keys() == _STATE.keys() and all(torch.equal(found[name], _STATE[name]) for name in found)
    return "" if same else "other tensors"
