"""The sentences on how data was prepared, as digests: they are in every key, so a reworded one orphans every run.

A rule may change on purpose, with the version of its data set. Then renew the literals here.
"""

import dataclasses
import re
from collections.abc import Callable
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


@case("deepglobe", "3425e5932c5eeca7")
def deepglobe(folder):
    return prepared(DeepGlobe(), write_source(folder / "source", 4))


@case("whu", "ead1723430319690")
def whu(folder):
    for name, seed in test_whu.TILES.items():
        test_whu.write_tile(folder / "source", name, seed)
    return prepared(Whu(), folder / "source")


@case("whu labels of 0 and 1", "d51dfcee20049fb7")
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


@case("whu rasters, edges dropped", "39edbbb7a14642b2")
def whu_rasters_drop(folder):
    return whu_rasters(folder, "drop")


@case("whu rasters, edges padded", "4102b12dd9fa1bd0")
def whu_rasters_pad(folder):
    return whu_rasters(folder, "pad")


@case("whu rasters without a place", "0a306da98e8b3a41")
def whu_rasters_nowhere(folder):
    raster_files.write_raster(folder / "source" / "image" / "a.tif", raster_files.noise(2200, 2200), None)
    raster_files.write_raster(folder / "source" / "label" / "a.tif", raster_files.blocks(2200, 2200), None)
    return prepared(Whu(), folder / "source")


@case("whdld", "e8971c5a4d8bc3c5")
def whdld(folder):
    return prepared(Whdld(), test_whdld_class_order.write(folder / "source"))


@case("whdld, numbers in the published order", "1cc6575e5908ca4f")
def whdld_published(folder):
    return prepared(Whdld(KNOWN[0]), test_whdld_class_order.write(folder / "source", KNOWN[0]))


@case("whdld, numbers from 0 in alphabetical order", "5db6e4a52fbb156c")
def whdld_alphabetical(folder):
    return prepared(Whdld(KNOWN[1]), test_whdld_class_order.write(folder / "source", KNOWN[1], 0))


def own(folder, text, ignore=None, side=512, **options):
    for number in range(4):
        write_image(folder / "source" / "images" / f"{number}.jpg", picture(number, side))
        write_mask(folder / "source" / "masks" / f"{number}.png", road(number, side))
    wanted: ClassMap = dataclasses.replace(from_options([text], ignore), name="own", **options)
    return prepared(declare(wanted, folder / "source", ()), folder / "source")


@case("folder, kept", "a06be0c77c0cb206")
def folder_kept(folder):
    return own(folder, "road=255,255,255")


@case("folder, tiles", "77cbeaa2e795a019")
def folder_tiles(folder):
    return own(folder, "road=255,255,255", side=96, fit="tile")


@case("folder, resized, several classes", "92d791ecdd5e5ae5")
def folder_resized(folder):
    return own(folder, "ground=0,0,0, road=255,255,255", ignore="1,2,3", fit="resize")


@pytest.mark.parametrize("name", CASES)
def test_no_rule_is_reworded_by_accident(name, tmp_path):
    digest, prepare = CASES[name]
    manifest = prepare(tmp_path)
    # The bytes of sources differ with the versions of what wrote them; the rules do not.
    sources = (
        dataclasses.replace(entry, source_image_sha256="image", source_mask_sha256="mask", group=entry.stem)
        for entry in manifest.entries
    )
    rules = {
        part: re.sub("SHA-256 [0-9a-f]{64}", "SHA-256 of the rasters", rule) for part, rule in manifest.rules.items()
    }
    fixed = dataclasses.replace(manifest, entries=tuple(sources), rules=rules)
    assert fixed.digest(0)[:16] == digest, rules


def test_a_reworded_rule_is_found(tmp_path):
    manifest = deepglobe(tmp_path)
    reworded = {**manifest.rules, "mask": manifest.rules["mask"].replace("shrunk", "downsampled") + "."}
    assert dataclasses.replace(manifest, rules=reworded).digest(0) != manifest.digest(0)
