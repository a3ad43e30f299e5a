"""Blending against a plain NumPy sum over the whole raster; invariance to reading, batches, interruption and shifts."""

import numpy as np
import pytest
import torch
from torch import nn

from rssam.contract import IGNORE
from rssam.errors import UserError
from rssam.inference.sliding_window import TURNS, Predictor, labels_of, predict, probabilities
from rssam.inference.threads import run_stages
from rssam.inference.tile_grid import Axis, Grid, aligned
from rssam.inference.tile_reading import Tiles


class Memory:
    """A source and a sink in memory."""

    def __init__(self, pixels, valid=None):
        self.pixels = pixels
        self.valid = np.ones(pixels.shape[1:], bool) if valid is None else valid
        self.size = pixels.shape[1:]
        self.reads = np.zeros(self.size, int)
        self.rows = []
        self.rows_valid = []

    def read(self, top, bottom, left, right):
        self.reads[top:bottom, left:right] += 1
        return self.pixels[:, top:bottom, left:right], self.valid[top:bottom, left:right]

    def write(self, probabilities, valid):
        self.rows.append(probabilities.copy())
        self.rows_valid.append(valid.copy())

    @property
    def made(self):
        return np.concatenate(self.rows, axis=1)


class Net(nn.Module):
    """Two convolutions, so that a prediction depends on its neighbours and on the border of the tile."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.GELU(), nn.Conv2d(8, channels, 3, padding=1))

    def forward(self, images):
        return 6 * self.layers(images)


def raster(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)


def run(memory, grid, net, channels, batch=3, **options):
    symmetries = options.pop("symmetries", "none")
    predictor = Predictor(net, grid, torch.device("cpu"), symmetries=symmetries)
    predict(memory, memory.write, predictor, channels, batch, **options)
    return memory.made


def by_hand(pixels, starts, tile, net):
    """Weighted mean over all tiles in whole-raster sums, with the raw weights and a division."""
    _, height, width = pixels.shape
    window = np.sin((np.arange(tile) + 0.5) * np.pi / tile) ** 4
    weight = window[:, None] * window
    total, sums = 0, np.zeros((height, width))
    for top in starts[0]:
        for left in starts[1]:
            part = torch.from_numpy(pixels[None, :, top : top + tile, left : left + tile] / np.float32(255))
            with torch.inference_mode():
                logits = net(part)
            made = probabilities(logits)[0].numpy()
            whole = np.zeros((len(made), height, width))
            whole[:, top : top + tile, left : left + tile] = made * weight
            total = total + whole
            sums[top : top + tile, left : left + tile] += weight
    return total / sums


@pytest.mark.parametrize("channels", [1, 4])
def test_the_band_holds_what_sums_over_the_whole_raster_hold(channels):
    pixels, net = raster(101, 75), Net(channels)
    memory = Memory(pixels)
    made = run(memory, Grid(101, 75, (32, 32), (8, 8)), net, channels)
    expected = by_hand(pixels, ((0, 24, 48, 69), (0, 24, 43)), 32, net)
    assert made.shape == (channels, 101, 75)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert (memory.reads == 1).all()  # each pixel once


@pytest.mark.parametrize(("length", "tile", "overlap", "shift"), [(1000, 64, 16, 0), (1000, 64, 40, 5), (65, 64, 0, 0)])
def test_tiles_cover_an_axis_and_their_weights_add_up_to_one(length, tile, overlap, shift):
    axis = Axis(length, tile, overlap, shift)
    starts = np.array(axis.starts)
    assert starts[0] == 0
    assert length - tile <= starts[-1] < length - tile + 32
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= tile - overlap).all()
    total = np.zeros(starts[-1] + tile)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        assert (weights > 0).all()
        total[start : start + tile] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(
    ("tile", "overlap", "expected"), [(256, 128, 128), (256, 85, 96), (512, 0, 0), (288, 144, 160), (64, 40, 40)]
)
def test_tiles_stand_a_multiple_of_32_apart(tile, overlap, expected):
    """At 171 pixels 1.6 % of a real scene changed with the place of the tiles, at 160 0.6 %."""
    assert aligned(tile, overlap) == expected


def test_a_raster_smaller_than_a_tile_is_reflected_and_cut_again():
    pixels, net = raster(20, 41), Net(1)
    made = run(Memory(pixels), Grid(20, 41, (32, 32), (8, 8)), net, 1)
    reflected = np.pad(pixels, ((0, 0), (0, 12), (0, 0)), mode="reflect")
    expected = by_hand(reflected, ((0,), (0, 9)), 32, net)[:, :20]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_the_last_tile_keeps_the_phase_of_the_others():
    """Moved to the very border it halved the map elsewhere: 6 % of a scene changed sides where only it reached."""
    pixels, net = raster(70, 97), Net(1)
    made = run(Memory(pixels), Grid(70, 97, (64, 64), (32, 32)), net, 1)
    reflected = np.pad(pixels, ((0, 0), (0, 26), (0, 31)), mode="reflect")
    expected = by_hand(reflected, ((0, 32), (0, 32, 64)), 64, net)[:, :70, :97]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_one_tile_gives_the_labels_of_the_evaluation():
    from benchmarks.metrics.confusion import predicted_labels

    pixels = raster(32, 32)
    for channels in (1, 4):
        net = Net(channels)
        made = run(Memory(pixels), Grid(32, 32, (32, 32), (8, 8)), net, channels)
        with torch.inference_mode():
            expected = predicted_labels(net(torch.from_numpy(pixels[None] / np.float32(255)))[0])
        np.testing.assert_array_equal(labels_of(made, np.ones((32, 32), bool)), expected.numpy())


@pytest.mark.parametrize("written", [1, 23, 24, 70, 100])
def test_an_interrupted_prediction_goes_on_to_the_same_bytes(written):
    pixels, net, grid = raster(101, 75), Net(3), Grid(101, 75, (32, 32), (8, 8))
    whole = run(Memory(pixels), grid, net, 3)
    rest = run(Memory(pixels), grid, net, 3, written=written)
    np.testing.assert_array_equal(rest, whole[:, written:])


def test_pixels_without_data_stay_so_and_tiles_without_any_are_not_predicted():
    pixels = raster(96, 96)
    valid = np.ones((96, 96), bool)
    valid[:48] = False
    valid[60:70, 10:20] = False
    memory, seen = Memory(pixels, valid), []
    made = run(memory, Grid(96, 96, (32, 32), (8, 8)), Net(2), 2, before_batch=seen.append)
    np.testing.assert_array_equal(np.concatenate(memory.rows_valid), valid)
    labels = labels_of(made, np.concatenate(memory.rows_valid))
    np.testing.assert_array_equal(labels == IGNORE, ~valid)
    assert sum(seen) == 12  # of 4 x 4 tiles those from row 24 on have data


def test_symmetries_are_turned_back():
    """A network of one pixel's view sees the same from all sides; one that knows left from right is averaged."""
    pixels = raster(48, 48)
    grid = Grid(48, 48, (32, 32), (8, 8))
    pointwise = nn.Sequential(nn.Conv2d(3, 2, 1))
    once = run(Memory(pixels), grid, pointwise, 2)
    for symmetries in ("flips", "all"):
        np.testing.assert_allclose(run(Memory(pixels), grid, pointwise, 2, symmetries=symmetries), once, atol=1e-5)
    assert [len(turns) for turns in TURNS.values()] == [1, 4, 8]
    square = raster(32, 32)
    grid = Grid(32, 32, (32, 32), (0, 0))
    made = run(Memory(square), grid, Net(2), 2, symmetries="all")
    turned = run(Memory(np.rot90(square, axes=(1, 2)).copy()), grid, Net(2), 2, symmetries="all")
    np.testing.assert_allclose(np.rot90(made, axes=(1, 2)), turned, atol=1e-5)


