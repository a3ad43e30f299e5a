"""The rules on how data was prepared, as digests: they are in every key, so a changed code or value orphans every run.

A rule may change on purpose, with the version of its data set. Then renew the literals here:
`python -m tests.data_prep.datasets.test_rules` prints them. Their sentences may be reworded freely.
"""

import dataclasses
import json
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.datasets.deepglobe import DeepGlobe
from data_prep.datasets.folder_options import ClassMap, declare, from_options
from data_prep.datasets.whdld import Whdld
from data_prep.datasets.whdld_class_order import KNOWN
from data_prep.datasets.whu import Whu
from data_prep.manifest import Manifest
from data_prep.rules import RULES, SENTENCES, Rule, as_rules, rules_from_json, rules_to_json, sentences
from rssam.kinds import fault
from tests.data_prep import raster_files
from tests.data_prep.datasets import test_whdld_class_order, test_whu
from tests.data_prep.samples import picture, road, write_image, write_mask, write_source

CASES: dict[str, tuple[str, Callable[[Path], Manifest]]] = {}
"""By name: the digest of the manifest with made-up sources, and what prepares it."""


def case(name: str, digest: str) -> Callable[[Callable[[Path], Manifest]], Callable[[Path], Manifest]]:
    def register(prepare: Callable[[Path], Manifest]) -> Callable[[Path], Manifest]:
        CASES[name] = digest, prepare
        return prepare

    return register


def prepared(dataset, source: Path) -> Manifest:
    return dataset.prepare(
        source, source.parent / "out", origin="source", workers=1, progress=lambda *_: None
    )  # fmt: skip


@case("deepglobe", "5d38ced368901b00")
def deepglobe(folder):
    return prepared(DeepGlobe(), write_source(folder / "source", 4))


@case("whu", "0364b067b740ee8a")
def whu(folder):
    for name, seed in test_whu.TILES.items():
        test_whu.write_tile(folder / "source", name, seed)
    return prepared(Whu(), folder / "source")


@case("whu labels of 0 and 1", "71939aeff4343f7f")
def whu_ones(folder):
    for name, seed in test_whu.TILES.items():
        test_whu.write_tile(folder / "source", name, seed)
    for path in (folder / "source").glob("*/label/*.tif"):
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    return prepared(Whu(), folder / "source")


def whu_rasters(folder, edges):
    for name, place in (("a", raster_files.NORTH_UP), ("b", raster_files.NORTH_UP)):  # on the same ground: they overlap
        raster_files.write_raster(folder / "source" / "image" / f"{name}.tif", raster_files.noise(2200, 2200), place)
        raster_files.write_raster(folder / "source" / "label" / f"{name}.tif", raster_files.blocks(2200, 2200), place)
    return prepared(Whu(edges=edges), folder / "source")


@case("whu rasters, edges dropped", "2177ddba688bdf40")
def whu_rasters_drop(folder):
    return whu_rasters(folder, "drop")


@case("whu rasters, edges padded", "4600ae5d4d9f5a9a")
def whu_rasters_pad(folder):
    return whu_rasters(folder, "pad")


@case("whu rasters without a place", "2a1581d7d25d047c")
def whu_rasters_nowhere(folder):
    raster_files.write_raster(folder / "source" / "image" / "a.tif", raster_files.noise(2200, 2200), None)
    raster_files.write_raster(folder / "source" / "label" / "a.tif", raster_files.blocks(2200, 2200), None)
    return prepared(Whu(), folder / "source")


@case("whdld", "280f28fe8d1f4c5e")
def whdld(folder):
    return prepared(Whdld(), test_whdld_class_order.write(folder / "source"))


@case("whdld, numbers in the published order", "5c2c6444293739b4")
def whdld_published(folder):
    return prepared(Whdld(KNOWN[0]), test_whdld_class_order.write(folder / "source", KNOWN[0]))


@case("whdld, numbers from 0 in alphabetical order", "a0ce3b1e90002383")
def whdld_alphabetical(folder):
    return prepared(Whdld(KNOWN[1]), test_whdld_class_order.write(folder / "source", KNOWN[1], 0))


