"""Predictions made elsewhere: what a run saved scores as the run did, and what could mean two things is refused."""

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image

from baselines.sam_lora import SamLora
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.protocol.run import Run
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.submission import Submission, read_submission, read_submissions
from benchmarks.results.test_set_log import read_ledger
from benchmarks.scoring.mask_files import LabelReader, labels_of, resolve_encoding
from benchmarks.scoring.mask_folder import PredictionsUnfit
from benchmarks.scoring.score import count, read_run, score
from benchmarks.scoring.test_images import select_test_images
from data_prep.errors import DataError
from data_prep.images.decode import BadPicture
from data_prep.images.encode import encode_labels
from data_prep.manifest_file import load_manifest, save_manifest
from data_prep.registry import find_dataset
from tests.benchmarks.prepared import SIDE, TINY, make_session

ROAD = LabelReader(("road",), ((255, 255, 255),))
COVER = LabelReader(find_dataset("whdld").classes, find_dataset("whdld").palette)
PATTERN = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
SIX = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)


def silent(done, total, what):
    pass


def save(folder, name, array):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


def read_alone(reader, path):
    file = reader.read(path)
    return labels_of(file, *resolve_encoding([file]))


def prepare_cover(session, scratch):
    """Six stand-in scenes of WHDLD."""
    cover = find_dataset("whdld")
    cover.synthesize(scratch, 6, 0)
    cover.prepare(scratch, session.data_folder("whdld"), origin="synthetic", workers=1, progress=silent)


def test_what_a_run_saved_scores_as_the_run_did(tmp_path):
    """By its own file, and as PNGs that any tool could have written: equal counts, image by image, six classes."""
    session = make_session(tmp_path / "home")
    prepare_cover(session, tmp_path / "source")
    run = Run(SamLora("vit_t", "scratch"), find_dataset("whdld"), replace(TINY, epochs=1, crop=128))
    result = execute_all(resolve_all([run], session), session)[0].result
    chosen, saved = read_run(session.home, result)
    counts, native = count(chosen, saved, silent)
    assert counts.to_json() == result.counts.to_json()
    assert native is None  # labels cannot be made finer
    (tmp_path / "masks").mkdir()
    for index, entry in enumerate(chosen.entries):
        picture = encode_labels(saved.labels(index).copy(), chosen.dataset.palette)
        (tmp_path / "masks" / f"{entry.stem}.png").write_bytes(picture)
    scored = score(session.home, chosen, tmp_path / "masks", "Mine", "", silent)
    assert scored.submission.counts.to_json() == result.counts.to_json()
    assert scored.submission.images == result.images
    assert scored.submission.scores == result.scores
    assert read_submission(scored.path).to_json() == scored.submission.to_json()
    again = score(session.home, chosen, tmp_path / "masks", "Mine", "", silent)
    assert (again.cached, again.submission.key) == (True, scored.submission.key)
    assert [use.purpose for use in read_ledger(session.home).uses] == ["test", "score"]


def test_counts_against_plain_loops_and_ignored_pixels(tmp_path):
    """With another truth, pixels of 255 in no cell; the same labels in another format are the same predictions."""
    make_session(tmp_path)
    folder = tmp_path / "data" / "deepglobe"
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    mask_path = folder / chosen.entries[0].mask
    with Image.open(mask_path) as picture:
        truth = np.asarray(picture).copy()
    truth[:3] = 255
    mask_path.write_bytes(encode_labels(truth, ((0, 0, 0), (255, 255, 255))))
    rng = np.random.default_rng(0)
    guesses = {entry.stem: rng.integers(0, 2, (SIDE, SIDE), dtype=np.uint8) for entry in chosen.entries}
    for stem, guess in guesses.items():
        save(tmp_path / "png", f"{stem}_pred.png", 255 * guess)
        save(tmp_path / "npy", f"{stem}.npy", guess.astype(bool))
    submission = score(tmp_path, chosen, tmp_path / "png", "A", "_pred", silent).submission
    other = score(tmp_path, chosen, tmp_path / "npy", "A", "", silent)
    assert other.cached
    assert other.submission.identity["predictions"] == submission.identity["predictions"]
    guess = guesses[chosen.entries[0].stem]
    cells = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for row in range(SIDE):
        for column in range(SIDE):
            if truth[row, column] != 255:
                right = truth[row, column] == guess[row, column]
                cells[("t" if right else "f") + ("p" if guess[row, column] else "n")] += 1
    assert {name: int(getattr(submission.counts, name)[0, 0]) for name in cells} == cells
    assert sum(cells.values()) == SIDE * (SIDE - 3)