def test_shifted_tiles_and_other_batches_change_little():
    pixels, net = raster(200, 200), Net(3)
    first = run(Memory(pixels), Grid(200, 200, (64, 64), (16, 16)), net, 3)
    same = run(Memory(pixels), Grid(200, 200, (64, 64), (16, 16)), net, 3, batch=5)
    np.testing.assert_allclose(first, same, atol=1e-6)
    other = run(Memory(pixels), Grid(200, 200, (64, 64), (16, 16), (17, 29)), net, 3)
    inner = np.s_[8:-8, 8:-8]
    assert (first.argmax(0)[inner] != other.argmax(0)[inner]).mean() < 0.005


def test_an_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(UserError, match="an overlap of 32 pixels does not fit tiles of 32"):
        Grid(64, 64, (32, 32), (32, 32))


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_an_error_in_any_stage_ends_all_and_is_the_one_raised(stage):
    def read():
        for number in range(1000):
            if stage == "read" and number == 5:
                raise UserError("read")
            yield number

    def compute(number):
        if stage == "compute" and number == 5:
            raise UserError("compute")
        return number

    written = []

    def write(number):
        if stage == "write" and number == 5:
            raise UserError("write")
        written.append(number)

    with pytest.raises(UserError, match=stage):
        run_stages(read(), compute, write)
    assert written == [0, 1, 2, 3, 4]  # nothing behind a gap


def test_stages_keep_the_order():
    found = []
    run_stages(range(100), lambda number: number * 2, found.append)
    assert found == list(range(0, 200, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int64])
def test_a_source_of_other_pixels_is_refused(dtype):
    """They were cast to uint8: an image in 0..1 became black, and 256 became 0."""
    memory = Memory(raster(64, 64).astype(dtype))
    with pytest.raises(TypeError, match=rf"expected pixels uint8 in 0\.\.255 from Memory, found {dtype.__name__}"):
        run(memory, Grid(64, 64, (32, 32), (8, 8)), Net(1), 1)


def test_tiles_of_other_pixels_are_refused():
    """Tiles in 0..1 were divided by 255 again."""
    predictor = Predictor(Net(1), Grid(32, 32, (32, 32), (8, 8)), torch.device("cpu"))
    tiles = Tiles(torch.rand(1, 3, 32, 32), ((0, 0),), np.ones((1, 32, 32), bool))
    with pytest.raises(TypeError, match=r"expected pixels uint8 in 0\.\.255, found torch\.float32"):
        predictor(tiles)
