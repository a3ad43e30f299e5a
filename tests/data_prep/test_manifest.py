from __future__ import annotations

import errno
import json
import os
import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest

from data_prep.errors import DataError, NotPrepared
from data_prep.manifest_file import MANIFEST_NAME, load_manifest
from data_prep.prepared import open_prepared
from data_prep.splits import assign_splits, exact_counts
from rssam.errors import UserError
from rssam.files import write_atomic
from tests.benchmarks.prepared import write_prepared


@pytest.mark.parametrize(("total", "counts"), [(36, (25, 5, 6)), (6226, (4358, 934, 934)), (4940, (3458, 741, 741))])
def test_known_sizes(total, counts):
    assert exact_counts(total) == counts


@pytest.mark.parametrize("total", [*range(1, 51), 999, 6226])
def test_sizes_are_whole_and_within_one_of_the_exact_fractions(total):
    counts = exact_counts(total)
    assert sum(counts) == total
    for count, percent in zip(counts, (70, 15, 15), strict=True):
        assert abs(count - Fraction(total * percent, 100)) < 1


@pytest.mark.parametrize("total", [1, 2, 7, 20, 36, 50, 4940, 6226])
def test_split_is_exact_without_groups_and_knows_no_order(total):
    stems = [str(1000 + index) for index in range(total)]
    chosen = assign_splits({stem: stem for stem in stems}, 0)
    sizes = Counter(chosen.values())
    assert tuple(sizes[split] for split in ("train", "val", "test")) == exact_counts(total)
    shuffled = random.Random(5).sample(stems, total)
    assert assign_splits({stem: stem for stem in shuffled}, 0) == chosen


def test_split_depends_on_the_seed_but_not_on_the_name_of_a_group():
    stems = [str(index) for index in range(60)]
    chosen = assign_splits({stem: stem for stem in stems}, 0)
    assert assign_splits({stem: stem for stem in stems}, 1) != chosen
    assert assign_splits({stem: f"digest of {stem}" for stem in stems}, 0) == chosen


@pytest.mark.parametrize("seed", range(8))
def test_a_group_never_parts(seed):
    groups = {str(index): str(index // 4) for index in range(40)}
    chosen = assign_splits(groups, seed)
    assert len(chosen) == 40
    for group in set(groups.values()):
        assert len({chosen[stem] for stem in groups if groups[stem] == group}) == 1


def test_a_group_larger_than_any_split_is_placed_whole():
    assert set(assign_splits(dict.fromkeys("abcdefgh", "one"), 0).values()) == {"train"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, code):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_without_or_with_a_damaged_manifest(tmp_path):
    with pytest.raises(NotPrepared, match="rssam-bench prepare deepglobe --source DIR"):
        load_manifest(tmp_path, "deepglobe")
    (tmp_path / "manifest.json").write_text('{"schema": 2, "ent')
    with pytest.raises(DataError, match="is damaged"):
        load_manifest(tmp_path, "deepglobe")
    (tmp_path / "manifest.json").write_text('{"schema": 1}')
    with pytest.raises(DataError, match=r"made by rssam-bench 0\.1 .*prepare deepglobe --source DIR"):
        load_manifest(tmp_path, "deepglobe")
    (tmp_path / "manifest.json").write_text('{"schema": 99}')
    with pytest.raises(DataError, match="manifest format 99"):
        load_manifest(tmp_path, "deepglobe")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("classes", ["a\n|"]), ("rules", "x"), ("image_size", [512]), ("image_size", [10**9, 1]), ("entries", [{}]),
        ("entries", "x"), ("expected_pairs", "x"), ("origin", "evil"), ("official_split", 1), ("dataset", ["x"]),
    ],
)  # fmt: skip
def test_an_odd_part_is_damage(tmp_path, part, value):
    """`datasets` and `status` ended in a TypeError where it was used, or printed the name as it was."""
    write_prepared(tmp_path)
    path = tmp_path / MANIFEST_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), part: value}))
    with pytest.raises(DataError, match=f"is damaged .*{part}"):
        load_manifest(tmp_path, "deepglobe")
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="nested more than 40 deep"):
        load_manifest(tmp_path, "deepglobe")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("image", "/etc/passwd"),
        ("mask", "../../masks/1.png"),
        ("stem", "/tmp/x"),
        ("stem", "../x"),
        ("native_mask", "/x"),
    ],
)
def test_no_entry_leads_out_of_the_folder(tmp_path, part, value):
    """`score --run KEY --out DIR` wrote a mask at the absolute path that a manifest gave as a stem."""
    write_prepared(tmp_path)
    path = tmp_path / MANIFEST_NAME
    raw = json.loads(path.read_text())
    raw["entries"][0][part] = value
    path.write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"is damaged \(.*expected a (path inside of the folder|file name)"):
        load_manifest(tmp_path, "deepglobe")


def test_a_misspelt_split_rule_is_not_taken_as_random(tmp_path):
    """`split(rule="zzz")` gave the images of "random", and `digest(0, "zzz")` its digest."""
    manifest = write_prepared(tmp_path / "deepglobe")
    for use in (manifest.split_by_stem, manifest.digest, partial(open_prepared(tmp_path / "deepglobe").split, "train")):
        with pytest.raises(UserError, match="unknown split rule 'zzz': choose from random, blocked"):
            use(0, "zzz")
    with pytest.raises(UserError, match="unknown split rule 'zzz'"):
        replace(manifest, official_split=True).splits(0, "zzz")
