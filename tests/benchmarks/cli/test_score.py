"""The commands score, evaluate, publish and verify as a user meets them: sentences, exit codes, JSON."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.cli.score import _show
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.results.store import Store
from benchmarks.scoring.test_images import select_test_images
from tests.benchmarks.prepared import SIDE, TINY, make_session, tiny_run
from tests.reports.tables.test_scored_rows import submission


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["score"], 2, "give --predictions DIR and --dataset NAME"),
        (["score", "--list"], 2, "give --predictions DIR and --dataset NAME"),
        (["score", "--predictions", "x", "--dataset", "nowhere"], 2, "choose from deepglobe"),
        (["score", "--predictions", "x", "--dataset", "whu"], 1, "whu is not prepared"),
        (["score", "--predictions", "MASKS", "--dataset", "deepglobe"], 1, "without a file (.npy, .png, .tif, .tiff)"),
        (["score", "--predictions", "x", "--dataset", "deepglobe", "--name", "a`b"], 2, "printable characters"),
        (["score", "--predictions", "x", "--dataset", "deepglobe", "--split", "blocked"], 1, "expected the scenes"),
        (["score", "--run", "no-such", "--dataset", "deepglobe"], 2, "--run takes neither"),
        # Three options that were left out without a word.
        (["score", "--run", "no-such", "--split-seed", "4"], 2, "leave out --split-seed and --split"),
        (["score", "--dataset", "deepglobe", "--list", "--out", "x"], 2, "--list takes --dataset, --split-seed and"),
        (["score", "--predictions", "x", "--dataset", "deepglobe", "--name", ""], 2, "found ''"),
        (["score", "--predictions", "DEEP", "--dataset", "deepglobe"], 1, "of no image of deepglobe: home/, masks/"),
        (["score", "--run", "no-such"], 1, "no finished run 'no-such'"),
        (["evaluate", "--dataset", "deepglobe"], 2, "one of --run KEY and --adapter FILE"),
        (["evaluate", "--dataset", "deepglobe", "--run", "no-such"], 1, "no finished run 'no-such'"),
        (["evaluate", "--dataset", "deepglobe", "--run", "x", "--classes", "road"], 2, "SYSTEM=DATA"),
        # All images were counted a second time, as another row.
        (["evaluate", "--dataset", "deepglobe", "--run", "x", "--split-seed", "3"], 2, "give --split test with it"),
        (["publish", "--out", "OUT.zip"], 1, "no usable result and no score"),
        (["publish", "table9", "--out", "OUT.zip"], 2, "unknown item 'table9'"),
        (["verify", "/not/there.zip"], 1, "found nothing"),
    ],
)
def test_mistakes_end_in_a_sentence_and_leave_nothing(command, tmp_path, arguments, code, words):
    make_session(tmp_path / "home")
    (tmp_path / "masks").mkdir()
    names = {"MASKS": str(tmp_path / "masks"), "DEEP": str(tmp_path), "OUT.zip": str(tmp_path / "out.zip")}
    found, output, errors = command(*(names.get(part, part) for part in arguments))
    assert (found, "Traceback" in errors, output) == (code, False, "")
    assert words in " ".join(errors.replace("│", " ").split())
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["data"]
    assert not (tmp_path / "out.zip").exists()


def test_from_predictions_to_a_checked_bundle(command, tmp_path):
    session = make_session(tmp_path / "home")
    chosen = select_test_images(session.home, "deepglobe", 0, "random")
    code, output, _ = command("score", "--dataset", "deepglobe", "--list")
    assert [path.rsplit("/", 1)[1] for path in output.split()] == [f"{entry.stem}.png" for entry in chosen.entries]
    masks = tmp_path / "masks"
    masks.mkdir()
    for entry in chosen.entries:
        Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(masks / f"{entry.stem}_m.png")
    arguments = ("score", "--predictions", str(masks), "--suffix", "_m", "--dataset", "deepglobe", "--name", "All road")
    code, output, _ = command(*arguments, "--json")
    record = json.loads(output)
    assert (code, record["name"], record["images"], record["cached"]) == (0, "All road", len(chosen.entries), False)
    assert record["dice_interval"] is None  # once NaN to NaN on the screen, or an interval of four images
    assert record["no_interval"].endswith("with something to score, where an interval takes 20")
    code, output, _ = command(*arguments)
    assert code == 0
    assert "these predictions tell nothing" in output
    assert f"Dice: no interval: {record['no_interval']}" in " ".join(output.split())
    assert "counted before" in output
    code, output, _ = command("report", "table5", "--format", "md", "--out", str(tmp_path / "report"))
    assert (code, "All road (scored predictions)" in (tmp_path / "report" / "report.md").read_text()) == (0, True)

    bundle = tmp_path / "bundle.zip"
    code, output, _ = command("publish", "--out", str(bundle), "--json")
    assert (code, json.loads(output)["scores"]) == (0, 1)
    code, output, _ = command("verify", str(bundle))
    assert (code, "no problem found" in output) == (0, True)
    bundle.write_bytes(bundle.read_bytes()[:-30])
    code, output, _ = command("verify", str(bundle), "--json")
    assert (code, len(json.loads(output)["problems"])) == (1, 1)


def test_a_run_is_held_against_what_it_saved(command, tmp_path):
    """Its PNGs, scored as anybody's, give the stored counts; a result that was changed is found out."""
    session = make_session(tmp_path / "home")
    run = tiny_run(recipe=replace(TINY, epochs=1))
    key = execute_all(resolve_all([run], session), session)[0].key
    out = tmp_path / "masks"
    code, output, _ = command("score", "--run", key, "--out", str(out), "--json")
    assert (code, json.loads(output)["equal"]) == (0, True)
    code, output, _ = command("score", "--predictions", str(out), "--dataset", "deepglobe", "--json")
    stored = Store(session.home).get(key)
    assert json.loads(output)["scores"]["dice"] == stored.scores.dice
    code, _, errors = command("evaluate", "--run", key, "--dataset", "deepglobe", "--device", "cpu")
    assert (code, "was trained on deepglobe" in errors) == (1, True)

    path = Store(session.home).path(key)
    raw = json.loads(path.read_text())
    raw["counts"]["tp"][0][0] += 1
    path.write_text(json.dumps(raw))
    code, output, _ = command("score", "--run", key)
    assert (code, "ARE NOT THOSE OF ITS RESULT" in output) == (1, True)
    (session.store.work(key) / "predictions.npz").unlink()
    code, _, errors = command("score", "--run", key)
    assert (code, "predictions.npz cannot be read" in errors) == (1, True)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_class_never_predicted_is_said_with_the_other_mean(capsys, as_json):
    """The output had one precision, a mean over five classes, beside a Dice over six."""
    made = submission(of="whdld", name="Mine")
    counts = made.counts
    never = {name: getattr(counts, name) * (np.arange(6) != 4) for name in ("tp", "fp")}
    made = replace(made, counts=replace(counts, **never))
    _show(SimpleNamespace(submission=made, notes=(), cached=False, path=Path("scores/x.json")), as_json)
    output = capsys.readouterr().out
    tp, fp = never["tp"].sum(axis=0), never["fp"].sum(axis=0)
    precisions = [tp[k] / (tp[k] + fp[k]) for k in range(6) if k != 4]
    sentence = (
        "A class never predicted counts as precision 0; over the predicted classes alone, Mine has "
        f"{sum(precisions) / 5:.3f} in place of {sum(precisions) / 6:.3f} (bare_soil)."
    )
    if as_json:
        assert json.loads(output)["average_notes"] == [sentence]
    else:
        assert sentence in output.replace("\n", " ")