def test_the_native_size_counts_there_and_is_thinned_like_masks(tmp_path):
    make_session(tmp_path)
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    for entry in chosen.entries:
        with Image.open(tmp_path / "data" / "deepglobe" / entry.native_mask) as fine:
            save(tmp_path / "fine", f"{entry.stem}.png", np.asarray(fine).astype(np.uint8))
    submission = score(tmp_path, chosen, tmp_path / "fine", "Perfect", "", silent).submission
    assert (submission.scores.dice, submission.native_counts.fp.sum(), submission.native_counts.fn.sum()) == (1.0, 0, 0)
    assert submission.native_counts.tp.sum() == 4 * submission.counts.tp.sum()
    save(tmp_path / "fine", f"{chosen.entries[0].stem}.png", np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(PredictionsUnfit, match="of the prepared size, where other files have the size of the source"):
        score(tmp_path, chosen, tmp_path / "fine", "Mixed", "", silent)


@pytest.mark.parametrize(
    ("reader", "name", "array", "wanted"),
    [
        (ROAD, "a.png", PATTERN, PATTERN),
        (ROAD, "a.png", 255 * PATTERN, PATTERN),
        (ROAD, "a.tif", PATTERN.astype(bool), PATTERN),
        (ROAD, "a.png", np.repeat(255 * PATTERN[..., None], 3, axis=2), PATTERN),
        (ROAD, "a.npy", PATTERN.astype(bool), PATTERN),
        (ROAD, "a.npy", PATTERN[None].astype(np.int64), PATTERN),
        (ROAD, "a.npy", np.array([[0.2, 0.5], [0.51, 1.0]], np.float16), [[0, 0], [1, 1]]),
        (ROAD, "a.npy", np.array([[-3.0, 0.2], [0.6, 0.0]], np.float32), [[0, 1], [1, 0]]),
        (ROAD, "a.npy", np.array([[0.0, 1.0], [1.0, 0.0]]), [[0, 1], [1, 0]]),
        (ROAD, "a.npy", np.array([[[0.4, 0.6]], [[0.6, 0.4]]]), [[1, 0]]),
        (LabelReader(("roof",), ((9, 8, 7),)), "a.png", np.array([[[0, 0, 0], [9, 8, 7]]], np.uint8), [[0, 1]]),
        (COVER, "a.png", SIX, SIX),
        (COVER, "a.tif", np.array(COVER.palette, np.uint8)[SIX], SIX),
        (COVER, "a.npy", SIX.astype(np.int32), SIX),
        (COVER, "a.npy", np.eye(6, dtype=np.float32)[SIX].transpose(2, 0, 1) - 0.5, SIX),
    ],
)  # fmt: skip
def test_every_declared_encoding_gives_the_same_labels(tmp_path, reader, name, array, wanted):
    found = read_alone(reader, save(tmp_path, name, array))
    assert (found.dtype, found.tolist()) == (np.uint8, np.asarray(wanted).tolist())


@pytest.mark.parametrize(
    ("reader", "name", "array", "words"),
    [
        (ROAD, "a.png", np.array([[0, 1, 255]], np.uint8), "expected 0 and 1, or 0 and 255.*found 0, 1, 255"),
        (ROAD, "a.png", np.array([[0, 7, 200]], np.uint8), "found also 7, 200"),
        (ROAD, "a.png", np.array([[[0, 0, 0], [255, 0, 0]]], np.uint8), r"found also the colours \(255, 0, 0\)"),
        (ROAD, "a.npy", np.array([[0.0, np.nan]]), "1 of its values are no numbers"),
        (ROAD, "a.npy", np.array([[0.0, 3.5]]), "neither probabilities"),
        (ROAD, "a.npy", np.zeros((4, 4, 2)), "with the channels last"),
        (ROAD, "a.npy", np.array([[-1, 0]]), "found also -1"),
        (ROAD, "a.npy", np.array([["a"]]), "found <U1 of shape"),
        (ROAD, "a.npy", np.array([[{}]], dtype=object), "cannot be read as an array"),
        (COVER, "a.png", np.array([[1, 6]], np.uint8), "class numbers .0 building, 1 road.*found also 6"),
        (COVER, "a.png", np.array([[0, 255]], np.uint8), "found also 255"),
        (COVER, "a.npy", np.array([[0.5, 0.1]]), "found floats of shape"),
        (COVER, "a.npy", np.zeros((5, 4, 4)), r"floats of shape \[5, 4, 4\]"),
    ],
)  # fmt: skip
def test_what_could_mean_something_else_is_refused(tmp_path, reader, name, array, words):
    with pytest.raises(BadPicture, match=words):
        read_alone(reader, save(tmp_path, name, array))


def test_a_palette_in_another_order_than_its_numbers_is_refused(tmp_path):
    """Read by number it would have passed for a mask with road and background exchanged."""
    picture = Image.fromarray(PATTERN, mode="P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "a.png")
    with pytest.raises(BadPicture, match="in another order than its numbers"):
        read_alone(ROAD, tmp_path / "a.png")


def test_one_file_of_ones_among_files_of_255_is_refused(tmp_path):
    files = [ROAD.read(save(tmp_path, f"{n}.png", n * PATTERN)) for n in (1, 255)]
    with pytest.raises(BadPicture, match=r"1.png holds 0 and 1, and 255.png 0 and 255"):
        resolve_encoding(files)
    empty = ROAD.read(save(tmp_path, "0.png", 0 * PATTERN))
    assert [labels_of(file, *resolve_encoding([empty, files[1]])).sum() for file in (empty, files[1])] == [0, 3]


def test_a_file_of_saturated_probabilities_is_read_as_its_neighbours_are(tmp_path):
    low, high = (ROAD.read(save(tmp_path, f"{n}.npy", np.full((2, 2), n))) for n in (0.3, 0.9))
    assert [int(labels_of(file, *resolve_encoding([low, high])).sum()) for file in (low, high)] == [0, 4]


def test_a_file_of_probabilities_among_logits_is_refused(tmp_path):
    """Every pixel of it was foreground, since none is below 0."""
    low = ROAD.read(save(tmp_path, "low.npy", np.array([[0.01, 0.3]])))
    logits = ROAD.read(save(tmp_path, "l.npy", np.array([[-5.0, 4.0]])))
    with pytest.raises(BadPicture, match=r"low\.npy is within 0 to 1: are all of one kind\? Say what they are: --enc"):
        resolve_encoding([low, logits])
    assert labels_of(low, *resolve_encoding([low, logits], "logits")).tolist() == [[1, 1]]


def bicubic(truth, factor):
    """A map of probabilities from a network at a fraction of the resolution, enlarged as people do."""
    small = np.clip(truth[::factor, ::factor] * 0.8 + 0.05, 0, 1).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize(truth.shape[::-1], Image.Resampling.BICUBIC))


def test_resized_probabilities_are_not_taken_for_logits(tmp_path):
    """Values from -0.013 to 0.971 were read as logits: Dice 0.227 of a map whose Dice is 0.996."""
    truth = np.zeros((64, 64), np.uint8)
    truth[16:48, 24:40] = 1
    shown = bicubic(truth, 4)
    assert (shown.min() < 0, shown.max() < 1) == (True, True)
    path = save(tmp_path, "a.npy", shown)
    with pytest.raises(
        BadPicture, match=r"floats from -0\.0\d+ .*probabilities that were resized, or logits\. Say what"
    ):
        read_alone(ROAD, path)
    declared = replace(ROAD, encoding="probabilities")
    labels = labels_of(declared.read(path), *resolve_encoding([declared.read(path)], "probabilities"))
    assert labels.tolist() == (shown > 0.5).tolist()


@pytest.mark.parametrize(
    ("low", "high", "what"),
    [
        (0.0, 1.0, 0.5), (0.2, 0.9, 0.5), (-3.0, 0.9, 0.0), (-0.2, 4.0, 0.0), (-0.6, 0.4, 0.0), (-40.0, 120.0, 0.0),
        (-0.09, 0.88, "resized"), (-0.5, 1.5, "resized"), (0.0, 1.2, "resized"), (0.1, 3.0, "neither"),
        (0.0, 255.0, "neither"), (-20.0, 270.0, "another scale"), (-9.0, 109.0, "another scale"),
    ],
)  # fmt: skip
def test_the_rule_of_floats(tmp_path, low, high, what):
    file = ROAD.read(save(tmp_path, "a.npy", np.array([[low, high, (low + high) / 3]])))
    if isinstance(what, float):
        assert resolve_encoding([file]) == (1, what)
        return
    with pytest.raises(BadPicture, match=what):
        resolve_encoding([file])
    assert resolve_encoding([file], "logits") == (1, 0.0)
    if what == "resized":
        assert resolve_encoding([file], "probabilities") == (1, 0.5)
    else:
        with pytest.raises(BadPicture, match="expected probabilities, as --encoding says, found floats from"):
            resolve_encoding([file], "probabilities")


ONE_HOT = np.eye(6, dtype=np.uint8)[SIX].transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("reader", "encoding", "name", "array", "wanted"),
    [
        (ROAD, "logits", "a.npy", np.array([[-0.2, 0.3]]), [[0, 1]]),
        (ROAD, "probabilities", "a.npy", np.array([[-0.2, 0.3]]), [[0, 0]]),
        (ROAD, "probabilities", "a.npy", np.array([[0.0, 1.0]]), [[0, 1]]),
        (ROAD, "labels", "a.npy", np.array([[0.0, 1.0]]), [[0, 1]]),
        (ROAD, "labels", "a.png", 255 * PATTERN, PATTERN),
        (ROAD, "one-hot", "a.npy", np.stack([1 - PATTERN, PATTERN]), PATTERN),
        (ROAD, "one-hot", "a.npy", np.stack([1 - PATTERN, PATTERN]).astype(bool), PATTERN),
        (COVER, "one-hot", "a.npy", ONE_HOT, SIX),
        (COVER, "one-hot", "a.npy", 255 * ONE_HOT, SIX),
        (COVER, "probabilities", "a.npy", 0.7 * ONE_HOT + 0.01, SIX),
        (COVER, "logits", "a.npy", 9.0 * ONE_HOT - 5, SIX),
        (COVER, "labels", "a.tif", SIX, SIX),
    ],
)  # fmt: skip
def test_what_is_declared_decides(tmp_path, reader, encoding, name, array, wanted):
    file = replace(reader, encoding=encoding).read(save(tmp_path, name, array))
    assert labels_of(file, *resolve_encoding([file], encoding)).tolist() == np.asarray(wanted).tolist()


