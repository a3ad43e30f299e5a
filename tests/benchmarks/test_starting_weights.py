"""`prepare weights` where there is a file already: it is compared, and one of no use is replaced."""

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from benchmarks import doctor
from rssam.weights.folder import WeightsFolder, write_content_digest
from tests.rssam.fixtures import sam_file, tiny_vit_b

__all__ = ["sam_file", "tiny_vit_b"]

PREPARE = ("prepare", "weights", "vit_b")


@pytest.fixture
def home(tiny_vit_b, tmp_path):
    return tmp_path / "home"


@pytest.fixture
def file(home):
    return home / "weights" / "sam_vit_b.safetensors"


def put(file, tensors, source="1" * 64):
    """A prepared file of any tensors, its content digest right."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, {"source_sha256": source, "name": "vit_b", "content_sha256": "0" * 64})
    write_content_digest(file)


def test_a_good_file_is_there_and_compared_with_the_source(command, sam_file, file, tmp_path):
    code, out, err = command(*PREPARE, "--source", sam_file)
    assert (code, out.split(": ")[0]) == (0, "vit_b (Apache-2.0)")
    assert "note: vit_b is not the file that was published: keys and tables call it custom weights" in err
    before = file.read_bytes()
    assert command(*PREPARE)[1] == f"{file} is there\n"
    assert command(*PREPARE, "--source", sam_file)[1] == f"{file} is there, made from this file\n"
    torch.save({"model": torch.load(sam_file)}, tmp_path / "wrapped.pth")
    code, out, _ = command(*PREPARE, "--source", tmp_path / "wrapped.pth")
    assert (code, out) == (0, f"{file} is there, with the same tensors as this file\n")
    assert file.read_bytes() == before


def test_another_good_source_is_refused_with_the_way_to_replace(command, sam_file, file, tmp_path):
    """ "is there", of weights that were not those of the file just named."""
    command(*PREPARE, "--source", sam_file)
    before, other = file.read_bytes(), torch.load(sam_file)
    other["image_encoder.pos_embed"] = torch.rand(1, 64, 32, 96)
    torch.save(other, tmp_path / "other.pth")
    code, _, err = command(*PREPARE, "--source", tmp_path / "other.pth")
    assert code == 1
    assert f"{file} holds vit_b from another file than {tmp_path / 'other.pth'}: expected SHA-256" in err
    assert "To replace it, delete it and run the command again" in err
    assert file.read_bytes() == before
    file.unlink()
    _, out, err = command(*PREPARE, "--source", tmp_path / "other.pth")
    assert "note: vit_b was read so: position tables of images of 512x1024 pixels" in err
    assert out == f"vit_b (Apache-2.0): {file}\n"


BAD = {
    "nothing useful": lambda s: {"x": torch.zeros(2)},
    "NaN": lambda s: {**s, "image_encoder.neck.1.bias": torch.full((256,), float("nan"))},
    "another table": lambda s: {**s, "image_encoder.blocks.0.attn.rel_pos_h": torch.rand(13, 32)},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_file_in_place_is_named_and_replaced(command, sam_file, file, change):
    """ "is there", and the bad file stayed: a dead end."""
    put(file, change(torch.load(sam_file)))
    code, out, err = command(*PREPARE, "--source", sam_file)
    assert (code, out) == (0, f"vit_b (Apache-2.0): {file}\n")
    assert f"note: replaced what was there: {file} is no checkpoint to start from: expected" in err
    assert load_file(file).keys() == torch.load(sam_file).keys()


def test_a_bad_file_without_a_source_and_without_a_network(command, file, monkeypatch):
    """The bad one is named; it stays until a good one is there."""
    put(file, {"x": torch.zeros(2)})
    before = file.read_bytes()

    def offline(*_):
        raise OSError("no network")

    monkeypatch.setattr("rssam.weights.http_download.Fetch.run", offline)
    code, _, err = command(*PREPARE)
    assert code == 1
    assert f"error: {file} is no checkpoint to start from: expected tensors named image_encoder.*" in err
    assert "could not download" in err
    assert "--source FILE" in err
    assert file.read_bytes() == before


def test_a_bad_source_leaves_the_good_file(command, sam_file, file, tmp_path):
    command(*PREPARE, "--source", sam_file)
    before = file.read_bytes()
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint")
    code, _, err = command(*PREPARE, "--source", tmp_path / "bad.pth")
    assert (code, file.read_bytes()) == (1, before)
    assert "expected a PyTorch checkpoint in" in err


def test_the_doctor_names_a_bad_file_and_what_mends_it(home, file, monkeypatch):
    """ "ok", of a checkpoint that no training starts from."""
    put(file, {"x": torch.zeros(2)})
    monkeypatch.setattr(doctor, "_torch", list)  # a child process, of seconds
    monkeypatch.setattr(doctor, "_class_distance", lambda home: [])
    (check,) = [check for check in doctor.examine(home) if getattr(check, "what", "") == "weights vit_b"]
    assert check.state == "problem"
    assert "expected tensors named image_encoder.*" in check.found
    assert check.remedy == "rssam-bench prepare weights vit_b"


def test_an_imagenet_file_is_tried_on_a_system(command, tmp_path):
    """A file of the tensor that marks a ResNet-18 passed; a U-Net then said "prepare the weights again"."""
    home, prepare = tmp_path / "home", ("prepare", "weights", "resnet18")
    torch.manual_seed(0)
    state = torchvision.models.resnet18(weights=None).state_dict()
    torch.save({"layer4.1.conv2.weight": state["layer4.1.conv2.weight"]}, tmp_path / "bad.pth")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "good.pth")
    code, _, err = command(*prepare, "--source", tmp_path / "bad.pth")
    assert code == 1
    assert "expected tensors named fc.* in the checkpoint resnet18, found none. Run: rssam-bench --home" in err
    assert list((home / "weights").iterdir()) == []
    put(WeightsFolder(home / "weights").path("resnet18"), {"layer4.1.conv2.weight": state["layer4.1.conv2.weight"]})
    code, _, err = command(*prepare, "--source", tmp_path / "good.pth")
    assert code == 0
    assert "note: replaced what was there: expected tensors named fc.* in the checkpoint resnet18, found none" in err
    assert 'note: resnet18 was read so: inside "state_dict"; names behind "module."' in err
    assert command(*prepare, "--source", tmp_path / "good.pth")[1].endswith(" is there, made from this file\n")
