"""`rssam-bench export` and `conformance` as they are typed."""

import json
import sys

import pytest

from baselines.unet import UNet
from benchmarks import conformance
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.export.adapter import load_adapter
from tests.benchmarks.prepared import make_session, tiny_run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with one finished run of seconds."""
    folder = tmp_path_factory.mktemp("home")
    session = make_session(folder)
    (outcome,) = execute_all(resolve_all([tiny_run(UNet(4))], session), session)
    return folder, outcome.key


def test_export_writes_an_adapter_with_its_card(command, home, tmp_path):
    folder, key = home
    file = tmp_path / "roads.safetensors"
    code, out, err = command("--home", folder, "export", "--run", key, "--out", file, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["key"], told["base"]) == (key, {})
    assert told["bytes"] == file.stat().st_size
    assert load_adapter(file, make_session(folder).weights).key == key
    card = (tmp_path / "roads.md").read_text()
    assert "# UNet on deepglobe" in card
    assert "made-up scenes" in card
    assert 'load_adapter(Path("roads.safetensors")' in card


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "--out FILE.safetensors, --onnx FILE.onnx, or both"),
        (("--out", "x.pth"), 2, "ends in .safetensors"),
        (("--out", "x.safetensors"), 1, "no finished run 'nothing'"),
    ],
)
def test_export_says_what_is_wrong(command, home, options, code, words):
    found, _, err = command("--home", home[0], "export", "--run", "nothing", *options)
    assert found == code
    assert words in " ".join(err.replace("│", " ").split())


def test_export_spares_the_run_and_writes_both_files_or_none(command, home, tmp_path):
    """--out on the run's own parameters replaced them; a folder NAME.md left an adapter without its card."""
    folder, key = home
    best = next((folder / "runs" / key).glob("best-*.safetensors"))
    before = best.read_bytes()
    code, _, err = command("--home", folder, "export", "--run", key, "--out", best)
    assert (code, "expected a place outside of" in err, best.read_bytes() == before) == (1, True, True)
    (tmp_path / "a.md").mkdir()
    code, _, err = command("--home", folder, "export", "--run", key, "--out", tmp_path / "a.safetensors")
    assert (code, f"found a folder at {tmp_path / 'a.md'}" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    code, _, err = command("--home", folder, "score", "--run", key, "--out", folder / "data" / "deepglobe" / "masks")
    assert (code, "expected a place outside of" in err) == (1, True)  # the truth was replaced by what was predicted


def test_conformance_tells_each_check_and_fails_with_one(command, tmp_path, monkeypatch):
    (tmp_path / "halved.py").write_text(
        "from dataclasses import dataclass\n"
        "from baselines.unet import UNet\n"
        "@dataclass(frozen=True)\n"
        "class Halved(UNet):\n"
        "    name = 'halved'\n"
        "    small = {'width': 2}\n"
        "    def build(self, task, weights):\n"
        "        return super().build(task, weights).half()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    few = [check for check in conformance.CHECKS if check.name in ("declaration", "forward 64x64 of 1", "counting")]
    monkeypatch.setattr(conformance, "CHECKS", tuple(few))
    code, out, err = command("conformance", "halved:Halved", "--json")
    assert code == 1, err
    told = json.loads(out)
    states = {check["check"]: check["passed"] for check in told["checks"]}
    assert (told["system"], told["passed"]) == ("halved", False)
    assert states == {"declaration": True, "forward 64x64 of 1": False, "counting": True}
    code, out, _ = command("conformance", "halved:Halved")
    assert code == 1
    assert "FAILED forward 64x64 of 1: images [B, 3, 64, 64] give float32" in out
    assert "halved: 2 of 3 checks passed" in out
    sys.modules.pop("halved")