@pytest.mark.parametrize(
    ("reader", "encoding", "name", "array", "words"),
    [
        (ROAD, "labels", "a.npy", np.array([[0.2, 0.7]]), "found floats of shape"),
        (ROAD, "labels", "a.npy", np.zeros((2, 2, 3)), r"a\.npy: expected labels, as --encoding says, found floats"),
        (ROAD, "logits", "a.png", PATTERN, r"a\.png: expected logits, as --encoding says, found labels"),
        (ROAD, "probabilities", "a.png", 255 * PATTERN, "expected probabilities, as --encoding says, found labels"),
        (ROAD, "one-hot", "a.png", PATTERN, r"\[2, H, W\], found uint8 of shape \[2, 3\]"),
        (ROAD, "one-hot", "a.npy", PATTERN, r"a channel for each of background, road, \[2, H, W\], found uint8 of sh"),
        (ROAD, "one-hot", "a.npy", np.stack([PATTERN, PATTERN]), "found 6 pixels with another number of them"),
        (COVER, "one-hot", "a.npy", ONE_HOT[:5], r"found uint8 of shape \[5, 2, 3\]"),
        (COVER, "one-hot", "a.npy", ONE_HOT * np.arange(1, 7)[:, None, None], "several values above 0"),
        (COVER, None, "a.npy", ONE_HOT, "if a channel stands for a class, give --encoding one-hot"),
    ],
)  # fmt: skip
def test_what_is_not_as_declared_is_refused(tmp_path, reader, encoding, name, array, words):
    declared, path = replace(reader, encoding=encoding), save(tmp_path, name, array)
    with pytest.raises(BadPicture, match=words):
        resolve_encoding([declared.read(path)], encoding)


