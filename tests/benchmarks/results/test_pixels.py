"""Predictions and pictures as they come back from the disk."""

import numpy as np
import pytest

from benchmarks.results.pixels import read_pair, read_predictions
from benchmarks.results.predictions import save_predictions
from data_prep.errors import DataError
from tests.reports.pictured import LandCover, Roads, draw_masks, write_pictures


@pytest.mark.parametrize(("binary", "width"), [(True, 16), (True, 13), (False, 13)])
def test_what_was_saved_is_read(tmp_path, binary, width):
    rng = np.random.default_rng(0)
    labels = tuple(rng.integers(0, 2 if binary else 6, (9, width), dtype=np.uint8) for _ in range(3))
    path = tmp_path / "run" / "predictions.npz"
    save_predictions(path, ("a", "b", "c"), labels, binary=binary)
    read = read_predictions(path, binary=binary)
    assert read.images == ("a", "b", "c")
    for name, expected in zip("cab", (labels[2], labels[0], labels[1]), strict=True):
        found = read.labels(name)
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected)


def test_predictions_of_another_task_or_damaged_are_refused(tmp_path):
    path = tmp_path / "run-1" / "predictions.npz"
    with pytest.raises(DataError, match=r"run-1/predictions.npz cannot be read"):
        read_predictions(path, binary=True)
    labels = (np.ones((8, 8), np.uint8),)
    save_predictions(path, ("a",), labels, binary=True)
    with pytest.raises(DataError, match="does not hold the labels it announces"):
        read_predictions(path, binary=False)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(path, binary=True)
    with path.open("wb") as stream:  # one array in place of an archive of arrays raised a TypeError
        np.save(stream, labels[0])
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(path, binary=True)


@pytest.mark.parametrize("dataset", [Roads(), LandCover()], ids=lambda dataset: dataset.name)
def test_masks_are_read_as_labels(tmp_path, dataset):
    (mask,) = draw_masks(dataset, 1)
    image = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    (entry,) = write_pictures(tmp_path, dataset, [mask], [image]).entries
    folder = tmp_path / "data" / dataset.name
    read_image, read_mask = read_pair(folder, entry)
    assert np.array_equal(read_image, image)
    assert np.array_equal(read_mask, mask)
    (folder / entry.mask).write_bytes(b"")
    with pytest.raises(DataError, match="was changed since it was prepared"):
        read_pair(folder, entry)
    (folder / entry.mask).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_pair(folder, entry)
