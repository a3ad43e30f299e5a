"""The study as a user meets it: planned, refused, measured. Nothing is trained."""

import json

import pytest

from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.speed import loading, timing


def test_a_dry_run_is_of_the_fair_recipe_and_knows_the_hours_of_every_row(command):
    """A row whose network was never counted was left out of the sum."""
    code, output, errors = command("reproduce", "still-sam", "--dry-run", "--device", "cpu", "--json")
    found = json.loads(output)
    assert (code, errors, len(found)) == (0, "", 3 * len(STILL_SAM.rows))
    assert {item["declared"]["recipe"]["name"] for item in found} == {"fair"}
    assert all(item["gpu_hours"] > 1 for item in found)
    _, output, _ = command("reproduce", "still-sam", "--dry-run", "--device", "cpu")
    assert "prepare weights dinov3_l_sat" in output
    assert "still-sam:10" in output


def test_one_row_on_one_data_set(command):
    arguments = ("--row", "DINOv3-B frozen", "--dataset", "whu", "--dry-run", "--device", "cpu", "--json")
    (found,) = json.loads(command("reproduce", "still-sam", *arguments)[1])
    assert (found["dataset"], found["declared"]["model"]["options"]["encoder"]) == ("whu", "dinov3_b")


@pytest.mark.parametrize("name", ["status", "reproduce", "doctor"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["still-sam", "--profile", "paper"], "still-sam is not in the paper: it is run under the recipe fair"),
        (["still-sam", "table1"], "name a --profile, or ask for them apart"),
        (["still-sam", "--encoder", "vit_l"], "--encoder is vit_t or vit_s there"),
    ],
)
def test_what_it_cannot_be_run_as_is_said_in_a_sentence(command, name, arguments, words):
    code, output, errors = command(name, *arguments)
    assert (code, output, words in " ".join(errors.split())) == (2, "", True)


def test_status_lists_every_run_under_the_fair_recipe(command):
    code, output, _ = command("status", "still-sam", "--device", "cpu", "--json")
    runs = json.loads(output)["missing"]
    assert (code, len(runs)) == (0, 3 * len(STILL_SAM.rows))
    assert {run["recipe"] for run in runs} == {"fair"}
    _, output, _ = command("status", "still-sam", "--profile", "smoke", "--device", "cpu", "--json")
    assert {run["dataset"] for run in json.loads(output)["missing"]} == {"deepglobe"}


def test_speed_measures_the_network_of_every_row(command, monkeypatch):
    """`speed` took names of systems alone: of an encoder's rows only the one listed could be measured."""
    measured = []

    def measure(model, task, *_):
        measured.append((model, task.image_size))
        return {
            "system": {"name": model.name, "title": model.title}, "parameters": {"total": 1}, "gmacs": 1.0,
            **{name: {"median": 1.0} for name in ("latency_seconds", "images_per_second", "step_seconds")},
            "peak_memory": {"step": None}, "share_of_product_rate": 0.1,
            "times_as_long": {}, "memory_above_weights": {},
        }  # fmt: skip

    monkeypatch.setattr(timing, "measure_system", measure)
    monkeypatch.setattr(timing, "save_record", lambda *_: None)
    monkeypatch.setattr(loading, "share_of_waiting", lambda *_: None)
    code, output, _ = command("speed", "still-sam", "--device", "cpu")
    assert (code, measured) == (0, [(row.model, (512, 512)) for row in STILL_SAM.rows])
    assert all(row.labels[0] in output for row in STILL_SAM.rows)
