import os
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from rssam.errors import UserError
from rssam.weights import folder as folder_module
from rssam.weights.folder import WeightsDamaged, WeightsFolder
from rssam.weights.registry import WEIGHTS


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch):
    monkeypatch.setattr(folder_module, "_intact", set())


def test_weights_that_rotted_are_refused_when_they_are_loaded(weights):
    """Zeros in place of all tensors passed, and a run got the key of the published weights."""
    path = weights.path("vit_b")
    content = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(content[:begin] + bytes(len(content) - begin))
    assert weights.digest("vit_b")  # a header alone, so that `status` stays quick
    with pytest.raises(WeightsDamaged, match=r"is not as it was prepared.*prepare weights vit_b"):
        weights.path_of("vit_b")


@pytest.mark.parametrize("method", ["path", "path_of", "digest", "read_as", "start"])
def test_a_checkpoint_of_no_name_lists_the_names(tmp_path, method):
    """`path_of("foo")` ended in KeyError: 'foo'."""
    with pytest.raises(UserError, match=r"unknown checkpoint 'foo': choose from vit_b, .*; for a file of your own"):
        getattr(WeightsFolder(tmp_path), method)("foo")


def test_a_flipped_bit_of_the_header_is_found(weights):
    """The name of the source is in every key, and was believed."""
    path = weights.path("vit_b")
    digest = weights.digest("vit_b")
    path.write_bytes(path.read_bytes().replace(digest.encode(), f"{int(digest[0], 16) ^ 1:x}{digest[1:]}".encode()))
    with pytest.raises(WeightsDamaged, match="is not as it was prepared"):
        weights.path_of("vit_b")


def test_the_content_is_read_once_a_session_and_again_when_the_file_changes(weights, monkeypatch):
    reads = []
    digest = folder_module.content_digest
    monkeypatch.setattr(folder_module, "content_digest", lambda path: (reads.append(path), digest(path))[1])
    path = weights.path_of("vit_b")
    for _ in range(3):
        weights.digest("vit_b"), weights.start("vit_b"), weights.path_of("vit_b")
    assert reads == [path]
    os.utime(path, ns=(1, 1))
    weights.path_of("vit_b")
    assert reads == [path, path]


def test_weights_that_are_not_the_published_file_have_a_name_of_their_own(tiny_vit_b, weights, sam_file, monkeypatch):
    """A file of anybody had the standing of SAM's checkpoint in every table; its digest alone told them apart."""
    digest = weights.digest("vit_b")
    assert weights.start("vit_b") == f"custom:{digest}"
    monkeypatch.setitem(WEIGHTS, "vit_b", replace(WEIGHTS["vit_b"], sha256=digest))
    assert weights.start("vit_b") == digest


def test_weights_of_0_1_are_named_and_left(weights):
    path = weights.path("vit_b")
    old = {"source_sha256": weights.digest("vit_b"), "name": "vit_b", "official": "no"}
    save_file(load_file(path), path, metadata=old)
    before = path.read_bytes()
    for read in (weights.path_of, weights.digest, weights.start):
        with pytest.raises(WeightsDamaged, match=r"made by rssam-bench 0\.1 .*prepare weights vit_b"):
            read("vit_b")
    assert path.read_bytes() == before
