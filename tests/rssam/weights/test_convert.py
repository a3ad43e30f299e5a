import hashlib
import os
import pickle

import pytest
import torch

from rssam.errors import UserError
from rssam.sam.loading import load_weights
from rssam.weights.convert import convert_checkpoint
from rssam.weights.download import download
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound, read_metadata
from rssam.weights.registry import WEIGHTS


def test_every_tensor_survives_the_conversion(weights, sam_file):
    published = torch.load(sam_file, weights_only=True)
    prepared = load_weights(weights.path_of("vit_b"))
    assert prepared.keys() == published.keys()
    assert all(torch.equal(prepared[name], published[name]) for name in published)


def test_metadata_names_the_published_file(weights, sam_file):
    digest = hashlib.sha256(sam_file.read_bytes()).hexdigest()
    metadata = read_metadata(weights.path_of("vit_b"))
    content = metadata.pop("content_sha256")
    assert metadata == {"source_sha256": digest, "name": "vit_b"}
    assert weights.digest("vit_b") == digest
    prepared = weights.path("vit_b").read_bytes()
    assert prepared.count(content.encode()) == 1
    assert hashlib.sha256(prepared.replace(content.encode(), b"0" * 64)).hexdigest() == content


def test_another_digest_is_refused(tiny_vit_b, sam_file, tmp_path):
    with pytest.raises(WeightsDamaged, match="expected SHA-256 ec2df62732"):
        convert_checkpoint("vit_b", sam_file, WeightsFolder(tmp_path), WEIGHTS["vit_b"].sha256)


@pytest.mark.parametrize("kept", [0, 100, 0.5, -1])
def test_truncated(tiny_vit_b, sam_file, tmp_path, kept):
    content = sam_file.read_bytes()
    short = tmp_path / "short.pth"
    short.write_bytes(content[: int(len(content) * kept)] if isinstance(kept, float) else content[:kept])
    with pytest.raises(WeightsDamaged, match="truncated or foreign file: fetch it again with: rssam-bench prepare"):
        convert_checkpoint("vit_b", short, WeightsFolder(tmp_path / "weights"))
    assert not (tmp_path / "weights").exists()


def test_a_file_that_carries_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    source = tmp_path / "evil.pth"
    source.write_bytes(pickle.dumps({"image_encoder.pos_embed": Evil()}, protocol=2))
    with pytest.raises(WeightsDamaged):
        convert_checkpoint("vit_b", source, WeightsFolder(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        {"conv1.weight": torch.zeros(2, 2)},
        {"model": {"image_encoder.pos_embed": torch.zeros(1)}},
        {
            "image_encoder.blocks.0.x": torch.zeros(1),
            "image_encoder.patch_embed.proj.weight": torch.zeros(96, 3, 16, 16),
        },
        [torch.zeros(1)],
        torch.zeros(3),
    ],
)
def test_not_sam(tmp_path, content):
    source = tmp_path / "other.pth"
    torch.save(content, source)
    with pytest.raises(WeightsDamaged, match=r"is not a (SAM )?checkpoint"):
        convert_checkpoint("vit_b", source, WeightsFolder(tmp_path))


def test_other_size(sam_file, tmp_path):
    with pytest.raises(WeightsDamaged, match=r"expected a vit_b checkpoint \(768 wide, 12 blocks\), found 96 wide, 4"):
        convert_checkpoint("vit_b", sam_file, WeightsFolder(tmp_path))


def test_the_sentence_names_the_size_it_found(tiny_vit_b, sam_file, tmp_path):
    with pytest.raises(WeightsDamaged, match="it is vit_b; run: rssam-bench prepare weights vit_b --source FILE"):
        convert_checkpoint("vit_l", sam_file, WeightsFolder(tmp_path))


def test_no_such_source(tmp_path):
    with pytest.raises(WeightsNotFound, match=r"found no file there"):
        convert_checkpoint("vit_b", tmp_path / "absent.pth", WeightsFolder(tmp_path))


def test_no_such_name(tmp_path):
    with pytest.raises(UserError, match="choose one of vit_b, vit_l, vit_h"):
        download("vit_x", WeightsFolder(tmp_path))


def test_not_prepared(tmp_path):
    with pytest.raises(WeightsNotFound, match=r"prepare weights vit_b .*--source FILE\.pth.*--init scratch"):
        WeightsFolder(tmp_path).path_of("vit_b")


def test_nothing_but_the_prepared_file_stays(weights):
    assert [path.name for path in weights.root.iterdir()] == ["sam_vit_b.safetensors"]


def test_a_failed_write_leaves_the_old_file(weights, sam_file, monkeypatch):
    before = weights.path("vit_b").read_bytes()

    def full_disk(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(UserError, match=r"could not write .*No space left on device"):
        convert_checkpoint("vit_b", sam_file, weights)
    assert [path.read_bytes() for path in weights.root.iterdir()] == [before]


def test_damaged_after_preparation(weights):
    path = weights.path("vit_b")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsDamaged, match="prepare the weights again"):
        load_weights(path)
