import subprocess
import sys

import pytest

from rssam.config import RSSAM
from rssam.contract import Model
from rssam.errors import UserError


def test_is_a_model():
    assert isinstance(RSSAM(), Model)
    assert RSSAM() == RSSAM(encoder="vit_b", init="sam", rank=4)
    assert hash(RSSAM()) == hash(RSSAM())


def test_imports_no_torch():
    code = "import sys; import rssam.config; rssam.config.RSSAM(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_needed():
    assert RSSAM("vit_l").weights_needed() == ("vit_l",)
    assert RSSAM("vit_l", init="scratch").weights_needed() == ()


@pytest.mark.parametrize("encoder", ["vit_t", "vit_s"])
def test_small_encoders_start_from_scratch(encoder):
    with pytest.raises(UserError, match=f"{encoder} has no published weights: use --init scratch"):
        RSSAM(encoder)
    assert RSSAM(encoder, init="scratch").weights_needed() == ()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"encoder": "vit_x"}, UserError, "choose one of vit_b, vit_l, vit_h, vit_t, vit_s"),
        ({"init": "imagenet"}, UserError, "choose sam or scratch"),
        ({"neck_source": "first"}, ValueError, "'last' or 'layers'"),
        ({"rank": -1}, ValueError, "0 or more"),
        ({"chain": "literal"}, ValueError, "printed, sam_first, continued, residual"),
        ({"scales": ()}, ValueError, "taken from"),
        ({"scales": (64, 32), "mhff": False}, ValueError, "taken from"),
        ({"scales": (4,)}, ValueError, "set mhff=False"),
        ({"scales": (4, 8, 16, 32)}, ValueError, "set mhff=False"),
        ({"scales": (4,), "mhff": False, "neck_source": "layers"}, ValueError, "does not fit"),
    ],
)
def test_what_cannot_be_built_is_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        RSSAM(**options)
