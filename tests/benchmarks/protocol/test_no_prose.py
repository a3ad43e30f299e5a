"""Nothing that people read is in a key: no sentence, title, folder or locale, nor how a name is spelt in bytes."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from benchmarks.protocol.paper_runs import PAPER_RUNS
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.submission import identify, submission_key
from data_prep.datasets.folder import Folder
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.registry import DATASETS
from data_prep.rules import SENTENCES
from tests.benchmarks.protocol.test_keys import keys
from tests.data_prep.samples import picture, road, write_image, write_mask

STEMS = ("Zürich", "São Paulo", "Łódź", "Þingvellir", "Malmö", "Córdoba", "Île", "Ærø")
LAKES = Folder("lakes", ("water",), (255,), 0, None, "keep", (64, 64))


def write(folder: Path, form: str) -> Path:
    for number, stem in enumerate(STEMS):
        name = unicodedata.normalize(form, stem)
        write_image(folder / "images" / f"{name}.png", picture(number, 64))
        write_mask(folder / "masks" / f"{name}.png", road(number, 64))
    return folder


def prepare(source: Path, out: Path):
    return LAKES.prepare(source, out, origin="source", workers=1, progress=lambda *_: None)


def every_key(manifest) -> dict[str, object]:
    """Keys of all runs of the paper, of a submission, and of a data set's splits."""
    settings = [Setting("paper"), Setting("fair"), Setting("smoke"), Setting("paper", split="blocked")]
    submission = identify(
        "scored", "mine", LAKES, data=manifest.digest(0), split_seed=0, split_rule="random", images="test",
        predictions="p",
    )  # fmt: skip
    return {
        **{str(setting): keys(setting) for setting in settings},
        "submission": submission_key(submission),
        **{f"split {seed}": manifest.digest(seed) for seed in range(3)},
        **{f"stems {seed}": manifest.split_by_stem(seed) for seed in range(3)},
    }


def test_no_rewording_changes_a_key(tmp_path, monkeypatch):
    """The sentences on data were hashed: a comma orphaned every finished run."""
    before = every_key(prepare(write(tmp_path / "a", "NFC"), tmp_path / "out a"))
    monkeypatch.setattr(
        "data_prep.rules.SENTENCES", {code: f"{text}, in other words" for code, text in SENTENCES.items()}
    )
    declared = {type(paper.model) for paper in PAPER_RUNS} | {type(model) for model in MODELS.values()}
    for declaration in declared:
        monkeypatch.setattr(declaration, "title", "Another title")
        monkeypatch.setattr(declaration, "__doc__", "Other words.")
    for name, data in DATASETS.items():
        if not isinstance(data, Folder):
            monkeypatch.setattr(type(data), "title", f"Another title of {name}")
            monkeypatch.setattr(type(data), "__doc__", "Other words.")
    for table in TABLES.values():
        monkeypatch.setitem(vars(table), "title", "Another title")
    for profile in PROFILES.values():
        monkeypatch.setitem(vars(profile), "summary", "Other words.")
    assert every_key(prepare(write(tmp_path / "b", "NFC"), tmp_path / "out b")) == before


def test_another_folder_changes_no_key(tmp_path):
    before = every_key(prepare(write(tmp_path / "a", "NFC"), tmp_path / "out"))
    shutil.move(tmp_path / "out", tmp_path / "elsewhere with spaces")
    assert every_key(load_manifest(tmp_path / "elsewhere with spaces", "lakes")) == before
    assert every_key(prepare(write(tmp_path / "deep" / "er" / "b", "NFC"), tmp_path / "other")) == before


def test_decomposed_names_change_no_key(tmp_path):
    """macOS gives names decomposed: "Malmö" lay in train there and in test here, under two digests."""
    composed = every_key(prepare(write(tmp_path / "a", "NFC"), tmp_path / "out a"))
    assert every_key(prepare(write(tmp_path / "b", "NFD"), tmp_path / "out b")) == composed


def test_an_image_meets_its_mask_however_both_are_spelt(tmp_path):
    """They were no pair: all eight masks were said to be without an image."""
    write(tmp_path / "a", "NFC")
    mixed = write(tmp_path / "b", "NFD")
    shutil.rmtree(mixed / "masks")
    shutil.copytree(tmp_path / "a" / "masks", mixed / "masks")
    assert len(prepare(mixed, tmp_path / "out").entries) == len(STEMS)


def test_one_name_composed_and_decomposed_in_one_folder_is_a_fault(tmp_path):
    """Both were prepared, as two images: one in train and its copy in test."""
    write(tmp_path / "a", "NFC")
    write(tmp_path / "a", "NFD")
    with pytest.raises(DataError, match="one name, composed and decomposed"):
        prepare(tmp_path / "a", tmp_path / "out")


SCRIPT = """
import json, sys
from pathlib import Path
from tests.benchmarks.protocol.test_no_prose import every_key, prepare
print(json.dumps(every_key(prepare(Path(sys.argv[1]), Path(sys.argv[2]))), sort_keys=True))
"""


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.utf8"])
def test_another_locale_changes_no_key(tmp_path, locale):
    here = every_key(prepare(write(tmp_path / "a", "NFC"), tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "a"), str(tmp_path / "there")],
        env={**os.environ, "LC_ALL": locale, "LANG": locale, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == json.loads(json.dumps(here, sort_keys=True))


def test_a_prepared_folder_of_one_spelling_verifies_a_source_of_the_other(tmp_path):
    manifest = prepare(write(tmp_path / "a", "NFC"), tmp_path / "out")
    assert prepare(write(tmp_path / "b", "NFD"), tmp_path / "out") == manifest
