"""A folder decoded once for all: the pixels of the files, found again, made anew when damaged, never half a file."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.loading import decoded_cache as module
from data_prep.loading.decoded_cache import decoded
from data_prep.loading.torch_dataset import PreparedDataset
from tests.benchmarks.prepared import write_prepared


@pytest.fixture
def made(tmp_path):
    manifest = write_prepared(tmp_path / "deepglobe", count=6)
    said = []
    return tmp_path / "deepglobe", manifest.entries, tmp_path / "cache", said


def test_pixels_are_those_of_the_files(made):
    folder, entries, cache, said = made
    pixels = decoded(folder, entries, cache, said.append)
    for entry in entries:
        image, mask = Image.open(folder / entry.image), Image.open(folder / entry.mask)
        assert (pixels[entry.stem][:3].numpy() == np.asarray(image).transpose(2, 0, 1)).all()
        assert (pixels[entry.stem][3].numpy() == np.asarray(mask)).all()
    some = entries[4:1:-1]  # a split is some of the entries in another order
    mapped, read = (PreparedDataset(folder, some, native=True, pixels=source) for source in (pixels, None))
    for item, other in zip(mapped, read, strict=True):
        assert item.keys() == other.keys()
        assert item["name"] == other["name"]
        assert all(torch.equal(item[key], other[key]) for key in ("image", "mask", "native_mask"))
    assert len(said) == 1
    assert {path.suffix for path in cache.iterdir()} == {".pixels", ".lock"}


def test_the_file_serves_again_and_elsewhere(made, monkeypatch):
    folder, entries, cache, said = made
    pixels = decoded(folder, entries, cache, said.append)
    monkeypatch.setattr(PreparedDataset, "_pixels", None)  # no file can be decoded from here on
    again = decoded(folder, entries, cache, said.append)
    elsewhere = pickle.loads(pickle.dumps(pixels))
    assert len(pickle.dumps(pixels)) < 2000
    for other_pixels in (again, elsewhere):
        assert torch.equal(other_pixels[entries[2].stem], pixels[entries[2].stem])


def test_a_damaged_file_is_made_anew_and_one_changed_in_memory_is_not_written(made):
    folder, entries, cache, said = made
    pixels = decoded(folder, entries, cache, said.append)
    wanted, content = pixels[entries[1].stem].clone(), pixels.path.read_bytes()
    pixels[entries[1].stem].zero_()
    assert pixels.path.read_bytes() == content
    spoiled = bytearray(content)
    spoiled[len(content) // 3] ^= 4
    for bad in (bytes(spoiled), content[:-1]):
        pixels.path.write_bytes(bad)
        assert torch.equal(decoded(folder, entries, cache, said.append)[entries[1].stem], wanted)
        assert pixels.path.read_bytes() == content


def test_a_set_prepared_otherwise_replaces_the_file(made):
    folder, entries, cache, said = made
    first = decoded(folder, entries, cache, said.append)
    second = decoded(folder, entries[:4], cache, said.append)
    assert first.path != second.path
    assert list(cache.glob("*.pixels")) == [second.path]


def test_what_does_not_fit_is_not_kept_and_that_is_said(made, monkeypatch):
    folder, entries, cache, said = made
    monkeypatch.setattr(module, "SHARE_OF_MEMORY", 1e-9)
    assert decoded(folder, entries, cache, said.append) is None
    assert "of memory available" in said[0]
    assert not cache.exists()


def test_ended_while_it_is_made_leaves_nothing(made):
    folder, entries, cache, said = made
    asked = iter(range(100))

    def check():
        if next(asked) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded(folder, entries, cache, said.append, check)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    assert not said


def test_a_full_disk_is_said_and_leaves_nothing(made, monkeypatch):
    folder, entries, cache, said = made

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "pwrite", full)
    assert decoded(folder, entries, cache, said.append) is None
    assert "No space left" in said[0]
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
