"""Each check of the conformance list catches the fault it is for, and names it; a check that cannot fail is none."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from benchmarks import conformance
from benchmarks.conformance import CHECKS, examine


class Net(nn.Module):
    """Two convolutions, wired as `fault` says."""

    def __init__(self, channels, fault):
        super().__init__()
        self.fault = fault
        self.first, self.last = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, channels, 5, padding=2)
        self.idle = nn.Conv2d(8, 8, 1)
        self.idle.requires_grad_(fault == "idle parameters")
        if fault == "random start":
            self.unsaved = torch.rand(())
        if fault == "no learning":
            self.requires_grad_(False)
            self.last.bias.requires_grad_(True)

    def forward(self, x):
        if self.fault == "integers":
            x = x.float()
        if self.fault == "":  # it takes both ranges and tells them apart, which is no fault
            x = x if x.is_floating_point() else x / 255
        if self.fault == "normalised twice":
            x = ((x - 0.45) / 0.225 - 0.45) / 0.225
        if self.fault == "expects 0..255":
            x = (x - 115.0) / 57.0
        if self.fault == "divides again":
            x = x / 255
        if self.fault == "centred as 0..255":
            x = x - 115.0
        if self.fault == "mixed batch":
            x = x - x.mean(dim=(0, 2, 3), keepdim=True)
        out = self.last(self.first(x).relu())
        if self.fault == "unsaved":
            out = out + self.first.weight.new_tensor(id(self) % 97)
        if self.fault == "random start":
            out = out + self.unsaved
        if self.fault == "meta" and x.device.type == "meta":
            raise NotImplementedError("no meta kernel")
        if self.fault == "not finite" and torch.is_autocast_enabled("cpu"):
            out = out / 0
        if self.fault == "wrong size":
            out = out[..., ::2, ::2]
        if self.fault == "smaller in training" and self.training:
            out = out[..., ::2, ::2]
        if self.fault == "six alike":
            out = out[:, :1]
        return out if self.fault == "bfloat16 out" else out.float()


@dataclass(frozen=True)
class Own:
    name: ClassVar[str] = "own"
    title: ClassVar[str] = "Own"
    version: ClassVar[int] = 1
    published: ClassVar[Any] = None
    small: ClassVar[dict] = {}

    fault: str = ""

    def architecture(self, task):
        return Net(task.channels, self.fault)

    def build(self, task, weights):
        if self.fault == "global":
            torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())
        if self.fault == "square only" and task.image_size[0] != task.image_size[1]:
            raise ValueError("squares only\nand more")
        return self.architecture(task)

    def weights_needed(self):
        return ("vit_b",) if self.fault == "weights" else ()


FAULTS = {
    "": {},
    "weights": {"declaration": r"needs \('vit_b',\)|it needs \('vit_b',\)"},
    "wrong size": {
        "forward 64x64 of 1": r"images \(1, 3, 64, 64\) must give logits \(1, 1, 64, 64\), found \(1, 1, 32, 32\)"
    },
    # It passed: both passes of the check were those of evaluation.
    "smaller in training": {
        "forward 96x160 of 1": r"images \(3, 3, 96, 160\) must give logits \(3, 1, 96, 160\), found \(3, 1, 48, 80\)"
    },
    "six alike": {"forward 96x160 of 6": r"must give logits \(1, 6, 96, 160\), found \(1, 1, 96, 160\)"},
    "square only": {"forward 96x160 of 1": "ValueError: squares only$"},
    "integers": {
        "integers": r"must be refused, found logits that differ by up to [\d.e+]+ from those of the same pixels"
    },
    # Each of the four passed all checks: the overfitting check trains a network on whatever scale it has.
    "normalised twice": {"range": r"with a deviation of 0\.05 to 4 and a mean of at most 10, found 5\.7 and -0\.98"},
    "expects 0..255": {"range": r"found 0\.0051 and -2: normalise them once"},
    "divides again": {"range": r"found 0\.0011 and 0\.002"},
    "centred as 0..255": {"range": r"found 0\.29 and -1\.1e\+02"},
    "mixed batch": {"batch": "gives other logits beside others than alone"},
    "idle parameters": {"training": r"no loss reaches idle\.bias, idle\.weight: freeze them"},
    "random start": {"state": "state_dict, loaded into another, gives other logits"},
    "global": {"global state": "changes a global setting of torch"},
    "no learning": {"overfitting": r"must be learned to Dice 0\.9 in 20 steps, found 0\.\d+"},
    "bfloat16 out": {half: r"must come back as float32, found torch\.b?float16" for half in ("bfloat16", "float16")},
    "not finite": {half: f"not finite in {half}" for half in ("bfloat16", "float16")},
    "meta": {"counting": "NotImplementedError: no meta kernel"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.replace(" ", "-") or "sound")
def test_the_fault_is_found_by_its_check(fault, request, monkeypatch):
    request.addfinalizer(lambda: torch.use_deterministic_algorithms(False))
    wanted = FAULTS[fault]
    if wanted:
        monkeypatch.setattr(conformance, "STEPS", 20)  # what cannot learn cannot in 200 either
    found = {check.name: words for check, words in examine(Own(fault))} if not wanted else run(fault, wanted)
    assert len(found) == (len(CHECKS) if not wanted else len(wanted))
    for name, words in found.items():
        assert re.search(wanted[name], words) if name in wanted else words == "", (name, words)


def run(fault, names):
    """The findings of these checks alone: the others would only take time."""
    chosen = tuple(check for check in CHECKS if check.name in names)
    before, conformance.CHECKS = conformance.CHECKS, chosen
    try:
        return {check.name: words for check, words in examine(Own(fault))}
    finally:
        conformance.CHECKS = before


def test_every_check_is_seen_to_fail():
    failing = {name for wanted in FAULTS.values() for name in wanted}
    forward = {name for name in failing if name.startswith("forward")}
    assert failing - forward == {check.name for check in CHECKS if not check.name.startswith("forward")}
    assert forward


def test_one_failure_leaves_the_other_checks_to_run():
    assert {name: bool(words) for name, words in run("weights", ("declaration", "state", "counting")).items()} == {
        "declaration": True, "state": False, "counting": False,
    }  # fmt: skip
