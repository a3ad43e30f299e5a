"""Files that no tool means to write end in a sentence, and pictures that viewers turn are not counted as they lie."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.results.predictions import PREDICTIONS, save_predictions
from benchmarks.scoring.mask_files import LabelReader
from benchmarks.scoring.mask_folder import PredictionsUnfit
from benchmarks.scoring.score import read_run
from benchmarks.scoring.test_images import select_test_images
from data_prep.images.decode import TURNED, BadPicture
from tests.benchmarks.prepared import make_session
from tests.benchmarks.scoring.test_score import prepare_cover

ROAD = LabelReader(("road",), ((255, 255, 255),))


def npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04cut off",  # BadZipFile
        npy(b"{'descr': '<f8', ("),  # tokenize.TokenError
        npy(b"(" * 9000 + b")" * 9000),  # MemoryError or RecursionError
        npy(b"{'descr':'<f8','fortran_order':False,'shape':(%d,)}" % 10**30),  # OverflowError
    ],
)
def test_a_damaged_array_is_named(tmp_path, content):
    """Each ended the command in a traceback."""
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(BadPicture, match="cannot be read as an array"):
        ROAD.read(path)


def test_an_array_without_values_is_named(tmp_path):
    """With --encoding probabilities: "index 0 is out of bounds", as a traceback."""
    np.save(tmp_path / "a.npy", np.zeros((0, 0)))
    with pytest.raises(BadPicture, match=r"found no value: shape \[0, 0\]"):
        LabelReader(ROAD.classes, ROAD.palette, "probabilities").read(tmp_path / "a.npy")


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_mask_that_viewers_turn_is_refused(tmp_path, mode):
    """A perfect PNG of orientation 6 was counted as it lies: Dice 0.375. The same as TIFF had 1, turned by Pillow."""
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[TURNED] = 6
    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert(mode).save(path, exif=exif)
    with pytest.raises(BadPicture, match="expected an upright picture, found EXIF orientation 6"):
        ROAD.read(path)


@pytest.mark.parametrize(
    ("name", "shape", "label", "words"),
    [("deepglobe", (32, 32), 1, "have 32x32 pixels"), ("whdld", (256, 256), 6, "labels up to 6")],
)
def test_saved_predictions_of_another_size_or_class_are_refused(tmp_path, name, shape, label, words):
    """`score --run` ended in tracebacks; of six classes a label of 6 was counted as a pixel of the next true class."""
    session = make_session(tmp_path / "home")
    if name == "whdld":
        prepare_cover(session, tmp_path / "source")
    chosen = select_test_images(session.home, name, 0, "random")
    identity = {"dataset": {"name": name}, "data": chosen.digest, "split_seed": 0, "split_rule": "random"}
    images = [entry.stem for entry in chosen.entries]
    labels = [np.full(shape, label, np.uint8)] * len(images)
    save_predictions(session.store.work("odd") / PREDICTIONS, images, labels, binary=chosen.task.binary)
    with pytest.raises(PredictionsUnfit, match=words):
        read_run(session.home, SimpleNamespace(key="odd", identity=identity))
