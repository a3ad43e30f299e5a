"""Identity: what is in the key, what is not, and that it does not drift."""

import dataclasses
from dataclasses import dataclass

import pytest

from baselines.fcn import Fcn
from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.protocol.recipe import DEMO, FAIR, MINI, PAPER, PROFILES, SMOKE, Recipe, added
from benchmarks.protocol.registry import smallest
from benchmarks.protocol.run import ResolvedRun, Run, canonical, make_key, plain_fields, resolve_run
from benchmarks.protocol.setting import Setting
from data_prep.errors import DataError
from data_prep.registry import find_dataset
from rssam.config import RSSAM
from rssam.errors import UnknownName, UserError
from rssam.weights.folder import WeightsFolder
from tests.benchmarks.prepared import write_prepared

RUN = Run(RSSAM(), find_dataset("deepglobe"), PAPER)
OTHER = {"optimizer": "sgd", "augmentation": "flips", "name": "other", "rates": (1e-4,), "batch": 48, "group": 3}


def key(run: Run = RUN, **changes) -> str:
    values = {"data_digest": "d", "weights": ("w",), "precision": "32-true"} | changes
    return ResolvedRun(run, **values).key


def test_the_key_of_a_declaration_does_not_drift():
    """If this fails on purpose, raise PROTOCOL: finished results would be trained again, or worse, mistaken."""
    assert key() == "deepglobe-rs-sam-98de211ea5"


@pytest.mark.parametrize("field", [item.name for item in dataclasses.fields(Recipe)])
def test_every_field_of_a_recipe_is_in_the_key(field):
    base = dataclasses.replace(PAPER, crop=256, limit=8)
    value = OTHER[field] if field in OTHER else getattr(base, field) * 2
    changed = dataclasses.replace(base, **{field: value})
    assert key(dataclasses.replace(RUN, recipe=changed)) != key(dataclasses.replace(RUN, recipe=base))


@pytest.mark.parametrize(
    "change",
    [
        {"model": RSSAM(mff=False)},
        {"model": RSSAM(encoder="vit_l")},
        {"model": SamLora()},
        {"seed": 1},
        {"split_seed": 1},
        {"split_rule": "blocked"},
    ],
)
def test_every_part_of_a_run_is_in_the_key(change):
    assert key(dataclasses.replace(RUN, **change)) != key()


@pytest.mark.parametrize("change", [{"data_digest": "e"}, {"weights": ()}, {"precision": "bf16-mixed"}])
def test_what_the_disk_knows_is_in_the_key(change):
    assert key(**change) != key()


def test_order_of_fields_is_not_in_the_key():
    identity = ResolvedRun(RUN, "d", ("w",), "32-true").identity()
    assert make_key(dict(reversed(identity.items()))) == make_key(identity)


def test_an_added_option_leaves_old_keys_alone():
    @dataclass(frozen=True)
    class Old:
        width: int = 3

    @dataclass(frozen=True)
    class New:
        width: int = 3
        depth: int = added(2)

    assert canonical(plain_fields(New())) == canonical(plain_fields(Old()))
    assert canonical(plain_fields(New(depth=3))) != canonical(plain_fields(Old()))


def test_the_rule_of_the_split_is_declared():
    assert RUN.declared()["split_rule"] == "random"
    assert dataclasses.replace(RUN, split_rule="blocked").declared() == {**RUN.declared(), "split_rule": "blocked"}
    assert Setting("paper", split="blocked").run(RSSAM(), "deepglobe").split_rule == "blocked"
    assert Setting("paper", split="blocked").run(RSSAM(), "whu") == Setting("paper").run(RSSAM(), "whu")


