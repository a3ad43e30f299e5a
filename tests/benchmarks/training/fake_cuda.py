"""Train on CUDA tensors that have no content, where there is no card: what a step asks of the device, and of what type.

`records` runs this module in a process of its own, because it changes torch there. The loop is that of `train` itself;
only the images are made here. It says nothing of values, times or memory: that is not measured on a GPU.
"""

import ctypes
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.fabric import Fabric
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.protocol.tables import TABLES
from benchmarks.training import loop
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.compile import channels_last
from benchmarks.training.evaluate import evaluate, validation_loss
from benchmarks.training.precision import LossScale
from data_prep.loading.torch_dataset import Item
from data_prep.registry import find_dataset
from rssam.contract import Task

FEW = ("unet", "sam-lora", "rs-sam")
"""A network of convolutions, SAM with LoRA, and all of SAM's parts; every system takes most of a minute."""
STEPS = 2
"""Of the optimiser; the first allocates, what the second asks of the device is counted."""
DRIVER = """
extern "C" {
int cards;
int cuDevicePrimaryCtxGetState(int, unsigned* flags, int* active) { *flags = 0; *active = 1; return 0; }
}
namespace c10::cuda { signed char device_count() noexcept { return cards; } }
"""
"""What the backward pass of a torch built for CUDA asks of a driver, even for tensors without content."""
CARD = {
    "torch.cuda.is_available": True, "torch.cuda.device_count": 1, "torch.cuda.current_device": 0,
    "torch.cuda.is_bf16_supported": True, "torch.cuda.set_device": None,
    "torch.cuda.is_current_stream_capturing": False, "torch.cuda.get_device_capability": (9, 0),
    "torch.cuda.get_device_name": "none",
    "torch.cuda.empty_cache": None, "torch.cuda.get_rng_state": torch.zeros(16, dtype=torch.uint8),
    "torch.cuda.manual_seed_all": None,
}  # fmt: skip
"""What torch answers instead of looking for a card."""


class Waits(TorchDispatchMode):
    """Counts the calls for which the processor would wait for the device: copies between the two that block.

    And the kernels and the bytes that they read and write, taking each operator for one kernel. With `values` a value
    that is asked for is 0, and its wait counted; otherwise that is an error.
    """

    def __init__(self, *, values=False):
        super().__init__()
        self.found, self.kernels, self.bytes, self.values = Counter(), 0, 0, values

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:  # seven of ten calls; the device itself is not asked
            return func(*args, **kwargs)
        with self:  # in inference mode composed operators come whole
            composed = func.namespace == "aten"
            if composed and (made := func.decompose(*args, **kwargs)) is not NotImplemented:
                return made
        name = func.overloadpacket.__name__
        if self.values and name == "_local_scalar_dense":
            self.found["value"] += 1
            return 0
        if self.values and name == "bincount":  # its extremes are asked for first
            self.found[name] += 2
            self.kernels += 3
            return torch.empty(kwargs.get("minlength", args[-1]), dtype=torch.int64, device=args[0].device)
        made = func(*args, **kwargs)
        given, got = (
            [leaf for leaf in tree_leaves(leaves) if isinstance(leaf, torch.Tensor)]
            for leaves in ((args, kwargs), made)
        )
        before, after = ({leaf.device.type for leaf in leaves} for leaves in (given, got))
        asked = kwargs.get("non_blocking", len(args) > 2 and name == "copy_" and args[2])
        pageable = name == "_to_copy" and before == {"cpu"} and not getattr(given[0], "pinned", False)
        if name in ("_to_copy", "copy_") and {"cpu", "cuda"} <= before | after and (pageable or not asked):
            self.found[f"{name} from {'-'.join(sorted(before))}"] += 1
        if "cuda" in after and not func.is_view:
            self.kernels += 1
            touched = {id(leaf): leaf for leaf in (*given, *got) if leaf.device.type == "cuda"}
            self.bytes += sum(leaf.numel() * leaf.element_size() for leaf in touched.values())
        return made


def pinned(tensor):
    """Stand in for `pin_memory`, which needs a driver."""
    tensor.pinned = True
    return tensor


