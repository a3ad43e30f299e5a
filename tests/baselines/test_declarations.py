"""The declarations: torch-free, all listed, and kind about options that cannot be built."""

import subprocess
import sys

import pytest

from baselines.fcn import Fcn
from baselines.sam_lora import SamLora
from baselines.segnet import SegNet
from baselines.transunet import TransUNet
from benchmarks.protocol.registry import MODELS
from rssam.errors import UnknownName, UserError
from tests.conftest import REPOSITORY

FOLDERS = sorted(path.parent.name for path in (REPOSITORY / "baselines").glob("*/network.py"))


def test_every_folder_is_listed():
    assert sorted([*(f"baselines.{name}" for name in FOLDERS), "rssam.config"]) == sorted(
        type(model).__module__ for model in MODELS.values()
    )


def test_imports_no_torch():
    modules = ", ".join(f"baselines.{name}" for name in FOLDERS)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.parametrize(
    ("declaration", "options", "error", "sentence"),
    [
        (Fcn, {"backbone": "vgg"}, UnknownName, "unknown backbone 'vgg': choose one of resnet50, test_resnet"),
        (SegNet, {"width": 32}, UnknownName, "unknown width 32: choose one of 64, 16"),
        (TransUNet, {"init": "sam"}, UnknownName, "unknown init 'sam': choose imagenet or scratch"),
        (TransUNet, {"size": "tiny"}, UserError, "size tiny has no published weights: use --init scratch"),
        (SamLora, {"init": "imagenet"}, UnknownName, "choose sam or scratch"),
        (SamLora, {"encoder": "vit_t"}, UserError, "vit_t has no published weights: use --init scratch"),
    ],
)
def test_what_cannot_be_built_is_refused(declaration, options, error, sentence):
    with pytest.raises(error, match=sentence):
        declaration(**options)


def test_weights_needed():
    assert TransUNet().weights_needed() == ("r50_vit_b16",)
    assert SamLora("vit_l").weights_needed() == ("vit_l",)
    assert TransUNet("tiny", "scratch").weights_needed() == SamLora("vit_t", "scratch").weights_needed() == ()