def test_a_split_by_scenes_needs_scenes(tmp_path):
    """Without scenes every tile would be its own, and a random split would pass for a blocked one."""
    manifest = write_prepared(tmp_path / "data")
    run = dataclasses.replace(RUN, model=SamLora("vit_t", "scratch"), split_rule="blocked")
    weights = WeightsFolder(tmp_path / "weights")
    with pytest.raises(DataError, match="rssam-bench prepare deepglobe --source DIR"):
        resolve_run(run, manifest, weights, "32-true")
    entries = tuple(dataclasses.replace(entry, scene=f"{int(entry.stem) // 2}") for entry in manifest.entries)
    known = dataclasses.replace(manifest, entries=entries)
    blocked = resolve_run(run, known, weights, "32-true")
    random = resolve_run(dataclasses.replace(run, split_rule="random"), known, weights, "32-true")
    assert (
        blocked.data_digest == known.digest(0, "blocked") != known.digest(0) == random.data_digest == manifest.digest(0)
    )
    assert blocked.key != random.key


def test_batch_is_whole_groups():
    with pytest.raises(ValueError, match="whole number of groups"):
        Recipe(name="odd", batch=10, group=4)


def test_every_profile_has_a_recipe_of_its_name():
    assert {name: profile.recipe.name for name, profile in PROFILES.items()} == {name: name for name in PROFILES}
    assert {PAPER, FAIR, MINI, SMOKE, DEMO} == {profile.recipe for profile in PROFILES.values()}


def test_setting_replaces_encoders():
    smoke = Setting("smoke").run(RSSAM(mff=False), "deepglobe").model
    assert smoke == RSSAM(encoder="vit_t", init="scratch", mff=False)
    large = Setting("smoke").run(SamLora(encoder="vit_l"), "deepglobe").model
    assert large == SamLora(encoder="vit_s", init="scratch")
    assert Setting("mini", "vit_t", "scratch").run(SamLora(), "deepglobe").model == SamLora("vit_t", "scratch")
    assert Setting("paper").run(RSSAM(), "deepglobe").model == RSSAM()


def test_small_encoders_take_small_cnns_along():
    """Else a mini run would set a U-Net of 31 M parameters beside an encoder of 2 M."""
    small = UNet(**UNet.small)
    for setting in (Setting("smoke"), Setting("mini", "vit_t", "scratch"), Setting("mini", "vit_s", "scratch")):
        assert setting.run(UNet(), "deepglobe").model == small
        assert setting.run(Fcn(), "deepglobe").model == smallest(Fcn())
    for setting in (Setting("mini"), Setting("fair"), Setting("paper"), Setting("mini", "vit_l")):
        assert setting.run(UNet(), "deepglobe").model == UNet()


def test_init_reaches_those_who_have_the_choice():
    """--init sam is not a start of a CNN: it once made Fcn(init="sam"), which no weights fit."""
    assert Setting("paper", init="sam").run(Fcn(), "deepglobe").model == Fcn()
    assert Setting("paper", init="scratch").run(Fcn(), "deepglobe").model == Fcn(init="scratch")
    assert Setting("paper", init="scratch").run(UNet(), "deepglobe").model == UNet()
    assert Setting("paper", init="scratch").run(SamLora(), "deepglobe").model == SamLora(init="scratch")


def test_a_small_cnn_has_no_imagenet_weights():
    with pytest.raises(UserError, match="use --init scratch"):
        Setting("mini", "vit_t").run(Fcn(), "deepglobe")


def test_naming_the_tables_own_data_set_overrides_nothing():
    assert Setting("mini", dataset="deepglobe").on("deepglobe") == Setting("mini")
    assert Setting("mini", dataset="whu").on("deepglobe") == Setting("mini", dataset="whu")


def test_unknown_profile_lists_the_choices():
    with pytest.raises(UnknownName, match="smoke, demo, mini, fair, paper"):
        Setting("huge")


def test_fair_takes_the_published_optimiser():
    assert FAIR.for_model(SamLora()).weight_decay == 0.1
    assert PAPER.for_model(SamLora()) is PAPER


def test_every_field_of_the_paper_recipe_names_its_origin():
    origins = {item.name: item.metadata.get("origin") for item in dataclasses.fields(Recipe)}
    assert origins.pop("name") is None
    assert set(origins.values()) == {"paper", "SAMed", "ours"}