def test_the_encoding_is_in_the_record(tmp_path):
    make_session(tmp_path)
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    for entry in chosen.entries:
        save(tmp_path / "masks", f"{entry.stem}.npy", np.linspace(-0.2, 1.1, SIDE * SIDE).reshape(SIDE, SIDE))
    with pytest.raises(PredictionsUnfit, match="--encoding probabilities or --encoding logits"):
        score(tmp_path, chosen, tmp_path / "masks", "A", "", silent)
    found = score(tmp_path, chosen, tmp_path / "masks", "A", "", silent, "probabilities")
    reading = ("Floats: foreground is a probability above 0.5.", "Declared: probabilities.")
    assert read_submission(found.path).reading == reading
    other = score(tmp_path, chosen, tmp_path / "masks", "A", "", silent, "logits")
    assert read_submission(other.path).reading[0] == "Floats: foreground is a logit above 0."
    assert other.path != found.path


def test_everything_wrong_is_said_at_once_and_nothing_is_stored(tmp_path):
    make_session(tmp_path)
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    first, second, *_ = [entry.stem for entry in chosen.entries]
    folder = tmp_path / "masks"
    save(folder, f"{first}.png", np.zeros((SIDE, 9), np.uint8))
    save(folder, "stranger.png", np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(PredictionsUnfit) as caught:
        score(tmp_path, chosen, folder, "A", "", silent)
    said = str(caught.value)
    assert f"{len(chosen.entries) - 1} without a file" in said
    assert second in said
    assert f"{first}.png: expected 64x64 or 128x128 pixels, found 9x64" in said
    assert "stranger.png" in said
    assert "Nothing was scored" in said
    save(folder, f"{first}.npy", np.zeros((SIDE, SIDE)))
    with pytest.raises(PredictionsUnfit, match=f"{first}.npy and {first}.png: several files for one image"):
        score(tmp_path, chosen, folder, "A", "", silent)
    for entry in chosen.entries[1:]:
        (folder / f"{entry.stem}.png").write_bytes(b"no picture")
    with pytest.raises(PredictionsUnfit, match="not a picture"):
        score(tmp_path, chosen, folder, "A", "", silent)
    assert not (tmp_path / "scores").exists()
    assert read_ledger(tmp_path).uses == ()
    with pytest.raises(PredictionsUnfit, match="found nothing"):
        score(tmp_path, chosen, tmp_path / "nowhere", "A", "", silent)


def test_predictions_of_other_splits_are_left_out_and_said(tmp_path):
    make_session(tmp_path)
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    for entry in chosen.manifest.entries:
        save(tmp_path / "masks", f"{entry.stem}.png", np.zeros((SIDE, SIDE), np.uint8))
    found = score(tmp_path, chosen, tmp_path / "masks", "A", "", silent)
    assert found.submission.images == tuple(entry.stem for entry in chosen.entries)
    left = len(chosen.manifest.entries) - len(chosen.entries)
    assert found.notes == (f"left out: {left} files of images that are not in this test split",)


def test_predictions_with_decomposed_names_are_found(tmp_path):
    """Unpacked on macOS, each of them was "of no image", and each image without a file."""
    session = make_session(tmp_path / "home")
    folder = session.data_folder("deepglobe")
    manifest = load_manifest(folder, "deepglobe")
    named = [replace(entry, stem=f"Malmö {entry.stem}", group=f"Malmö {entry.stem}") for entry in manifest.entries]
    save_manifest(folder, replace(manifest, entries=tuple(named)))
    chosen = select_test_images(session.home, "deepglobe", 0, "random")
    for entry in chosen.entries:
        name = unicodedata.normalize("NFD", entry.stem)
        assert name != entry.stem
        save(tmp_path / "masks", f"{name}.png", np.zeros((SIDE, SIDE), np.uint8))
    assert not score(session.home, chosen, tmp_path / "masks", "mine", "", silent).cached
    save(tmp_path / "masks", f"{chosen.entries[0].stem}.png", np.zeros((SIDE, SIDE), np.uint8))
    with pytest.raises(PredictionsUnfit, match="several files for one image"):
        score(session.home, chosen, tmp_path / "masks", "mine", "", silent)


def test_a_changed_mask_and_unknown_scenes_are_refused(tmp_path):
    make_session(tmp_path)
    with pytest.raises(DataError, match="expected the scenes of deepglobe"):
        select_test_images(tmp_path, "deepglobe", 0, "blocked")
    entry = select_test_images(tmp_path, "deepglobe", 0, "random").entries[0]
    (tmp_path / "data" / "deepglobe" / entry.mask).write_bytes(b"")
    with pytest.raises(DataError, match="changed since it was prepared"):
        select_test_images(tmp_path, "deepglobe", 0, "random")


def test_a_damaged_file_is_named(tmp_path):
    make_session(tmp_path)
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random")
    for entry in chosen.entries:
        save(tmp_path / "masks", f"{entry.stem}.png", np.ones((SIDE, SIDE), np.uint8))
    path = score(tmp_path, chosen, tmp_path / "masks", "A", "", silent).path
    raw = json.loads(path.read_text())
    for change, words in (
        ({"schema": 9}, "score format 9"),
        ({"identity": {**raw["identity"], "name": "B"}}, "does not belong to its identity"),
        ({"images": raw["images"][1:]}, "do not fit the lists"),
        ({"counts": None}, "missing or malformed"),
    ):
        with pytest.raises(ResultDamaged, match=words):
            Submission.from_json({**raw, **change})
    path.write_text("{")
    (found,) = read_submissions(tmp_path)
    assert path.name in str(found)
    assert not score(tmp_path, chosen, tmp_path / "masks", "A", "", silent).cached  # written anew


def test_scenes_of_the_images_are_recorded(tmp_path):
    """Without them tiles of one scene counted as images in the interval of a scored row, and in that row alone."""
    session = make_session(tmp_path)
    folder = session.data_folder("deepglobe")
    manifest = load_manifest(folder, "deepglobe")
    assert "test_scenes" not in select_test_images(tmp_path, "deepglobe", 0, "random", "all").record
    entries = tuple(replace(entry, scene=f"{int(entry.stem) // 2 * 2}") for entry in manifest.entries)
    save_manifest(folder, replace(manifest, entries=entries))
    chosen = select_test_images(tmp_path, "deepglobe", 0, "random", "all")
    assert chosen.record["test_scenes"] == [f"{int(entry.stem) // 2 * 2}" for entry in chosen.entries]


def raster(path, bands, **options):
    """A GeoTIFF of bands [bands, H, W]."""
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=len(bands), dtype=bands.dtype,
        **options,
    ) as out:  # fmt: skip
        out.write(bands)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("reader", "encoding", "bands", "wanted"),
    [
        (ROAD, None, np.array([[[0.2, 0.7]]], np.float32), [[0, 1]]),
        (ROAD, None, np.array([[[-9.0, 7.0]]], np.float64), [[0, 1]]),
        (ROAD, None, np.array([[[0.0, 1.0]]], np.float32), [[0, 1]]),
        (ROAD, "probabilities", np.array([[[-0.1, 0.4, 0.6]]], np.float32), [[0, 0, 1]]),
        (ROAD, "logits", np.array([[[-0.1, 0.4, 0.6]]], np.float32), [[0, 1, 1]]),
        (ROAD, None, np.stack([1 - PATTERN, PATTERN]) * np.float32(0.9), PATTERN),
        (ROAD, "one-hot", np.stack([1 - PATTERN, PATTERN]), PATTERN),
        (ROAD, "one-hot", 255 * np.stack([1 - PATTERN, PATTERN]), PATTERN),
        (COVER, "one-hot", ONE_HOT, SIX),
        (COVER, None, (0.7 * ONE_HOT).astype(np.float32), SIX),
    ],
)  # fmt: skip
def test_rasters_of_floats_and_of_a_band_for_each_class(tmp_path, reader, encoding, bands, wanted):
    """ "expected whole numbers", and of two bands the first alone: Dice 0 for a perfect map."""
    file = replace(reader, encoding=encoding).read(raster(tmp_path / "a.tif", bands))
    assert labels_of(file, *resolve_encoding([file], encoding)).tolist() == np.asarray(wanted).tolist()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("encoding", "bands", "options", "words"),
    [
        (None, np.array([[[-9999.0, 0.6]]], np.float32), {"nodata": -9999}, "found 1 without data"),
        (None, np.array([[[-0.1, 0.6]]], np.float32), {}, "--encoding probabilities or --encoding logits"),
        (None, np.stack([1 - PATTERN, PATTERN]), {}, "found 2 bands"),
        ("logits", PATTERN[None], {}, "expected logits, as --encoding says, found labels"),
        ("one-hot", PATTERN[None], {}, r"\[2, H, W\], found uint8 of shape"),
        ("probabilities", np.array([[[np.nan, 0.6]]], np.float32), {}, "1 of its values are no numbers"),
    ],
)
def test_rasters_that_could_mean_two_things_are_refused(tmp_path, encoding, bands, options, words):
    """The value for "no data" was a logit below 0."""
    path, reader = raster(tmp_path / "a.tif", bands, **options), replace(ROAD, encoding=encoding)
    with pytest.raises(BadPicture, match=words):
        resolve_encoding([reader.read(path)], encoding)