def with_cards(run, count):
    """Let the C++ of torch count so many cards while `run` is called: its backward pass wants all, others none."""
    cards = ctypes.c_int.in_dll(ctypes.CDLL(None), "cards")

    def told(*given, **named):
        before, cards.value = cards.value, count
        try:
            return run(*given, **named)
        finally:
            cards.value = before

    return told


class EndOfTrial(Exception):
    """Ends the training after its steps."""


def on_card(net):
    """Put parameters and buffers of a network without content on the card, in their layout, in place."""
    moved = {}

    def move(tensor):
        if tensor is None:
            return None
        if id(tensor) not in moved:
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
            if isinstance(tensor, nn.Parameter):
                made = nn.Parameter(made, tensor.requires_grad)
            moved[id(tensor)] = tensor, made
        return moved[id(tensor)][1]

    for module in net.modules():
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: move(tensor) for name, tensor in tensors.items()})
    return net


def enter_card(stack):
    """Let torch take tensors without content for those of a card, until the stack is left."""
    stack.enter_context(patch.object(FakeTensorMode, "avoid_device_init", True))
    stack.enter_context(patch.object(torch.Tensor, "backward", with_cards(torch.Tensor.backward, 127)))
    stack.enter_context(patch("torch._C._select_conv_backend", with_cards(torch._C._select_conv_backend, 0)))
    stack.enter_context(FakeTensorMode())
    for name, value in CARD.items():
        stack.enter_context(patch(name, lambda *_, value=value, **__: value))
    stack.enter_context(patch.object(Fabric, "_move_model_to_device", lambda self, model, optimizers: model))
    stack.enter_context(patch.object(torch.Tensor, "pin_memory", pinned))
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")


def attempt_passes(model, task, precision, images):
    """Return what `validation_loss` and `evaluate` ask of the device for so many images, all at once."""
    with torch.device("meta"):
        net = model.architecture(task)
    channels_last(net)
    found = {"system": model.title, "precision": precision, "size": task.image_size[0], "images": images}
    with ExitStack() as stack:
        enter_card(stack)
        stack.enter_context(patch.object(torch.Tensor, "numpy", lambda self: np.zeros(tuple(self.shape), np.int64)))
        stack.enter_context(patch.object(FakeTensor, "tolist", lambda self: [0.0] * len(self)))
        stack.enter_context(
            patch.object(torch, "from_numpy", lambda array: torch.empty(array.shape, dtype=torch.int64))
        )
        net = loop.make_fabric("cuda", precision).setup(on_card(net))
        items = [
            Item(
                name=str(number),
                image=torch.empty(3, *task.image_size, dtype=torch.uint8),
                mask=torch.empty(*task.image_size, dtype=torch.uint8),
            )
            for number in range(images)
        ]
        data = Items(items, [SimpleNamespace(size=task.image_size)] * images)
        device, recipe = torch.device("cuda"), replace(PAPER, batch=images, group=images, crop=None)
        for name, run in {
            "validation": lambda: validation_loss(net, data, recipe, device),
            "test": lambda: evaluate(net, data, task, None, device, together=images),
        }.items():
            with Waits(values=True) as waits:
                run()
            found[name] = {"waits": dict(waits.found), "kernels": waits.kernels, "bytes": waits.bytes}
    return found


class Items(list):
    """Images with what is known of their files."""

    def __init__(self, items, entries):
        super().__init__(items)
        self.entries = entries