def own(folder, text, ignore=None, side=512, **options):
    for number in range(4):
        write_image(folder / "source" / "images" / f"{number}.jpg", picture(number, side))
        write_mask(folder / "source" / "masks" / f"{number}.png", road(number, side))
    wanted: ClassMap = dataclasses.replace(from_options([text], ignore), name="own", **options)
    return prepared(declare(wanted, folder / "source", ()), folder / "source")


@case("folder, kept", "ce8c250730591176")
def folder_kept(folder):
    return own(folder, "road=255,255,255")


@case("folder, tiles", "2173b14f63c3ed84")
def folder_tiles(folder):
    return own(folder, "road=255,255,255", side=96, fit="tile")


@case("folder, resized, several classes", "2a522e986df81e28")
def folder_resized(folder):
    return own(folder, "ground=0,0,0, road=255,255,255", ignore="1,2,3", fit="resize")


def digest_of(manifest: Manifest) -> str:
    """The digest with made-up sources: their bytes differ with the versions of what wrote them; the rules do not."""
    sources = (
        dataclasses.replace(entry, source_image_sha256="image", source_mask_sha256="mask", group=entry.stem)
        for entry in manifest.entries
    )
    rules = {
        part: tuple(
            dataclasses.replace(rule, values={**rule.values, "sha256": "of the rasters"}) if "sha256" in rule.values
            else rule
            for rule in given
        )
        for part, given in manifest.rules.items()
    }  # fmt: skip
    return dataclasses.replace(manifest, entries=tuple(sources), rules=rules).digest(0)[:16]


@pytest.fixture(scope="module")
def manifest_of(tmp_path_factory):
    """Return a function from the name of a case to its manifest; each is prepared once."""
    return cache(lambda name: CASES[name][1](tmp_path_factory.mktemp("case")))


@pytest.mark.parametrize("name", CASES)
def test_no_rule_is_changed_by_accident(name, manifest_of):
    manifest = manifest_of(name)
    assert digest_of(manifest) == CASES[name][0], manifest.rules


@pytest.mark.parametrize("name", CASES)
def test_every_rule_of_this_suite_is_a_code_with_a_sentence(name, manifest_of):
    manifest = manifest_of(name)
    for given in manifest.rules.values():
        for rule in given:
            assert re.fullmatch("[a-z-]+", rule.code)
            assert not rule.sentence.startswith(rule.code) or rule.code in SENTENCES
            assert "{" not in rule.sentence


def test_no_rewording_changes_a_digest(tmp_path, monkeypatch, manifest_of):
    """A comma in a sentence gave every run on that data another key, so no message could be mended."""
    before = {name: digest_of(manifest_of(name)) for name in CASES}
    reworded = {code: f"Otherwise worded: {template}!" for code, template in SENTENCES.items()}
    monkeypatch.setattr("data_prep.rules.SENTENCES", reworded)
    for name, (_, prepare) in CASES.items():
        manifest = prepare(tmp_path / name)
        assert all("Otherwise worded" in text for text in sentences(manifest.rules).values())
        assert digest_of(manifest) == before[name]


def test_another_value_of_a_rule_is_another_digest(tmp_path):
    manifest = deepglobe(tmp_path)
    threshold, *others = manifest.rules["mask"]
    changed = {
        **manifest.rules,
        "mask": (dataclasses.replace(threshold, values={**threshold.values, "at": 1}), *others),
    }
    assert dataclasses.replace(manifest, rules=changed).digest(0) != manifest.digest(0)


def test_a_string_of_a_users_own_data_set_is_its_own_code(tmp_path):
    own = as_rules({"mask": "water where the value is at least 128"})
    assert own["mask"] == (Rule("water where the value is at least 128"),)
    assert sentences(own) == {"mask": "water where the value is at least 128"}


def test_rules_pass_through_json(manifest_of):
    for name in CASES:
        rules = manifest_of(name).rules
        assert rules_from_json(json.loads(json.dumps(rules_to_json(rules)))) == rules


@pytest.mark.parametrize("raw", [{"code": 1, "values": {}}, {"code": "a"}, {"code": "a", "values": []}, "a", None])
def test_a_malformed_rule_is_refused(raw):
    assert not fault({"mask": [{"code": "a", "values": {}}]}, RULES)
    assert fault({"mask": [raw]}, RULES).startswith("an item of mask")


if __name__ == "__main__":
    for name, (digest, prepare) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {digest} -> {digest_of(prepare(Path(folder)))}")
