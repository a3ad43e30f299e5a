from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.errors import DataError
from data_prep.loading import torch_dataset as loading
from data_prep.loading.torch_dataset import PreparedDataset, crop, grid, random_crop_offset
from tests.data_prep.samples import prepare, write_pair


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loading")
    write_pair(folder / "source", "1", seed=1, side=1024)
    write_pair(folder / "source", "2", seed=2, side=512)
    return folder / "out", prepare(folder / "source", folder / "out").entries


@pytest.mark.parametrize("cache", [True, False])
def test_items_hold_the_prepared_pixels(prepared, cache):
    folder, entries = prepared
    items = PreparedDataset(folder, entries, cache=cache)
    assert len(items) == 2
    for _ in range(2):
        item = items[0]
        assert set(item) == {"name", "image", "mask"}
        assert item["name"] == "1"
        assert item["image"].dtype == item["mask"].dtype == torch.uint8
        assert (item["image"].numpy() == np.asarray(Image.open(folder / "images/1.png")).transpose(2, 0, 1)).all()
        assert (item["mask"].numpy() == np.asarray(Image.open(folder / "masks/1.png"))).all()
    assert (items[0] is items[0]) == cache


def test_native_masks(prepared):
    folder, entries = prepared
    large, small = PreparedDataset(folder, entries, native=True)
    assert large["native_mask"].shape == (1024, 1024)
    assert (large["native_mask"][::2, ::2] == large["mask"]).all()
    assert (small["native_mask"] == small["mask"]).all()
    window = crop(large, top=10, left=300, side=64)
    assert (window["native_mask"][::2, ::2] == window["mask"]).all()


def test_a_set_too_large_is_not_kept(prepared, monkeypatch):
    monkeypatch.setattr(loading, "CACHE_LIMIT", 2 * 4 * 512 * 512 - 1)
    items = PreparedDataset(*prepared)
    assert items[0] is not items[0]


def test_workers_change_nothing(prepared):
    items = PreparedDataset(*prepared)
    first, second = (
        list(torch.utils.data.DataLoader(items, batch_size=2, num_workers=workers, shuffle=False)) for workers in (0, 2)
    )
    assert first[0]["name"] == second[0]["name"] == ["1", "2"]
    assert first[0]["image"].shape == (2, 3, 512, 512)
    assert torch.equal(first[0]["image"], second[0]["image"])
    assert torch.equal(first[0]["mask"], second[0]["mask"])


def test_missing_damaged_and_swapped_files_are_told(prepared, tmp_path):
    entries = prepared[1]
    with pytest.raises(DataError, match="run prepare again"):
        PreparedDataset(tmp_path, entries)[0]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes((prepared[0] / "images" / "1.png").read_bytes()[:5000])
    with pytest.raises(DataError, match=r"1\.png cannot be read"):
        PreparedDataset(tmp_path, entries)[0]
    Image.new("L", (512, 512)).save(tmp_path / "images" / "1.png")
    with pytest.raises(DataError, match="expected mode RGB"):
        PreparedDataset(tmp_path, entries)[0]


def test_the_end_of_the_set(prepared):
    items = PreparedDataset(*prepared)
    assert items[-1]["name"] == "2"
    with pytest.raises(IndexError):
        items[2]


def test_a_crop_is_the_window(prepared):
    item = PreparedDataset(*prepared)[0]
    window = crop(item, top=3, left=5, side=7)
    assert torch.equal(window["image"], item["image"][:, 3:10, 5:12])
    assert torch.equal(window["mask"], item["mask"][3:10, 5:12])
    for top, left, side in ((-1, 0, 4), (0, 509, 4), (0, 0, 513), (0, 0, 0)):
        with pytest.raises(ValueError, match="leaves the image"):
            crop(item, top, left, side)


def test_crop_offsets_are_deterministic_and_reach_every_place():
    offsets = [random_crop_offset(0, 1, index, (8, 10), 7) for index in range(200)]
    assert offsets == [random_crop_offset(0, 1, index, (8, 10), 7) for index in range(200)]
    assert set(offsets) == {(top, left) for top in range(2) for left in range(4)}
    assert len({random_crop_offset(*numbers, (512, 512), 256) for numbers in ((0, 0, 1), (0, 1, 0), (1, 0, 0))}) == 3
    assert random_crop_offset(0, 0, 0, (64, 64), 64) == (0, 0)
    with pytest.raises(ValueError, match="does not fit"):
        random_crop_offset(0, 0, 0, (64, 32), 64)


def test_a_grid_covers_every_pixel_once():
    covered = np.zeros((12, 20), int)
    for top, left in grid((12, 20), 4):
        covered[top : top + 4, left : left + 4] += 1
    assert (covered == 1).all()
    with pytest.raises(ValueError, match="do not tile"):
        grid((12, 20), 8)


def test_decoded_pixels_of_another_range_are_refused(prepared):
    """Images in 0..1 went through: training divides what an item holds by 255, which made them nearly black."""
    folder, entries = prepared
    planes = {entry.stem: torch.rand(4, *entry.size) for entry in entries}
    with pytest.raises(TypeError, match=r"expected decoded pixels uint8 in 0\.\.255, found torch\.float32 for 1"):
        PreparedDataset(folder, entries, pixels=planes)[0]