def attempt(model, task, precision, group):
    """Return what `STEPS` steps of a system were made of; "failed" names what kept it from them."""
    with torch.device("meta"):
        net = model.architecture(task)
    channels_last(net)
    recipe = replace(PAPER, batch=group, group=group, crop=None)
    found = {"system": model.title, "precision": precision, "size": task.image_size[0], "group": group}
    logits, losses, gradients, done = set(), set(), [], []
    plain_outputs, plain_loss, plain_step = loop.training_outputs, loop.outputs_loss, LossScale.step

    def outputs(*given):
        made = plain_outputs(*given)
        logits.update(f"{tensor.dtype} on {tensor.device.type}" for _, tensor in made)
        return made

    def loss(*given):
        made = plain_loss(*given)
        losses.add(f"{made.dtype} on {made.device.type}")
        return made

    def step(scale, optimizer):
        trained = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
        gradients.append(
            [name for name, tensor in trained.items() if tensor.grad is None or tensor.grad.device.type != "cuda"]
        )
        plain_step(scale, optimizer)

    def after(*_):
        done.append(1)
        if len(done) == 1:
            waits.found.clear()
        if len(done) == STEPS:
            raise EndOfTrial

    with ExitStack() as stack:
        enter_card(stack)
        stack.enter_context(patch.object(loop, "training_outputs", outputs))
        stack.enter_context(patch.object(loop, "outputs_loss", loss))
        stack.enter_context(patch.object(LossScale, "step", step))
        on_card(net)
        images = pinned(torch.empty(group, 3, *task.image_size, dtype=torch.uint8))  # by the reader of groups
        labels = pinned(torch.empty(group, *task.image_size, dtype=torch.uint8))
        stack.enter_context(patch.object(loop, "read_groups", lambda *_, **__: repeat((images, labels))))
        stack.enter_context(patch.object(loop, "groups_per_epoch", lambda *_: 200))
        waits = stack.enter_context(Waits())
        listener = loop.Listener(after, lambda _: None)
        fabric = loop.make_fabric("cuda", precision)
        try:
            loop.train(net, recipe, 1e-3, 0, (None, None), fabric, Checkpoints(Path("nowhere")), listener)
        except EndOfTrial:
            pass
        except Exception as error:  # noqa: BLE001  # of whatever kind, it is the finding
            found["failed"] = f"{type(error).__name__}: {error}"[:600]
    found |= {
        "steps": len(done),
        "logits": sorted(logits),
        "loss": sorted(losses),
        "without_gradient": sorted({name for names in gradients for name in names}),
        "waits": dict(waits.found),
    }
    return found


class Waiting(nn.Module):
    """A network that asks the device in every step: what the count must find."""

    def __init__(self, ask):
        super().__init__()
        self.conv, self.ask = nn.Conv2d(3, 1, 1), ask

    def forward(self, images):
        logits = self.conv(images)
        self.ask(logits)
        return logits


ASKED = {
    "item": lambda logits: logits.sum().item(),
    "nonzero": lambda logits: logits[logits > 0].sum(),
    "cpu": lambda logits: logits.cpu(),
    "constant": lambda logits: logits + torch.zeros(1).to(logits.device),
    "nothing": lambda logits: logits + 1,
}


def trials(what):
    """Return systems with their tasks and groups: of `few`, `small`, `table5`, `tables` (at their size), `controls`."""
    task = Task(("road",), (64, 64))
    if what == "controls":
        made = {name: partial(Waiting, ask) for name, ask in ASKED.items()}
        return [(SimpleNamespace(title=name, architecture=lambda _, m=m: m()), task, 2) for name, m in made.items()]
    if what == "passes":
        return [(smallest(MODELS["unet"]), task, 4)]
    if what == "few":
        return [(smallest(MODELS[name]), task, 2) for name in FEW]
    if what == "small":
        return [(smallest(model), task, 2) for model in MODELS.values()]
    if what == "table5":
        return [(smallest(row.model), task, 2) for row in TABLES["table5"].every_row]
    found = {
        (row.model, Task(find_dataset(TABLES[name].dataset).classes, (512, 512)), PAPER.group): None
        for name in ("table1", "table5")
        for row in TABLES[name].every_row
    }
    return list(found)


def records(folder, *wanted):
    """Return a record of every trial, made in a process of its own; needs g++ for a driver of three lines.

    `wanted` names trials with their precision, as "few@16-mixed".
    """
    library = folder / "libcuda.so.1"
    options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library), "-x", "c++", "-"]
    subprocess.run(["g++", *options], input=DRIVER, text=True, check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.training.fake_cuda", *wanted],
        env={**os.environ, "LD_PRELOAD": str(library)}, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    for what, precision in (wanted.split("@") for wanted in sys.argv[1:]):
        for model, task, group in trials(what):
            made = attempt_passes if what == "passes" else attempt
            sys.stdout.write(json.dumps(made(model, task, precision, group)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
